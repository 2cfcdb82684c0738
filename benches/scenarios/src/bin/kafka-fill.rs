//! Fills a topic with events in binary mode: six `ce_` headers and a content type, a key of one of a thousand machines.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use weft_scenarios::{Failure, event, tool};

/// How long the broker may take for the last of it.
const FLUSH: Duration = Duration::from_secs(120);

/// Fills a topic.
#[derive(Parser)]
struct Args {
    /// `host:port` of a broker.
    #[arg(long)]
    brokers: String,
    /// The topic; it must exist.
    #[arg(long)]
    topic: String,
    /// How many events.
    #[arg(long)]
    events: usize,
}

#[derive(Default)]
struct Delivered(AtomicUsize);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let producer: ThreadedProducer<Delivered, NoCustomPartitioner> = ClientConfig::new()
        .set("bootstrap.servers", &args.brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("partitioner", "murmur2_random")
        .create_with_context(Delivered::default())?;
    let data = event::data();
    for number in 0..args.events {
        let (id, key) = (event::id(number), event::key(number));
        let mut record = BaseRecord::to(&args.topic)
            .key(&key)
            .payload(&data)
            .headers(headers(&id));
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            std::thread::park_timeout(Duration::from_millis(5));
            record = back;
        }
    }
    producer.flush(FLUSH)?;
    let delivered = producer.context().0.load(Ordering::Relaxed);
    if delivered != args.events {
        return Err(format!("the broker took {delivered} of {} events", args.events).into());
    }
    tool::say(&format!("delivered={delivered}"));
    Ok(())
}

fn headers(id: &str) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(event::ATTRIBUTES.len() + 2)
        .insert(Header {
            key: "ce_id",
            value: Some(id),
        })
        .insert(Header {
            key: "content-type",
            value: Some(event::CONTENT_TYPE),
        });
    event::ATTRIBUTES.iter().fold(headers, |headers, (name, value)| {
        headers.insert(Header {
            key: &format!("ce_{name}"),
            value: Some(*value),
        })
    })
}
