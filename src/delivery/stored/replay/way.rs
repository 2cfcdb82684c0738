//! Where a letter goes when it is sent again, by the routes that are in force. Pure: a dry run asks here, and so does the
//! replay itself.

use tokio::time::Instant;
use weft_api::event::Event;
use weft_api::outcome::Reason;

use crate::delivery::expiry::{earlier, expiry_of};
use crate::delivery::leg::NO_ROUTE;
use crate::delivery::stored::replay::letter::Letter;
use crate::delivery::wiring::Wiring;
use crate::routing::index::Matches;
use crate::routing::plan::{Node, NodeId};
use crate::routing::table::{Obligations, Table};

/// How it is chosen where letters go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// A dead letter, without its description: to the obligation that failed.
    Obligation,
    /// The same, to this destination or group only.
    To(Box<str>),
    /// The same, to whatever all routes owe for it, as if it came in anew by the ingress of this number.
    AllRoutes(u16),
    /// What a log kept, as it is: to this destination or group.
    Again(Box<str>),
}

/// One obligation of a letter.
#[derive(Debug)]
pub struct Owed {
    /// The event as it is sent there.
    pub event: Event,
    /// The route that answers for it, or [`NO_ROUTE`].
    pub route: u32,
    /// The destination or group.
    pub node: NodeId,
    /// When it expires.
    pub expires: Option<Instant>,
}

/// What a letter owes now.
///
/// # Errors
/// It can go nowhere and stays: why, and what to do.
pub fn owed(letter: &Letter, way: &Way, wiring: &Wiring, now: Instant) -> Result<Vec<Owed>, String> {
    let table = &wiring.table;
    let event = match way {
        Way::Again(_) => letter.event.clone(),
        _ => letter.original(),
    };
    let expiry = expiry_of(&event, now);
    if expiry.is_some_and(|at| at <= now) {
        return Err("its expirytime has passed: purge it, or export it".to_owned());
    }
    let owed = |node: NodeId, route: Option<u32>, event: &Event| Owed {
        event: event.clone(),
        route: route.unwrap_or(NO_ROUTE),
        node,
        // As old as it is: not at all, since it comes in anew.
        expires: earlier(
            expiry,
            route
                .and_then(|route| table.routes[route as usize].max_age)
                .and_then(|age| now.checked_add(age)),
        ),
    };
    match way {
        Way::Obligation if letter.foreign => Err(
            "it is no dead letter of Weft, and nobody knows who owed it: use --to or --all-routes, or purge it".to_owned(),
        ),
        Way::Obligation if letter.reason() == Reason::Malformed.as_str() => Err(
            "no route owed it, since it could not become the event that it should have been: \
                 mend its sender or its ingress, then use --to or --all-routes, or purge it"
                .to_owned(),
        ),
        Way::Obligation => {
            let (route, node) = obligation(letter, table)?;
            let added = additions(letter, route, &event, table)?;
            Ok(vec![owed(node, Some(route), added.as_ref().unwrap_or(&event))])
        }
        Way::To(name) | Way::Again(name) => {
            let node = destination(table, name);
            let node = node.ok_or_else(|| format!("no destination is named {name:?} in the file"))?;
            let route = table.route_named(&letter.route);
            let added = match (way, route) {
                (Way::To(_), Some(route)) => additions(letter, route, &event, table)?,
                _ => None,
            };
            Ok(vec![owed(node, route, added.as_ref().unwrap_or(&event))])
        }
        Way::AllRoutes(ingress) => {
            let (mut matches, mut all) = (Matches::default(), Obligations::new());
            table.matches(&event, *ingress, &mut matches);
            table.obligations(&matches, &mut all);
            if all.is_empty() {
                return Err(
                    "no route matches it: change a route (weft explain says which part of a filter failed), \
                     or use --to"
                        .to_owned(),
                );
            }
            let mut found = Vec::with_capacity(all.len());
            for one in &all {
                let added = table.with_additions(&event, &matches, one.node)?;
                found.push(owed(one.node, Some(one.route), added.as_ref().unwrap_or(&event)));
            }
            Ok(found)
        }
    }
}

/// What its route adds, if the letter never got that far: one that was sent has it already.
fn additions(letter: &Letter, route: u32, event: &Event, table: &Table) -> Result<Option<Event>, String> {
    if !letter.dead || letter.destination().is_some() || letter.reason() == Reason::Malformed.as_str() {
        return Ok(None);
    }
    match table.routes[route as usize].parts.first() {
        Some(part) => table.with_additions(event, &[route], *part),
        None => Ok(None),
    }
}

/// A destination or group by its name: a log that only keeps is none.
#[must_use]
pub fn destination(table: &Table, name: &str) -> Option<NodeId> {
    let keeps =
        |node: &NodeId| matches!(table.plans.node(*node), Node::Stored(stored) if stored.inner.is_none());
    table.plans.named(name).filter(|node| !keeps(node))
}

/// The name of a place, for people: its own, else its destinations'.
#[must_use]
pub fn place(wiring: &Wiring, node: NodeId) -> String {
    let plans = &wiring.table.plans;
    if let Some(name) = plans.name_of(node) {
        return name.to_owned();
    }
    let names = plans.destinations(node).into_iter();
    let names: Vec<String> = names.map(|id| wiring.destination(id).name.to_string()).collect();
    names.join(" | ")
}

/// The part of its route that the letter was owed to.
fn obligation(letter: &Letter, table: &Table) -> Result<(u32, NodeId), String> {
    if letter.route.is_empty() {
        return Err("no route owed it: use --all-routes or --to".to_owned());
    }
    let route = table.route_named(&letter.route).ok_or_else(|| {
        format!(
            "its route {:?} is not in the file any more: use --to or --all-routes",
            letter.route
        )
    })?;
    let parts = &table.routes[route as usize].parts;
    let Some(name) = letter.destination() else {
        // It never got as far as a destination: an attribute could not be added.
        return match parts[..] {
            [part] => Ok((route, part)),
            _ => Err(format!(
                "its route {:?} leads to several places, and it failed before it got to one: use --to or --all-routes",
                letter.route
            )),
        };
    };
    let leads = |part: &&NodeId| {
        let Some(node) = table.plans.named(name) else {
            return false;
        };
        let below = table.plans.destinations(**part);
        **part == node || table.plans.destinations(node).iter().all(|id| below.contains(id))
    };
    // A destination may stand by itself and below a group as well.
    if let Some(part) = parts.iter().find(|part| table.plans.named(name) == Some(**part)) {
        return Ok((route, *part));
    }
    let mut leading = parts.iter().filter(leads);
    match (leading.next(), leading.next()) {
        (Some(part), None) => Ok((route, *part)),
        (Some(_), Some(_)) => Err(format!(
            "its route {:?} leads to {name:?} by several ways: use --to",
            letter.route
        )),
        (None, _) => Err(format!(
            "its route {:?} does not lead to {name:?} any more: use --to or --all-routes",
            letter.route
        )),
    }
}
