//! The join of a multicast that stands inside an anycast or a fallback: several branches, one leg.
//!
//! When every branch has ended, the leg that was split goes on: delivered if all were, else to whatever the plan has
//! next. A branch that cannot be delivered gives up only where the plan around it has somewhere else to go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_api::outcome::Outcome;

use crate::delivery::end::{End, Ender};
use crate::delivery::failure;
use crate::delivery::leg::{Duty, Leg};

/// The branches' common end.
pub struct Join(Mutex<State>);

struct State {
    left: usize,
    worst: Outcome,
    parent: Option<Leg>,
}

impl Join {
    /// Splits `parent` into `branches`.
    #[must_use]
    pub fn new(parent: Leg, branches: usize) -> Arc<Join> {
        Arc::new(Join(Mutex::new(State { left: branches, worst: Outcome::Accepted, parent: Some(parent) })))
    }

    /// One branch ended.
    pub(in crate::delivery) fn end(&self, outcome: Outcome, ender: &mut Ender) {
        let (worst, parent) = {
            let mut state = self.lock();
            state.left = state.left.saturating_sub(1);
            state.worst = state.worst.join(outcome);
            if state.left > 0 {
                return;
            }
            (state.worst, state.parent.take())
        };
        match (parent, worst) {
            (None, _) => {}
            (Some(parent), Outcome::Accepted) => ender.end(parent.duty, End::Delivered),
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
        state.parent.as_ref().is_some_and(|parent| failure::would_move(parent, failure))
    }

    pub(super) fn is_stale(&self) -> bool {
        self.with_parent(Duty::is_stale).unwrap_or(true)
    }

    pub(super) fn dispatch(&self) -> bool {
        self.with_parent(|parent| parent.origin().is_some_and(super::Origin::dispatch)).unwrap_or(false)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
