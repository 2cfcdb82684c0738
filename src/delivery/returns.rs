//! The ways back into a destination's queue: a leg that failed, one that was not sent after all, and one that was taken
//! out to go elsewhere and has nowhere to go. Each goes to its old place.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::BreakerState;
use super::destination::{Destination, unlock, unlock_and_wake};
use super::leg::{Leg, NO_LIFE};

impl Destination {
    /// Puts a leg that failed back into its place.
    pub(super) fn put_back(self: &Arc<Self>, mut leg: Leg, wait: Duration) {
        let mut state = self.lock();
        let due = (!wait.is_zero()).then(|| Instant::now() + wait);
        let shard = leg.duty.shard;
        state.in_flight -= 1;
        self.publish_in_flight(&state);
        if let Some(leftover) = state.closed {
            state.queue.came_back(shard, true);
            state.end_claim(self, leg.duty.part().claim, None);
            self.discharge(&mut state, 1, leg.bytes());
            unlock(state);
            leftover.apply(self, [leg]);
            return;
        }
        state.filled_at = state.filled_at.or(Some(leg.duty.arrived));
        leg.duty.failed_life = state.breaker.life();
        state.queue.put_back(leg, due);
        state.queue.came_back(shard, true);
        unlock_and_wake(state);
    }

    /// Puts legs that were not sent after all back into their places, as if they had not been taken.
    pub(super) fn take_back(self: &Arc<Self>, legs: Vec<Leg>) {
        let mut state = self.lock();
        state.in_flight -= u32::try_from(legs.len()).unwrap_or(u32::MAX);
        self.publish_in_flight(&state);
        if let Some(leftover) = state.closed {
            let (mut events, mut bytes) = (0, 0);
            let mut legs = legs;
            for leg in &mut legs {
                let parting = leg.duty.part();
                state.queue.came_back(parting.shard, false);
                state.end_claim(self, parting.claim, None);
                events += 1;
                bytes += parting.bytes;
            }
            self.discharge(&mut state, events, bytes);
            unlock(state);
            leftover.apply(self, legs);
            return;
        }
        for mut leg in legs {
            let probed = std::mem::replace(&mut leg.duty.probe, NO_LIFE) == state.breaker.life();
            if probed && state.breaker.state() == BreakerState::Probing {
                // A probe without an answer would be waited for without end.
                let jitter = state.rng.f64();
                state.breaker.failed(Instant::now(), None, true, None, jitter);
                self.publish_breaker(&state);
            }
            let shard = leg.duty.shard;
            state.queue.put_back(leg, None);
            state.queue.came_back(shard, false);
        }
        unlock_and_wake(state);
    }

    /// Puts a leg that was extracted back to its old place.
    pub(super) fn restore(self: &Arc<Self>, mut leg: Leg) {
        let mut state = self.lock();
        if let Some(leftover) = state.closed {
            state.end_claim(self, leg.duty.part().claim, None);
            unlock(state);
            leftover.apply(self, [leg]);
            return;
        }
        self.charge(1, leg.bytes());
        state.filled_at = state.filled_at.or(Some(leg.duty.arrived));
        state.queue.restore(leg);
        unlock_and_wake(state);
    }
}
