//! Where the plain loops of Kafka to something else begin: a thread that polls librdkafka and hands records over, and the
//! offsets that are stored once a record and all before it are confirmed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::sync::mpsc::{self, Receiver};

use crate::tool;

/// How long an empty topic is waited on at once.
const IDLE: Duration = Duration::from_millis(100);

/// Records that the loop has not taken yet.
const AHEAD: usize = 1000;

/// Partition and offset of a record.
pub type Place = (i32, i64);

/// What a loop reads from.
pub struct Records<M> {
    topic: String,
    consumer: Arc<BaseConsumer>,
    records: Receiver<(M, Place)>,
    confirmed: BTreeMap<i32, i64>,
    count: usize,
}

impl<M: Send + 'static> Records<M> {
    /// Reads a topic as a member of a group; `map` makes of a record what the other side sends.
    ///
    /// # Errors
    /// librdkafka does not take the settings.
    pub fn read(
        brokers: &str,
        topic: &str,
        group: &str,
        map: impl Fn(&BorrowedMessage<'_>) -> M + Send + 'static,
    ) -> Result<Self, KafkaError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.offset.store", "false")
            .set("auto.commit.interval.ms", "1000")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", "32768")
            .create()?;
        consumer.subscribe(&[topic])?;
        let consumer = Arc::new(consumer);
        let (sender, records) = mpsc::channel(AHEAD);
        let polled = Arc::clone(&consumer);
        thread::spawn(move || {
            loop {
                let record = match polled.poll(IDLE) {
                    None => continue,
                    Some(Ok(record)) => record,
                    Some(Err(error)) => {
                        tool::say(&format!("failed={error}"));
                        std::process::exit(1);
                    }
                };
                let place = (record.partition(), record.offset());
                if sender.blocking_send((map(&record), place)).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            topic: topic.to_owned(),
            consumer,
            records,
            confirmed: BTreeMap::new(),
            count: 0,
        })
    }

    /// The next record. May be dropped at any time.
    pub async fn next(&mut self) -> (M, Place) {
        match self.records.recv().await {
            Some(record) => record,
            None => std::future::pending().await,
        }
    }

    /// This one, and all of its partition before it, are confirmed.
    pub fn confirm(&mut self, (partition, offset): Place) {
        self.confirmed.insert(partition, offset);
        self.count += 1;
    }

    /// How many are confirmed and not stored.
    #[must_use]
    pub fn confirmed(&self) -> usize {
        self.count
    }

    /// Stores what is confirmed; librdkafka commits it.
    ///
    /// # Errors
    /// The partition is no longer ours.
    pub fn store(&mut self) -> Result<(), KafkaError> {
        self.count = 0;
        for (partition, offset) in std::mem::take(&mut self.confirmed) {
            self.consumer.store_offset(&self.topic, partition, offset)?;
        }
        Ok(())
    }
}
