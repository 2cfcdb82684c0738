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

/// The end of a leg for which nobody waits any more.
pub const STALE: End = End::Returned(Outcome::Unknown(Reason::Abandoned));

impl Destination {
    /// Ends every waiting leg that is stale. For the owner of a lane that was rewound or closed.
    pub fn sweep_stale(&self) {
        let mut ender = Ender::default();
        for leg in self.extract(|leg| leg.duty.is_stale()) {
            ender.end(leg.duty, STALE);
        }
    }

    /// Ends every waiting leg as unknown: the router stops.
    pub fn purge(&self) {
        let mut ender = Ender::default();
        for leg in self.extract(|_| true) {
            ender.end(leg.duty, STALE);
        }
    }

    /// Sends every waiting leg to its route's dead letter: the destination was removed.
    pub fn dead_letter_all(self: &Arc<Self>) {
        for leg in self.extract(|_| true) {
            failure::removed(self, leg);
        }
    }

    /// Drops every waiting leg and counts it: the destination was removed with `purge`.
    pub fn drop_all(&self) {
        let mut ender = Ender::default();
        for leg in self.extract(|_| true) {
            ender.end(leg.duty, End::Dropped(Outcome::Accepted));
        }
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
        if !self.is_available() {
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
        let overdue = |leg: &Leg| bound.is_some_and(|bound| now >= leg.duty.arrived.max(opened_at) + bound);
        let error = SendError::destination(Reason::Unavailable, &*error);
        for leg in self.extract(|leg| failure::leaves_closed_door(leg, overdue(leg))) {
            let overdue = overdue(&leg);
            failure::leave_closed_door(self, leg, &error, overdue);
        }
    }
}
