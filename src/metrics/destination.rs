//! What is counted for one destination.

use std::sync::OnceLock;

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use weft_api::outcome::{Fault, Reason};

use super::{Make, families};

const FAULTS: [Fault; 3] = [Fault::Event, Fault::Attempt, Fault::Destination];

/// The failures that do occur; their series exist from the start, so that a rate sees the first one, too. The other
/// pairs come into being when they are counted.
const USUAL: [(Fault, Reason); 10] = [
    (Fault::Event, Reason::Refused),
    (Fault::Event, Reason::TooLarge),
    (Fault::Event, Reason::Address),
    (Fault::Attempt, Reason::Failed),
    (Fault::Destination, Reason::Overloaded),
    (Fault::Destination, Reason::Unavailable),
    (Fault::Destination, Reason::Unauthorised),
    (Fault::Destination, Reason::Misconfigured),
    (Fault::Destination, Reason::Timeout),
    (Fault::Destination, Reason::Reset),
];

/// The handles of one destination.
pub struct DestinationMetrics {
    /// Events put into the queue.
    pub enqueued: IntCounter,
    /// Events that the remote confirmed.
    pub delivered: IntCounter,
    /// Events sent from the request's own task.
    pub direct: IntCounter,
    /// Attempts after the first.
    pub retried: IntCounter,
    /// Waits for the retry budget.
    pub retries_deferred: IntCounter,
    /// Events that were not sent, since a copy had arrived.
    pub deduplicated: IntCounter,
    /// Deliveries forgotten before their time.
    pub dedupe_evictions: IntCounter,
    /// Events that will never be taken.
    pub rejected: IntCounter,
    /// Events that ended in the dead letter.
    pub dead_lettered: IntCounter,
    /// Events that expired.
    pub expired: IntCounter,
    /// Events sent again although they may have arrived.
    pub possible_duplicates: IntCounter,
    /// Events that moved on to a fallback.
    pub moved_fallback: IntCounter,
    /// Events that an anycast gave to another member.
    pub moved_repick: IntCounter,
    /// Events waiting or in flight.
    pub pending_events: IntGauge,
    /// Their bytes.
    pub pending_bytes: IntGauge,
    /// Events handed to the connector.
    pub in_flight: IntGauge,
    /// 0 closed, 1 half open, 2 open.
    pub breaker_state: IntGauge,
    /// Age in seconds of the oldest event that waits.
    pub oldest: Gauge,
    failed: Failed,
}

impl DestinationMetrics {
    /// The counter of attempts that failed so.
    #[must_use]
    pub fn failed(&self, fault: Fault, reason: Reason) -> &IntCounter {
        self.failed.get(fault, reason)
    }
}

/// One cell for each pair of fault and reason; a pair's label values are looked up once.
struct Failed {
    destination: String,
    vector: IntCounterVec,
    cells: Box<[OnceLock<IntCounter>]>,
}

impl Failed {
    fn new(destination: &str, vector: &IntCounterVec) -> Failed {
        let cells = (0..FAULTS.len() * Reason::ALL.len())
            .map(|_| OnceLock::new())
            .collect();
        let failed = Failed {
            destination: destination.to_owned(),
            vector: vector.clone(),
            cells,
        };
        for (fault, reason) in USUAL {
            failed.get(fault, reason);
        }
        failed
    }

    fn get(&self, fault: Fault, reason: Reason) -> &IntCounter {
        let cell = &self.cells[fault as usize * Reason::ALL.len() + reason as usize];
        cell.get_or_init(|| {
            self.vector
                .with_label_values(&[self.destination.as_str(), fault_word(fault), reason.as_str()])
        })
    }
}

fn fault_word(fault: Fault) -> &'static str {
    match fault {
        Fault::Event => "event",
        Fault::Attempt => "attempt",
        Fault::Destination => "destination",
    }
}

/// The destination families, from which handles are resolved.
pub(super) struct Families {
    enqueued: IntCounterVec,
    delivered: IntCounterVec,
    direct: IntCounterVec,
    retried: IntCounterVec,
    retries_deferred: IntCounterVec,
    deduplicated: IntCounterVec,
    dedupe_evictions: IntCounterVec,
    failed: IntCounterVec,
    rejected: IntCounterVec,
    dead_lettered: IntCounterVec,
    expired: IntCounterVec,
    possible_duplicates: IntCounterVec,
    moved: IntCounterVec,
    pending_events: IntGaugeVec,
    pending_bytes: IntGaugeVec,
    in_flight: IntGaugeVec,
    breaker_state: IntGaugeVec,
    oldest: GaugeVec,
}

