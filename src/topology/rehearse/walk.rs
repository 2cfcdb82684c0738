//! The way of one obligation through its plan while destinations behave as they are said to.
//!
//! Each step answers to one of `delivery::failure`, `delivery::forward` or `delivery::sweep`; where those change, the
//! property test of `rehearse` fails. Bounded: a way that is longer than [`TURNS_MAX`] ends as waiting.

use std::sync::Arc;

use weft_api::event::Event;
use weft_api::outcome::{Outcome, Reason};

use super::{Behaviour, Ending};
use crate::delivery::origin::LastResort;
use crate::delivery::settings::Settings;
use crate::routing::plan::{Asker, Bounded, DestId, Failure, LogId, LogView, NodeId, Steps, Target, View};
use crate::routing::table::Table;

/// Longest way.
const TURNS_MAX: u32 = 100_000;

/// One destination.
struct Door<'a> {
    settings: &'a Settings,
    behaviour: Behaviour,
    failures: u32,
    open: bool,
}

/// All of them, as plans see them: nothing is pending anywhere.
struct Doors<'a>(Vec<Door<'a>>);

impl View for Doors<'_> {
    fn pending(&self, _: DestId) -> u64 {
        0
    }

    fn available(&self, id: DestId) -> bool {
        !self.0[usize::from(id.0)].open
    }

    fn log(&self, _: LogId) -> LogView {
        LogView {
            pending: 0,
            full: false,
            failed: false,
        }
    }
}

/// See the module.
pub(super) struct Walk<'a> {
    table: &'a Table,
    event: &'a Event,
    dead_letter: Option<NodeId>,
    last_resort: LastResort,
    doors: Doors<'a>,
    /// The choices of legs that were split and wait for their branches, outermost first.
    split: Vec<Steps>,
    turns: u32,
    tried: Vec<DestId>,
    ends: Vec<(End, Option<Bounded>)>,
}

/// A leg.
struct Leg {
    steps: Steps,
    attempts: u32,
    maybe_delivered: bool,
    dead_letter: bool,
    /// A log has it.
    stored: bool,
}

/// What happens to it.
enum Next {
    Stay,
    Go { target: Target, repick: bool },
    DeadLetter(NodeId),
    End(End),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    DeadLettered,
    Waits,
    Held,
    Dropped(Outcome),
    Returned(Outcome),
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        table: &'a Table,
        event: &'a Event,
        dead_letter: Option<NodeId>,
        last_resort: LastResort,
        destinations: impl Iterator<Item = (&'a Settings, Behaviour)>,
    ) -> Walk<'a> {
        let doors = destinations.map(|(settings, behaviour)| Door {
            settings,
            behaviour,
            failures: 0,
            open: false,
        });
        Walk {
            table,
            event,
            dead_letter,
            last_resort,
            doors: Doors(doors.collect()),
            split: Vec::new(),
            turns: 0,
            tried: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Goes from a plan's root to the end; `dead_letter`: it is one from the start.
    pub(super) fn run(&mut self, root: NodeId, dead_letter: bool) {
        let end = self.leg(root, dead_letter, false);
        if matches!(end, End::Dropped(_) | End::Returned(_)) {
            self.ends.push((end, None));
        }
    }

    /// What was tried, and how it ended, by names.
    pub(super) fn told(self, name: impl Fn(Bounded) -> Arc<str>) -> (Vec<Arc<str>>, Vec<Ending>) {
        let ends = self.ends.into_iter().map(|(end, at)| match (end, at.map(&name)) {
            (End::Delivered, Some(at)) => Ending::Delivered(at),
            (End::DeadLettered, Some(at)) => Ending::DeadLettered(at),
            (End::Waits, Some(at)) => Ending::Waits(at),
            (End::Held, Some(at)) => Ending::Held(at),
            (End::Dropped(_), _) => Ending::Dropped,
            (End::Returned(Outcome::Rejected(_)), _) => Ending::Refused,
            _ => Ending::GivenBack,
        });
        let ends = ends.collect();
        let tried = self.tried.into_iter().map(|id| name(Bounded::To(id)));
        (tried.collect(), ends)
    }

    /// A fresh leg at a node of a plan (`delivery::forward::start`).
    fn leg(&mut self, node: NodeId, dead_letter: bool, stored: bool) -> End {
        let mut leg = Leg {
            steps: Steps::new(),
            attempts: 0,
            maybe_delivered: false,
            dead_letter,
            stored,
        };
        let mut target = self.descend(node, &mut leg);
        loop {
            let next = match target {
                Target::To(id) => self.at(id, &mut leg),
                Target::All(node) => self.branches(node, &mut leg),
                Target::Log(id) => self.stored(id, &mut leg),
            };
            match next {
                Next::Stay => self.table.plans.start_round(&mut leg.steps),
                Next::Go { target: to, repick } => {
                    // Among the members of an anycast attempts add up.
                    if !repick {
                        leg.attempts = 0;
                    }
                    target = to;
                }
                Next::DeadLetter(node) => {
                    leg.dead_letter = true;
                    leg.attempts = 0;
                    target = self.descend(node, &mut leg);
                }
                Next::End(end) => {
                    let at = match target {
                        Target::To(id) => Some(Bounded::To(id)),
                        Target::Log(id) => Some(Bounded::Log(id)),
                        Target::All(_) => None,
                    };
                    if at.is_some() && !matches!(end, End::Dropped(_) | End::Returned(_)) {
                        self.ends.push((end, at));
                    }
                    return end;
                }
            }
        }
    }

    fn descend(&self, node: NodeId, leg: &mut Leg) -> Target {
        leg.steps.clear();
        let asker = self.asker(leg);
        self.table.plans.descend(node, asker, &mut leg.steps)
    }

    fn asker(&self, leg: &Leg) -> Asker<'_> {
        Asker {
            key: self.event,
            view: &self.doors,
            held: leg.stored,
        }
    }

