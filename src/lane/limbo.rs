//! Events of in-order lanes that nobody may be told were refused, and that no destination has: no route took them
//! (`unmatched: reject`), they were malformed without a dead letter, or a route's `add` could not be made.
//!
//! They hold their lane, and meet the table again now and then, so that a reload that mends the rule frees them.

use std::time::Duration;

use tokio::time::Instant;
use weft_api::ingress::Incoming;

use crate::delivery::breaker::backoff;

const RETRY_INITIAL: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// A parked event and its slot.
pub struct Parked {
    /// The lane's index.
    pub lane: usize,
    /// The lane's life.
    pub epoch: u32,
    /// The slot.
    pub seq: u64,
    /// The event as it came.
    pub incoming: Incoming,
    /// How often it was looked at again.
    pub tries: u32,
}

/// All parked events of one ingress: at most a window a lane, in practice one or two.
#[derive(Default)]
pub struct Limbo(Vec<(Instant, Parked)>);

impl Limbo {
    /// Parks an event until its next look.
    pub fn park(&mut self, parked: Parked, now: Instant) {
        let due = now + backoff(RETRY_INITIAL, RETRY_MAX, parked.tries, 1.0);
        self.0.push((due, parked));
    }

    /// The next event whose time has come.
    pub fn due(&mut self, now: Instant) -> Option<Parked> {
        let at = self.0.iter().position(|(due, _)| *due <= now)?;
        Some(self.0.swap_remove(at).1)
    }

    /// When the next one's time comes.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|(due, _)| *due).min()
    }

    /// Forgets a lane's events; returns how many there were.
    pub fn remove_lane(&mut self, lane: usize) -> usize {
        let before = self.0.len();
        self.0.retain(|(_, parked)| parked.lane != lane);
        before - self.0.len()
    }
}
