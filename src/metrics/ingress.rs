//! What is counted for one ingress.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use weft_api::outcome::{Outcome, Reason};

use super::books::Books;
use super::{Make, families, lock};

const OUTCOMES: [&str; 4] = ["accepted", "rejected", "released", "unknown"];

/// The handles of one ingress.
pub struct IngressMetrics {
    /// Events admitted.
    pub events: IntCounter,
    /// Bytes charged for them.
    pub bytes: IntCounter,
    /// Messages that became `weft.malformed`.
    pub malformed: IntCounter,
    /// Events that no route matched.
    pub unmatched: IntCounter,
    /// In-order lanes that started again.
    pub rewinds: IntCounter,
    /// Events delivered past the credit.
    pub overdelivered: IntCounter,
    /// Events settled, in the order accepted, rejected, released, unknown; see [`IngressMetrics::settled`].
    pub settled: [IntCounter; 4],
    /// Obligations given.
    pub obligations: IntCounter,
    /// What became of them.
    pub books: Arc<Books>,
    /// Events not yet settled.
    pub unsettled: IntGauge,
    /// What the remote still holds for us.
    pub lag: Lag,
    /// Age in seconds of the oldest event that is not settled.
    pub oldest: Gauge,
    refused: Box<[IntCounter]>,
    dropped_by_rule: DroppedByRule,
}

impl IngressMetrics {
    /// The same with other books.
    pub(super) fn with_books(mut self, books: Books) -> IngressMetrics {
        self.books = Arc::new(books);
        self
    }

    /// The counter of events settled with this outcome.
    #[must_use]
    pub fn settled(&self, outcome: Outcome) -> &IntCounter {
        match outcome {
            Outcome::Accepted => &self.settled[0],
            Outcome::Rejected(_) => &self.settled[1],
            Outcome::Released(_) => &self.settled[2],
            Outcome::Unknown(_) => &self.settled[3],
        }
    }

    /// The counter of events not accepted for this reason.
    #[must_use]
    pub fn refused(&self, reason: Reason) -> &IntCounter {
        &self.refused[reason as usize]
    }

    /// The counter of messages that the connector dropped or shed; `what` is the connector's fixed word
    /// (`"tombstone"`). Looked up under a lock: for reports, which come a batch at a time.
    #[must_use]
    pub fn dropped_by_rule(&self, what: &'static str) -> IntCounter {
        let mut known = lock(&self.dropped_by_rule.known);
        let vector = &self.dropped_by_rule.vector;
        known
            .entry(what)
            .or_insert_with(|| vector.with_label_values(&[&self.dropped_by_rule.ingress, what]))
            .clone()
    }
}

struct DroppedByRule {
    ingress: String,
    vector: IntCounterVec,
    known: Mutex<BTreeMap<&'static str, IntCounter>>,
}

/// A gauge that is absent while its value is unknown: a lag of 0 that nobody measured would hide an outage.
pub struct Lag {
    ingress: String,
    vector: IntGaugeVec,
    value: Mutex<Option<u64>>,
}

impl Lag {
    /// Sets the lag, or takes the series out when it is not known. For reports; takes a lock.
    pub fn set(&self, events: Option<u64>) {
        let mut value = lock(&self.value);
        *value = events;
        match events {
            Some(events) => {
                self.vector
                    .with_label_values(&[&self.ingress])
                    .set(i64::try_from(events).unwrap_or(i64::MAX));
            }
            // Not there already is what is wanted.
            None => drop(self.vector.remove_label_values(&[&self.ingress])),
        }
    }

    /// The lag as it was last reported.
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        *lock(&self.value)
    }
}

/// The ingress families, from which handles are resolved.
pub(super) struct Families {
    events: IntCounterVec,
    bytes: IntCounterVec,
    malformed: IntCounterVec,
    unmatched: IntCounterVec,
    rewinds: IntCounterVec,
    overdelivered: IntCounterVec,
    settled: IntCounterVec,
    refused: IntCounterVec,
    dropped_by_rule: IntCounterVec,
    obligations: IntCounterVec,
    results: IntCounterVec,
    pending: IntGaugeVec,
    unsettled: IntGaugeVec,
    held_lanes: IntGaugeVec,
    lag: IntGaugeVec,
    oldest: GaugeVec,
}

