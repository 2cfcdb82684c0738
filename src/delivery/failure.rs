//! What happens to a leg that was not delivered: it stays, moves on in its plan, goes to the dead letter, or ends.
//!
//! The order of questions is the contract's (C15-C17, C23): whose fault was it; does the plan have somewhere else to
//! go; is there a dead letter; what does the ingress say about events that nobody takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weft_api::outcome::{Fault, Outcome, Reason, SendError};

use super::breaker::{backoff, full_jitter};
use super::dead_letter;
use super::destination::Destination;
use super::door::Recorded;
use super::end::{End, Ender};
use super::forward::{asker, forward, start};
use super::leg::{Leg, NO_LIFE, NO_ROUTE};
use super::origin::{Join, LastResort, Origin};
use super::sweep::STALE;
use crate::routing::plan::{Failure, Moved, NodeId};

mod log;
#[cfg(test)]
mod tests;

pub(super) use log::{not_stored, past_failed};

/// The first and the longest wait between attempts at an event that holds up its lane.
const HELD_INITIAL: Duration = Duration::from_millis(500);

/// What to do with the leg.
enum Next {
    /// Wait here, then try again.
    Stay(Duration),
    /// Go elsewhere.
    Move(Moved),
    /// Go to the dead letter, for this reason.
    DeadLetter(NodeId, Reason),
    /// Nothing more can be done.
    End(End),
}

/// A leg that was in flight at `destination` failed there. Returns whether it is tried there again.
pub(super) fn failed(destination: &Arc<Destination>, mut leg: Leg, error: &SendError) -> bool {
    leg.duty.tries = leg.duty.tries.saturating_add(1);
    leg.duty.note(error);
    let recorded = destination.record(&leg, error);
    leg.duty.probe = NO_LIFE;
    not_under_way(&leg);
    let next = match error.fault {
        // Its sender has been told to send it again: it needs no second way out of here.
        _ if leg.duty.is_stale() => Next::End(STALE),
        Fault::Event => refused(destination, &mut leg, error.reason),
        Fault::Attempt => attempt_failed(destination, &mut leg, error, &recorded),
        Fault::Destination => destination_failed(destination, &mut leg, error, &recorded),
    };
    let stays = matches!(next, Next::Stay(_));
    if let Next::Stay(wait) = next {
        destination.metrics.retried.inc();
        if error.maybe_delivered {
            destination.metrics.possible_duplicates.inc();
        }
        leg.duty.wiring.table.plans.start_round(&mut leg.duty.steps);
        leg.duty.round = true;
        destination.put_back(leg, wait);
    } else {
        destination.let_go([leg.duty.part()], false);
        carry_out(destination, leg, next);
    }
    if recorded.opened_now {
        tracing::warn!(destination = %destination.name, error = %error.detail, "breaker open: events wait");
        destination.sweep_unavailable(Instant::now());
    }
    stays
}

/// Nobody has the leg any more but we, if nobody may have taken it before.
pub(super) fn not_under_way(leg: &Leg) {
    if !leg.duty.maybe_delivered
        && let Some(origin) = leg.duty.origin()
    {
        origin.recall();
    }
}

/// Whether a waiting leg can leave a destination whose breaker is open.
pub(super) fn leaves_closed_door(leg: &Leg, overdue: bool) -> bool {
    if would_move(leg, Failure::Unavailable { open: true }) {
        return true;
    }
    // A dead-letter destination waits without end: there is nowhere safer to go.
    overdue
        && !leg.duty.dead_letter
        && (dead_letter_of(leg).is_some() || last_resort(leg) != LastResort::Hold)
}

/// Takes such a leg, which was extracted from the queue, to where it goes.
pub(super) fn leave_closed_door(
    destination: &Arc<Destination>,
    mut leg: Leg,
    error: &SendError,
    overdue: bool,
) {
    leg.duty.note(error);
    let next = match advance(&mut leg, Failure::Unavailable { open: true }) {
        Some(moved) => Next::Move(moved),
        None if join_of(&leg).is_some_and(|join| join.would_move(Failure::Unavailable { open: true })) => {
            Next::End(End::Returned(not_delivered(&leg, Reason::Unavailable)))
        }
        None if overdue => overdue_at(&leg, Reason::Unavailable),
        // The plan's other members went down between the look and now: back into the queue.
        None => {
            destination.restore(leg);
            return;
        }
    };
    destination.disclaim(&mut leg);
    carry_out(destination, leg, next);
}

/// The destination of a waiting leg was removed with `dead_letter`.
pub(super) fn removed(destination: &Arc<Destination>, mut leg: Leg) {
    leg.duty.note(&SendError::destination(
        Reason::Removed,
        "the destination was removed",
    ));
    let next = match advance(&mut leg, Failure::Unavailable { open: true }) {
        Some(moved) => Next::Move(moved),
        None => given_up(&leg, Reason::Removed, not_delivered(&leg, Reason::Removed)),
    };
    carry_out(destination, leg, next);
}

