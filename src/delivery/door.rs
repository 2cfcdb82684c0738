//! The door of a destination: its breaker as the rest of the router sees it, without the lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use weft_api::outcome::{Fault, Reason, SendError};

use super::breaker::BreakerState;
use super::destination::{Destination, State, unlock};
use super::leg::Leg;
use crate::routing::anycast;

/// In place of a time: a probe is under way, or the destination was removed.
const PROBING: u64 = u64::MAX;

/// What a failure did to the destination.
pub(super) struct Recorded {
    pub(super) open: bool,
    pub(super) opened_now: bool,
    pub(super) life: u32,
    pub(super) opened_at: Option<Instant>,
    pub(super) jitter: f64,
}

impl Destination {
    /// Whether it would be tried now: the breaker is closed, or a probe is due.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.probe_in().is_zero()
    }

    /// How long until it would be tried; zero when it would be now.
    #[must_use]
    pub fn probe_in(&self) -> Duration {
        match self.breaker_due.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            PROBING => Duration::from_secs(1),
            due => Duration::from_millis(due - 1).saturating_sub(self.born.elapsed()),
        }
    }

    /// Notes a failure in breaker, counters and log.
    pub(super) fn record(&self, leg: &Leg, error: &SendError) -> Recorded {
        self.metrics.failed(error.fault, error.reason).inc();
        let mut state = self.lock();
        let jitter = state.rng.f64();
        let now = Instant::now();
        state.last_error = Some(Arc::from(&*error.detail));
        // What was in flight before the breaker opened fails when it will: only the probe's own failure ends the wait
        // for it, or a second one would be sent beside it.
        let blamed = leg.duty.probe == state.breaker.life() || state.breaker.state() != BreakerState::Probing;
        let opened_now = match error.fault {
            Fault::Event => {
                state.breaker.succeeded();
                false
            }
            Fault::Attempt | Fault::Destination if !blamed => false,
            Fault::Attempt => {
                // By its id: an anycast may bring the same event here several times.
                let event = anycast::hash(leg.event.id().as_bytes()) | 1;
                state
                    .breaker
                    .failed(now, Some(event), false, error.retry_after, jitter)
            }
            Fault::Destination => {
                let at_once = matches!(error.reason, Reason::Unauthorised | Reason::Misconfigured);
                state
                    .breaker
                    .failed(now, None, at_once, error.retry_after, jitter)
            }
        };
        self.publish_breaker(&state);
        let recorded = Recorded {
            open: state.breaker.state() != BreakerState::Closed,
            opened_now,
            life: state.breaker.life(),
            opened_at: state.breaker.opened_at(),
            jitter: state.rng.f64(),
        };
        unlock(state);
        recorded
    }

    /// Its egress ended with an error: nothing can be delivered before there is another, so the breaker opens.
    pub fn client_failed(self: &Arc<Self>, why: &str) {
        let now = Instant::now();
        let mut state = self.lock();
        state.last_error = Some(Arc::from(why));
        let jitter = state.rng.f64();
        let opened_now = state.breaker.failed(now, None, true, None, jitter);
        self.publish_breaker(&state);
        drop(state);
        if opened_now {
            self.sweep_unavailable(now);
        }
    }

    pub(super) fn publish_breaker(&self, state: &State) {
        if state.closed.is_some() {
            self.breaker_due.store(PROBING, Ordering::Release);
            return;
        }
        let (due, shown) = match state.breaker.state() {
            BreakerState::Closed => (0, 0),
            BreakerState::Probing => (PROBING, 1),
            BreakerState::Open { until } => {
                let due = until.saturating_duration_since(self.born).as_millis();
                (u64::try_from(due).unwrap_or(PROBING - 2) + 1, 2)
            }
        };
        self.breaker_due.store(due, Ordering::Release);
        self.metrics.breaker_state.set(shown);
    }
}