impl Families {
    pub(super) fn new(make: &Make<'_>) -> Families {
        Families {
            enqueued: make.counters(&families::DESTINATION_ENQUEUED),
            delivered: make.counters(&families::DESTINATION_DELIVERED),
            direct: make.counters(&families::DESTINATION_DIRECT),
            retried: make.counters(&families::DESTINATION_RETRIED),
            retries_deferred: make.counters(&families::DESTINATION_RETRIES_DEFERRED),
            deduplicated: make.counters(&families::DESTINATION_DEDUPLICATED),
            dedupe_evictions: make.counters(&families::DESTINATION_DEDUPE_EVICTIONS),
            failed: make.counters(&families::DESTINATION_FAILED),
            rejected: make.counters(&families::DESTINATION_REJECTED),
            dead_lettered: make.counters(&families::DESTINATION_DEAD_LETTERED),
            expired: make.counters(&families::DESTINATION_EXPIRED),
            possible_duplicates: make.counters(&families::DESTINATION_POSSIBLE_DUPLICATES),
            moved: make.counters(&families::DESTINATION_MOVED),
            pending_events: make.gauges(&families::DESTINATION_PENDING_EVENTS),
            pending_bytes: make.gauges(&families::DESTINATION_PENDING_BYTES),
            in_flight: make.gauges(&families::DESTINATION_IN_FLIGHT),
            breaker_state: make.gauges(&families::BREAKER_STATE),
            oldest: make.seconds(&families::DESTINATION_OLDEST),
        }
    }

    pub(super) fn resolve(&self, name: &str) -> DestinationMetrics {
        DestinationMetrics {
            enqueued: self.enqueued.with_label_values(&[name]),
            delivered: self.delivered.with_label_values(&[name]),
            direct: self.direct.with_label_values(&[name]),
            retried: self.retried.with_label_values(&[name]),
            retries_deferred: self.retries_deferred.with_label_values(&[name]),
            deduplicated: self.deduplicated.with_label_values(&[name]),
            dedupe_evictions: self.dedupe_evictions.with_label_values(&[name]),
            rejected: self.rejected.with_label_values(&[name]),
            dead_lettered: self.dead_lettered.with_label_values(&[name]),
            expired: self.expired.with_label_values(&[name]),
            possible_duplicates: self.possible_duplicates.with_label_values(&[name]),
            moved_fallback: self.moved.with_label_values(&[name, "fallback"]),
            moved_repick: self.moved.with_label_values(&[name, "repick"]),
            pending_events: self.pending_events.with_label_values(&[name]),
            pending_bytes: self.pending_bytes.with_label_values(&[name]),
            in_flight: self.in_flight.with_label_values(&[name]),
            breaker_state: self.breaker_state.with_label_values(&[name]),
            oldest: self.oldest.with_label_values(&[name]),
            failed: Failed::new(name, &self.failed),
        }
    }

    /// Removal of what is not there is no error here: a pair of fault and reason may never have occurred.
    pub(super) fn forget(&self, name: &str) {
        let single = [
            &self.enqueued,
            &self.delivered,
            &self.direct,
            &self.retried,
            &self.retries_deferred,
            &self.deduplicated,
            &self.dedupe_evictions,
            &self.rejected,
            &self.dead_lettered,
            &self.expired,
            &self.possible_duplicates,
        ];
        for family in single {
            let _ = family.remove_label_values(&[name]);
        }
        for how in ["fallback", "repick"] {
            let _ = self.moved.remove_label_values(&[name, how]);
        }
        for fault in FAULTS {
            for reason in Reason::ALL {
                let _ = self
                    .failed
                    .remove_label_values(&[name, fault_word(fault), reason.as_str()]);
            }
        }
        for family in [
            &self.pending_events,
            &self.pending_bytes,
            &self.in_flight,
            &self.breaker_state,
        ] {
            let _ = family.remove_label_values(&[name]);
        }
        let _ = self.oldest.remove_label_values(&[name]);
    }
}
