//! Admission: an event meets the table, and its obligations become legs.
//!
//! Runs in the connector's own task. What it decides is final for the event: the wiring is fixed here (C30).

use std::sync::Arc;

use arc_swap::ArcSwap;
use smallvec::SmallVec;
use tokio::time::Instant;
use weft_api::event::{Attributes, Event};
use weft_api::ingress::Incoming;
use weft_api::outcome::{Outcome, Reason, SendError};

use crate::delivery::dead_letter;
use crate::delivery::expiry::{earlier, expiry_of};
use crate::delivery::leg::{Leg, NO_ROUTE};
use crate::delivery::origin::Origin;
use crate::delivery::shared::Unreadable;
use crate::delivery::wiring::Wiring;
use crate::lane::shared::{Kept, OfLog};
use crate::routing::index::Matches;
use crate::routing::plan::{Asker, Bounded, NodeId, Steps, Target};
use crate::routing::table::Obligations;

/// What the file says about an ingress, as far as admission cares.
pub struct Policy {
    /// Its number in the table's index.
    pub number: u16,
    /// Where events go that no route matched.
    pub unmatched: Unmatched,
    /// Where messages go that cannot become events.
    pub malformed: Malformed,
    /// It reads a log that routers share: what comes is owed already.
    pub log: Option<OfLog>,
    /// The log that keeps what came in (`retain:`).
    pub retain: Option<NodeId>,
}

/// `unmatched:`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unmatched {
    /// Count and forget.
    Discard,
    /// Refuse.
    Reject,
    /// Deliver there.
    To(NodeId),
}

/// `on_malformed:`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Deliver there.
    DeadLetter(NodeId),
    /// Refuse.
    Reject,
    /// Count and forget.
    Drop,
}

/// A wiring and what it says about one ingress; swapped as one by a reload.
pub struct Gate {
    /// Routes and destinations.
    pub wiring: Arc<Wiring>,
    /// This ingress' policy.
    pub policy: Policy,
}

/// The gate that is in force.
pub type CurrentGate = Arc<ArcSwap<Gate>>;

/// What an admitted event owes.
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation an event")]
pub enum Owed {
    /// Nothing: it is settled like this.
    Nothing {
        /// The event, for whoever has to keep it.
        event: Event,
        /// How its slot settles.
        outcome: Outcome,
        /// Why it owes nothing.
        why: NoLegs,
    },
    /// These legs.
    Legs(SmallVec<[Owing; 2]>),
}

/// Why an event owes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoLegs {
    /// No route matched.
    Unmatched,
    /// It cannot become an event, and the file says to drop or to refuse that.
    Malformed,
    /// Its time had passed before it came in.
    Expired,
    /// A route's `add` could not be made, and that route has no dead letter.
    Refused,
}

/// One obligation, ready to become a leg.
pub struct Owing {
    /// What is delivered, with what routes add.
    pub event: Event,
    /// The route, or [`NO_ROUTE`].
    pub route: u32,
    /// Destination or group.
    pub node: NodeId,
    /// When it expires.
    pub expires: Option<Instant>,
    /// It goes to a dead letter from the start, for this reason.
    pub dead_letter: Option<(Reason, Option<SendError>)>,
    /// A log had it.
    pub kept: Option<Box<Kept>>,
}

/// Scratch space of one lane set; kept between events.
#[derive(Default)]
pub struct Scratch {
    matches: Matches,
    obligations: Obligations,
}

impl Gate {
    /// Matches an event. Returns what it owes and how many routes matched.
    pub fn admit(&self, incoming: Incoming, now: Instant, scratch: &mut Scratch) -> (Owed, u32) {
        if incoming.malformed {
            return (self.malformed(incoming.event), 0);
        }
        let event = incoming.event;
        if let Some(log) = &self.policy.log {
            return (self.out_of(log, event, now), 0);
        }
        let table = &self.wiring.table;
        table.matches(&event, self.policy.number, &mut scratch.matches);
        for route in &scratch.matches {
            self.wiring.matched[*route as usize].inc();
        }
        let matched = u32::try_from(scratch.matches.len()).unwrap_or(u32::MAX);
        if matched == 0 {
            return (self.unmatched(event), 0);
        }
        let expiry = expiry_of(&event, now);
        if expiry.is_some_and(|at| at <= now) {
            return (
                Owed::Nothing {
                    event,
                    outcome: Outcome::Accepted,
                    why: NoLegs::Expired,
                },
                matched,
            );
        }
        table.obligations(&scratch.matches, &mut scratch.obligations);
        (self.owings(event, expiry, now, scratch), matched)
    }

    /// What it owes, and a copy to the log that keeps what was owed to somebody.
    fn kept(&self, event: Event, mut legs: SmallVec<[Owing; 2]>) -> Owed {
        legs.extend(self.policy.retain.map(|node| Owing::whole(event, node)));
        Owed::Legs(legs)
    }

