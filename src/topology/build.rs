//! From names to a wiring: the arena of plans, the table, the policies. Spawns nothing, opens nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use super::spec::{
    DestinationSpec, IngressSpec, LOCAL, LogSpec, MalformedSpec, PlanSpec, RouteSpec, Spec, UnmatchedSpec,
    WhenFull,
};
use crate::delivery::budget::Budget;
use crate::delivery::destination::Destination;
use crate::delivery::stored::DurableQueue;
use crate::delivery::wiring::Wiring;
use crate::lane::admit::{Malformed, Policy, Unmatched};
use crate::metrics::Metrics;
use crate::routing::anycast::{hash, smooth_sequence};
use crate::routing::index::{Index, Rule};
use crate::routing::plan::{
    Anycast, DestId, Fallback, LogId, MEMBERS_MAX, Member, Node, NodeId, Plans, Stored,
};
use crate::routing::table::{Route, Table};

/// How deeply plans may stand in each other, groups included.
const DEPTH_MAX: usize = 8;

/// A wiring, and what it says about each ingress, in the order of the spec.
pub struct Built {
    /// Routes and destinations.
    pub wiring: Wiring,
    /// For each ingress.
    pub policies: Vec<Policy>,
}

/// How the log of an ingress that keeps what came in is called: no destination can have this name.
#[must_use]
pub fn kept(ingress: &str) -> Arc<str> {
    format!("{KEPT}{ingress}").into()
}

/// What such a name begins with.
pub const KEPT: &str = "ingress.";

/// What lives already, and is taken over.
#[derive(Default)]
pub struct Living {
    /// Destinations, by name.
    pub destinations: HashMap<Arc<str>, Arc<Destination>>,
    /// Logs: the destination's or group's name, or [`LOCAL`]. `None` where there is no store behind the plans, since they
    /// are only looked at.
    pub logs: Option<HashMap<Arc<str>, Arc<DurableQueue>>>,
}

/// Builds the wiring. Destinations that exist already are taken over; new ones are made, without a client. Every log that
/// the spec asks for must exist; one that exists and is not asked for stays in front of its place until it is empty.
///
/// # Errors
/// A name that nothing has, plans that never end, or a log that is not open: the configuration check, or whoever opens
/// the store, finds all of them before.
pub fn build(
    spec: &Spec,
    numbers: &BTreeMap<Arc<str>, u16>,
    living: &Living,
    budget: &Arc<Budget>,
    metrics: &Metrics,
    seed: u64,
) -> Result<Built, String> {
    let mut destinations = Vec::new();
    let mut names = Names {
        spec,
        nodes: HashMap::new(),
        plans: Plans::default(),
        living,
        log_nodes: Vec::new(),
        logs: Vec::new(),
    };
    let dead_letters = match &spec.store {
        Some(store) => Some(names.logged(&Arc::from(LOCAL), None, Some(&store.dead_letters))?),
        None => None,
    };
    for (number, endpoint) in spec.endpoints().enumerate() {
        let id = DestId(u16::try_from(number).map_err(|_| "more than 65,535 destinations".to_owned())?);
        let node = names.plans.add(Node::To(id));
        names.logged(&endpoint.name, Some(node), endpoint.store.as_ref())?;
        destinations.push(match living.destinations.get(&endpoint.name) {
            Some(known) => Arc::clone(known),
            None => {
                let handles = metrics.destination(&endpoint.name);
                let seed = seed ^ hash(endpoint.name.as_bytes());
                Destination::new(
                    Arc::clone(&endpoint.name),
                    endpoint.settings.clone(),
                    handles,
                    Arc::clone(budget),
                    seed,
                )
            }
        });
    }
    let routes = spec
        .routes
        .iter()
        .map(|route| names.route(route))
        .collect::<Result<Vec<_>, _>>()?;
    // One that nobody names any more may have a log that is not empty.
    for destination in &spec.destinations {
        if let DestinationSpec::Group { name, .. } = destination {
            names.name(name, 0)?;
        }
    }
    let policies = spec
        .ingresses
        .iter()
        .map(|ingress| names.policy(ingress, numbers.get(&ingress.name).copied().unwrap_or(u16::MAX)))
        .collect::<Result<Vec<_>, _>>()?;
    let rules = spec.routes.iter().zip(0u32..).map(|(route, number)| Rule {
        route: number,
        from: route.from.as_ref().map(|from| {
            from.iter()
                .filter_map(|name| numbers.get(name).copied())
                .collect()
        }),
        predicate: Arc::clone(&route.predicate),
    });
    let index = Index::new(rules.collect::<Vec<_>>());
    let matched = spec
        .routes
        .iter()
        .map(|route| metrics.route(&route.name).matched)
        .collect();
    let table = Table {
        routes,
        plans: names.plans,
        index,
        logs: names.log_nodes,
        dead_letters,
        by_name: OnceLock::new(),
    };
    Ok(Built {
        wiring: Wiring {
            table,
            destinations,
            logs: names.logs,
            matched,
        },
        policies,
    })
}

struct Names<'a> {
    spec: &'a Spec,
    /// Endpoints and, once they are compiled, groups: a group is one node however many routes name it.
    nodes: HashMap<Arc<str>, NodeId>,
    plans: Plans,
    living: &'a Living,
    log_nodes: Vec<NodeId>,
    logs: Vec<Arc<DurableQueue>>,
}

