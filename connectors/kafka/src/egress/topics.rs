//! Which topics exist: looked up before the first record, so that a missing one is named at once.
//!
//! Owns: the names that a topic may have, and a bounded memory of what the brokers said.
//! Invariants: a topic that exists is asked for once; one that does not is asked for again after `RETRY`; look-ups
//! never make a topic, unless `create` says so.
//! Does not know: events.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode as Code;
use weft_api::outcome::{Reason, SendError};

use super::errors;
use super::producer::KafkaProducer;
use crate::config::NewTopicSpec;

/// How long one look-up may take at most.
pub(crate) const LOOKUP: Duration = Duration::from_secs(5);
/// How long a refusal is remembered.
const RETRY: Duration = Duration::from_secs(5);
/// How long the making of a topic may take.
const MAKE: Duration = Duration::from_secs(15);
/// How often a topic that was just made is asked for, until all brokers know it.
const MADE_ATTEMPTS: u32 = 20;
/// Most topics that are remembered; beyond it all are forgotten and asked for anew.
const REMEMBERED_MAX: usize = 10_000;

/// Whether Kafka takes this as a topic's name.
pub(crate) fn legal(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// What the brokers say about a topic.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// It has this many partitions.
    Partitions(i32),
    /// It does not exist.
    Missing,
    /// It is not ours to write to.
    Refused,
    /// Nobody answered; why.
    NoAnswer(String),
}

impl Found {
    /// The error of an event for a topic of which this is known, if it cannot go there.
    pub(crate) fn error(&self, topic: &str, templated: bool) -> Option<SendError> {
        match self {
            Found::Partitions(_) => None,
            Found::Missing => Some(errors::missing(topic, templated)),
            Found::Refused => Some(errors::refused(topic, templated)),
            Found::NoAnswer(why) => Some(SendError::destination(
                Reason::Unavailable,
                format!("kafka does not answer: {why}"),
            )),
        }
    }
}

/// What was found, for a while.
#[derive(Default)]
pub(super) struct Topics {
    known: HashMap<Box<str>, (Found, Instant)>,
}

impl Topics {
    /// What is known of `topic`; `None`: look it up.
    pub(super) fn get(&self, topic: &str) -> Option<&Found> {
        match self.known.get(topic)? {
            (found @ Found::Partitions(_), _) => Some(found),
            (found, at) if at.elapsed() < RETRY => Some(found),
            _ => None,
        }
    }

    /// Remembers an answer. That nobody answered is no answer.
    pub(super) fn put(&mut self, topic: &str, found: Found) {
        if matches!(found, Found::NoAnswer(_)) {
            self.known.remove(topic);
            return;
        }
        if self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
        }
        self.known.insert(topic.into(), (found, Instant::now()));
    }

    /// The brokers have said otherwise since.
    pub(super) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
    }
}

/// Asks the brokers for a topic (blocking), for `LOOKUP` or for `timeout`, whichever is less: events wait for the answer.
pub(super) fn look_up(producer: &KafkaProducer, topic: &str, timeout: Duration) -> Found {
    let voice = &producer.client().context().voice;
    let metadata = match producer.client().fetch_metadata(Some(topic), LOOKUP.min(timeout)) {
        Ok(metadata) => metadata,
        Err(error) => return Found::NoAnswer(voice.trouble().unwrap_or_else(|| error.to_string())),
    };
    voice.alive();
    let Some(entry) = metadata.topics().iter().find(|entry| entry.name() == topic) else {
        return Found::Missing;
    };
    match entry.error().map(Code::from) {
        None => Found::Partitions(i32::try_from(entry.partitions().len()).unwrap_or(i32::MAX)),
        // It exists, and its leaders are being chosen: librdkafka waits for them.
        Some(Code::LeaderNotAvailable) => Found::Partitions(i32::MAX),
        Some(Code::TopicAuthorizationFailed) => Found::Refused,
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic) => Found::Missing,
        Some(other) => Found::NoAnswer(format!("topic `{topic}`: {other}")),
    }
}

/// Makes a topic with these settings beside the brokers' own, and waits until it is known (blocking; must not run in an
/// async thread).
///
/// # Errors
/// Why the brokers would not make it.
pub(super) fn make(
    runtime: &tokio::runtime::Handle,
    client: &ClientConfig,
    producer: &KafkaProducer,
    topic: &str,
    shape: NewTopicSpec,
    settings: &[(&'static str, String)],
) -> Result<Found, String> {
    let admin: AdminClient<DefaultClientContext> = client
        .create()
        .map_err(|error| format!("making kafka topic `{topic}`: {error}"))?;
    let mut wanted = NewTopic::new(
        topic,
        shape.partitions,
        TopicReplication::Fixed(shape.replication),
    );
    for (key, value) in settings {
        wanted = wanted.set(key, value);
    }
    let options = AdminOptions::new()
        .operation_timeout(Some(MAKE))
        .request_timeout(Some(MAKE));
    let answer = runtime.block_on(admin.create_topics([&wanted], &options));
    let answer = answer.map_err(|error| format!("making kafka topic `{topic}`: {error}"))?;
    match answer.into_iter().next() {
        Some(Ok(_) | Err((_, Code::TopicAlreadyExists))) | None => {}
        Some(Err((_, code))) => return Err(format!("making kafka topic `{topic}`: {code}")),
    }
    tracing::info!(
        topic,
        partitions = shape.partitions,
        replication = shape.replication,
        "kafka topic made"
    );
    for _ in 0..MADE_ATTEMPTS {
        match look_up(producer, topic, LOOKUP) {
            Found::Missing => std::thread::sleep(Duration::from_millis(100)),
            found => return Ok(found),
        }
    }
    Ok(Found::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_kafka_refuses_is_refused_here() {
        for name in ["", ".", "..", "a b", "a/b", "ü", "a\r\n", "a\0", &"x".repeat(250)] {
            assert!(!legal(name), "{name:?}");
        }
        for name in ["a", "orders.v1", "weft.dead", "A_b-c", &"x".repeat(249)] {
            assert!(legal(name), "{name:?}");
        }
    }

    #[test]
    fn an_answer_is_remembered_and_silence_is_not() {
        let mut topics = Topics::default();
        topics.put("a", Found::Partitions(3));
        assert!(matches!(topics.get("a"), Some(Found::Partitions(3))));
        topics.put("a", Found::NoAnswer("down".into()));
        assert!(topics.get("a").is_none());
        topics.put("b", Found::Missing);
        assert!(matches!(topics.get("b"), Some(Found::Missing)));
        topics.forget("b");
        assert!(topics.get("b").is_none());
    }

    #[test]
    fn the_memory_of_topics_is_bounded() {
        let mut topics = Topics::default();
        for n in 0..=REMEMBERED_MAX {
            topics.put(&n.to_string(), Found::Partitions(1));
        }
        assert!(topics.known.len() <= REMEMBERED_MAX);
    }
}