    fn owings(&self, event: Event, expiry: Option<Instant>, now: Instant, scratch: &Scratch) -> Owed {
        let table = &self.wiring.table;
        let mut legs = SmallVec::new();
        for owed in &scratch.obligations {
            let route = &table.routes[owed.route as usize];
            let expires = earlier(expiry, route.max_age.and_then(|age| now.checked_add(age)));
            let owing = Owing {
                event: event.clone(),
                route: owed.route,
                node: owed.node,
                expires,
                dead_letter: None,
                kept: None,
            };
            legs.push(match table.with_additions(&event, &scratch.matches, owed.node) {
                Ok(None) => owing,
                Ok(Some(event)) => Owing { event, ..owing },
                Err(why) => match route.dead_letter {
                    Some(node) => {
                        let error = SendError::event(Reason::Address, why);
                        Owing {
                            node,
                            dead_letter: Some((Reason::Address, Some(error))),
                            ..owing
                        }
                    }
                    None => {
                        tracing::warn!(route = %route.name, id = event.id(), error = why, "event refused");
                        let outcome = Outcome::Rejected(Reason::Address);
                        return Owed::Nothing {
                            event,
                            outcome,
                            why: NoLegs::Refused,
                        };
                    }
                },
            });
        }
        self.kept(event, legs)
    }

    fn out_of(&self, log: &OfLog, event: Event, now: Instant) -> Owed {
        let owing = match log.owed(event.clone(), &self.wiring.table, now) {
            Ok(owing) => owing,
            Err(Unreadable::Broken(why)) => {
                return self.malformed_because(event, Some(SendError::event(Reason::Malformed, why)));
            }
            // Said once, where it holds its lane.
            Err(Unreadable::Later(_)) => {
                return Owed::Nothing {
                    event,
                    outcome: Outcome::Rejected(Reason::Malformed),
                    why: NoLegs::Malformed,
                };
            }
        };
        match owing.expires {
            Some(at) if at <= now => Owed::Nothing {
                event,
                outcome: Outcome::Accepted,
                why: NoLegs::Expired,
            },
            _ => Owed::Legs([owing].into_iter().collect()),
        }
    }

    fn malformed(&self, event: Event) -> Owed {
        // As a failure, so that this letter says like every other since when, and why.
        let why = event
            .get("weftreason")
            .map(|why| SendError::event(Reason::Malformed, why.text));
        self.malformed_because(event, why)
    }

    fn malformed_because(&self, event: Event, said: Option<SendError>) -> Owed {
        let why = NoLegs::Malformed;
        match self.policy.malformed {
            Malformed::DeadLetter(node) => self.only(event, node, Some((Reason::Malformed, said))),
            Malformed::Reject => Owed::Nothing {
                event,
                outcome: Outcome::Rejected(Reason::Malformed),
                why,
            },
            Malformed::Drop => Owed::Nothing {
                event,
                outcome: Outcome::Accepted,
                why,
            },
        }
    }

    fn unmatched(&self, event: Event) -> Owed {
        let why = NoLegs::Unmatched;
        match self.policy.unmatched {
            Unmatched::Discard => Owed::Nothing {
                event,
                outcome: Outcome::Accepted,
                why,
            },
            Unmatched::Reject => Owed::Nothing {
                event,
                outcome: Outcome::Rejected(Reason::Unmatched),
                why,
            },
            Unmatched::To(node) => self.only(event, node, None),
        }
    }

    fn only(&self, event: Event, node: NodeId, dead_letter: Option<(Reason, Option<SendError>)>) -> Owed {
        let owing = Owing {
            dead_letter,
            ..Owing::whole(event.clone(), node)
        };
        self.kept(event, [owing].into_iter().collect())
    }

    /// Chooses where an obligation starts.
    pub fn target(&self, owing: &Owing, steps: &mut Steps) -> Target {
        let asker = Asker {
            key: &owing.event,
            view: &*self.wiring,
            held: owing.kept.is_some(),
        };
        if let Some(kept) = &owing.kept {
            steps.clone_from(&kept.steps);
        }
        self.wiring.table.plans.descend(owing.node, asker, steps)
    }

    /// Whether a target takes no more: an event that waits for its answer is refused then. `share`: how many requests one
    /// destination may hold.
    #[must_use]
    pub fn is_full(&self, target: Target, share: u64) -> bool {
        let full = |place| match place {
            Bounded::Log(id) => self.wiring.log(id).is_full(),
            Bounded::To(id) => {
                let destination = self.wiring.destination(id);
                destination.is_full() || destination.requests() >= share
            }
        };
        match target {
            Target::To(id) => full(Bounded::To(id)),
            Target::Log(id) => full(Bounded::Log(id)),
            Target::All(node) => self.wiring.table.plans.is_full(node, &full),
        }
    }
}

impl Owing {
    /// An obligation that no route gave.
    fn whole(event: Event, node: NodeId) -> Owing {
        Owing {
            event,
            route: NO_ROUTE,
            node,
            expires: None,
            dead_letter: None,
            kept: None,
        }
    }

    /// The leg, with its end reported to `origin`.
    #[must_use]
    pub fn into_leg(self, origin: Origin, wiring: &Arc<Wiring>, steps: Steps, now: Instant) -> Leg {
        let mut leg = Leg::new(self.event, origin, Arc::clone(wiring), self.route, now);
        leg.duty.steps = steps;
        leg.duty.expires = self.expires;
        if let Some(kept) = self.kept {
            kept.restore(&mut leg);
        }
        match self.dead_letter {
            None => leg,
            Some((reason, error)) => {
                if let Some(error) = &error {
                    leg.duty.note(error);
                }
                dead_letter::wrap(leg, None, reason)
            }
        }
    }
}
