//! Events of in-order lanes that nobody may be told were refused, and that no destination has: no route took them
//! (`unmatched: reject`), they were malformed without a dead letter, or a route's `add` could not be made.
//!
//! They hold their lane: what comes behind them waits here, too, so that it does not pass them (C20). The first one meets
//! the table again now and then, so that a reload that mends the rule frees them all, in order.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use weft_api::ingress::Incoming;

use crate::delivery::breaker::backoff;

const RETRY_INITIAL: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// A parked event and its slot.
pub struct Parked {
    /// The lane's life.
    pub epoch: u32,
    /// The slot.
    pub seq: u64,
    /// The event as it came.
    pub incoming: Incoming,
    /// It has met the table, and was refused: it is in the books.
    pub refused: bool,
}

/// What a held lane has parked; never empty.
struct Line {
    lane: usize,
    due: Instant,
    /// How often its first event was refused again.
    tries: u32,
    parked: VecDeque<Parked>,
}

/// The parked events of one ingress: at most a window a lane.
#[derive(Default)]
pub struct Limbo(Vec<Line>);

impl Limbo {
    /// Whether the lane is held, so that its next event has to wait here.
    #[must_use]
    pub fn holds(&self, lane: usize) -> bool {
        self.0.iter().any(|line| line.lane == lane)
    }

    /// Parks an event behind those of its lane. Returns whether the lane is held from now on.
    pub fn park(&mut self, lane: usize, parked: Parked, now: Instant) -> bool {
        if let Some(line) = self.0.iter_mut().find(|line| line.lane == lane) {
            line.parked.push_back(parked);
            return false;
        }
        self.0.push(Line {
            lane,
            due: now + backoff(RETRY_INITIAL, RETRY_MAX, 0, 1.0),
            tries: 0,
            parked: VecDeque::from([parked]),
        });
        true
    }

    /// A lane whose first event meets the table again now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<usize> {
        let line = self.0.iter().find(|line| line.due <= now)?;
        Some(line.lane)
    }

    /// The first event of a lane.
    pub fn first(&mut self, lane: usize) -> Option<&mut Parked> {
        let line = self.0.iter_mut().find(|line| line.lane == lane)?;
        line.parked.front_mut()
    }

    /// The first event of a lane was refused again: it waits, longer each time.
    pub fn refused(&mut self, lane: usize, now: Instant) {
        if let Some(line) = self.0.iter_mut().find(|line| line.lane == lane) {
            line.tries = line.tries.saturating_add(1);
            line.due = now + backoff(RETRY_INITIAL, RETRY_MAX, line.tries, 1.0);
        }
    }

    /// The first event of a lane leaves. Returns whether it was the last one: then the lane is not held any more.
    pub fn leave(&mut self, lane: usize) -> bool {
        let Some(at) = self.0.iter().position(|line| line.lane == lane) else {
            return false;
        };
        let line = &mut self.0[at];
        line.tries = 0;
        line.parked.pop_front();
        let last = line.parked.is_empty();
        if last {
            self.0.swap_remove(at);
        }
        last
    }

    /// When the next lane's time comes.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|line| line.due).min()
    }

    /// Forgets a lane's events; returns whether it was held.
    pub fn remove_lane(&mut self, lane: usize) -> bool {
        let before = self.0.len();
        self.0.retain(|line| line.lane != lane);
        before > self.0.len()
    }
}
