//! The validated configuration: what a topology is built from.
//!
//! Invariants: every name refers to something, every plan is finite and not empty, every section was accepted by its
//! connector. Each part keeps the tree that it came from, so that a reload sees what changed.

use std::sync::Arc;
use std::time::Duration;

use weft_api::config::{Finding, Node, Span};
use weft_api::connector::{EgressBuilder, IngressBuilder};
use weft_api::event::AttrKind;
use weft_api::ingress::Window;
use weft_api::mapping::Accept;
use weft_api::template::Template;

use super::keys::{
    Admin, Batch, Breaker, Dedupe, Limits, LogKeys, NodeKeys, Observe, OnMalformed, OnRejected, Queue, Rate,
    Retry, StoreKeys,
};
use crate::routing::filter::Predicate;
use crate::routing::plan::{FallbackOn, KeyRule, Policy};

/// The whole file.
#[derive(Clone)]
pub struct Model {
    /// Who this router is.
    pub node: NodeKeys,
    /// Metrics and health.
    pub observe: Observe,
    /// Status and control.
    pub admin: Admin,
    /// Bounds on the process.
    pub limits: Limits,
    /// Where events are kept; `None`: nowhere.
    pub store: Option<StoreKeys>,
    /// In the order of the file.
    pub ingress: Vec<Ingress>,
    /// In the order of the file.
    pub destinations: Vec<Destination>,
    /// In the order of the file; routes that are not enabled are left out.
    pub routes: Vec<Route>,
    /// What becomes of events that no route matches, where the ingress does not say.
    pub unmatched: Unmatched,
    /// What becomes of what is pending for destinations that are gone.
    pub removed: Vec<(Arc<str>, Removed)>,
    /// What can be run and may not be what was meant.
    pub warnings: Vec<Finding>,
    /// The file as it is in effect, for `check --print`: defaults put in, connections merged.
    pub effective: Node,
}

/// One ingress.
#[derive(Clone)]
pub struct Ingress {
    /// Its name.
    pub name: Arc<str>,
    /// Its connector.
    pub kind: &'static str,
    /// Makes it; accepted by its connector.
    pub builder: Arc<dyn IngressBuilder>,
    /// Which messages are taken; `None`: the connector's default.
    pub accept: Option<Accept>,
    /// Where what cannot become an event goes; `local`: into the store's dead letters.
    pub dead_letter: Option<Arc<str>>,
    /// What an in-order lane does at a refusal.
    pub on_rejected: OnRejected,
    /// What becomes of messages that cannot become an event.
    pub on_malformed: OnMalformed,
    /// A lane's bounds; `None`: the connector's default.
    pub window: Option<Window>,
    /// What becomes of its events that no route matches.
    pub unmatched: Unmatched,
    /// How long what came in is kept, to be sent again.
    pub retain: Option<Duration>,
    /// All its keys as they are in effect, the connector's section among them.
    pub effective: Node,
}

/// A destination.
#[derive(Clone)]
pub enum Destination {
    /// One with a connector.
    Endpoint(Box<Endpoint>),
    /// A plan over others.
    Group(Box<Group>),
}

/// A destination with a connector.
#[derive(Clone)]
pub struct Endpoint {
    /// Its name.
    pub name: Arc<str>,
    /// Its connector.
    pub kind: &'static str,
    /// Makes its egress; accepted by its connector.
    pub builder: Arc<dyn EgressBuilder>,
    /// How failed events are sent again.
    pub retry: Retry,
    /// How much may wait.
    pub queue: Queue,
    /// What orders its events.
    pub order_by: KeyRule,
    /// How events are gathered.
    pub batch: Batch,
    /// When sending stops.
    pub breaker: Breaker,
    /// How fast events are sent.
    pub rate: Option<Rate>,
    /// Which repetitions are not sent.
    pub dedupe: Option<Dedupe>,
    /// At most once.
    pub lossy: bool,
    /// Its log, as it was written; `None`: nothing is kept for it.
    pub store: Option<LogKeys>,
    /// All its keys as they are in effect, the connector's section among them.
    pub effective: Node,
}

/// A named plan.
#[derive(Clone)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// What it stands for; never a bare destination.
    pub plan: Plan,
    /// Its log, as it was written; `None`: nothing is kept for it.
    pub store: Option<LogKeys>,
    /// Its keys.
    pub effective: Node,
}

/// Where events go.
#[derive(Clone, Debug)]
pub enum Plan {
    /// To the destination with this name, a group or not.
    To(Target),
    /// To all of them; never empty.
    Multicast(Vec<Plan>),
    /// To one of them.
    Anycast(Anycast),
    /// To the first that takes it.
    Fallback(Fallback),
}

/// A destination's name, and where it is named.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name.
    pub name: Arc<str>,
    /// Where it stands.
    pub place: Place,
}

