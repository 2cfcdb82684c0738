//! What is counted for one log of the store.

use std::sync::Arc;

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::books::Books;
use super::{IngressMetrics, Make, families, ingress};

/// The handles of one log.
pub struct LogMetrics {
    /// What its lane counts, as any ingress' lanes would. Scraped are its books only: `returned` legs are handed out
    /// again, `pending` ones are on their way.
    pub lane: Arc<IngressMetrics>,
    /// Records that were there at the start.
    pub found: IntCounter,
    /// Legs that were appended, and are durable.
    pub appended: IntCounter,
    /// Records that were damaged, and are in the quarantine.
    pub damaged: IntCounter,
    /// Records that an operator took out.
    pub purged: IntCounter,
    /// Legs that were not appended, because the log failed.
    pub refused: IntCounter,
    /// Legs in the log.
    pub pending: IntGauge,
    /// Legs in it, while the file does not have its place.
    pub orphaned: IntGauge,
    /// Legs that wait for room.
    pub waiting: IntGauge,
    /// Bytes of its segments.
    pub bytes: IntGauge,
    /// Bytes that they may have.
    pub max_bytes: IntGauge,
    /// Age of the oldest record that is read and not settled, in seconds; of a dead letter, since it came.
    pub oldest: Gauge,
    /// 1 while it has no room, or its disk less than it should.
    pub full: IntGauge,
    /// 1 once it has failed.
    pub failed: IntGauge,
}

/// The handles of a store as a whole.
pub struct StoreMetrics {
    /// Bytes that the logs may still take of its `max_bytes`.
    pub left: IntGauge,
    /// Bytes that its disk has left beyond `keep_free`.
    pub disk_left: IntGauge,
}

pub(super) struct Families {
    found: IntCounterVec,
    appended: IntCounterVec,
    settled: IntCounterVec,
    refused: IntCounterVec,
    under_way: IntGaugeVec,
    pending: IntGaugeVec,
    orphaned: IntGaugeVec,
    waiting: IntGaugeVec,
    bytes: IntGaugeVec,
    max_bytes: IntGaugeVec,
    left: IntGaugeVec,
    held: IntGaugeVec,
    oldest: GaugeVec,
    full: IntGaugeVec,
    failed: IntGaugeVec,
}

impl Families {
    pub(super) fn new(make: &Make<'_>) -> Families {
        Families {
            found: make.counters(&families::STORE_FOUND),
            appended: make.counters(&families::STORE_APPENDED),
            settled: make.counters(&families::STORE_SETTLED),
            refused: make.counters(&families::STORE_REFUSED),
            under_way: make.gauges(&families::STORE_UNDER_WAY),
            pending: make.gauges(&families::STORE_PENDING),
            orphaned: make.gauges(&families::STORE_ORPHANED),
            waiting: make.gauges(&families::STORE_WAITING),
            bytes: make.gauges(&families::STORE_BYTES),
            max_bytes: make.gauges(&families::STORE_MAX_BYTES),
            left: make.gauges(&families::STORE_LEFT),
            held: make.gauges(&families::STORE_HELD),
            oldest: make.seconds(&families::STORE_OLDEST),
            full: make.gauges(&families::STORE_FULL),
            failed: make.gauges(&families::STORE_FAILED),
        }
    }

    pub(super) fn resolve(&self, name: &str) -> LogMetrics {
        let gauge = |family: &IntGaugeVec| family.with_label_values(&[name]);
        let (under_way, held) = (gauge(&self.under_way), gauge(&self.held));
        let books = Books::resolve(&self.settled, under_way, held, name);
        LogMetrics {
            lane: Arc::new(unlisted(name).with_books(books)),
            found: self.found.with_label_values(&[name]),
            appended: self.appended.with_label_values(&[name]),
            damaged: self.settled.with_label_values(&[name, "damaged"]),
            purged: self.settled.with_label_values(&[name, "purged"]),
            refused: self.refused.with_label_values(&[name]),
            pending: gauge(&self.pending),
            orphaned: gauge(&self.orphaned),
            waiting: gauge(&self.waiting),
            bytes: gauge(&self.bytes),
            max_bytes: gauge(&self.max_bytes),
            oldest: self.oldest.with_label_values(&[name]),
            full: gauge(&self.full),
            failed: gauge(&self.failed),
        }
    }

    /// What is left of the store, and of its disk.
    pub(super) fn left(&self) -> StoreMetrics {
        let of = |what: &str| self.left.with_label_values(&[what]);
        StoreMetrics {
            left: of("store"),
            disk_left: of("disk"),
        }
    }

    /// Removal of what is not there is no error here: every series was resolved.
    pub(super) fn forget(&self, name: &str) {
        for family in [&self.found, &self.appended, &self.refused] {
            let _ = family.remove_label_values(&[name]);
        }
        Books::forget(&self.settled, name);
        for result in ["damaged", "purged"] {
            let _ = self.settled.remove_label_values(&[name, result]);
        }
        for family in [
            &self.under_way,
            &self.pending,
            &self.orphaned,
            &self.waiting,
            &self.bytes,
            &self.max_bytes,
            &self.held,
            &self.full,
            &self.failed,
        ] {
            let _ = family.remove_label_values(&[name]);
        }
        let _ = self.oldest.remove_label_values(&[name]);
    }
}

/// Handles of an ingress that no scrape shows.
fn unlisted(name: &str) -> IngressMetrics {
    let registry = Registry::new();
    ingress::Families::new(&Make { registry: &registry }).resolve(name)
}