    /// A log takes it, and it comes out again (`delivery::stored`); the local dead letters keep it.
    fn stored(&mut self, log: LogId, leg: &mut Leg) -> Next {
        if self.table.dead_letters == Some(self.table.logs[usize::from(log.0)]) {
            return Next::End(End::DeadLettered);
        }
        leg.stored = true;
        let below = self.table.below(log);
        let target = self.table.plans.descend(below, self.asker(leg), &mut leg.steps);
        Next::Go { target, repick: true }
    }

    /// Where it goes when nobody takes it.
    fn dead_letter(&self, leg: &Leg) -> Option<NodeId> {
        let local = self.table.dead_letters.filter(|_| leg.stored);
        self.dead_letter.or(local)
    }

    /// What may be done with it then.
    fn last_resort(&self, leg: &Leg) -> LastResort {
        if leg.stored {
            LastResort::Hold
        } else {
            self.last_resort
        }
    }

    /// A multicast inside the plan: all its branches, then what their ends mean to the leg (`delivery::origin::Join`).
    fn branches(&mut self, node: NodeId, leg: &mut Leg) -> Next {
        self.split.push(leg.steps.clone());
        let mut worst = Outcome::Accepted;
        let mut stuck = None;
        for part in self.table.plans.parts(node) {
            worst = worst.join(match self.leg(part, leg.dead_letter, leg.stored) {
                End::Delivered | End::DeadLettered => Outcome::Accepted,
                End::Dropped(outcome) | End::Returned(outcome) => outcome,
                end @ (End::Waits | End::Held) => {
                    stuck = Some(end);
                    Outcome::Accepted
                }
            });
        }
        self.split.pop();
        if let Some(end) = stuck {
            return Next::End(end);
        }
        let failure = match worst {
            Outcome::Accepted if leg.dead_letter => return Next::End(End::DeadLettered),
            Outcome::Accepted => return Next::End(End::Delivered),
            Outcome::Rejected(_) => Failure::Refused,
            Outcome::Released(_) => Failure::Unavailable { open: true },
            Outcome::Unknown(_) => Failure::TimedOut,
        };
        if let Some(next) = self.advance(failure, leg) {
            return next;
        }
        Next::End(match (worst, self.last_resort(leg)) {
            _ if !self.split.is_empty() => End::Returned(worst),
            (Outcome::Rejected(reason), LastResort::Hold) => End::Returned(Outcome::Released(reason)),
            (Outcome::Rejected(_), LastResort::Drop) => End::Dropped(worst),
            _ => End::Returned(worst),
        })
    }

