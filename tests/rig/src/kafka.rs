//! A Kafka cluster as a test sees it: an address, and the client calls that tests need. It owns no process but the one
//! behind [`Kafka::shared`]. Clients are made for each call: plain beats fast here.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::Offset;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use crate::{Broker, Record, runtime, unique};

/// How long a healthy broker may take for one call.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// The largest record that a test sends; a topic takes it only with a `max.message.bytes` of its own.
const RECORD_MAX: &str = "8388608";

/// A cluster under test, and what a test does with it. Every call panics where the broker refuses.
#[derive(Debug, Clone)]
pub struct Kafka {
    brokers: String,
}

impl Kafka {
    /// The broker that all tests share: the one at `WEFT_TEST_KAFKA`, which `make test` starts; else one that lives as
    /// long as this test binary. Keep to topics of your own; to stop or to fill it take [`Kafka::private`].
    #[must_use]
    pub fn shared() -> &'static Kafka {
        static SHARED: OnceLock<(Kafka, Option<Broker>)> = OnceLock::new();
        let (kafka, _) = SHARED.get_or_init(|| match std::env::var("WEFT_TEST_KAFKA") {
            Ok(address) if !address.is_empty() => (Kafka::at(&address), None),
            _ => {
                let broker = Kafka::private();
                (broker.clone(), Some(broker))
            }
        });
        kafka
    }

    /// A broker of one's own, started.
    #[must_use]
    pub fn private() -> Broker {
        let mut broker = Broker::reserve();
        broker.start();
        broker
    }

    /// A broker of one's own that lets the user of [`SCRAM`](crate::SCRAM) do what [`Broker::allow`] says, and nothing else.
    #[must_use]
    pub fn guarded() -> Broker {
        let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
        Self::private_with(&[
            ("authorizer.class.name", authorizer),
            ("super.users", "User:ANONYMOUS"),
        ])
    }

    /// A broker of one's own with further settings.
    #[must_use]
    pub fn private_with(settings: &[(&str, &str)]) -> Broker {
        let mut broker = Broker::reserve_with(settings);
        broker.start();
        broker
    }

    /// The cluster at an address.
    #[must_use]
    pub fn at(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
        }
    }

    /// The address, as `brokers:` in the YAML and `bootstrap.servers` take it.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Makes a topic under a name that nobody else has; `label` makes it readable.
    #[must_use]
    pub fn topic(&self, label: &str, partitions: i32) -> String {
        let name = unique(label);
        self.create_topic(&name, partitions, &[]);
        name
    }

    /// Makes a topic with settings, e.g. `("max.message.bytes", "2000")`.
    pub fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin = self.admin();
        let owned: Vec<(String, String)> = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let name = name.to_owned();
        runtime::wait(async move {
            let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
            for (key, value) in &owned {
                topic = topic.set(key, value);
            }
            let results = admin
                .create_topics([&topic], &admin_options())
                .await
                .expect("asking for a topic");
            for result in results {
                result.unwrap_or_else(|(topic, code)| panic!("making topic {topic}: {code}"));
            }
        });
    }

    /// Gives a topic these settings, and the defaults for all others.
    pub fn configure_topic(&self, name: &str, settings: &[(&str, &str)]) {
        let admin = self.admin();
        let owned: Vec<(String, String)> = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let name = name.to_owned();
        runtime::wait(async move {
            let mut config = AlterConfig::new(ResourceSpecifier::Topic(&name));
            for (key, value) in &owned {
                config = config.set(key, value);
            }
            let results = admin
                .alter_configs([&config], &admin_options())
                .await
                .expect("asking to configure a topic");
            for result in results {
                result.unwrap_or_else(|(topic, code)| panic!("configuring topic {topic:?}: {code}"));
            }
        });
    }

    /// Removes a topic.
    pub fn delete_topic(&self, name: &str) {
        let admin = self.admin();
        let name = name.to_owned();
        runtime::wait(async move {
            let results = admin
                .delete_topics(&[&name], &admin_options())
                .await
                .expect("asking to remove a topic");
            for result in results {
                result.unwrap_or_else(|(topic, code)| panic!("removing topic {topic}: {code}"));
            }
        });
    }

    /// Adds partitions to a topic, up to `partitions` in all.
    pub fn grow_topic(&self, name: &str, partitions: usize) {
        let admin = self.admin();
        let name = name.to_owned();
        runtime::wait(async move {
            let more = rdkafka::admin::NewPartitions::new(&name, partitions);
            let results = admin
                .create_partitions([&more], &admin_options())
                .await
                .expect("asking for partitions");
            for result in results {
                result.unwrap_or_else(|(topic, code)| panic!("growing topic {topic}: {code}"));
            }
        });
    }

    /// Removes the records of a partition below an offset, as retention does.
    pub fn delete_records(&self, name: &str, partition: i32, before: i64) {
        let admin = self.admin();
        let name = name.to_owned();
        runtime::wait(async move {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&name, partition, Offset::Offset(before))
                .expect("a valid offset");
            let done = admin
                .delete_records(&list, &admin_options())
                .await
                .expect("asking to remove records");
            for element in done.elements() {
                element.error().expect("removing records");
            }
        });
    }

    /// Sends records within one transaction, which is committed or aborted. Answers their partitions and offsets.
    pub fn transaction(&self, records: &[Record], commit: bool) -> Vec<(i32, i64)> {
        let producer: BaseProducer<Deliveries> = self
            .config()
            .set("transactional.id", unique("transaction"))
            .create_with_context(Deliveries::default())
            .expect("making a producer");
        producer
            .init_transactions(CALL_LIMIT)
            .expect("beginning with transactions");
        producer.begin_transaction().expect("beginning a transaction");
        for (index, record) in records.iter().enumerate() {
            let sent = producer.send(record.to_send(index));
            assert!(sent.is_ok(), "sending to Kafka");
        }
        producer
            .flush(CALL_LIMIT)
            .expect("waiting for Kafka to take the records");
        if commit {
            producer.commit_transaction(CALL_LIMIT).expect("committing");
        } else {
            producer.abort_transaction(CALL_LIMIT).expect("aborting");
        }
        places(&producer, records.len())
    }

    /// Sends records, and waits until the broker has taken all. Answers their partitions and offsets, in order.
    pub fn produce(&self, records: &[Record]) -> Vec<(i32, i64)> {
        let producer: BaseProducer<Deliveries> = self
            .config()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("message.max.bytes", RECORD_MAX)
            .create_with_context(Deliveries::default())
            .expect("making a producer");
        for (index, record) in records.iter().enumerate() {
            let mut pending = record.to_send(index);
            while let Err((error, back)) = producer.send(pending) {
                assert_eq!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::QueueFull),
                    "sending to Kafka"
                );
                producer.poll(Duration::from_millis(100));
                pending = back;
            }
        }
        producer
            .flush(CALL_LIMIT)
            .expect("waiting for Kafka to take the records");
        places(&producer, records.len())
    }

    /// The first `count` records of a topic over all partitions, from the beginning; in order within a partition.
    #[track_caller]
    #[must_use]
    pub fn consume(&self, topic: &str, count: usize, limit: Duration) -> Vec<Record> {
        let consumer = self.reader(topic);
        let end = Instant::now() + limit;
        let mut records = Vec::with_capacity(count);
        while records.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            let Some(message) = consumer.poll(left) else {
                panic!("{} of {count} records in {topic} within {limit:?}", records.len());
            };
            records.push(Record::received(&message.expect("reading from Kafka")));
        }
        records
    }

    /// Every record that a topic holds now; in order within a partition.
    #[must_use]
    pub fn drain(&self, topic: &str) -> Vec<Record> {
        let count: i64 = self.offsets(topic).iter().map(|(low, high)| high - low).sum();
        self.consume(topic, usize::try_from(count).expect("offsets rise"), CALL_LIMIT)
    }

    /// The first and the next offset of each partition. The difference counts records in a topic without transactions.
    #[must_use]
    pub fn offsets(&self, topic: &str) -> Vec<(i64, i64)> {
        let client: BaseConsumer = self.config().create().expect("making a consumer");
        let read = |p| {
            client
                .fetch_watermarks(topic, p, CALL_LIMIT)
                .expect("reading the offsets of a partition")
        };
        self.partitions(&client, topic).into_iter().map(read).collect()
    }

    /// What a group has committed of a topic, by partition; a partition without a commit is absent.
    #[must_use]
    pub fn committed(&self, group: &str, topic: &str) -> BTreeMap<i32, i64> {
        let client: BaseConsumer = self
            .config()
            .set("group.id", group)
            .create()
            .expect("making a consumer");
        let mut wanted = TopicPartitionList::new();
        for partition in self.partitions(&client, topic) {
            wanted.add_partition(topic, partition);
        }
        let found = client
            .committed_offsets(wanted, CALL_LIMIT)
            .expect("reading a group's offsets");
        let offset = |o| {
            if let Offset::Offset(at) = o {
                Some(at)
            } else {
                None
            }
        };
        found
            .elements()
            .iter()
            .filter_map(|e| Some((e.partition(), offset(e.offset())?)))
            .collect()
    }

    /// Commits an offset with a text beside it, as a member of no group does.
    pub fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64, text: &str) {
        let client: BaseConsumer = self
            .config()
            .set("group.id", group)
            .create()
            .expect("making a consumer");
        let mut list = TopicPartitionList::new();
        {
            let mut element = list.add_partition(topic, partition);
            element
                .set_offset(Offset::Offset(offset))
                .expect("a valid offset");
            element.set_metadata(text);
        }
        client
            .commit(&list, rdkafka::consumer::CommitMode::Sync)
            .expect("committing an offset");
    }

    fn partitions(&self, client: &BaseConsumer, topic: &str) -> Vec<i32> {
        let metadata = client
            .fetch_metadata(Some(topic), CALL_LIMIT)
            .expect("reading the metadata");
        let found = metadata
            .topics()
            .iter()
            .find(|t| t.name() == topic && t.error().is_none());
        let found = found.unwrap_or_else(|| panic!("{} has no topic {topic}", self.brokers));
        let mut ids: Vec<i32> = found.partitions().iter().map(|p| p.id()).collect();
        ids.sort_unstable();
        ids
    }

    fn reader(&self, topic: &str) -> BaseConsumer {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", unique("reader"))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .create()
            .expect("making a consumer");
        let mut all = TopicPartitionList::new();
        for partition in self.partitions(&consumer, topic) {
            all.add_partition_offset(topic, partition, Offset::Beginning)
                .expect("a valid offset");
        }
        consumer.assign(&all).expect("assigning partitions");
        consumer
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("making an admin client")
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("reconnect.backoff.max.ms", "500");
        config
    }
}

type Place = Result<(i32, i64), KafkaError>;

/// The delivery reports, by the record's index.
#[derive(Default)]
struct Deliveries(Mutex<Vec<(usize, Place)>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let place = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().expect("no holder panics").push((index, place));
    }
}

/// Where the records of a producer went, in the order in which they were sent.
fn places(producer: &BaseProducer<Deliveries>, count: usize) -> Vec<(i32, i64)> {
    let mut taken = producer
        .context()
        .0
        .lock()
        .expect("no holder panics")
        .split_off(0);
    taken.sort_by_key(|(index, _)| *index);
    assert_eq!(taken.len(), count, "every record has its report");
    taken
        .into_iter()
        .map(|(_, place)| place.expect("Kafka took the record"))
        .collect()
}

fn admin_options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(CALL_LIMIT))
        .request_timeout(Some(CALL_LIMIT))
}
