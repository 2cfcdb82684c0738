//! A leg that a log did not take: it goes elsewhere in its plan, past the log, or waits for it.

use std::sync::Arc;

use weft_api::outcome::{Fault, Outcome, SendError};

use super::{Next, advance, count_move, given_up, join_of, last_resort, move_on, not_delivered};
use crate::delivery::dead_letter;
use crate::delivery::end::{End, Ender};
use crate::delivery::forward::{forward, go_on, start};
use crate::delivery::leg::Leg;
use crate::delivery::origin::LastResort;
use crate::delivery::stored::DurableQueue;
use crate::delivery::sweep::STALE;
use crate::routing::plan::Failure;

/// A log has no room for a leg and the file says to go on, or it is too large for any log.
pub(in crate::delivery) fn not_stored(queue: &Arc<DurableQueue>, mut leg: Leg, error: &SendError) {
    leg.duty.note(error);
    let (failure, outcome) = match error.fault {
        Fault::Event => (Failure::Refused, Outcome::Rejected(error.reason)),
        Fault::Attempt | Fault::Destination => (
            Failure::Unavailable { open: true },
            not_delivered(&leg, error.reason),
        ),
    };
    let Some(leg) = elsewhere(queue, leg, failure, outcome) else {
        return;
    };
    match given_up(&leg, error.reason, outcome) {
        Next::DeadLetter(node, reason) if failure == Failure::Refused => {
            start(dead_letter::wrap(leg, Some(&queue.name), reason), node);
        }
        Next::End(end) if last_resort(&leg) != LastResort::Hold => Ender::default().end(leg.duty, end),
        // Want of room is nothing to give an event up for: it waits, and its sender with it.
        _ => queue.keep_waiting(leg),
    }
}

/// The log of a leg that waits has failed. The leg comes back where it has to wait on: something stands in the log before
/// it, and its plan has no other way.
pub(in crate::delivery) fn past_failed(
    queue: &Arc<DurableQueue>,
    mut leg: Leg,
    error: &SendError,
) -> Option<Leg> {
    if leg.duty.is_stale() {
        Ender::default().end(leg.duty, STALE);
        return None;
    }
    if leg.duty.failure.is_none() {
        leg.duty.note(error);
    }
    let wiring = Arc::clone(&leg.duty.wiring);
    if queue.log.is_empty()
        && let Some(below) = wiring.log_of(queue).and_then(|log| wiring.table.inner(log))
    {
        let target = go_on(&mut leg, below);
        forward(leg, target);
        return None;
    }
    let failure = Failure::Unavailable { open: true };
    let outcome = not_delivered(&leg, error.reason);
    let leg = elsewhere(queue, leg, failure, outcome)?;
    if last_resort(&leg) == LastResort::Return {
        Ender::default().end(leg.duty, End::Returned(outcome));
        return None;
    }
    Some(leg)
}

/// Sends a leg that a log did not take to where its plan, or one around it, has it go after `failure`; it comes back where
/// there is no such place.
fn elsewhere(queue: &Arc<DurableQueue>, mut leg: Leg, failure: Failure, outcome: Outcome) -> Option<Leg> {
    if let Some(moved) = advance(&mut leg, failure) {
        let wiring = Arc::clone(&leg.duty.wiring);
        let below = wiring.log_of(queue).map(|log| wiring.table.below(log));
        let first = below.and_then(|node| wiring.table.plans.destinations(node).first().copied());
        if let Some(first) = first {
            count_move(wiring.destination(first), &leg, moved);
        }
        move_on(leg, moved);
        return None;
    }
    if join_of(&leg).is_some_and(|join| join.would_move(failure)) {
        Ender::default().end(leg.duty, End::Returned(outcome));
        return None;
    }
    Some(leg)
}
