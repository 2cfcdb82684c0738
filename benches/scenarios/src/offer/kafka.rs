//! Events to topics of Kafka, a topic a flow: six `ce_` headers, a content type, and a key of one of a thousand machines.
//! The producer is idempotent and asks for all replicas; an event is promised on its delivery report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};

use super::{Offering, Pace, Shape, TICK, complain};
use crate::books::{Answer, Books};
use crate::{Failure, event};

/// How long the broker may take for the last of it.
const FLUSH: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Reports(Arc<Books>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let answer = if result.is_ok() {
            Answer::Accepted
        } else {
            Answer::Unknown
        };
        self.0.answered(number, answer);
    }
}

type Sending = ThreadedProducer<Reports, NoCustomPartitioner>;

/// Starts a sender of `flows`, each at the rate of the pace, to the topic of that flow.
///
/// # Errors
/// librdkafka does not take the settings.
pub fn start(
    brokers: &str,
    topics: Vec<String>,
    flows: Vec<usize>,
    shape: &Shape,
    books: &Arc<Books>,
    pace: &Arc<Pace>,
) -> Result<Offering, Failure> {
    let producer: Sending = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "2")
        .set("queue.buffering.max.messages", "1000000")
        .set("partitioner", "murmur2_random")
        .create_with_context(Reports(Arc::clone(books)))?;
    let (shape, books, pace) = (shape.clone(), Arc::clone(books), Arc::clone(pace));
    Ok(Offering::spawn(move |stop| {
        run(&producer, &topics, &flows, &shape, &books, &pace, stop);
        if let Err(error) = producer.flush(FLUSH) {
            complain("kafka sender", &error);
        }
    }))
}

fn run(
    producer: &Sending,
    topics: &[String],
    flows: &[usize],
    shape: &Shape,
    books: &Books,
    pace: &Pace,
    stop: &AtomicBool,
) {
    let mut sent = 0;
    while !stop.load(Ordering::Acquire) {
        std::thread::sleep(TICK);
        let due = pace.due(sent);
        sent += due;
        for _ in 0..due {
            for &flow in flows {
                let number = books.offer(flow);
                let (id, key) = (event::id(number), event::key(number));
                let record = BaseRecord::with_opaque_to(&topics[flow], number)
                    .key(&key)
                    .payload(&shape.data)
                    .headers(headers(shape, flow, &id));
                if producer.send(record).is_err() {
                    // Its queue holds more than a healthy broker ever leaves there.
                    books.answered(number, Answer::Refused);
                }
            }
        }
    }
}

fn headers(shape: &Shape, flow: usize, id: &str) -> OwnedHeaders {
    let pairs = [("ce_id", id), ("content-type", event::CONTENT_TYPE)];
    let headers = OwnedHeaders::new_with_capacity(event::ATTRIBUTES.len() + 2);
    let headers = pairs.into_iter().fold(headers, |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    });
    shape.attributes(flow).fold(headers, |headers, (name, value)| {
        headers.insert(Header {
            key: &format!("ce_{name}"),
            value: Some(value),
        })
    })
}
