//! The keys of the file as serde types: what may stand where, of which type, with which default.
//!
//! Owns: everything but the connectors' sections, which lie beside the connectors. The JSON Schema, the checks and
//! `check --print` all come from these types, so that they cannot disagree. Does not know what a name refers to.

mod destination;
mod fields;
mod ingress;
mod pace;
mod route;
mod router;
mod store;
mod words;

pub use destination::{Batch, Breaker, DestinationKeys, Queue, Retry};
pub use ingress::{IngressKeys, OnMalformed, OnRejected, WindowKeys};
pub use pace::{Budget, Dedupe, Rate};
pub use route::{Addition, RouteKeys};
pub use router::{Admin, Limits, NodeKeys, Observe};
pub use store::{DeadLetterKeys, Keep, LogKeys, SharedKeys, StoreKeys, SyncKeys, WhenFullWord};
pub use words::{Listen, OrderBy, Unavailable, Unmatched};

pub(super) use destination::{
    AnycastKeys, FallbackKeys, FallbackReason, MemberDown, MulticastKeys, PolicyWord,
};
pub(super) use fields::fields_of;
