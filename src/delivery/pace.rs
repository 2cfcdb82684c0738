//! What holds legs back at a destination that is well: its retry budget, its rate, and copies of what it has.
//!
//! Owns the three machines and asks them once a batch, under the destination's lock. Where the file asks for none of
//! them, it costs a look at three empty places. Does not know: the queue's order.

use tokio::time::Instant;

use super::breaker::Breaker;
use super::dedupe::{Dedupe, NO_CLAIM, UNCLAIMED, Verdict};
use super::destination::{Destination, State, unlock_and_wake};
use super::leg::{Duty, Leg, NO_LIFE};
use super::queue::Leave;
use super::rate::Bucket;
use super::retry_budget::Tokens;
use super::settings::Settings;

#[cfg(test)]
mod tests;

/// The machines of one destination.
pub(super) struct Pace {
    tokens: Option<Tokens>,
    bucket: Option<Bucket>,
    /// Stays once it was there: legs may hold claims.
    dedupe: Option<Dedupe>,
    dedupes: bool,
}

/// Why a destination that is well sends nothing now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeldBack {
    /// Its rate is used up.
    Rate,
    /// Some events wait for the retry budget.
    RetryBudget,
}

/// One batch's dealings with the retry budget.
pub(super) struct Turn {
    life: u32,
    /// A probe spends and earns nothing.
    probing: bool,
    /// Retries that may leave.
    allowed: u32,
    retries: u32,
    firsts: u32,
}

impl Pace {
    pub(super) fn new(settings: &Settings, now: Instant) -> Pace {
        Pace {
            tokens: settings.retry.budget.map(|budget| Tokens::new(budget, now)),
            bucket: settings.rate.map(|rate| Bucket::new(rate, now)),
            dedupe: settings.dedupe.clone().map(|dedupe| Dedupe::new(dedupe, now)),
            dedupes: settings.dedupe.is_some(),
        }
    }

    /// Changes the settings. Returns whether copies that wait have to be looked at again.
    pub(super) fn configure(&mut self, before: &Settings, settings: &Settings, now: Instant) -> bool {
        match (&mut self.tokens, settings.retry.budget) {
            (Some(tokens), Some(budget)) => tokens.configure(budget, now),
            (tokens, budget) => *tokens = budget.map(|budget| Tokens::new(budget, now)),
        }
        match (&mut self.bucket, settings.rate) {
            (Some(bucket), Some(rate)) => bucket.configure(rate, now),
            (bucket, rate) => *bucket = rate.map(|rate| Bucket::new(rate, now)),
        }
        self.dedupes = settings.dedupe.is_some();
        if before.dedupe == settings.dedupe {
            return false;
        }
        match (&mut self.dedupe, &settings.dedupe) {
            (Some(known), Some(dedupe)) => known.configure(dedupe.clone()),
            // What is not kept up to date must not be believed later.
            (Some(known), None) => known.forget(),
            (none, Some(dedupe)) => *none = Some(Dedupe::new(dedupe.clone(), now)),
            (None, None) => {}
        }
        true
    }

    /// The destination goes: what it was sent is of no use any more.
    pub(super) fn forget(&mut self) {
        if let Some(dedupe) = &mut self.dedupe {
            dedupe.forget();
        }
    }

    /// How many events the rate lets leave now.
    pub(super) fn room(&mut self, now: Instant) -> u32 {
        self.bucket
            .as_mut()
            .map_or(u32::MAX, |bucket| bucket.available(now))
    }

    /// When the rate lets the next event leave.
    pub(super) fn room_due(&self, now: Instant) -> Option<Instant> {
        self.bucket.as_ref().map(|bucket| bucket.due(now))
    }

    /// When the retry budget lets the next retry leave.
    pub(super) fn token_due(&self, now: Instant) -> Option<Instant> {
        self.tokens.as_ref().map(|tokens| tokens.due(now))
    }

