//! The books of C32: what became of the obligations of one ingress, or of the legs that came out of one log.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

/// How an obligation may end, in the order of the fields below.
pub(super) const RESULTS: [&str; 6] = [
    "delivered",
    "dead_lettered",
    "stored",
    "dropped",
    "expired",
    "returned",
];

/// The handles of one ingress or log.
pub struct Books {
    /// Obligations that a remote confirmed.
    pub delivered: IntCounter,
    /// Obligations that ended in the dead letter.
    pub dead_lettered: IntCounter,
    /// Obligations that are safe in a log, which delivers them and has books of its own.
    pub stored: IntCounter,
    /// Obligations dropped by a rule that the user wrote.
    pub dropped: IntCounter,
    /// Obligations that expired.
    pub expired: IntCounter,
    /// Obligations given back: rejected, released or unknown at ingress, or revoked with their lane.
    pub returned: IntCounter,
    /// Obligations not yet met.
    pub pending: IntGauge,
    /// Lanes that stand still behind a refusal.
    pub held_lanes: IntGauge,
}

impl Books {
    /// The handles of `name` in these families; results are theirs by a second label.
    pub(super) fn resolve(
        results: &IntCounterVec,
        pending: IntGauge,
        held_lanes: IntGauge,
        name: &str,
    ) -> Books {
        let [delivered, dead_lettered, stored, dropped, expired, returned] =
            RESULTS.map(|result| results.with_label_values(&[name, result]));
        Books {
            delivered,
            dead_lettered,
            stored,
            dropped,
            expired,
            returned,
            pending,
            held_lanes,
        }
    }

    /// Takes the series of `name` out of the results.
    pub(super) fn forget(results: &IntCounterVec, name: &str) {
        for result in RESULTS {
            // What is not there is not to be taken out.
            let _ = results.remove_label_values(&[name, result]);
        }
    }
}
