//! A record that was read and has not left its log: what a leg is made of, and made of again when it comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weft_api::event::Event;

use super::DurableQueue;
use super::record::Record;
use crate::delivery::leg::{LastFailure, Leg, NO_ROUTE};
use crate::delivery::origin::Origin;
use crate::delivery::wiring::Wiring;
use crate::routing::plan::{LogId, Steps};

/// See the module.
pub(super) struct Taken {
    pub(super) event: Event,
    /// The wiring in force when it was read; its plan is fixed by that (C30).
    pub(super) wiring: Arc<Wiring>,
    pub(super) since: Instant,
    pub(super) maybe_delivered: bool,
    /// How often it came back.
    pub(super) returns: u32,
    route: u32,
    steps: Steps,
    attempts: u32,
    tries: u32,
    dead_letter: bool,
    replays: u16,
    expires: Option<Instant>,
    failure: Option<Box<LastFailure>>,
}

impl Taken {
    /// What a record of `queue`, which is `log` in this wiring, means there now.
    pub(super) fn new(record: Record, wiring: &Arc<Wiring>, log: LogId, queue: &DurableQueue) -> Taken {
        let table = &wiring.table;
        let route = table.route_named(&record.route);
        let own = record.expires_ms.and_then(|at| queue.clock.instant(at));
        let expires = match (own, queue.too_old_at(record.stored_ms)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let age = Duration::from_millis(queue.clock.now_ms().saturating_sub(record.admitted_ms));
        let now = Instant::now();
        Taken {
            steps: table.place(log, route, &record.path),
            event: record.event,
            wiring: Arc::clone(wiring),
            // Older than the process' clock is as old as that.
            since: now.checked_sub(age).unwrap_or(now),
            maybe_delivered: record.maybe_delivered,
            returns: 0,
            route: route.unwrap_or(NO_ROUTE),
            attempts: record.attempts,
            tries: record.tries,
            dead_letter: record.dead_letter,
            replays: record.replays,
            expires,
            failure: record.failure,
        }
    }

    /// From now on it goes through another wiring, at the same place of the same plan if that is still there: what came
    /// back shall not meet what is gone for ever.
    pub(super) fn rewire(&mut self, wiring: &Arc<Wiring>, log: LogId) {
        let old = &self.wiring.table;
        let route = (self.route != NO_ROUTE).then_some(self.route);
        let path = old.path(route, &self.steps);
        let name = route.map_or("", |route| &old.routes[route as usize].name);
        let route = wiring.table.route_named(name);
        self.steps = wiring.table.place(log, route, &path);
        self.route = route.unwrap_or(NO_ROUTE);
        self.wiring = Arc::clone(wiring);
    }

    /// A leg for it, whose end is told to `origin`.
    pub(super) fn leg(&self, origin: Origin) -> Leg {
        let wiring = Arc::clone(&self.wiring);
        let mut leg = Leg::new(self.event.clone(), origin, wiring, self.route, self.since);
        leg.duty.arrived = Instant::now();
        // `unavailable:` bounds the event's wait, not that of its turn.
        leg.duty.waiting = Some(self.since);
        leg.duty.steps = self.steps.clone();
        leg.duty.attempts = self.attempts;
        leg.duty.tries = self.tries;
        leg.duty.maybe_delivered = self.maybe_delivered;
        leg.duty.dead_letter = self.dead_letter;
        leg.duty.replays = self.replays;
        leg.duty.expires = self.expires;
        leg.duty.failure.clone_from(&self.failure);
        leg
    }
}
