//! A leg: one event's obligation to one destination, on its way.

use std::sync::Arc;

use tokio::time::Instant;
use weft_api::event::Event;
use weft_api::outcome::{Outcome, Reason, SendError};

use super::dedupe::NO_CLAIM;
use super::end::{End, Ender};
use super::origin::{LanePort, Origin};
use super::room::Visit;
use super::wiring::Wiring;
use crate::routing::plan::Steps;

/// The shard of legs without a key: they have no order.
pub const NO_SHARD: u16 = u16::MAX;

/// The event and what is owed.
pub struct Leg {
    /// What is delivered.
    pub event: Event,
    /// To whom it is owed, and how far that has come.
    pub duty: Duty,
}

/// Everything about a leg but its event. Dropped without an end, it ends as unknown: to forget means to deliver
/// again.
pub struct Duty {
    origin: Option<Origin>,
    /// The wiring that matched it; its plan is fixed by that (C30).
    pub wiring: Arc<Wiring>,
    /// The route that matched it, by its place in the wiring's table; [`NO_ROUTE`] where there was none.
    pub route: u32,
    /// The choices that led to where it is.
    pub steps: Steps,
    /// Failures that were the event's own.
    pub attempts: u32,
    /// Deliveries tried, whoever's fault their failure was.
    pub tries: u32,
    /// Some try may have been delivered.
    pub maybe_delivered: bool,
    /// It is on its way to a dead-letter destination.
    pub dead_letter: bool,
    /// How often it was a dead letter that was sent again.
    pub replays: u16,
    /// In which life of the breaker it was sent to see whether its destination is there again; [`NO_LIFE`] if it was not.
    pub probe: u32,
    /// Which life of the destination's breaker `attempts` belong to; [`NO_LIFE`] before the first failure there.
    pub breaker_life: u32,
    /// In which life of the breaker it failed where it is; [`NO_LIFE`] before the first failure there.
    pub(super) failed_life: u32,
    /// It has been tried wherever its plan could go at that time: where it comes to now, it is sent again.
    pub(super) round: bool,
    /// Its claim to be the one copy that is under way where it is, or a word in place of one.
    pub(super) claim: u32,
    /// Its size, as queues count it.
    pub bytes: u64,
    /// Its place in the order of arrival.
    pub order: u64,
    /// Its shard in the queue, or [`NO_SHARD`].
    pub shard: u16,
    /// When it was admitted.
    pub since: Instant,
    /// When it came to where it is.
    pub arrived: Instant,
    /// Since when the other members of the anycast that it was moved from were down, as far as it has met them.
    pub waiting: Option<Instant>,
    /// When it expires (C19).
    pub expires: Option<Instant>,
    /// What failed last, for the dead letter and the log.
    pub failure: Option<Box<LastFailure>>,
    /// Counts it among the requests of the destination where it is.
    pub(super) visit: Option<Visit>,
    request: bool,
    stored: bool,
    /// The lane that it holds up.
    held: Option<Arc<LanePort>>,
}

/// What a destination must know of a leg that leaves it.
#[derive(Clone, Copy)]
pub(super) struct Parting {
    pub(super) shard: u16,
    pub(super) bytes: u64,
    pub(super) claim: u32,
}

/// What failed first and last.
#[derive(Clone, Debug)]
pub struct LastFailure {
    /// The last error.
    pub error: SendError,
    /// When the first one happened.
    pub first: std::time::SystemTime,
    /// When the last one happened.
    pub last: std::time::SystemTime,
}

/// [`Duty::route`] of an event that no route matched (`unmatched: DESTINATION`, malformed input).
pub const NO_ROUTE: u32 = u32::MAX;

/// [`Duty::breaker_life`] of a leg that has not failed where it is.
pub const NO_LIFE: u32 = u32::MAX;

impl Leg {
    /// A fresh obligation.
    #[must_use]
    pub fn new(event: Event, origin: Origin, wiring: Arc<Wiring>, route: u32, now: Instant) -> Leg {
        let (request, stored) = (origin.is_request(), origin.is_stored());
        let duty = Duty {
            origin: Some(origin),
            wiring,
            route,
            steps: Steps::new(),
            attempts: 0,
            tries: 0,
            maybe_delivered: false,
            dead_letter: false,
            replays: 0,
            probe: NO_LIFE,
            breaker_life: NO_LIFE,
            failed_life: NO_LIFE,
            round: false,
            claim: NO_CLAIM,
            order: 0,
            bytes: event.size(),
            shard: NO_SHARD,
            since: now,
            arrived: now,
            waiting: None,
            expires: None,
            failure: None,
            visit: None,
            request,
            stored,
            held: None,
        };
        Leg { event, duty }
    }

    /// What it counts for in queues.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.duty.bytes
    }
}

impl Duty {
    /// Since when it waits for a destination whose breaker opened at `opened_at`: what an anycast moves from one closed
    /// door to the next has waited since the last of them closed.
    #[must_use]
    pub fn waits_since(&self, opened_at: Option<Instant>) -> Instant {
        match opened_at {
            Some(at) => at.max(self.waiting.unwrap_or(self.arrived)),
            None => self.arrived,
        }
    }

    /// Where its end is reported; `None` only after it ended.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// It leaves where it is.
    pub(super) fn part(&mut self) -> Parting {
        Parting {
            shard: self.shard,
            bytes: self.bytes,
            claim: std::mem::replace(&mut self.claim, NO_CLAIM),
        }
    }

    /// Takes the origin out to end the leg.
    pub(super) fn take_origin(&mut self) -> Option<Origin> {
        self.origin.take()
    }

    /// Whether a request waits for it, rather than a slot of a stream lane.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.request
    }

    /// Whether it came out of a log, which has it until it ends.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.stored
    }

    /// Nobody waits for it any more: its lane was rewound or closed, or its request was answered.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.origin.as_ref().is_none_or(Origin::is_stale)
    }

    /// Notes a failure for the dead letter.
    pub fn note(&mut self, error: &SendError) {
        let now = std::time::SystemTime::now();
        self.maybe_delivered |= error.maybe_delivered;
        match &mut self.failure {
            Some(known) => {
                known.error = error.clone();
                known.last = now;
            }
            none => {
                *none = Some(Box::new(LastFailure {
                    error: error.clone(),
                    first: now,
                    last: now,
                }))
            }
        }
    }

    /// The refusal holds up its lane until somebody mends the cause (`on_rejected: pause`). Returns whether it is new.
    pub fn hold(&mut self) -> bool {
        if self.held.is_some() {
            return false;
        }
        self.held = self.origin.as_ref().and_then(Origin::lane);
        if let Some(lane) = &self.held {
            lane.hold();
        }
        true
    }

    /// It no longer does.
    pub fn unhold(&mut self) {
        if let Some(lane) = self.held.take() {
            lane.unhold();
        }
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.unhold();
        if let Some(origin) = self.origin.take() {
            Ender::default().report(origin, End::Returned(Outcome::Unknown(Reason::Abandoned)));
        }
    }
}
