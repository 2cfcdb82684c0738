//! The order in which a destination's legs leave: legs without a key as they come, keyed legs through shards.
//!
//! Owns: waiting legs and, for each shard, how many of its legs are in flight. Pure: no lock, no clock, no task. Does not
//! know: why a retry may not leave now, nor what a claim stands for.
//! Invariants
//! - Legs of one shard leave in their order of arrival, retries included (C20).
//! - Unless the egress keeps order or fails, a shard has at most one leg in flight; otherwise, after a failure, none
//!   leaves before all that are in flight have come back.
//!
//! Keys share shards by hash: a leg that waits delays the few keys beside it. One queue a key was turned down: it
//! costs an allocation for every new key.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use tokio::time::Instant;

use self::aside::Aside;
pub use self::aside::Leave;
use super::dedupe::{NO_CLAIM, UNCLAIMED};
use super::leg::{Leg, NO_SHARD};

mod aside;
#[cfg(test)]
mod tests;

/// How many shards a destination has.
pub const SHARDS: u16 = 256;

/// The waiting legs of one destination.
#[derive(Default)]
pub struct Queue {
    unkeyed: VecDeque<Leg>,
    delayed: BinaryHeap<Reverse<Delayed>>,
    shards: Vec<Shard>,
    ready: VecDeque<u16>,
    sleeping: BinaryHeap<Reverse<(Instant, u16)>>,
    aside: Aside,
    waiting: usize,
    arrivals: u64,
    keyed_first: bool,
    /// The egress keeps order or fails: a shard may have several legs in flight.
    pipelined: bool,
}

#[derive(Default)]
struct Shard {
    legs: VecDeque<Leg>,
    in_flight: u32,
    /// Something failed while others were in flight: wait for them all.
    failed: bool,
    listed: Listed,
    /// Its head waits for what becomes of a copy of its event.
    copy_waits: bool,
    not_before: Option<Instant>,
    /// The time under which it stands in `sleeping`.
    asleep_until: Option<Instant>,
}

/// Where a shard stands, but for `sleeping`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Listed {
    #[default]
    No,
    /// In `ready`.
    Ready,
    /// Aside: its head is a retry without a token.
    Aside,
}

struct Delayed {
    due: Instant,
    leg: Leg,
}

impl Queue {
    /// Tells whether the egress keeps order or fails.
    pub fn set_pipelined(&mut self, pipelined: bool) {
        self.pipelined = pipelined;
    }

    /// Legs that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// The next number in the order of arrival.
    pub fn number(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals - 1
    }

    /// Puts a leg at the end; `key` is the hash of its key, if it has one.
    pub fn push(&mut self, mut leg: Leg, key: Option<u64>) {
        leg.duty.order = self.number();
        self.waiting += 1;
        let Some(key) = key else {
            leg.duty.shard = NO_SHARD;
            self.unkeyed.push_back(leg);
            return;
        };
        let at = u16::try_from(key % u64::from(SHARDS)).unwrap_or(0);
        leg.duty.shard = at;
        if self.shards.is_empty() {
            self.shards.resize_with(usize::from(SHARDS), Shard::default);
        }
        self.shards[usize::from(at)].legs.push_back(leg);
        self.list(at);
    }

    /// Puts a leg that failed back to its old place; it does not leave before `due`. Call it before [`Queue::came_back`]
    /// of the same leg.
    pub fn put_back(&mut self, leg: Leg, due: Option<Instant>) {
        self.waiting += 1;
        if leg.duty.shard == NO_SHARD {
            match due {
                Some(due) => self.delayed.push(Reverse(Delayed { due, leg })),
                None => self.unkeyed.push_front(leg),
            }
            return;
        }
        let shard = &mut self.shards[usize::from(leg.duty.shard)];
        shard.not_before = shard.not_before.max(due);
        let at = shard
            .legs
            .partition_point(|waiting| waiting.duty.order < leg.duty.order);
        // What was sent before is not held up by a copy behind it.
        shard.copy_waits &= at > 0;
        shard.legs.insert(at, leg);
    }