impl Names<'_> {
    /// Gives a node its name, with its log in front of it if it has one.
    fn logged(
        &mut self,
        name: &Arc<str>,
        inner: Option<NodeId>,
        spec: Option<&LogSpec>,
    ) -> Result<NodeId, String> {
        let queue = self.living.logs.as_ref().and_then(|logs| logs.get(name));
        if spec.is_some() && self.living.logs.is_some() && queue.is_none() {
            return Err(format!("the log of {name} is not open"));
        }
        let node = match inner {
            Some(inner) if spec.is_none() && queue.is_none() => inner,
            _ => {
                let log =
                    u16::try_from(self.log_nodes.len()).map_err(|_| "more than 65,535 logs".to_owned())?;
                self.logs.extend(queue.cloned());
                let node = self.plans.add(Node::Stored(Stored {
                    log: LogId(log),
                    inner,
                    full_moves: spec.is_some_and(|spec| spec.when_full == WhenFull::Move),
                    ending: spec.is_none(),
                }));
                self.log_nodes.push(node);
                node
            }
        };
        self.plans.name(Arc::clone(name), node);
        self.nodes.insert(Arc::clone(name), node);
        Ok(node)
    }

    fn route(&mut self, spec: &RouteSpec) -> Result<Route, String> {
        let root = self
            .plan(&spec.to, 0)
            .map_err(|why| format!("route {}: {why}", spec.name))?;
        let dead_letter = spec
            .dead_letter
            .as_ref()
            .map(|name| self.name(name, 0))
            .transpose()?;
        Ok(Route {
            name: Arc::clone(&spec.name),
            parts: self.plans.parts(root).into_boxed_slice(),
            add: spec.add.clone().into_boxed_slice(),
            dead_letter,
            max_age: spec.max_age,
        })
    }

    fn policy(&mut self, spec: &IngressSpec, number: u16) -> Result<Policy, String> {
        let unmatched = match &spec.unmatched {
            UnmatchedSpec::Discard => Unmatched::Discard,
            UnmatchedSpec::Reject => Unmatched::Reject,
            UnmatchedSpec::To(name) => Unmatched::To(self.name(name, 0)?),
        };
        let malformed = match &spec.malformed {
            MalformedSpec::DeadLetter(name) => Malformed::DeadLetter(self.name(name, 0)?),
            MalformedSpec::Reject => Malformed::Reject,
            MalformedSpec::Drop => Malformed::Drop,
        };
        let retain = match spec.retain {
            Some(retain) => Some(self.logged(&kept(&spec.name), None, Some(&LogSpec::kept(retain)))?),
            None => None,
        };
        Ok(Policy {
            number,
            unmatched,
            malformed,
            retain,
        })
    }

    fn name(&mut self, name: &Arc<str>, depth: usize) -> Result<NodeId, String> {
        if let Some(node) = self.nodes.get(name) {
            return Ok(*node);
        }
        let spec = self.spec;
        let group = spec
            .destinations
            .iter()
            .find_map(|destination| match destination {
                DestinationSpec::Group {
                    name: known,
                    plan,
                    store,
                } if known == name => Some((plan, store)),
                _ => None,
            });
        let (plan, store) = group.ok_or_else(|| format!("no destination is named {name}"))?;
        let node = self.plan(plan, depth + 1)?;
        self.logged(name, Some(node), store.as_ref())
    }

    fn plan(&mut self, spec: &PlanSpec, depth: usize) -> Result<NodeId, String> {
        if depth > DEPTH_MAX {
            return Err(format!("plans stand in each other more than {DEPTH_MAX} deep"));
        }
        let node = match spec {
            PlanSpec::To(name) => return self.name(name, depth),
            PlanSpec::All(members) => Node::All(self.members(members.iter(), depth)?),
            PlanSpec::First { members, on } => Node::First(Fallback {
                members: self.members(members.iter(), depth)?,
                on: *on,
            }),
            PlanSpec::Any {
                members,
                policy,
                wait,
                key,
            } => {
                let nodes = self.members(members.iter().map(|(plan, _)| plan), depth)?;
                let weights: Vec<u32> = members.iter().map(|(_, weight)| (*weight).max(1)).collect();
                let seeds = members
                    .iter()
                    .map(|(plan, _)| hash(format!("{plan:?}").as_bytes()));
                let members = nodes.iter().zip(&weights).zip(seeds);
                Node::Any(Anycast {
                    members: members
                        .map(|((node, weight), seed)| Member {
                            node: *node,
                            weight: *weight,
                            seed,
                        })
                        .collect(),
                    policy: *policy,
                    wait: *wait,
                    turn: 0.into(),
                    sequence: smooth_sequence(&weights),
                    key: key.clone(),
                })
            }
        };
        Ok(self.plans.add(node))
    }

    fn members<'s>(
        &mut self,
        members: impl ExactSizeIterator<Item = &'s PlanSpec>,
        depth: usize,
    ) -> Result<Box<[NodeId]>, String> {
        match members.len() {
            0 => Err("a plan without members".to_owned()),
            1..=MEMBERS_MAX => members.map(|member| self.plan(member, depth + 1)).collect(),
            more => Err(format!("a plan of {more} members; {MEMBERS_MAX} are the most")),
        }
    }
}