impl Families {
    pub(super) fn new(make: &Make<'_>) -> Families {
        Families {
            events: make.counters(&families::INGRESS_EVENTS),
            bytes: make.counters(&families::INGRESS_BYTES),
            malformed: make.counters(&families::INGRESS_MALFORMED),
            unmatched: make.counters(&families::INGRESS_UNMATCHED),
            rewinds: make.counters(&families::INGRESS_REWINDS),
            overdelivered: make.counters(&families::INGRESS_OVERDELIVERED),
            settled: make.counters(&families::INGRESS_SETTLED),
            refused: make.counters(&families::INGRESS_REFUSED),
            dropped_by_rule: make.counters(&families::INGRESS_DROPPED),
            obligations: make.counters(&families::OBLIGATIONS),
            results: make.counters(&families::OBLIGATIONS_SETTLED),
            pending: make.gauges(&families::OBLIGATIONS_PENDING),
            unsettled: make.gauges(&families::INGRESS_UNSETTLED),
            held_lanes: make.gauges(&families::INGRESS_HELD_LANES),
            lag: make.gauges(&families::INGRESS_LAG),
            oldest: make.seconds(&families::INGRESS_OLDEST),
        }
    }

    pub(super) fn resolve(&self, name: &str) -> IngressMetrics {
        let pending = self.pending.with_label_values(&[name]);
        let held_lanes = self.held_lanes.with_label_values(&[name]);
        let refused = |reason: &Reason| self.refused.with_label_values(&[name, reason.as_str()]);
        IngressMetrics {
            events: self.events.with_label_values(&[name]),
            bytes: self.bytes.with_label_values(&[name]),
            malformed: self.malformed.with_label_values(&[name]),
            unmatched: self.unmatched.with_label_values(&[name]),
            rewinds: self.rewinds.with_label_values(&[name]),
            overdelivered: self.overdelivered.with_label_values(&[name]),
            settled: OUTCOMES.map(|outcome| self.settled.with_label_values(&[name, outcome])),
            obligations: self.obligations.with_label_values(&[name]),
            books: Arc::new(Books::resolve(&self.results, pending, held_lanes, name)),
            unsettled: self.unsettled.with_label_values(&[name]),
            lag: Lag {
                ingress: name.to_owned(),
                vector: self.lag.clone(),
                value: Mutex::default(),
            },
            oldest: self.oldest.with_label_values(&[name]),
            refused: Reason::ALL.iter().map(refused).collect(),
            dropped_by_rule: DroppedByRule {
                ingress: name.to_owned(),
                vector: self.dropped_by_rule.clone(),
                known: Mutex::default(),
            },
        }
    }

    /// Removal of what is not there is no error here: every series was resolved, or never came to be.
    pub(super) fn forget(&self, name: &str, gone: &IngressMetrics) {
        let single = [
            &self.events,
            &self.bytes,
            &self.malformed,
            &self.unmatched,
            &self.rewinds,
            &self.overdelivered,
            &self.obligations,
        ];
        for family in single {
            let _ = family.remove_label_values(&[name]);
        }
        for outcome in OUTCOMES {
            let _ = self.settled.remove_label_values(&[name, outcome]);
        }
        for reason in Reason::ALL {
            let _ = self.refused.remove_label_values(&[name, reason.as_str()]);
        }
        Books::forget(&self.results, name);
        for what in lock(&gone.dropped_by_rule.known).keys() {
            let _ = self.dropped_by_rule.remove_label_values(&[name, what]);
        }
        for family in [&self.pending, &self.unsettled, &self.held_lanes, &self.lag] {
            let _ = family.remove_label_values(&[name]);
        }
        let _ = self.oldest.remove_label_values(&[name]);
    }
}
