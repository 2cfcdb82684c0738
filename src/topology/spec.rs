//! What a topology is built from: names, builders and settings; all validated, nothing living.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weft_api::connector::{EgressBuilder, IngressBuilder};

use crate::delivery::settings::Settings;
use crate::routing::filter::Predicate;
use crate::routing::plan::{FallbackOn, KeyRule, Policy};
use crate::routing::table::Addition;

/// Everything.
pub struct Spec {
    /// Bytes of events that may be in the router at once.
    pub budget: u64,
    /// In the order of the file.
    pub ingresses: Vec<IngressSpec>,
    /// Endpoints and groups, in the order of the file.
    pub destinations: Vec<DestinationSpec>,
    /// In the order of the file.
    pub routes: Vec<RouteSpec>,
    /// Where this router keeps events; `None`: nowhere.
    pub store: Option<StoreSpec>,
}

/// `store:` of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreSpec {
    /// The directory.
    pub path: PathBuf,
    /// Bytes on the disk for all logs together.
    pub max_bytes: u64,
    /// Bytes that the file system must have left.
    pub keep_free: u64,
    /// When a record counts as kept.
    pub sync: weft_store::Sync,
    /// The log of the local dead letters.
    pub dead_letters: LogSpec,
}

/// `store:` of a destination or group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSpec {
    /// Bytes on the disk.
    pub max_bytes: u64,
    /// How long after its arrival a record is still delivered; `None`: as long as its event lives.
    pub max_age: Option<Duration>,
    /// How long what was delivered is kept to be sent again; `None`: not at all.
    pub retain: Option<Duration>,
    /// What becomes of what does not fit.
    pub when_full: WhenFull,
}

impl LogSpec {
    /// That of a log from which nothing is delivered: within the bounds of the store, old copies give way to new ones.
    #[must_use]
    pub fn kept(retain: Duration) -> LogSpec {
        LogSpec {
            max_bytes: u64::MAX,
            max_age: None,
            retain: Some(retain),
            when_full: WhenFull::Block,
        }
    }
}

/// What becomes of an event for which a log has no room (C27).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenFull {
    /// It is not taken: lanes in order wait, requests are refused.
    #[default]
    Block,
    /// A plan around the log goes on as if the destination were down.
    Move,
}

/// One ingress.
pub struct IngressSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Makes it.
    pub builder: Arc<dyn IngressBuilder>,
    /// Everything that, when changed, means that it must be reopened.
    pub fingerprint: String,
    /// `on_rejected: drop`
    pub drop_rejected: bool,
    /// `unmatched:`
    pub unmatched: UnmatchedSpec,
    /// `on_malformed:`
    pub malformed: MalformedSpec,
    /// How long what came in and was owed to somebody is kept, to be sent again; `None`: not at all.
    pub retain: Option<Duration>,
    /// It reads a log that routers share: no route is asked, and what the file says of other ingresses says nothing here.
    pub log: Option<SharedSpec>,
}

/// The log that an ingress reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedSpec {
    /// The destination or group before which it stands.
    pub of: Arc<str>,
    /// How long after its arrival there a record is still delivered; `None`: as long as its event lives.
    pub max_age: Option<Duration>,
    /// Which log it is: brokers, topic and group. Another one is another log.
    pub place: String,
}

/// `unmatched:`
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnmatchedSpec {
    /// Count and forget.
    Discard,
    /// Refuse.
    Reject,
    /// Deliver to this destination or group.
    To(Arc<str>),
}

/// `on_malformed:`
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MalformedSpec {
    /// Deliver to this destination or group.
    DeadLetter(Arc<str>),
    /// Refuse.
    Reject,
    /// Count and forget.
    Drop,
}

/// A destination with an egress, or a group.
#[expect(
    clippy::large_enum_variant,
    reason = "one a destination of the file, read at a reload"
)]
pub enum DestinationSpec {
    /// With an egress of its own.
    Endpoint(EndpointSpec),
    /// A plan over others, under a name.
    Group {
        /// Its name.
        name: Arc<str>,
        /// Its plan.
        plan: PlanSpec,
        /// Its log.
        store: Option<LogSpec>,
        /// See [`EndpointSpec::shared`].
        shared: Option<Arc<str>>,
    },
}

/// A destination with an egress of its own.
pub struct EndpointSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Makes its egress.
    pub builder: Arc<dyn EgressBuilder>,
    /// Everything that, when changed, means a new client.
    pub fingerprint: String,
    /// How it is delivered to.
    pub settings: Settings,
    /// Its log.
    pub store: Option<LogSpec>,
    /// Its log where routers share one: the endpoint that writes into it.
    pub shared: Option<Arc<str>>,
}

/// A plan by names.
#[derive(Clone, PartialEq, Debug)]
pub enum PlanSpec {
    /// A destination or a group.
    To(Arc<str>),
    /// All of them.
    All(Vec<PlanSpec>),
    /// One of them.
    Any {
        /// Each with its weight.
        members: Vec<(PlanSpec, u32)>,
        /// How it is chosen.
        policy: Policy,
        /// `member_down: wait`
        wait: bool,
        /// What [`Policy::Hash`] hashes.
        key: KeyRule,
    },
    /// The first that takes it.
    First {
        /// In order.
        members: Vec<PlanSpec>,
        /// After which failures the next is tried.
        on: FallbackOn,
    },
}

/// The name under which a dead letter means the log of this router (see [`StoreSpec::dead_letters`]).
pub const LOCAL: &str = "local";

/// One route.
pub struct RouteSpec {
    /// Its name.
    pub name: Arc<str>,
    /// The ingresses; `None`: every one of this node.
    pub from: Option<Vec<Arc<str>>>,
    /// What an event must meet.
    pub predicate: Arc<Predicate>,
    /// Where it goes.
    pub to: PlanSpec,
    /// What it adds.
    pub add: Vec<Addition>,
    /// Where what will never be taken goes; [`LOCAL`]: into this router's own dead letters.
    pub dead_letter: Option<Arc<str>>,
    /// How long an event may take.
    pub max_age: Option<Duration>,
}

impl Spec {
    /// The destinations that have an egress, in the order of the file.
    pub fn endpoints(&self) -> impl Iterator<Item = &EndpointSpec> {
        self.destinations
            .iter()
            .filter_map(|destination| match destination {
                DestinationSpec::Endpoint(endpoint) => Some(endpoint),
                DestinationSpec::Group { .. } => None,
            })
    }
}
