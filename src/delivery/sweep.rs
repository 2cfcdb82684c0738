//! Waiting legs that shall not wait any longer: stale, expired, or with somewhere better to go while the breaker is
//! open.

use std::sync::Arc;

use tokio::time::Instant;
use weft_api::outcome::{Outcome, Reason, SendError};

use super::destination::Destination;
use super::end::{End, Ender};
use super::failure;
use super::leg::Leg;

/// Whether a leg that is about to be sent shall not be, and how it ends then. Marks the others as dispatched.
pub(super) fn gone(leg: &Leg, now: Instant) -> Option<End> {
    if leg.duty.expires.is_some_and(|expires| expires <= now) {
        return Some(End::Expired);
    }
    let dispatched = leg.duty.origin().is_some_and(super::origin::Origin::dispatch);
    (!dispatched).then_some(STALE)
}

/// How a leg ends whose event the remote has from another copy (C32): as that one did, unless it was over before.
pub(super) fn repeated(leg: &Leg, now: Instant) -> End {
    match leg.duty.expires {
        Some(expires) if expires <= now => End::Expired,
        _ if leg.duty.is_stale() => STALE,
        _ => End::Delivered,
    }
}

/// The end of a leg for which nobody waits any more.
pub const STALE: End = End::Returned(Outcome::Unknown(Reason::Abandoned));

/// The same, where it is known that nobody has it.
const UNSENT: End = End::Returned(Outcome::Released(Reason::Abandoned));

/// What becomes of the legs of a destination that goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leftover {
    /// Back to their ingresses, as not delivered: the router stops, or all was delivered and they came too late.
    GiveBack(Reason),
    /// On in their plans, else to their routes' dead letters; those without one go back.
    DeadLetter,
    /// Dropped and counted.
    Drop,
}

impl Leftover {
    pub(super) fn apply(self, destination: &Arc<Destination>, legs: impl IntoIterator<Item = Leg>) {
        let mut ender = Ender::default();
        for leg in legs {
            match self {
                Leftover::GiveBack(reason) => failure::give_back(leg, reason, &mut ender),
                Leftover::DeadLetter => failure::removed(destination, leg),
                Leftover::Drop => ender.end(leg.duty, End::Dropped(Outcome::Accepted)),
            }
        }
    }
}

impl Destination {
    /// Ends every waiting leg that is stale. For the owner of a lane that was rewound or closed.
    pub fn sweep_stale(&self) {
        let mut ender = Ender::default();
        for leg in self.extract(|leg| leg.duty.is_stale()) {
            let end = match leg.duty.maybe_delivered {
                true => STALE,
                false => UNSENT,
            };
            ender.end(leg.duty, end);
        }
    }

    /// Takes every waiting leg away, the way that `leftover` says.
    pub fn clear(self: &Arc<Self>, leftover: Leftover) {
        leftover.apply(self, self.extract(|_| true));
    }

    /// Ends what has expired and moves what waits for a destination that is down and has somewhere else to go, or
    /// whose `unavailable:` has passed. Called now and then for every destination.
    pub fn sweep(self: &Arc<Self>) {
        let now = Instant::now();
        let gone = |leg: &Leg| leg.duty.is_stale() || leg.duty.expires.is_some_and(|expires| expires <= now);
        let mut ender = Ender::default();
        for leg in self.extract(gone) {
            let end = if leg.duty.is_stale() { STALE } else { End::Expired };
            if end == End::Expired {
                self.metrics.expired.inc();
            }
            ender.end(leg.duty, end);
        }
        drop(ender);
        // A probe that is due, but that no client takes, is no end of the outage.
        if !self.is_available() || self.settings().retry.unavailable.is_some() {
            self.sweep_unavailable(now);
        }
    }

    /// The breaker is open: legs leave that a plan can send elsewhere.
    pub(super) fn sweep_unavailable(self: &Arc<Self>, now: Instant) {
        let (opened_at, error) = {
            let state = self.lock();
            (state.breaker.opened_at(), state.last_error())
        };
        let Some(opened_at) = opened_at else { return };
        let bound = self.settings().retry.unavailable;
        let overdue =
            |leg: &Leg| bound.is_some_and(|bound| now >= leg.duty.waits_since(Some(opened_at)) + bound);
        let error = SendError::destination(Reason::Unavailable, &*error);
        for mut leg in self.extract_with_claims(|leg| failure::leaves_closed_door(leg, overdue(leg))) {
            let overdue = overdue(&leg);
            leg.duty.waiting = Some(leg.duty.waits_since(Some(opened_at)));
            failure::leave_closed_door(self, leg, &error, overdue);
        }
    }
}
