//! What would become of one event, with nothing living: for `weft test`.
//!
//! Admission is the router's own (`lane::admit`), choices are the plans' own (`routing::plan`). What follows a failure
//! is what `delivery::failure` does, without its clock: a destination that is said to fail does so every time, and this
//! event is the first to find out. Where the router would wait until something changes, the story ends. The test beside
//! this file holds it against a topology that lives.
//!
//! Does not know: time, other events, what a destination would really say.

mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use weft_api::event::Event;
use weft_api::ingress::Incoming;
use weft_api::outcome::Outcome;

use super::build::{Built, Living, build};
use super::spec::{DestinationSpec, LOCAL, PlanSpec, Spec};
use crate::delivery::budget::Budget;
use crate::delivery::leg::NO_ROUTE;
use crate::delivery::origin::LastResort;
use crate::lane::admit::{Gate, NoLegs, Owed, Owing, Scratch};
use crate::metrics::Metrics;
use crate::routing::index::Matches;
use crate::routing::plan::Bounded;
use crate::routing::table::Obligations;
use walk::Walk;

/// How a destination is said to behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Behaviour {
    /// It takes what comes.
    #[default]
    Accepts,
    /// It will never take this event (HTTP 422).
    Refuses,
    /// Each attempt fails, by the event's fault as far as one can tell (HTTP 500).
    Fails,
    /// It does not answer in time, and may have taken the event.
    TimesOut,
    /// It cannot be reached, or takes nothing (a refused connection, HTTP 503).
    Unavailable,
}

/// What became of an event.
#[derive(Clone, Debug)]
pub struct Played {
    /// The routes that matched, in the order of the file.
    pub routes: Vec<Arc<str>>,
    /// And then.
    pub fate: Fate,
}

/// What an event came to.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It was owed to these.
    Owed(Vec<PlayedLeg>),
    /// No route matched, and the file says to discard that.
    Discarded,
    /// It is malformed, and the file says to drop that.
    Dropped,
    /// It was refused as it came in, for this reason.
    Refused(String),
    /// Its `expirytime` had passed.
    Expired,
}

/// What became of one obligation.
#[derive(Clone, Debug)]
pub struct PlayedLeg {
    /// The route that owes it; `None`: `unmatched:` or `on_malformed:`.
    pub route: Option<Arc<str>>,
    /// The event as it is sent there, with what routes add.
    pub event: Event,
    /// Destinations that were tried, in the order of their first attempts; dead letters are not among them.
    pub tried: Vec<Arc<str>>,
    /// How it ended; several where it was split.
    pub ends: Vec<Ending>,
}

/// One end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// This destination took it.
    Delivered(Arc<str>),
    /// This destination took it as a dead letter.
    DeadLettered(Arc<str>),
    /// It waits here until the destination takes it; its sender is told nothing, or at last that nobody knows.
    Waits(Arc<str>),
    /// Nobody will take it, and there is no dead letter: the lane is held here, and this destination tried now and then.
    Held(Arc<str>),
    /// Nobody will take it, and there is no dead letter: its sender is told.
    Refused,
    /// Nobody will take it, and there is no dead letter: dropped and counted (`on_rejected: drop`).
    Dropped,
    /// It was not delivered, or nobody knows: its sender still has it.
    GivenBack,
}

/// Plays events through one configuration.
pub struct Rehearsal(Spec);

impl Rehearsal {
    /// Over a configuration that was checked.
    #[must_use]
    pub fn new(spec: Spec) -> Rehearsal {
        Rehearsal(spec)
    }

    /// What becomes of `incoming`, which comes in by `ingress`, while destinations behave as `given`; those that are not
    /// named accept. Each play stands for itself: it is nobody's turn yet.
    ///
    /// # Errors
    /// There is no such ingress, or nothing can be built of the configuration.
    pub fn play(
        &self,
        ingress: &str,
        incoming: Incoming,
        given: &BTreeMap<Arc<str>, Behaviour>,
    ) -> Result<Played, String> {
        let spec = &self.0;
        let names = || spec.ingresses.iter().map(|ingress| Arc::clone(&ingress.name));
        let at = names()
            .position(|name| *name == *ingress)
            .ok_or_else(|| format!("no ingress is named {ingress}"))?;
        let numbers = names().zip(0u16..).collect();
        let Built { wiring, policies } = build(
            spec,
            &numbers,
            &Living::default(),
            &Budget::new(spec.budget),
            &Metrics::new(),
            0,
        )?;
        let policy = policies
            .into_iter()
            .nth(at)
            .ok_or_else(|| format!("no ingress is named {ingress}"))?;
        let gate = Gate {
            wiring: Arc::new(wiring),
            policy,
        };
        let last_resort = match &spec.ingresses[at] {
            ingress if ingress.drop_rejected => LastResort::Drop,
            ingress if ingress.builder.in_order() => LastResort::Hold,
            _ => LastResort::Return,
        };
        let mut matches = Matches::default();
        let table = &gate.wiring.table;
        if !incoming.malformed {
            table.matches(&incoming.event, gate.policy.number, &mut matches);
        }
        let routes = matches
            .iter()
            .map(|route| Arc::clone(&table.routes[*route as usize].name))
            .collect();
        // What admission would log is told as the event's fate.
        let silent = tracing::subscriber::NoSubscriber::default();
        let (owed, _) = tracing::subscriber::with_default(silent, || {
            gate.admit(incoming, Instant::now(), &mut Scratch::default())
        });
        let fate = match owed {
            Owed::Legs(legs) => Fate::Owed(
                legs.into_iter()
                    .map(|owing| self.carry(&gate, owing, given, last_resort))
                    .collect(),
            ),
            Owed::Nothing { event, outcome, why } => nothing(&gate, &event, outcome, why, &matches),
        };
        Ok(Played { routes, fate })
    }

