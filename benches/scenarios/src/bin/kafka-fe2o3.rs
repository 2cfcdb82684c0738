//! The plain loop of Kafka to AMQP: headers become application properties, and an offset is stored once its message and all
//! before it are accepted. A thread polls librdkafka and hands over records; the loop sends and stores. No validation, no
//! retries, no metrics.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use clap::Parser;
use fe2o3_amqp::types::messaging::{ApplicationProperties, Data, Header, Message, Properties};
use fe2o3_amqp::types::primitives::SimpleValue;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tokio::select;
use tokio::sync::mpsc::{self, Sender};
use weft_scenarios::amqp::{self, Outbox, PREFIX, SETTLE, WINDOW};
use weft_scenarios::{Failure, tool};

/// How long an empty topic is waited on at once.
const IDLE: Duration = Duration::from_millis(100);

/// Copies records from a topic to a queue.
#[derive(Parser)]
struct Args {
    /// `host:port` of a Kafka broker.
    #[arg(long)]
    brokers: String,
    /// The topic to read.
    #[arg(long)]
    from: String,
    /// The consumer group.
    #[arg(long)]
    group: String,
    /// `host:port` of the AMQP broker.
    #[arg(long)]
    broker: String,
    /// The queue to write.
    #[arg(long)]
    to: String,
}

/// A record on its way: partition and offset.
type Place = (i32, i64);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let mut open = amqp::open(&args.broker, "copy").await?;
    let mut to = open.sender(&args.to).await?;
    let consumer = std::sync::Arc::new(consumer(&args)?);
    consumer.subscribe(&[&args.from])?;
    tool::say("ready");

    let (sender, mut records) = mpsc::channel(WINDOW);
    let polled = consumer.clone();
    thread::spawn(move || poll(&polled, &sender));
    let mut outbox = Outbox::<Place>::default();
    let (mut accepted, mut last) = (0, BTreeMap::new());
    loop {
        select! { biased;
            place = outbox.accepted(), if accepted < SETTLE => {
                let (partition, offset) = place?;
                last.insert(partition, offset);
                accepted += 1;
            }
            record = records.recv(), if outbox.len() < WINDOW && accepted < SETTLE => {
                let (message, place) = record.ok_or("the consumer has ended")?;
                outbox.send(&mut to, message, place).await?;
            }
            () = std::future::ready(()), if accepted > 0 => {
                accepted = 0;
                for (partition, offset) in std::mem::take(&mut last) {
                    consumer.store_offset(&args.from, partition, offset)?;
                }
            }
        }
    }
}

fn consumer(args: &Args) -> Result<BaseConsumer, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", &args.brokers)
        .set("group.id", &args.group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.offset.store", "false")
        .set("auto.commit.interval.ms", "1000")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("queued.max.messages.kbytes", "32768")
        .create()
}

fn poll(consumer: &BaseConsumer, records: &Sender<(Message<Data>, Place)>) {
    loop {
        let record = match consumer.poll(IDLE) {
            None => continue,
            Some(Ok(record)) => record,
            Some(Err(error)) => {
                tool::say(&format!("failed={error}"));
                std::process::exit(1);
            }
        };
        let place = (record.partition(), record.offset());
        if records.blocking_send((message(&record), place)).is_err() {
            return;
        }
    }
}

fn message(record: &BorrowedMessage<'_>) -> Message<Data> {
    let mut properties = Properties::builder();
    let mut attributes = ApplicationProperties::builder();
    for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
        let text = String::from_utf8_lossy(header.value.unwrap_or_default());
        match header.key.strip_prefix("ce_") {
            Some(name) => {
                if name == "id" {
                    properties = properties.message_id(text.clone().into_owned());
                }
                let value = SimpleValue::String(text.into_owned());
                attributes = attributes.insert(format!("{PREFIX}{name}"), value);
            }
            None if header.key == "content-type" => properties = properties.content_type(&*text),
            None => {}
        }
    }
    if let Some(key) = record.key() {
        properties = properties.group_id(String::from_utf8_lossy(key).into_owned());
    }
    Message::builder()
        .header(Header::builder().durable(true).build())
        .properties(properties.build())
        .application_properties(attributes.build())
        .data(record.payload().unwrap_or_default().to_vec())
        .build()
}
