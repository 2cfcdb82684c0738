//! The producer: its settings, and the inbox for what it reports.
//!
//! Owns: the delivery reports that were not read yet. librdkafka reports from its own polling thread; the egress' task
//! is woken on the way from none to some, and takes them all under one lock.
//! Invariant: the settings below are those that `docs/adr/0007-kafka-producer-order.md` rests on.
//! Does not know: batches.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;
use weft_api::connector::EgressSettings;
use weft_api::egress::Ticket;

use crate::client;
use crate::client::voice::Voice;
use crate::config::EgressSection;

const _: () = assert!(
    usize::BITS >= 64,
    "a ticket fits what librdkafka carries with a record"
);

/// What librdkafka carries with a record, and gives back with its delivery report.
pub(super) fn opaque(ticket: Ticket) -> usize {
    ticket.to_bits() as usize
}

/// What a record may be larger than the event in it: header names, the JSON of structured mode.
pub(super) const RECORD_OVERHEAD: u64 = 64 << 10;
/// The least memory that librdkafka's queue works with.
const QUEUE_MIN: u64 = 4 << 20;
/// The largest batch that is sent to a broker until one says that it is too large (librdkafka's default).
pub(super) const BATCH_BYTES: u64 = 1_000_000;

/// The client that delivers.
pub(super) type KafkaProducer = ThreadedProducer<Reports>;

/// What became of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) ticket: Ticket,
    /// `None`: delivered.
    pub(super) error: Option<RDKafkaErrorCode>,
}

/// The reports of one producer.
#[derive(Default)]
pub(super) struct Inbox {
    reports: Mutex<Vec<Report>>,
    pub(super) wake: Notify,
}

impl Inbox {
    /// Exchanges the reports for the empty `read`.
    pub(super) fn take(&self, read: &mut Vec<Report>) {
        std::mem::swap(
            &mut *self.reports.lock().unwrap_or_else(PoisonError::into_inner),
            read,
        );
    }

    fn put(&self, report: Report) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push(report);
        let first = reports.len() == 1;
        drop(reports);
        if first {
            self.wake.notify_one();
        }
    }
}

/// The producer's side of the callbacks.
pub(super) struct Reports {
    pub(super) voice: Arc<Voice>,
    pub(super) inbox: Arc<Inbox>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.voice.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(&error, reason);
        self.inbox.wake.notify_one();
    }

    fn stats(&self, stats: Statistics) {
        self.voice.stats(&stats);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let error = match result {
            Ok(_) => {
                self.voice.alive();
                None
            }
            Err((error, _)) => Some(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        let ticket = Ticket::from_bits(opaque as u64);
        self.inbox.put(Report { ticket, error });
    }
}

/// The most bytes that a record of ours has.
pub(super) fn largest(settings: &EgressSettings) -> u64 {
    settings.event_max + RECORD_OVERHEAD
}

/// The client's settings, but for the size of batches, which is learnt.
pub(super) fn producer_settings(section: &EgressSection, settings: &EgressSettings) -> ClientConfig {
    let mut config = client::settings(&section.remote(), &format!("{}-{}", settings.node, settings.name));
    // The router lingers where the file says so; this only lets one batch's records share a request.
    if !section.librdkafka.contains_key("linger.ms")
        && !section.librdkafka.contains_key("queue.buffering.max.ms")
    {
        config.set("linger.ms", "1");
    }
    // As Java clients choose, so that both put a key into the same partition.
    if !section.librdkafka.contains_key("partitioner") {
        config.set("partitioner", "murmur2_random");
    }
    let largest = largest(settings);
    let queue = settings.client_memory.max(QUEUE_MIN).max(2 * largest);
    for (key, value) in [
        ("acks", "all".to_string()),
        ("enable.idempotence", "true".into()),
        ("enable.gapless.guarantee", "true".into()),
        ("max.in.flight.requests.per.connection", "5".into()),
        // Without end: a record that librdkafka gives up by itself lets the ones behind it pass. We keep the time.
        ("message.timeout.ms", "0".into()),
        ("retries", i32::MAX.to_string()),
        ("compression.codec", section.compression.as_str().into()),
        (
            "message.max.bytes",
            largest.clamp(1000, 1_000_000_000).to_string(),
        ),
        (
            "queue.buffering.max.kbytes",
            (queue / 1024).min(2_147_483_647).to_string(),
        ),
        ("queue.buffering.max.messages", "1000000".into()),
        ("allow.auto.create.topics", "false".into()),
        ("statistics.interval.ms", "5000".into()),
    ] {
        config.set(key, value);
    }
    config
}
