//! One link, drained step by step: credit is given with the word that what cannot be used now is to come back.
//!
//! Invariants
//! - A step brings no more messages than it asks for. It ends when its credit is gone, used or given back, and no message is
//!   half way.
//! - A broker that makes no progress is asked once more, and given up after [`PATIENCE`].
//! - The queue is at its end when a step brought nothing, and nothing for credit that was left standing a while ([`QUIET`])
//!   either: Artemis, when it is busy, gives all credit back before it has looked (one look in some hundreds, seen under
//!   load).

use std::time::Duration;

use tokio::time::Instant;

use super::PATIENCE;
use crate::client::wire::Wire;

/// After how long without progress a broker is asked again: one may have missed it while it ended the step before.
const AGAIN: Duration = Duration::from_secs(2);

/// How long credit stands before a queue is believed to be at its end.
const QUIET: Duration = Duration::from_millis(100);

/// What is believed of an empty step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Belief {
    /// Nothing yet: it is asked for the first time.
    First,
    /// It gave back all of it; credit stands until then.
    Quiet(Instant),
    /// What it says now.
    Last,
}

/// See the module.
pub(super) struct Drain {
    pub(super) token: usize,
    /// Messages that this step has brought; none: no step is under way.
    step: Option<u32>,
    most: u32,
    belief: Belief,
    /// The broker has given credit back.
    returned: bool,
    /// When there was progress last.
    moved: Instant,
    asked: Instant,
}

/// Where a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// None is under way.
    Idle,
    /// It is to be looked at again then, or when something has come.
    Waits(Instant),
    /// It is over, and brought so many messages.
    Over(u32),
    /// The broker makes no progress.
    Stuck,
}

impl Drain {
    pub(super) fn new(token: usize) -> Drain {
        let now = Instant::now();
        Drain {
            token,
            step: None,
            most: 0,
            belief: Belief::First,
            returned: false,
            moved: now,
            asked: now,
        }
    }

    /// Begins a step of at most so many messages.
    pub(super) fn begin(&mut self, wire: &mut Wire, most: u32) {
        wire.drain(self.token, most);
        self.step = Some(0);
        self.most = most;
        self.belief = Belief::First;
        self.returned = false;
        self.moved = Instant::now();
        self.asked = self.moved;
    }

    /// A message came.
    pub(super) fn came(&mut self) {
        if let Some(count) = &mut self.step {
            *count += 1;
        }
        self.moved();
    }

    /// Credit was given back.
    pub(super) fn gave_back(&mut self) {
        self.returned = true;
    }

    /// There is progress, or the broker cannot make any because of us.
    pub(super) fn moved(&mut self) {
        self.moved = Instant::now();
        self.asked = self.moved;
    }

    /// Looks, once everything that came has been told.
    pub(super) fn look(&mut self, wire: &mut Wire) -> Step {
        let Some(count) = self.step else {
            return Step::Idle;
        };
        let now = Instant::now();
        if let Belief::Quiet(until) = self.belief {
            if count == 0 && now < until {
                return Step::Waits(until);
            }
            self.belief = Belief::Last;
            self.moved();
            match wire.unused(self.token) {
                0 => {}
                unused => wire.drain(self.token, unused),
            }
        }
        if wire.drained(self.token) {
            if count == 0 && self.belief == Belief::First {
                let until = now + QUIET;
                self.belief = Belief::Quiet(until);
                self.returned = false;
                wire.credit(self.token, self.most);
                return Step::Waits(until);
            }
            self.step = None;
            return Step::Over(count);
        }
        let stuck = self.moved + PATIENCE;
        if now >= stuck {
            return Step::Stuck;
        }
        match wire.unused(self.token) {
            // All was given back, and a message is half way.
            0 if self.returned => {
                self.returned = false;
                wire.go_on(self.token);
            }
            0 => {}
            unused if now >= self.asked + AGAIN => {
                self.asked = now;
                wire.drain(self.token, unused);
            }
            _ => {}
        }
        Step::Waits(stuck.min(self.asked + AGAIN))
    }
}