/// A leg came to a destination that goes, or is going: its ingress gets it back.
pub(super) fn give_back(leg: Leg, reason: Reason, ender: &mut Ender) {
    let outcome = not_delivered(&leg, reason);
    ender.end(leg.duty, End::Returned(outcome));
}

/// Whether the plan of `leg` would go elsewhere after `failure`, itself or around it.
pub(super) fn would_move(leg: &Leg, failure: Failure) -> bool {
    let wiring = &leg.duty.wiring;
    wiring.table.plans.would_move(failure, &**wiring, &leg.duty.steps)
        || join_of(leg).is_some_and(|join| join.would_move(failure))
}

/// All branches of a nested multicast have ended, and not all well: the leg that was split goes on.
pub(super) fn after_join(mut parent: Leg, worst: Outcome, ender: &mut Ender) {
    // Nobody waits for it: split again, its branches would be swept again, for ever.
    if parent.duty.is_stale() {
        ender.end(parent.duty, STALE);
        return;
    }
    let failure = match worst {
        Outcome::Rejected(_) | Outcome::Accepted => Failure::Refused,
        Outcome::Released(_) => Failure::Unavailable { open: true },
        Outcome::Unknown(_) => Failure::TimedOut,
    };
    parent.duty.maybe_delivered |= failure == Failure::TimedOut;
    let left = first_of(&parent);
    if let Some(moved) = advance(&mut parent, failure) {
        if let Some(left) = left {
            count_move(&left, &parent, moved);
        }
        forward(parent, moved.target);
        return;
    }
    let end = match (worst, last_resort(&parent)) {
        // A multicast around this one may still have somewhere to go.
        _ if join_of(&parent).is_some() => End::Returned(worst),
        // What made the branches give up is over. Nobody may be told that it was refused: the lane starts again, paced
        // by its backoff, which splitting the leg again here would not be.
        (Outcome::Rejected(reason), LastResort::Hold) => End::Returned(Outcome::Released(reason)),
        (Outcome::Rejected(_), LastResort::Drop) => End::Dropped(worst),
        _ => End::Returned(worst),
    };
    ender.end(parent.duty, end);
}

fn attempt_failed(
    destination: &Arc<Destination>,
    leg: &mut Leg,
    error: &SendError,
    recorded: &Recorded,
) -> Next {
    if leg.duty.breaker_life != recorded.life {
        if leg.duty.breaker_life != NO_LIFE {
            leg.duty.attempts = 0;
        }
        leg.duty.breaker_life = recorded.life;
    }
    leg.duty.attempts += 1;
    let retry = destination.settings().retry;
    if leg.duty.attempts >= retry.attempts {
        return refused(destination, leg, Reason::Exhausted);
    }
    if let Some(moved) = advance(leg, Failure::Unavailable { open: false }) {
        return Next::Move(moved);
    }
    let wait = full_jitter(retry.initial, retry.max, leg.duty.attempts - 1, recorded.jitter);
    Next::Stay(wait.max(error.retry_after.unwrap_or_default().min(retry.max)))
}

fn destination_failed(
    destination: &Arc<Destination>,
    leg: &mut Leg,
    error: &SendError,
    recorded: &Recorded,
) -> Next {
    let retry = destination.settings().retry;
    let waited_since = leg.duty.waits_since(recorded.opened_at);
    leg.duty.waiting = recorded.opened_at.map(|_| waited_since);
    let overdue = retry
        .unavailable
        .is_some_and(|bound| waited_since.elapsed() >= bound)
        && !leg.duty.dead_letter;
    let failure = if error.maybe_delivered && !overdue {
        Failure::TimedOut
    } else {
        Failure::Unavailable {
            open: recorded.open || overdue,
        }
    };
    if let Some(moved) = advance(leg, failure) {
        return Next::Move(moved);
    }
    if join_of(leg).is_some_and(|join| join.would_move(failure)) {
        return Next::End(End::Returned(not_delivered(leg, error.reason)));
    }
    if overdue && (dead_letter_of(leg).is_some() || last_resort(leg) != LastResort::Hold) {
        return overdue_at(leg, error.reason);
    }
    // An open breaker paces everybody by its own clock.
    if recorded.open {
        return Next::Stay(Duration::ZERO);
    }
    let wait = full_jitter(
        retry.initial,
        retry.max,
        leg.duty.tries.saturating_sub(1),
        recorded.jitter,
    );
    Next::Stay(wait.max(error.retry_after.unwrap_or_default().min(retry.max)))
}

/// It will never be taken here.
fn refused(destination: &Arc<Destination>, leg: &mut Leg, reason: Reason) -> Next {
    destination.metrics.rejected.inc();
    if let Some(moved) = advance(leg, Failure::Refused) {
        return Next::Move(moved);
    }
    if join_of(leg).is_some_and(|join| join.would_move(Failure::Refused)) {
        return Next::End(End::Returned(Outcome::Rejected(reason)));
    }
    if last_resort(leg) == LastResort::Hold && (leg.duty.dead_letter || dead_letter_of(leg).is_none()) {
        return hold(destination, leg);
    }
    given_up(leg, reason, Outcome::Rejected(reason))
}

