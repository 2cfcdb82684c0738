//! The plain loop of Kafka to Kafka: a consumer polls, three headers are looked at, headers, key and payload go to a
//! threaded producer, and an offset is stored once it and all before it are delivered. The settings are those of the
//! router's connector, so that both ask the same of librdkafka. No validation, no retries of its own, no metrics.

use std::collections::{BTreeMap, VecDeque};
use std::thread;
use std::time::Duration;

use clap::Parser;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers, Message};
use rdkafka::producer::{BaseRecord, ThreadedProducer};
use weft_scenarios::producer::{self, Delivered};
use weft_scenarios::{Failure, tool};

/// The most records that are sent and not confirmed.
const IN_FLIGHT: usize = 10_000;
/// Records between two looks at what is confirmed.
const ROUND: usize = 500;
/// How long an empty topic is waited on at once.
const IDLE: Duration = Duration::from_millis(100);
/// How long a full window or queue is waited on at once.
const FULL: Duration = Duration::from_millis(1);

/// Copies records from one topic to another.
#[derive(Parser)]
struct Args {
    /// `host:port` of a broker.
    #[arg(long)]
    brokers: String,
    /// The topic to read.
    #[arg(long)]
    from: String,
    /// The topic to write.
    #[arg(long)]
    to: String,
    /// The consumer group.
    #[arg(long)]
    group: String,
    /// What librdkafka may fetch ahead.
    #[arg(long)]
    prefetch_kib: u64,
}

struct Copier {
    args: Args,
    consumer: BaseConsumer,
    producer: ThreadedProducer<Delivered>,
    delivered: Delivered,
    /// Partition and offset of what is sent and not stored yet.
    sent: VecDeque<(i32, i64)>,
    stored: usize,
}

fn main() -> Result<(), Failure> {
    let mut copy = Copier::new(Args::parse())?;
    tool::end_with_driver();
    copy.consumer.subscribe(&[&copy.args.from])?;
    tool::say("ready");
    loop {
        for _ in 0..ROUND {
            if !copy.one()? {
                break;
            }
        }
        copy.store()?;
        while copy.sent.len() >= IN_FLIGHT {
            thread::park_timeout(FULL);
            copy.store()?;
        }
    }
}

impl Copier {
    fn new(args: Args) -> Result<Self, KafkaError> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", &args.brokers)
            .set("group.id", &args.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.offset.store", "false")
            .set("auto.commit.interval.ms", "1000")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", args.prefetch_kib.to_string())
            .set("queued.min.messages", "100000")
            .set("fetch.queue.backoff.ms", "10")
            .create()?;
        let (producer, delivered) = producer::producer(&args.brokers)?;
        Ok(Self {
            args,
            consumer,
            producer,
            delivered,
            sent: VecDeque::new(),
            stored: 0,
        })
    }

    /// Copies one record; false where there is none at the moment.
    fn one(&mut self) -> Result<bool, Failure> {
        let Some(record) = self.consumer.poll(IDLE) else {
            return Ok(false);
        };
        let record = record?;
        let Some(headers) = record.headers().filter(|headers| wanted(headers)) else {
            return Err("a record that the filters do not take: this loop has no place for it".into());
        };
        let number = self.stored + self.sent.len();
        let mut copy = BaseRecord::with_opaque_to(&self.args.to, number).headers(headers.detach());
        copy.key = record.key();
        copy.payload = record.payload();
        while let Err((error, back)) = self.producer.send::<[u8], [u8]>(copy) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            thread::park_timeout(FULL);
            copy = back;
        }
        self.sent.push_back(place(&record));
        Ok(true)
    }

    /// Stores what is delivered without a gap; librdkafka commits it.
    fn store(&mut self) -> Result<(), KafkaError> {
        let settled = self.delivered.settled();
        let mut last = BTreeMap::new();
        for (partition, offset) in self.sent.drain(..settled - self.stored) {
            last.insert(partition, offset);
        }
        self.stored = settled;
        for (partition, offset) in last {
            self.consumer.store_offset(&self.args.from, partition, offset)?;
        }
        Ok(())
    }
}

fn place(record: &BorrowedMessage<'_>) -> (i32, i64) {
    (record.partition(), record.offset())
}

/// The three filters of the route: an exact type, a source's prefix, a number above a limit.
fn wanted(headers: &BorrowedHeaders) -> bool {
    let (mut ty, mut source, mut priority) = (false, false, false);
    for header in headers.iter() {
        let Some(value) = header.value else { continue };
        match header.key {
            "ce_type" => ty = value == b"com.acme.reading",
            "ce_source" => source = value.starts_with(b"/plant/"),
            "ce_priority" => {
                let text = std::str::from_utf8(value).unwrap_or_default();
                priority = text.parse::<i32>().is_ok_and(|priority| priority > 3);
            }
            _ => {}
        }
    }
    ty && source && priority
}
