//! Sending from the caller's own task, past the queue: for a single event that nothing is waiting in front of.
//!
//! The books are those of a batch of one: the pass counts as in flight, and a failure takes the same way.

use std::sync::Arc;

use weft_api::outcome::SendError;

use super::breaker::BreakerState;
use super::dedupe::NO_CLAIM;
use super::destination::Destination;
use super::failure;
use super::leg::{Leg, NO_SHARD, Parting};
use super::room::Visit;

/// The right to send one event directly. Dropped without an answer, the destination forgets it.
pub struct DirectPass {
    /// `None` once it was answered.
    visit: Option<Visit>,
    bytes: u64,
    order: u64,
}

impl Destination {
    /// A pass, if nothing waits, the breaker is closed, egress and rate have room, and the event has neither an order to
    /// keep nor copies to be told from. The
    /// room in the queue is reserved already ([`Destination::try_reserve`]); the pass takes the reservation over.
    pub fn try_direct(self: &Arc<Self>, event: &weft_api::event::Event) -> Option<DirectPass> {
        let settings = self.settings();
        if settings.shared_log.is_some() || settings.order_by.of(event).is_some() {
            return None;
        }
        drop(settings);
        let mut state = self.lock();
        let room = state.closed.is_none() && state.in_flight < state.profile.in_flight;
        if !room || !state.queue.is_empty() || state.breaker.state() != BreakerState::Closed {
            return None;
        }
        if !state.pace.try_direct() {
            return None;
        }
        state.in_flight += 1;
        self.publish_in_flight(&state);
        let order = state.queue.number();
        Some(DirectPass {
            visit: Some(Visit::new(self)),
            bytes: event.size(),
            order,
        })
    }
}

impl DirectPass {
    fn parting(&self) -> Parting {
        Parting {
            shard: NO_SHARD,
            bytes: self.bytes,
            claim: NO_CLAIM,
        }
    }

    /// The remote confirmed it.
    pub fn accepted(mut self) {
        if let Some(visit) = self.visit.take() {
            visit.at().metrics.delivered.inc();
            visit.at().metrics.direct.inc();
            visit.at().let_go([self.parting()], true);
        }
    }

    /// It did not; `leg` goes where its plan says.
    pub fn failed(mut self, mut leg: Leg, error: &SendError) {
        if let Some(visit) = self.visit.take() {
            let destination = Arc::clone(visit.at());
            leg.duty.order = self.order;
            leg.duty.bytes = self.bytes;
            leg.duty.visit = Some(visit);
            failure::failed(&destination, leg, error);
        }
    }
}

impl Drop for DirectPass {
    fn drop(&mut self) {
        if let Some(visit) = &self.visit {
            visit.at().let_go([self.parting()], false);
        }
    }
}