    /// Puts a leg that was taken out by [`Queue::extract`] back to its old place. What stood behind it may have been sent in
    /// between: a copy of it would wait for the leg in front, and that one for the copy's claim, so it goes without one.
    pub fn restore(&mut self, mut leg: Leg) {
        let shard = leg.duty.shard;
        if let Some(behind) = self.shards.get(usize::from(shard))
            && leg.duty.claim == NO_CLAIM
            && (behind.in_flight > 0 || behind.legs.iter().any(|leg| leg.duty.claim != NO_CLAIM))
        {
            leg.duty.claim = UNCLAIMED;
        }
        self.put_back(leg, None);
        if shard != NO_SHARD {
            self.list(shard);
        }
    }

    /// A leg that was in flight came back, or ended.
    pub fn came_back(&mut self, shard: u16, failed: bool) {
        if shard == NO_SHARD {
            return;
        }
        let state = &mut self.shards[usize::from(shard)];
        state.in_flight -= 1;
        state.failed |= failed;
        if state.in_flight == 0 {
            state.failed = false;
        }
        self.list(shard);
    }

    /// The next leg that may leave.
    pub fn take(&mut self, now: Instant, leave: Leave) -> Option<Leg> {
        self.wake(now);
        self.enter(leave.life);
        // Keyed and unkeyed legs take turns, so that neither starves the other.
        self.keyed_first = !self.keyed_first;
        let leg = if self.keyed_first {
            self.take_keyed(leave).or_else(|| self.take_unkeyed(leave))
        } else {
            self.take_unkeyed(leave).or_else(|| self.take_keyed(leave))
        }?;
        self.waiting -= 1;
        Some(leg)
    }

    /// Puts the leg that [`Queue::take`] gave last back, as if it had not been taken.
    pub fn untake(&mut self, leg: Leg) {
        self.waiting += 1;
        let at = leg.duty.shard;
        if at == NO_SHARD {
            self.unkeyed.push_front(leg);
            return;
        }
        let shard = &mut self.shards[usize::from(at)];
        shard.in_flight -= 1;
        shard.legs.push_front(leg);
        self.list(at);
    }

