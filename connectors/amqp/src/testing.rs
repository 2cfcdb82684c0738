//! Sections for unit tests.

use std::sync::Arc;

use serde_json::Value as Json;
use weft_api::config::Node;
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_conformance::section;

/// A section as the router would hand it over; every value knows its path.
pub(crate) fn node(json: &Json) -> Node {
    section("amqp", json)
}

/// What an ingress named `in` on the cluster `paris` is told.
pub(crate) fn ingress_settings() -> IngressSettings {
    IngressSettings {
        name: Arc::from("in"),
        node: Arc::from("n"),
        cluster: Arc::from("paris"),
        accept: None,
        event: None,
        window: None,
        event_max: 1 << 20,
        client_memory: 64 << 20,
        log: false,
    }
}

/// What a destination named `out` is told.
pub(crate) fn egress_settings() -> EgressSettings {
    EgressSettings {
        name: Arc::from("out"),
        node: Arc::from("n"),
        cluster: Arc::from("paris"),
        event_max: 1 << 20,
        client_memory: 64 << 20,
        lossy: false,
        log: false,
    }
}
