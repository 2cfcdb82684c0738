//! Events of in-order lanes that nobody may be told were refused, and that no destination has: no route took them
//! (`unmatched: reject`), they were malformed without a dead letter, or a route's `add` could not be made.
//!
//! They hold their lane. What comes behind an event that no route took waits in line with it, so that it does not pass
//! it (C20); a malformed message has no key and no destination whose order it could disturb, and stands by itself. The
//! first of a line meets the table again now and then, so that a reload that mends the rule frees them all, in order.

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

/// A line, until its last event has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineId(u64);

struct Line {
    id: LineId,
    lane: usize,
    due: Instant,
    /// How often its first event was refused again.
    tries: u32,
    /// Never empty.
    parked: VecDeque<Parked>,
}

/// The parked events of one ingress: at most a window a lane.
#[derive(Default)]
pub struct Limbo {
    lines: Vec<Line>,
    made: u64,
}

impl Limbo {
    /// Whether the lane's next event has to wait here.
    #[must_use]
    pub fn holds(&self, lane: usize) -> bool {
        self.line_of(lane).is_some()
    }

    /// Parks an event: one that is malformed by itself, others behind those of their lane. Returns whether it is the
    /// first of a line, which holds its lane from now on.
    pub fn park(&mut self, lane: usize, parked: Parked, now: Instant) -> bool {
        if !parked.incoming.malformed
            && let Some(at) = self.line_of(lane)
        {
            self.lines[at].parked.push_back(parked);
            return false;
        }
        self.made += 1;
        self.lines.push(Line {
            id: LineId(self.made),
            lane,
            due: now + backoff(RETRY_INITIAL, RETRY_MAX, 0, 1.0),
            tries: 0,
            parked: VecDeque::from([parked]),
        });
        true
    }

    /// A line whose first event meets the table again now, and its lane.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<(LineId, usize)> {
        let line = self.lines.iter().find(|line| line.due <= now)?;
        Some((line.id, line.lane))
    }

    /// The first event of a line.
    pub fn first(&mut self, id: LineId) -> Option<&mut Parked> {
        let line = self.lines.iter_mut().find(|line| line.id == id)?;
        line.parked.front_mut()
    }

    /// The first event of a line was refused again: it waits, longer each time.
    pub fn refused(&mut self, id: LineId, now: Instant) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.id == id) {
            line.tries = line.tries.saturating_add(1);
            line.due = now + backoff(RETRY_INITIAL, RETRY_MAX, line.tries, 1.0);
        }
    }

    /// The first event of a line leaves. Returns whether it was the last one: then the line holds its lane no more.
    pub fn leave(&mut self, id: LineId) -> bool {
        let Some(at) = self.lines.iter().position(|line| line.id == id) else {
            return false;
        };
        let line = &mut self.lines[at];
        line.tries = 0;
        line.parked.pop_front();
        let last = line.parked.is_empty();
        if last {
            self.lines.swap_remove(at);
        }
        last
    }

    /// When the next line's time comes.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.lines.iter().map(|line| line.due).min()
    }

    /// Forgets a lane's events; returns how many lines held it.
    pub fn remove_lane(&mut self, lane: usize) -> usize {
        let before = self.lines.len();
        self.lines.retain(|line| line.lane != lane);
        before - self.lines.len()
    }

    /// The line behind which the lane's next event has to wait.
    fn line_of(&self, lane: usize) -> Option<usize> {
        let ordered = |line: &Line| line.parked.front().is_some_and(|first| !first.incoming.malformed);
        self.lines
            .iter()
            .position(|line| line.lane == lane && ordered(line))
    }
}
