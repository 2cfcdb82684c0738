//! The step from one choice of a plan to the next, after a failure.

use super::{Anycast, Asker, Fallback, Member, Node, Plans, Step, Steps, Target, View, index};

/// A step from one choice to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Where to.
    pub target: Target,
    /// An anycast chose another member; otherwise a fallback moved on.
    pub repick: bool,
}

/// Why a leg failed where it is, as far as a plan cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// For good: refused, or out of attempts.
    Refused,
    /// Certainly not delivered; the destination's fault. `open`: its breaker is open, or `unavailable:` passed.
    Unavailable {
        /// See above.
        open: bool,
    },
    /// May have been delivered.
    TimedOut,
}

/// How a choice is made anew.
enum Next {
    /// This member of a fallback.
    Member(usize),
    /// Whichever an anycast's policy picks.
    Choose,
}

impl Plans {
    /// Where a leg goes after `failure`, or `None` where it stays or, for [`Failure::Refused`], is exhausted. Changes
    /// `steps` only when it returns a move.
    pub fn advance(&self, failure: Failure, asker: Asker<'_>, steps: &mut Steps) -> Option<Moved> {
        let (depth, step, next) = self.next_step(failure, asker.view, steps)?;
        let (current, child, repick) = match (self.node(step.node), next) {
            (Node::First(first), Next::Member(at)) => (at, first.members[at], false),
            (Node::Any(any), Next::Choose) => {
                let at = self.choose(any, asker, step.tried);
                (at, any.members[at].node, true)
            }
            _ => return None,
        };
        steps.truncate(depth);
        steps.push(Step {
            current: index(current),
            ..step
        });
        let target = self.descend(child, asker, steps);
        Some(Moved { target, repick })
    }

    /// Whether [`Plans::advance`] would return a move. Takes nobody's turn.
    #[must_use]
    pub fn would_move(&self, failure: Failure, view: &dyn View, steps: &[Step]) -> bool {
        self.next_step(failure, view, steps).is_some()
    }

    /// The innermost choice that can be made anew after `failure`, and how.
    fn next_step(&self, failure: Failure, view: &dyn View, steps: &[Step]) -> Option<(usize, Step, Next)> {
        let mut failure = failure;
        for (depth, step) in steps.iter().enumerate().rev() {
            let step = Step {
                tried: step.tried | 1 << step.current,
                ..*step
            };
            let next = match self.node(step.node) {
                Node::First(first) => self
                    .next_of_fallback(first, failure, view, step)
                    .map(Next::Member),
                Node::Any(any) if self.can_repick(any, failure, view, step) => Some(Next::Choose),
                Node::Any(any) => {
                    failure = self.failure_of_group(any, failure, view);
                    None
                }
                Node::To(_) | Node::All(_) | Node::Stored(_) | Node::Shared(_) => None,
            };
            if let Some(next) = next {
                return Some((depth, step, next));
            }
        }
        None
    }

    fn next_of_fallback(
        &self,
        first: &Fallback,
        failure: Failure,
        view: &dyn View,
        step: Step,
    ) -> Option<usize> {
        let moves = match failure {
            Failure::Refused => first.on.refused,
            Failure::Unavailable { open } => open && first.on.unavailable,
            Failure::TimedOut => first.on.timeout,
        };
        let untried = || (0..first.members.len()).filter(|at| step.tried & (1 << at) == 0);
        if !moves {
            return None;
        }
        let ready = untried().find(|at| self.available(first.members[*at], view));
        // A refusal is final here, so the event waits at the next member even while that one is down. An outage is
        // not: moving from one closed door to another gains nothing.
        ready.or_else(|| untried().next().filter(|_| failure == Failure::Refused))
    }

    fn can_repick(&self, any: &Anycast, failure: Failure, view: &dyn View, step: Step) -> bool {
        let ready =
            |(at, member): (usize, &Member)| step.tried & (1 << at) == 0 && self.available(member.node, view);
        !any.wait && failure != Failure::Refused && any.members.iter().enumerate().any(ready)
    }

    /// What an anycast's failure means to the plan around it: down only when all of it is.
    fn failure_of_group(&self, any: &Anycast, failure: Failure, view: &dyn View) -> Failure {
        match failure {
            Failure::Unavailable { .. } => Failure::Unavailable {
                open: !any.members.iter().any(|m| self.available(m.node, view)),
            },
            other => other,
        }
    }
}
