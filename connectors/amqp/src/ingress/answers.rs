//! Dispositions that wait for their neighbours.
//!
//! Outcomes come one lane event at a time; deliveries with neighbouring numbers and one outcome are answered by one
//! frame. Invariant: nothing waits here longer than one round of the consumer's loop.

use weft_api::outcome::Outcome;

use super::outcome;
use crate::client::wire::Wire;

/// The range that is being put together.
#[derive(Default)]
pub(crate) struct Answers {
    run: Option<Run>,
}

struct Run {
    first: u32,
    last: u32,
    outcome: Outcome,
}

impl Answers {
    /// Deliveries `first` to `last` have this outcome.
    pub(crate) fn push(&mut self, wire: &mut Wire, first: u32, last: u32, outcome: Outcome) {
        if let Some(run) = &mut self.run
            && run.outcome == outcome
            && run.last.wrapping_add(1) == first
        {
            run.last = last;
            return;
        }
        self.flush(wire);
        self.run = Some(Run { first, last, outcome });
    }

    /// Hands over what waits.
    pub(crate) fn flush(&mut self, wire: &mut Wire) {
        if let Some(run) = self.run.take() {
            wire.settle(run.first, run.last, outcome::state(run.outcome));
        }
    }

    /// The connection is gone.
    pub(crate) fn clear(&mut self) {
        self.run = None;
    }
}
