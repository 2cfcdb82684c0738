//! The far end of the Kafka scenarios: reads a topic from its beginning until every event has arrived, and checks each.

use std::time::{Duration, Instant};

use clap::Parser;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use weft_scenarios::event::Seen;
use weft_scenarios::{Failure, event, tool};

/// How long it may stay silent before the run is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Counts the events of a topic.
#[derive(Parser)]
struct Args {
    /// `host:port` of a broker.
    #[arg(long)]
    brokers: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// Its partitions.
    #[arg(long)]
    partitions: i32,
    /// How many events to wait for.
    #[arg(long)]
    events: usize,
    /// The events have no key.
    #[arg(long)]
    keyless: bool,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &args.brokers)
        .set("group.id", "count")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "20")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..args.partitions {
        list.add_partition_offset(&args.topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    tool::say("ready");

    let data = event::data();
    let attributes = event::ATTRIBUTES.map(|(name, value)| (format!("ce_{name}"), value));
    let (mut seen, mut records, mut changed) = (Seen::default(), 0_usize, 0_usize);
    let mut began = None;
    while seen.count() + changed < args.events {
        let Some(record) = consumer.poll(SILENCE) else {
            return Err(format!("{} of {} events, then silence", seen.count(), args.events).into());
        };
        let record = record?;
        began.get_or_insert_with(Instant::now);
        records += 1;
        match number(&record, &data, &attributes, args.keyless) {
            Some(number) => seen.add(number),
            None => changed += 1,
        }
    }
    let took = began.map_or(Duration::ZERO, |began| began.elapsed());
    let rate = seen.count() as f64 / took.as_secs_f64();
    tool::say(&format!(
        "rate={rate:.0} records={records} changed={changed} events={}",
        seen.count()
    ));
    Ok(())
}

/// Which event it is, if it is one of ours as it was sent.
fn number(
    record: &BorrowedMessage<'_>,
    data: &[u8],
    attributes: &[(String, &str)],
    keyless: bool,
) -> Option<usize> {
    let headers = record.headers()?;
    let get = |name: &str| {
        headers
            .iter()
            .find(|header| header.key == name)
            .and_then(|header| header.value)
    };
    let number = event::number(get("ce_id")?)?;
    let key = (!keyless).then(|| event::key(number));
    let whole = record.payload() == Some(data)
        && record.key() == key.as_ref().map(String::as_bytes)
        && get("content-type") == Some(event::CONTENT_TYPE.as_bytes())
        && attributes
            .iter()
            .all(|(name, value)| get(name) == Some(value.as_bytes()));
    whole.then_some(number)
}
