//! What an ingress counts (C32), and the few numbers of it that others may look at.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use weft_api::outcome::Outcome;

use super::admit::NoLegs;
use crate::delivery::origin::Port;

/// What a scrape may ask of an ingress' lanes without touching them.
#[derive(Default)]
pub struct Pulse {
    /// Unsettled events.
    pub unsettled: AtomicU64,
    /// When the oldest unsettled event was admitted: milliseconds of the process' clock, plus one; 0 for none.
    pub oldest_ms: AtomicU64,
}

impl Pulse {
    /// How long the oldest unsettled event has been here; zero for none, and for requests, which have a deadline.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        match self.oldest_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(now_ms().saturating_sub(since - 1)),
        }
    }
}

/// Milliseconds since the first call in this process.
pub(super) fn now_ms() -> u64 {
    static BORN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BORN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Counts events settled towards the sender.
pub(super) fn settled(port: &Port, outcome: Outcome, events: u64) {
    port.metrics.settled(outcome).inc_by(events);
    if let Some(reason) = outcome.reason() {
        port.metrics.refused(reason).inc_by(events);
    }
}

/// Counts obligations in; they are pending until [`crate::delivery::end::Ender`] counts them out.
pub(super) fn obligations(port: &Port, legs: u32) {
    port.metrics.obligations.inc_by(u64::from(legs));
    port.metrics.books.pending.add(i64::from(legs));
}

/// Counts what owes nothing.
pub(super) fn without_legs(port: &Port, outcome: Outcome, why: NoLegs) {
    let metrics = &port.metrics;
    match why {
        NoLegs::Unmatched => metrics.unmatched.inc(),
        NoLegs::Expired => {
            metrics.obligations.inc();
            metrics.books.expired.inc();
        }
        NoLegs::Malformed if outcome == Outcome::Accepted => metrics.dropped_by_rule("malformed").inc(),
        NoLegs::Malformed | NoLegs::Refused => {}
    }
}
