//! The client that looks: its settings, and what it hears beside records.
//!
//! Owns: a consumer that joins no group and stores no offset. It has a group's name all the same: what left is remembered
//! under it.
//! Invariants: what the client fetches ahead is bounded, and a record of the largest event fits; where nothing is assigned,
//! polling it brings no record.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use weft_api::connector::EgressSettings;

use crate::client;
use crate::client::voice::Voice;
use crate::config::EgressSection;

/// The least that is fetched at a time, and held ahead.
const FETCH_BYTES: u64 = 1 << 20;
/// How long a broker may leave a request unanswered, where the file is silent.
const ANSWER_MS: &str = "10000";
/// How long is listened for what librdkafka has to say; it says it at once.
const LISTEN: Duration = Duration::from_millis(20);
/// Most errors of librdkafka that are heard in one go.
const ERRORS_MAX: usize = 64;

/// The consumer.
pub(super) type Client = BaseConsumer<Heard>;

/// What librdkafka said.
pub(super) struct Heard {
    pub(super) voice: Voice,
    group_refused: AtomicBool,
}

impl Heard {
    pub(super) fn new(voice: Voice) -> Heard {
        Heard {
            voice,
            group_refused: AtomicBool::new(false),
        }
    }

    /// Whether the brokers do not let us know the group.
    pub(super) fn group_refused(&self) -> bool {
        self.group_refused.load(Ordering::Relaxed)
    }
}

impl ClientContext for Heard {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.voice.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
            self.group_refused.store(true, Ordering::Relaxed);
        }
        self.voice.error(&error, reason);
    }
}

impl ConsumerContext for Heard {}

/// The client's settings; `largest` is the most bytes that a record of ours has.
pub(super) fn settings(
    section: &EgressSection,
    settings: &EgressSettings,
    group: &str,
    largest: u64,
) -> ClientConfig {
    let id = format!("{}-{}-browse", settings.node, settings.name);
    let mut config = client::settings(&section.remote(), &id);
    if !section.librdkafka.contains_key("socket.timeout.ms") {
        config.set("socket.timeout.ms", ANSWER_MS);
    }
    let fetch = largest.clamp(FETCH_BYTES, 1_000_000_000);
    for (key, value) in [
        ("group.id", group.to_owned()),
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // So long a commit waits for a coordinator.
        ("session.timeout.ms", ANSWER_MS.into()),
        // Retention may overtake us; what it took is gone for everybody.
        ("auto.offset.reset", "earliest".into()),
        ("isolation.level", "read_committed".into()),
        // The last offsets may be no records.
        ("enable.partition.eof", "true".into()),
        ("allow.auto.create.topics", "false".into()),
        // A follower's end may lie before the leader's.
        ("client.rack", String::new()),
        // An end behind which there are no records is told with the answer to a fetch, and nothing else waits for one.
        ("fetch.wait.max.ms", "50".into()),
        ("max.partition.fetch.bytes", fetch.to_string()),
        ("fetch.max.bytes", fetch.to_string()),
        ("queued.max.messages.kbytes", (fetch / 1024).to_string()),
        ("queued.min.messages", "100000".into()),
        ("fetch.queue.backoff.ms", "10".into()),
    ] {
        config.set(key, value);
    }
    config
}

/// Hears what librdkafka has said since, while nothing is assigned.
pub(super) fn listen(client: &Client) {
    for _ in 0..ERRORS_MAX {
        match client.poll(LISTEN) {
            Some(Err(error)) => tracing::debug!(%error, "looking through kafka"),
            Some(Ok(_)) => {}
            None => return,
        }
    }
}

/// What is known to be wrong with the brokers.
pub(super) fn trouble(client: &Client) -> Option<String> {
    client.context().voice.trouble()
}