/// It waited as long as `unavailable:` lets it, which counts as a refusal where the user wrote what to do with those.
/// Otherwise its sender still has it, and is told so.
fn overdue_at(leg: &Leg, reason: Reason) -> Next {
    match last_resort(leg) {
        LastResort::Drop => given_up(leg, reason, Outcome::Rejected(reason)),
        LastResort::Hold | LastResort::Return => given_up(leg, reason, not_delivered(leg, reason)),
    }
}

/// The plan has nothing left: the dead letter, or the end.
fn given_up(leg: &Leg, reason: Reason, outcome: Outcome) -> Next {
    match (dead_letter_of(leg), last_resort(leg)) {
        (Some(node), _) if !leg.duty.dead_letter => Next::DeadLetter(node, reason),
        (_, LastResort::Drop) if matches!(outcome, Outcome::Rejected(_)) => Next::End(End::Dropped(outcome)),
        _ => Next::End(End::Returned(outcome)),
    }
}

fn hold(destination: &Arc<Destination>, leg: &mut Leg) -> Next {
    if leg.duty.hold() {
        let detail = leg
            .duty
            .failure
            .as_ref()
            .map(|f| &*f.error.detail)
            .unwrap_or_default();
        tracing::error!(
            destination = %destination.name,
            id = leg.event.id(),
            source = leg.event.source(),
            error = detail,
            "event refused and no dead letter: its lane is held until the destination takes it ({})",
            advice(leg)
        );
    }
    let retry = destination.settings().retry;
    Next::Stay(backoff(
        HELD_INITIAL,
        retry.max,
        leg.duty.tries.saturating_sub(1),
        1.0,
    ))
}

/// What an operator can do about a leg that holds its lane. One that came out of a log finds what a reload says only when it
/// comes out again.
fn advice(leg: &Leg) -> &'static str {
    match leg.duty.is_stored() {
        false => "set dead_letter on the route, or on_rejected: drop on the ingress",
        true => {
            "set dead_letter on the route, or add `store: { path: ... }`, whose local dead letters take it; then restart"
        }
    }
}

fn carry_out(from: &Arc<Destination>, leg: Leg, next: Next) {
    match next {
        Next::Stay(_) => from.restore(leg),
        Next::Move(moved) => {
            count_move(from, &leg, moved);
            move_on(leg, moved);
        }
        Next::DeadLetter(node, reason) => {
            from.metrics.dead_lettered.inc();
            // A log is no place that people know by its own name.
            let log = from.settings().shared_log.clone();
            let leg = dead_letter::wrap(leg, Some(log.as_ref().unwrap_or(&from.name)), reason);
            start(leg, node);
        }
        Next::End(end) => Ender::default().end(leg.duty, end),
    }
}

fn move_on(mut leg: Leg, moved: Moved) {
    // Among the members of an anycast attempts add up, or a poisonous event would go round for ever.
    leg.duty.breaker_life = NO_LIFE;
    if !moved.repick {
        leg.duty.attempts = 0;
        leg.duty.round = false;
        leg.duty.waiting = None;
    }
    leg.duty.unhold();
    forward(leg, moved.target);
}

fn count_move(from: &Arc<Destination>, leg: &Leg, moved: Moved) {
    if moved.repick {
        from.metrics.moved_repick.inc()
    } else {
        from.metrics.moved_fallback.inc()
    }
    if leg.duty.maybe_delivered {
        from.metrics.possible_duplicates.inc();
    }
}

/// Where the books show what a multicast inside a group does as a whole: at its first destination.
fn first_of(split: &Leg) -> Option<Arc<Destination>> {
    let wiring = &split.duty.wiring;
    let plans = &wiring.table.plans;
    let node = plans.child(*split.duty.steps.last()?);
    let first = plans.destinations(node).first().copied()?;
    Some(Arc::clone(wiring.destination(first)))
}

fn advance(leg: &mut Leg, failure: Failure) -> Option<Moved> {
    let wiring = Arc::clone(&leg.duty.wiring);
    let mut steps = std::mem::take(&mut leg.duty.steps);
    let moved = wiring.table.plans.advance(failure, asker(leg), &mut steps);
    leg.duty.steps = steps;
    moved
}

fn join_of(leg: &Leg) -> Option<&Arc<Join>> {
    match leg.duty.origin() {
        Some(Origin::Join(join)) => Some(join),
        _ => None,
    }
}

fn last_resort(leg: &Leg) -> LastResort {
    leg.duty.origin().map_or(LastResort::Return, Origin::last_resort)
}

fn dead_letter_of(leg: &Leg) -> Option<NodeId> {
    let table = &leg.duty.wiring.table;
    let own = match leg.duty.route {
        NO_ROUTE => None,
        route => table.routes[route as usize].dead_letter,
    };
    // Its sender was told that it is safe, and is asked no more: what nobody takes must not hold up the log for ever.
    own.or_else(|| table.dead_letters.filter(|_| leg.duty.is_stored()))
}

fn not_delivered(leg: &Leg, reason: Reason) -> Outcome {
    if leg.duty.maybe_delivered {
        Outcome::Unknown(reason)
    } else {
        Outcome::Released(reason)
    }
}