    /// The destinations with an egress that `name` stands for: itself, or a group's members, each once.
    #[must_use]
    pub fn members(&self, name: &str) -> Vec<Arc<str>> {
        let mut found = Vec::new();
        self.collect(name, &mut found);
        found
    }

    fn collect(&self, name: &str, found: &mut Vec<Arc<str>>) {
        for destination in &self.0.destinations {
            match destination {
                DestinationSpec::Endpoint(endpoint)
                    if *endpoint.name == *name && !found.contains(&endpoint.name) =>
                {
                    found.push(Arc::clone(&endpoint.name));
                }
                DestinationSpec::Group {
                    name: group, plan, ..
                } if **group == *name => {
                    plan_names(plan, &mut |member| self.collect(member, found));
                }
                _ => {}
            }
        }
    }

    fn carry(
        &self,
        gate: &Gate,
        owing: Owing,
        given: &BTreeMap<Arc<str>, Behaviour>,
        last_resort: LastResort,
    ) -> PlayedLeg {
        let route = (owing.route != NO_ROUTE).then(|| &gate.wiring.table.routes[owing.route as usize]);
        let endpoints = self.0.endpoints();
        let mut walk = Walk::new(
            &gate.wiring.table,
            &owing.event,
            route.and_then(|route| route.dead_letter),
            last_resort,
            endpoints.map(|e| (&e.settings, given.get(&e.name).copied().unwrap_or_default())),
        );
        walk.run(owing.node, owing.dead_letter.is_some());
        let named = |place| match place {
            Bounded::To(id) => Arc::clone(&gate.wiring.destination(id).name),
            Bounded::Log(_) => Arc::from(LOCAL),
        };
        let (tried, ends) = walk.told(named);
        PlayedLeg {
            route: route.map(|route| Arc::clone(&route.name)),
            event: owing.event,
            tried,
            ends,
        }
    }
}

/// Every name in a plan; groups are not deeper than the configuration allows.
fn plan_names(plan: &PlanSpec, each: &mut dyn FnMut(&str)) {
    match plan {
        PlanSpec::To(name) => each(name),
        PlanSpec::All(members) | PlanSpec::First { members, .. } => {
            members.iter().for_each(|member| plan_names(member, each));
        }
        PlanSpec::Any { members, .. } => members.iter().for_each(|(member, _)| plan_names(member, each)),
    }
}

/// Why it owes nothing, in words where they are lost on the way.
fn nothing(gate: &Gate, event: &Event, outcome: Outcome, why: NoLegs, matches: &Matches) -> Fate {
    let said = |name: &str| {
        use weft_api::event::Attributes as _;
        event.get(name).map(|value| value.text.to_owned())
    };
    match (why, outcome) {
        (NoLegs::Expired, _) => Fate::Expired,
        (NoLegs::Unmatched, Outcome::Accepted) => Fate::Discarded,
        (NoLegs::Unmatched, _) => {
            Fate::Refused("no route matches, and `unmatched: reject` stands here".into())
        }
        (NoLegs::Malformed, Outcome::Accepted) => Fate::Dropped,
        (NoLegs::Malformed, _) => Fate::Refused(said("weftreason").unwrap_or_else(|| "malformed".into())),
        (NoLegs::Refused, _) => {
            let table = &gate.wiring.table;
            let mut obligations = Obligations::new();
            table.obligations(matches, &mut obligations);
            let failed = obligations
                .iter()
                .find_map(|owed| table.with_additions(event, matches, owed.node).err());
            Fate::Refused(failed.unwrap_or_else(|| "an attribute cannot be added".into()))
        }
    }
}
