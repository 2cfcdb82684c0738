//! The Kafka side of the plain loops: a threaded producer with the settings of the router's connector, and how far it
//! has confirmed without a gap.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::Notify;

use crate::ledger::Ledger;
use crate::tool;

/// What delivery reports move.
#[derive(Clone, Default)]
pub struct Delivered(Arc<State>);

#[derive(Default)]
struct State {
    ledger: Mutex<Ledger>,
    moved: Notify,
}

impl Delivered {
    /// Everything below this number is delivered.
    #[must_use]
    pub fn settled(&self) -> usize {
        self.0
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .settled()
    }

    /// Waits until more is delivered than `known`.
    pub async fn beyond(&self, known: usize) -> usize {
        loop {
            let settled = self.settled();
            if settled > known {
                return settled;
            }
            self.0.moved.notified().await;
        }
    }
}

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Err((error, _)) = result {
            // By hand there is no second try: nothing behind a loss may be confirmed.
            tool::say(&format!("failed={error}"));
            std::process::exit(1);
        }
        self.0
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .confirm(number);
        self.0.moved.notify_one();
    }
}

/// A producer, and what it confirms of the numbers that are sent as opaques, from 0 on.
///
/// # Errors
/// librdkafka does not take the settings.
pub fn producer(brokers: &str) -> Result<(ThreadedProducer<Delivered>, Delivered), KafkaError> {
    let delivered = Delivered::default();
    let producer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("enable.gapless.guarantee", "true")
        .set("linger.ms", "1")
        .set("partitioner", "murmur2_random")
        .create_with_context(delivered.clone())?;
    Ok((producer, delivered))
}

/// Sends an event without a key. The queue holds far more than a loop has on its way, so that it is never full.
///
/// # Errors
/// librdkafka refuses the record.
pub fn send(
    producer: &ThreadedProducer<Delivered>,
    topic: &str,
    number: usize,
    headers: OwnedHeaders,
    data: &[u8],
) -> Result<(), KafkaError> {
    let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, number);
    let sent = producer.send(record.headers(headers).payload(data));
    sent.map_err(|(error, _)| error)
}
