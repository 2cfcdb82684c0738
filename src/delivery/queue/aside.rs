//! Legs that may not leave for a reason that is not the queue's: retries without a token, and copies whose twin is under
//! way. They keep their place: unkeyed ones beside the queue, keyed ones at the head of their shard, which waits with them.

use std::collections::{HashMap, VecDeque};

use super::{Listed, Queue};
use crate::delivery::leg::{Leg, NO_SHARD};

/// Which legs may leave.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// A leg that failed in this life of the breaker is a retry.
    pub life: u32,
    /// Retries may leave, too.
    pub retries: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Aside {
    /// Unkeyed retries without a token, in the order in which they would have left.
    pub(super) retries: VecDeque<Leg>,
    /// Shards whose head is one.
    pub(super) shards: VecDeque<u16>,
    /// Copies, by the claim of the one that is under way.
    copies: HashMap<u32, Copies>,
    /// In which life `retries` and `shards` were put aside.
    life: u32,
    deferred: u64,
}

#[derive(Default)]
struct Copies {
    legs: VecDeque<Leg>,
    shards: Vec<u16>,
}

impl Aside {
    /// Copies without a key.
    pub(super) fn copies(&self) -> impl Iterator<Item = &Leg> {
        self.copies.values().flat_map(|copies| &copies.legs)
    }

    /// Each list of copies without a key.
    pub(super) fn copies_mut(&mut self) -> impl Iterator<Item = &mut VecDeque<Leg>> {
        self.copies.values_mut().map(|copies| &mut copies.legs)
    }
}

impl Leave {
    /// The leg has to wait for a token.
    pub(super) fn defers(self, leg: &Leg) -> bool {
        !self.retries && leg.duty.failed_life == self.life
    }
}

impl Queue {
    /// Some leg waits for a token of the retry budget.
    #[must_use]
    pub fn waits_for_token(&self) -> bool {
        !self.aside.retries.is_empty() || !self.aside.shards.is_empty()
    }

    /// How many waits for a token have begun since this was last asked.
    pub fn take_deferred(&mut self) -> u64 {
        std::mem::take(&mut self.aside.deferred)
    }

    /// Puts the leg that [`Queue::take`] gave last aside until its twin's claim has ended.
    pub fn put_aside(&mut self, leg: Leg, claim: u32) {
        self.waiting += 1;
        let copies = self.aside.copies.entry(claim).or_default();
        let at = leg.duty.shard;
        if at == NO_SHARD {
            copies.legs.push_back(leg);
            return;
        }
        if !copies.shards.contains(&at) {
            copies.shards.push(at);
        }
        let shard = &mut self.shards[usize::from(at)];
        shard.in_flight -= 1;
        shard.copy_waits = true;
        shard.legs.push_front(leg);
    }

    /// A claim has ended: the copies that waited for that are looked at again.
    pub fn claim_ended(&mut self, claim: u32) {
        // Without copies, which is how it nearly always is, nothing is hashed.
        if !self.aside.copies.is_empty()
            && let Some(copies) = self.aside.copies.remove(&claim)
        {
            self.bring_back(copies);
        }
    }

    /// No copy waits any longer: `dedupe` was taken out or changed.
    pub fn claims_void(&mut self) {
        for (_, copies) in std::mem::take(&mut self.aside.copies) {
            self.bring_back(copies);
        }
    }

    fn bring_back(&mut self, copies: Copies) {
        for leg in copies.legs.into_iter().rev() {
            self.unkeyed.push_front(leg);
        }
        for at in copies.shards {
            self.shards[usize::from(at)].copy_waits = false;
            self.list(at);
        }
    }

    /// In another life, what was put aside for want of a token needs none: it was held by the breaker.
    pub(super) fn enter(&mut self, life: u32) {
        if self.aside.life == life {
            return;
        }
        self.aside.life = life;
        for leg in std::mem::take(&mut self.aside.retries).into_iter().rev() {
            self.unkeyed.push_front(leg);
        }
        for at in std::mem::take(&mut self.aside.shards) {
            self.relist(at);
        }
    }

    /// A shard that stands aside is looked at like any other again.
    pub(super) fn relist(&mut self, at: u16) {
        self.shards[usize::from(at)].listed = Listed::No;
        self.list(at);
    }

    pub(super) fn defer(&mut self, leg: Leg) {
        self.aside.deferred += 1;
        self.aside.retries.push_back(leg);
    }

    pub(super) fn defer_shard(&mut self, at: u16) {
        self.aside.deferred += 1;
        self.shards[usize::from(at)].listed = Listed::Aside;
        self.aside.shards.push_back(at);
    }
}