/// One of its members.
#[derive(Clone, Debug)]
pub struct Anycast {
    /// In the order of the file; never empty, at most `routing::plan::MEMBERS_MAX`.
    pub members: Vec<Member>,
    /// How one is chosen.
    pub policy: Policy,
    /// What `hash` hashes.
    pub key: KeyRule,
    /// `member_down: wait`.
    pub wait: bool,
}

/// A member of an anycast.
#[derive(Clone, Debug)]
pub struct Member {
    /// The member.
    pub plan: Plan,
    /// At least 1.
    pub weight: u32,
}

/// The first member that takes it.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// In the order of the file; never empty, at most `routing::plan::MEMBERS_MAX`.
    pub members: Vec<Plan>,
    /// After which failures the next is tried.
    pub on: FallbackOn,
}

/// One route.
#[derive(Clone)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// The ingresses whose events it sees, by name; `None`: all.
    pub from: Option<Vec<Arc<str>>>,
    /// All its filters, compiled.
    pub predicate: Predicate,
    /// Where matching events go.
    pub to: Plan,
    /// What it adds.
    pub add: Vec<Addition>,
    /// Where what will never be taken goes; `local`: into the store's dead letters.
    pub dead_letter: Option<Arc<str>>,
    /// How long after its admission an event is still delivered.
    pub max_age: Option<Duration>,
    /// For people.
    pub labels: Vec<(String, String)>,
    /// Its keys as they are in effect.
    pub effective: Node,
}

/// An attribute that a route adds.
#[derive(Clone, Debug)]
pub struct Addition {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub kind: AttrKind,
    /// Its value.
    pub value: Template,
}

/// What becomes of an event that no route matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Unmatched {
    /// Accepted, and counted.
    #[default]
    Discard,
    /// Refused.
    Reject,
    /// Sent to this destination.
    To(Arc<str>),
}

/// What becomes of what is pending for a destination that a reload takes away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Removed {
    /// It is delivered first.
    Drain,
    /// It goes to the dead letter of its route.
    DeadLetter,
    /// It is dropped and counted.
    Purge,
}

/// Where something stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// File, line and column.
    pub span: Span,
    /// The path of keys.
    pub path: Arc<str>,
}

impl Place {
    /// A node's place.
    #[must_use]
    pub fn of(node: &Node) -> Place {
        Place {
            span: node.span.clone(),
            path: node.path.clone(),
        }
    }
}

impl Model {
    /// The ingress with this name.
    #[must_use]
    pub fn ingress(&self, name: &str) -> Option<&Ingress> {
        self.ingress.iter().find(|ingress| &*ingress.name == name)
    }

    /// The destination with this name.
    #[must_use]
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations
            .iter()
            .find(|destination| **destination.name() == *name)
    }

    /// What becomes of what is pending for `name`, which is no destination any more.
    #[must_use]
    pub fn removed(&self, name: &str) -> Option<Removed> {
        self.removed
            .iter()
            .find(|(removed, _)| &**removed == name)
            .map(|(_, what)| *what)
    }
}

impl Ingress {
    /// Whether both say the same: a reload leaves it running.
    #[must_use]
    pub fn same(&self, other: &Ingress) -> bool {
        self.name == other.name && self.unmatched == other.unmatched && self.effective.same(&other.effective)
    }
}

impl Endpoint {
    /// Whether both say the same: a reload keeps its client.
    #[must_use]
    pub fn same(&self, other: &Endpoint) -> bool {
        self.name == other.name && self.effective.same(&other.effective)
    }
}

impl Destination {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        match self {
            Destination::Endpoint(endpoint) => &endpoint.name,
            Destination::Group(group) => &group.name,
        }
    }

    /// Its keys as they are in effect.
    #[must_use]
    pub fn effective(&self) -> &Node {
        match self {
            Destination::Endpoint(endpoint) => &endpoint.effective,
            Destination::Group(group) => &group.effective,
        }
    }

    /// Whether both say the same.
    #[must_use]
    pub fn same(&self, other: &Destination) -> bool {
        self.name() == other.name() && self.effective().same(other.effective())
    }
}

impl Plan {
    /// The plans one level down.
    #[must_use]
    pub fn children(&self) -> Vec<&Plan> {
        match self {
            Plan::To(_) => Vec::new(),
            Plan::Multicast(plans) => plans.iter().collect(),
            Plan::Anycast(anycast) => anycast.members.iter().map(|member| &member.plan).collect(),
            Plan::Fallback(fallback) => fallback.members.iter().collect(),
        }
    }

    /// Every name in it, in the order of the file.
    #[must_use]
    pub fn targets(&self) -> Vec<&Target> {
        match self {
            Plan::To(target) => vec![target],
            other => other.children().into_iter().flat_map(Plan::targets).collect(),
        }
    }
}
