//! The join of a multicast that stands inside an anycast or a fallback: several branches, one leg.
//!
//! When every branch has ended, the leg that was split goes on: delivered if all were, else to whatever the plan has
//! next. A branch that cannot be delivered gives up only where the plan around it has somewhere else to go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_api::outcome::Outcome;

use crate::delivery::end::{End, Ender};
use crate::delivery::failure;
use crate::delivery::leg::{Duty, Leg};
use crate::delivery::origin::Origin;

/// The branches' common end.
pub struct Join(Mutex<State>);

struct State {
    left: usize,
    worst: Outcome,
    /// What the split leg's own end is called once all branches are accepted.
    kind: End,
    parent: Option<Leg>,
}

impl Join {
    /// Splits `parent` into `branches`.
    #[must_use]
    pub fn new(parent: Leg, branches: usize) -> Arc<Join> {
        Arc::new(Join(Mutex::new(State {
            left: branches,
            worst: Outcome::Accepted,
            kind: End::Delivered,
            parent: Some(parent),
        })))
    }

    /// One branch ended.
    pub(in crate::delivery) fn end(&self, end: End, ender: &mut Ender) {
        let (worst, kind, parent) = {
            let mut state = self.lock();
            let kept = |parent: &Leg| parent.duty.origin().is_some_and(Origin::keeps);
            let end = match state.parent.as_ref().is_some_and(kept) {
                true => end.kept(),
                false => end,
            };
            state.left = state.left.saturating_sub(1);
            state.worst = state.worst.join(end.outcome());
            if rank(end) > rank(state.kind) {
                state.kind = end;
            }
            if state.left > 0 {
                return;
            }
            (state.worst, state.kind, state.parent.take())
        };
        match (parent, worst) {
            (None, _) => {}
            (Some(parent), Outcome::Accepted) => ender.end(parent.duty, kind),
            (Some(parent), worst) => failure::after_join(parent, worst, ender),
        }
    }

    /// Looks at the leg that was split.
    pub(super) fn with_parent<T>(&self, look: impl FnOnce(&Duty) -> T) -> Option<T> {
        self.lock().parent.as_ref().map(|parent| look(&parent.duty))
    }

    /// Whether the plan around the multicast would go elsewhere after this failure.
    pub(in crate::delivery) fn would_move(&self, failure: crate::routing::plan::Failure) -> bool {
        let state = self.lock();
        state
            .parent
            .as_ref()
            .is_some_and(|parent| failure::would_move(parent, failure))
    }

    pub(super) fn is_stale(&self) -> bool {
        self.with_parent(Duty::is_stale).unwrap_or(true)
    }

    pub(super) fn dispatch(&self) -> bool {
        self.with_parent(|parent| parent.origin().is_some_and(super::Origin::dispatch))
            .unwrap_or(false)
    }

    pub(super) fn recall(&self) {
        self.with_parent(|parent| parent.origin().map(super::Origin::recall));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the branches' ends the books show for the whole: the one that is furthest from an end that nobody can change.
fn rank(end: End) -> u8 {
    match end {
        End::Delivered | End::Returned(_) => 0,
        End::Expired => 1,
        End::DeadLettered => 2,
        // Its request is told that not all of it is delivered yet.
        End::Stored => 3,
        End::Dropped(_) => 4,
    }
}
