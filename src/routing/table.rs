//! The immutable table of routes: who matches, and what is owed to whom then.
//!
//! Owns: routes with their compiled plans, the index over their filters, and the union of the plans of all routes
//! that match an event. Pure.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use smallvec::SmallVec;
use weft_api::event::{AttrKind, Event, EventBuilder};

use super::index::{Index, Matches};
use super::plan::{LogId, Node, NodeId, Path, Plans, Step, Steps, place};

/// A compiled route.
pub struct Route {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Its obligations: what [`Plans::parts`] gives for its plan.
    pub parts: Box<[NodeId]>,
    /// Attributes that it adds; never over one that the event has.
    pub add: Box<[Addition]>,
    /// Where what will never be taken goes.
    pub dead_letter: Option<NodeId>,
    /// How long after its admission an event is still delivered.
    pub max_age: Option<Duration>,
}

/// One attribute that a route adds.
#[derive(Clone)]
pub struct Addition {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub kind: AttrKind,
    /// Its value.
    pub value: weft_api::template::Template,
}

/// What one matched event owes to one destination or group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Obligation {
    /// The destination, anycast or fallback.
    pub node: NodeId,
    /// The first route, in the order of the file, that asks for it: its dead letter and age apply.
    pub route: u32,
}

/// What an event owes.
pub type Obligations = SmallVec<[Obligation; 4]>;

/// See the module.
pub struct Table {
    /// In the order of the file.
    pub routes: Vec<Route>,
    /// All nodes that routes and dead letters lead to.
    pub plans: Plans,
    /// Finds the routes that match.
    pub index: Index,
    /// Where each log stands, by [`LogId`].
    pub logs: Vec<NodeId>,
    /// Where the local dead letters stand.
    pub dead_letters: Option<NodeId>,
    /// Routes by name, once somebody asks.
    pub by_name: OnceLock<HashMap<Arc<str>, u32>>,
}

impl Table {
    /// The routes that match an event from this ingress. `matches` is emptied first.
    pub fn matches(&self, event: &Event, ingress: u16, matches: &mut Matches) {
        matches.clear();
        self.index.matches(event, ingress, matches);
    }

    /// The union of the plans of these routes: each destination or named group once, however many routes name it.
    pub fn obligations(&self, matches: &[u32], obligations: &mut Obligations) {
        obligations.clear();
        for &route in matches {
            for &node in &self.routes[route as usize].parts {
                if matches.len() == 1 || !obligations.iter().any(|owed| owed.node == node) {
                    obligations.push(Obligation { node, route });
                }
            }
        }
    }

    /// The route with this name.
    #[must_use]
    pub fn route_named(&self, name: &str) -> Option<u32> {
        let names = self.by_name.get_or_init(|| {
            let names = self.routes.iter().map(|route| Arc::clone(&route.name));
            names.zip(0..).collect()
        });
        names.get(name).copied()
    }

    /// What stands below a log, if it is one from which events are delivered.
    #[must_use]
    pub fn inner(&self, log: LogId) -> Option<NodeId> {
        match self.plans.node(self.logs[usize::from(log.0)]) {
            Node::Stored(stored) => stored.inner,
            _ => None,
        }
    }

    /// The same; the log's own node where there is nothing.
    #[must_use]
    pub fn below(&self, log: LogId) -> NodeId {
        self.inner(log).unwrap_or(self.logs[usize::from(log.0)])
    }

    /// The choices of a leg of `route`, by names.
    #[must_use]
    pub fn path(&self, route: Option<u32>, steps: &[Step]) -> Path {
        let mut path = self.plans.path(steps);
        if let (true, Some(first), Some(route)) = (path.root.is_empty(), steps.first(), route) {
            let parts = &self.routes[route as usize].parts;
            let at = parts.iter().position(|part| *part == first.node);
            path.root = at.map(place).unwrap_or_default();
        }
        path
    }

    /// The choices that led a leg into a log, as its record tells them. None where the plan has no such way there any
    /// more: then the leg stands at the log itself.
    #[must_use]
    pub fn place(&self, log: LogId, route: Option<u32>, path: &Path) -> Steps {
        let parts = route.map(|route| &*self.routes[route as usize].parts);
        let part = || {
            let mut parts = parts?.iter().enumerate();
            parts.find_map(|(at, part)| (place(at) == path.root).then_some(*part))
        };
        let root = self.plans.named(&path.root).or_else(part);
        let way = root.and_then(|root| self.plans.resolve(root, path));
        let led = way.filter(|(_, end)| *end == self.logs[usize::from(log.0)]);
        led.map(|(steps, _)| steps).unwrap_or_default()
    }

    /// The event as `node` shall get it: with what the matching routes that lead there add. `None` where nothing is
    /// added.
    ///
    /// # Errors
    /// A template named a value that the event does not have, or gave one that its attribute cannot hold.
    pub fn with_additions(
        &self,
        event: &Event,
        matches: &[u32],
        node: NodeId,
    ) -> Result<Option<Event>, String> {
        let mut edited: Option<EventBuilder> = None;
        let leading = matches.iter().map(|route| &self.routes[*route as usize]);
        for route in leading.filter(|route| !route.add.is_empty() && route.parts.contains(&node)) {
            let builder = edited.get_or_insert_with(|| event.edit());
            for addition in &route.add {
                if builder.has(&addition.name) {
                    continue;
                }
                let mut text = String::new();
                addition
                    .value
                    .render(event, &mut text)
                    .map_err(|missing| format!("route {}: add {}: {missing}", route.name, addition.name))?;
                builder.set(&addition.name, addition.kind, &text);
            }
        }
        let Some(mut builder) = edited else {
            return Ok(None);
        };
        let built = builder
            .build()
            .map_err(|invalid| format!("adding attributes: {invalid}"))?;
        Ok(Some(built.with_key(event.transport_key().cloned())))
    }
}