    /// A batch is about to be taken.
    pub(super) fn turn(&mut self, breaker: &Breaker, probing: bool, now: Instant) -> Turn {
        Turn {
            life: breaker.life_of_sends(),
            probing,
            allowed: self
                .tokens
                .as_mut()
                .map_or(u32::MAX, |tokens| tokens.available(now)),
            retries: 0,
            firsts: 0,
        }
    }

    /// The batch is taken.
    pub(super) fn took(&mut self, turn: &Turn, events: usize, now: Instant) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(u32::try_from(events).unwrap_or(u32::MAX));
        }
        if let Some(tokens) = &mut self.tokens
            && !turn.probing
        {
            tokens.earn(turn.firsts);
            if turn.retries > 0 {
                tokens.spend(turn.retries, now);
            }
        }
    }

    /// One event leaves past the queue, if nothing holds it back.
    pub(super) fn try_direct(&mut self) -> bool {
        if self.dedupes {
            return false;
        }
        if let Some(bucket) = &mut self.bucket {
            if bucket.available(Instant::now()) == 0 {
                return false;
            }
            bucket.take(1);
        }
        if let Some(tokens) = &mut self.tokens {
            tokens.earn(1);
        }
        true
    }

    /// What a copy may do. Whoever was taken once waits for nobody, wherever it stands by now: so no two wait for each
    /// other.
    pub(super) fn look(&self, leg: &Leg, now: Instant) -> Verdict {
        match &self.dedupe {
            // A dead letter is never a repetition: what died twice is there twice, or its second death would leave no trace.
            Some(dedupe) if self.dedupes && leg.duty.claim == NO_CLAIM && !leg.duty.dead_letter => {
                dedupe.look(&leg.event, now)
            }
            _ => Verdict::Send(None),
        }
    }

    /// A leg with this identity is sent for the first time.
    pub(super) fn claim(&mut self, identity: Option<u128>) -> u32 {
        match (&mut self.dedupe, identity) {
            (Some(dedupe), Some(identity)) => dedupe.claim(identity),
            _ => UNCLAIMED,
        }
    }
}

impl Turn {
    pub(super) fn leave(&self) -> Leave {
        Leave {
            life: self.life,
            retries: self.retries < self.allowed,
        }
    }

    /// This one is in the batch. What comes back unsent earns once, and what failed elsewhere earns nothing.
    pub(super) fn sends(&mut self, duty: &Duty) {
        self.retries += u32::from(duty.failed_life == self.life);
        let first = duty.failed_life == NO_LIFE && duty.claim == NO_CLAIM && duty.tries == 0;
        self.firsts += u32::from(first);
    }
}

impl State {
    /// The holder of a claim ended or left; `confirmed`: the remote has the event, and since when.
    pub(super) fn end_claim(&mut self, destination: &Destination, claim: u32, confirmed: Option<Instant>) {
        let Some(dedupe) = self.pace.dedupe.as_mut().filter(|_| claim < UNCLAIMED) else {
            return;
        };
        match confirmed {
            Some(now) => {
                let evicted = dedupe.confirmed(claim, now);
                destination.metrics.dedupe_evictions.inc_by(evicted);
            }
            None => dedupe.abandoned(claim),
        }
        self.queue.claim_ended(claim);
    }

    /// Why nothing is sent, should nothing else be in the way.
    pub(super) fn held_back(&mut self, now: Instant) -> Option<HeldBack> {
        if self.queue.is_empty() {
            return None;
        }
        if self.pace.room(now) == 0 {
            return Some(HeldBack::Rate);
        }
        self.queue.waits_for_token().then_some(HeldBack::RetryBudget)
    }
}

impl Destination {
    /// A leg that was extracted with its claim goes elsewhere.
    pub(super) fn disclaim(&self, leg: &mut Leg) {
        let claim = leg.duty.part().claim;
        if claim < UNCLAIMED {
            let mut state = self.lock();
            state.end_claim(self, claim, None);
            unlock_and_wake(state);
        }
    }
}