    /// When the next leg that is delayed may leave.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        let delayed = self.delayed.peek().map(|Reverse(d)| d.due);
        let sleeping = self.sleeping.peek().map(|Reverse((due, _))| *due);
        match (delayed, sleeping) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The longest waiting leg's arrival.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.iter().map(|leg| leg.duty.since).min()
    }

    /// Takes out every waiting leg that `goes` picks.
    pub fn extract(&mut self, mut goes: impl FnMut(&Leg) -> bool) -> Vec<Leg> {
        let mut gone = Vec::new();
        split(&mut self.unkeyed, &mut goes, &mut gone);
        split(&mut self.aside.retries, &mut goes, &mut gone);
        for copies in self.aside.copies_mut() {
            split(copies, &mut goes, &mut gone);
        }
        for at in 0..u16::try_from(self.shards.len()).unwrap_or(SHARDS) {
            let shard = &mut self.shards[usize::from(at)];
            let head = shard.legs.front().map(|leg| leg.duty.order);
            split(&mut shard.legs, &mut goes, &mut gone);
            // What the shard waited for was its head's time, token or twin: with that leg gone, the others need not wait.
            if head != shard.legs.front().map(|leg| leg.duty.order) {
                shard.not_before = None;
                shard.copy_waits = false;
                if shard.listed == Listed::Aside {
                    self.aside.shards.retain(|aside| *aside != at);
                    shard.listed = Listed::No;
                }
                self.list(at);
            }
        }
        if self.delayed.iter().any(|Reverse(delayed)| goes(&delayed.leg)) {
            for Reverse(delayed) in std::mem::take(&mut self.delayed) {
                if goes(&delayed.leg) {
                    gone.push(delayed.leg)
                } else {
                    self.delayed.push(Reverse(delayed))
                }
            }
        }
        self.waiting -= gone.len();
        gone
    }

    /// Every waiting leg, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Leg> {
        let delayed = self.delayed.iter().map(|Reverse(delayed)| &delayed.leg);
        self.unkeyed
            .iter()
            .chain(delayed)
            .chain(&self.aside.retries)
            .chain(self.aside.copies())
            .chain(self.shards.iter().flat_map(|shard| &shard.legs))
    }

    fn take_unkeyed(&mut self, leave: Leave) -> Option<Leg> {
        if leave.retries
            && let Some(leg) = self.aside.retries.pop_front()
        {
            return Some(leg);
        }
        while let Some(leg) = self.unkeyed.pop_front() {
            if !leave.defers(&leg) {
                return Some(leg);
            }
            self.defer(leg);
        }
        None
    }

    fn take_keyed(&mut self, leave: Leave) -> Option<Leg> {
        if leave.retries
            && let Some(at) = self.aside.shards.pop_front()
        {
            self.relist(at);
            if self.ready.back() == Some(&at) {
                self.ready.rotate_right(1);
            }
        }
        while let Some(at) = self.ready.pop_front() {
            let shard = &mut self.shards[usize::from(at)];
            shard.listed = Listed::No;
            // A shard that was listed while several of its legs were in flight may have had a failure since.
            if shard.is_busy(self.pipelined) || shard.not_before.is_some() {
                self.list(at);
                continue;
            }
            if shard.legs.front().is_some_and(|head| leave.defers(head)) {
                self.defer_shard(at);
                continue;
            }
            let Some(leg) = shard.legs.pop_front() else {
                continue;
            };
            shard.in_flight += 1;
            self.list(at);
            return Some(leg);
        }
        None
    }

    /// Puts a shard among the ready ones, or among the sleeping ones, if it has something to give.
    fn list(&mut self, at: u16) {
        let shard = &mut self.shards[usize::from(at)];
        if shard.listed != Listed::No || shard.is_busy(self.pipelined) || shard.legs.is_empty() {
            return;
        }
        if let Some(due) = shard.not_before {
            if shard.asleep_until != Some(due) {
                shard.asleep_until = Some(due);
                self.sleeping.push(Reverse((due, at)));
            }
            return;
        }
        shard.listed = Listed::Ready;
        self.ready.push_back(at);
    }

    /// Makes ready what has slept long enough.
    fn wake(&mut self, now: Instant) {
        while self
            .delayed
            .peek()
            .is_some_and(|Reverse(delayed)| delayed.due <= now)
        {
            if let Some(Reverse(delayed)) = self.delayed.pop() {
                self.unkeyed.push_front(delayed.leg);
            }
        }
        while self.sleeping.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((due, at))) = self.sleeping.pop() else {
                break;
            };
            let shard = &mut self.shards[usize::from(at)];
            if shard.asleep_until == Some(due) {
                shard.asleep_until = None;
            }
            // An older entry of a shard whose time was moved on since may stand here.
            if shard.not_before.is_none_or(|due| due <= now) {
                shard.not_before = None;
                self.list(at);
            }
        }
    }
}

impl Shard {
    /// Its next leg has to wait for those in flight, or for a copy of its event.
    fn is_busy(&self, pipelined: bool) -> bool {
        self.copy_waits || self.in_flight > 0 && (self.failed || !pipelined)
    }
}

/// Moves the legs that `goes` picks from `queue` to `gone`.
fn split(queue: &mut VecDeque<Leg>, goes: &mut impl FnMut(&Leg) -> bool, gone: &mut Vec<Leg>) {
    if queue.iter().any(&mut *goes) {
        for leg in std::mem::take(queue) {
            if goes(&leg) {
                gone.push(leg)
            } else {
                queue.push_back(leg)
            }
        }
    }
}

impl PartialEq for Delayed {
    fn eq(&self, other: &Delayed) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Delayed {}

impl PartialOrd for Delayed {
    fn partial_cmp(&self, other: &Delayed) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delayed {
    fn cmp(&self, other: &Delayed) -> std::cmp::Ordering {
        (self.due, self.leg.duty.order).cmp(&(other.due, other.leg.duty.order))
    }
}