    /// One attempt at a destination.
    fn at(&mut self, id: DestId, leg: &mut Leg) -> Next {
        self.turns += 1;
        if self.turns > TURNS_MAX {
            return Next::End(End::Waits);
        }
        if !leg.dead_letter && !self.tried.contains(&id) {
            self.tried.push(id);
        }
        let door = &mut self.doors.0[usize::from(id.0)];
        match door.behaviour {
            Behaviour::Accepts if leg.dead_letter => Next::End(End::DeadLettered),
            Behaviour::Accepts => Next::End(End::Delivered),
            Behaviour::Refuses => {
                door.failures = 0;
                self.refused(leg)
            }
            Behaviour::Fails => {
                leg.attempts += 1;
                if leg.attempts >= door.settings.retry.attempts {
                    return self.refused(leg);
                }
                self.advance(Failure::Unavailable { open: false }, leg)
                    .unwrap_or(Next::Stay)
            }
            Behaviour::TimesOut => self.down(id, leg, true),
            Behaviour::Unavailable => self.down(id, leg, false),
        }
    }

    /// It will never be taken there.
    fn refused(&self, leg: &mut Leg) -> Next {
        if let Some(next) = self.advance(Failure::Refused, leg) {
            return next;
        }
        let outcome = Outcome::Rejected(Reason::Refused);
        if self.around_would_move(Failure::Refused) {
            return Next::End(End::Returned(outcome));
        }
        let stays = leg.dead_letter || self.dead_letter(leg).is_none();
        if self.last_resort(leg) == LastResort::Hold && stays {
            return Next::End(End::Held);
        }
        self.given_up(leg, outcome)
    }

    /// The destination's fault: until its breaker opens, and then.
    fn down(&mut self, id: DestId, leg: &mut Leg, timed_out: bool) -> Next {
        leg.maybe_delivered |= timed_out;
        let door = &mut self.doors.0[usize::from(id.0)];
        let bound = door.settings.retry.unavailable;
        if !door.open {
            door.failures += 1;
            door.open = door.failures >= door.settings.breaker.failures;
            let open = door.open;
            let failure = match timed_out {
                true => Failure::TimedOut,
                false => Failure::Unavailable { open },
            };
            if let Some(next) = self.advance(failure, leg) {
                return next;
            }
            if self.around_would_move(failure) {
                return Next::End(End::Returned(not_delivered(leg)));
            }
            if !open {
                return Next::Stay;
            }
            self.table.plans.start_round(&mut leg.steps);
        }
        let closed = Failure::Unavailable { open: true };
        if let Some(next) = self.advance(closed, leg) {
            return next;
        }
        if self.around_would_move(closed) {
            return Next::End(End::Returned(not_delivered(leg)));
        }
        let leaves = self.dead_letter(leg).is_some() || self.last_resort(leg) != LastResort::Hold;
        if bound.is_none() || leg.dead_letter || !leaves {
            return Next::End(End::Waits);
        }
        match self.last_resort(leg) {
            LastResort::Drop => self.given_up(leg, Outcome::Rejected(Reason::Unavailable)),
            LastResort::Hold | LastResort::Return => self.given_up(leg, not_delivered(leg)),
        }
    }

    fn given_up(&self, leg: &Leg, outcome: Outcome) -> Next {
        match (self.dead_letter(leg), self.last_resort(leg)) {
            (Some(node), _) if !leg.dead_letter => Next::DeadLetter(node),
            (_, LastResort::Drop) if matches!(outcome, Outcome::Rejected(_)) => {
                Next::End(End::Dropped(outcome))
            }
            _ => Next::End(End::Returned(outcome)),
        }
    }

    fn advance(&self, failure: Failure, leg: &mut Leg) -> Option<Next> {
        let asker = self.asker(leg);
        let moved = self.table.plans.advance(failure, asker, &mut leg.steps)?;
        Some(Next::Go {
            target: moved.target,
            repick: moved.repick,
        })
    }

    /// Whether a plan around the multicast that this leg is a branch of would go elsewhere.
    fn around_would_move(&self, failure: Failure) -> bool {
        self.split
            .iter()
            .any(|steps| self.table.plans.would_move(failure, &self.doors, steps))
    }
}

fn not_delivered(leg: &Leg) -> Outcome {
    if leg.maybe_delivered {
        Outcome::Unknown(Reason::Timeout)
    } else {
        Outcome::Released(Reason::Unavailable)
    }
}
