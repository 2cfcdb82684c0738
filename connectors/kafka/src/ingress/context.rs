//! What librdkafka calls back while the consumer is polled: rebalances, statistics, errors, its log.
//!
//! Owns: the answer to a rebalance. Callbacks run inside `poll`, on the consumer's own thread, so that nothing is
//! polled between a change and the moment when the loop learns of it.
//! Invariants: before a partition is given up, its watermark is stored, and librdkafka commits it before the group
//! moves on; after that the registry knows the partition no more, so nothing of it is stored again (C5). A lost
//! partition is given up without a commit: somebody else owns it.
//! Does not know: lanes, records.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use weft_api::status::Reporter;

use super::Plan;
use super::lag::{self, From};
use super::start;
use crate::client::voice::Voice;
use crate::config::{Isolation, Start};

/// "Nothing to commit" in a partition's watermark.
pub(crate) const NOTHING: i64 = -1;

/// A partition of a topic.
pub(crate) type Place = (Arc<str>, i32);

/// What a rebalance changed.
pub(crate) enum Change {
    /// These are ours now; each with the watermark that a revoke will commit.
    Assigned(Vec<(Place, Arc<AtomicI64>)>),
    /// These are ours no more.
    Revoked(Vec<Place>),
    /// Where to begin could not be found out; the consumer must not go on.
    Failed(String),
}

/// The consumer's side of the callbacks.
pub(crate) struct Context {
    pub(crate) voice: Voice,
    pub(crate) ends: lag::Ends,
    report: Reporter,
    start: Start,
    isolation: Isolation,
    /// It reads a log that routers share.
    log: bool,
    calls: AtomicU64,
    changes: Mutex<Vec<Change>>,
    watermarks: Mutex<HashMap<Place, Arc<AtomicI64>>>,
}

impl Context {
    pub(crate) fn new(voice: Voice, report: Reporter, plan: &Plan) -> Context {
        Context {
            voice,
            ends: lag::Ends::default(),
            report,
            start: plan.section.start,
            isolation: plan.section.isolation,
            log: plan.log,
            calls: AtomicU64::new(0),
            changes: Mutex::default(),
            watermarks: Mutex::default(),
        }
    }

    /// How many callbacks have run. A poll that returned nothing and ran none has found the queue empty.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// The changes since the last call, oldest first.
    pub(crate) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *lock(&self.changes))
    }

    fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn assign(&self, consumer: &BaseConsumer<Context>, list: &mut TopicPartitionList) {
        if self.log {
            start::tell_lost(consumer, list);
        }
        let placed = match self.start {
            Start::Earliest => Ok(()),
            start => start::place(consumer, list, start),
        };
        let done = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
            _ => consumer.assign(list),
        };
        if let Err(error) = placed.and(done.map_err(|e| format!("taking over partitions: {e}"))) {
            lock(&self.changes).push(Change::Failed(error));
            return;
        }
        let mut watermarks = lock(&self.watermarks);
        let assigned = list.elements().into_iter().map(|element| {
            let place: Place = (Arc::from(element.topic()), element.partition());
            // A start that we chose is committed like a watermark, so that a crash before the first settlement
            // does not choose again, further on.
            let first = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => NOTHING,
            };
            let watermark = Arc::new(AtomicI64::new(first));
            watermarks.insert(place.clone(), watermark.clone());
            (place, watermark)
        });
        let assigned = assigned.collect();
        lock(&self.changes).push(Change::Assigned(assigned));
    }

    fn revoke(&self, consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
        let lost = consumer.assignment_lost();
        let mut stored = TopicPartitionList::new();
        let mut watermarks = lock(&self.watermarks);
        let revoked: Vec<Place> = list
            .elements()
            .iter()
            .map(|e| (Arc::from(e.topic()), e.partition()))
            .collect();
        for place in &revoked {
            let watermark = watermarks
                .remove(place)
                .map_or(NOTHING, |w| w.load(Ordering::Acquire));
            if watermark != NOTHING && !lost {
                // Refuses logical offsets only, and a watermark is none.
                let _ = stored.add_partition_offset(&place.0, place.1, Offset::Offset(watermark));
            }
        }
        drop(watermarks);
        if stored.count() > 0
            && let Err(error) = consumer.store_offsets(&stored)
        {
            tracing::warn!(%error, "storing the offsets of revoked partitions; their records may come again");
        }
        // A pause would outlive the assignment; what it throws away is not ours any more.
        if let Err(error) = consumer.resume(list) {
            tracing::debug!(%error, "resuming revoked partitions");
        }
        // librdkafka commits what is stored, and rejoins the group only when the commit is answered.
        let done = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "giving up partitions");
        }
        lock(&self.changes).push(Change::Revoked(revoked));
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.called();
        self.voice.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.called();
        self.voice.error(&error, reason);
    }

    fn stats(&self, stats: Statistics) {
        self.called();
        self.voice.stats(&stats);
        let from = if self.log { From::Committed } else { From::Polled };
        self.report
            .lag(Some(lag::events(&stats, self.isolation, from, &self.ends)));
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Context>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        self.called();
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, list),
            other => tracing::warn!(event = ?other, "kafka rebalance failed"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.called();
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(%error, "committing the offsets of revoked partitions; their records may come again");
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
