//! Sections for unit tests.

use std::sync::Arc;

use serde_json::Value as Json;
use weft_api::config::Node;
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_api::mapping::Accept;
use weft_conformance::section;

/// A section as the router would hand it over; every value knows its path.
pub(crate) fn node(json: &Json) -> Node {
    section("mqtt", json)
}

/// What the router would say of an ingress.
pub(crate) fn ingress_settings(accept: Option<Accept>, event: Option<Json>) -> IngressSettings {
    IngressSettings {
        name: Arc::from("in"),
        node: Arc::from("n"),
        cluster: Arc::from("paris"),
        accept,
        event: event.map(|event| section("event", &event)),
        window: None,
        event_max: 1 << 20,
        client_memory: 1 << 20,
        log: false,
    }
}

/// What the router would say of a destination.
pub(crate) fn egress_settings(lossy: bool) -> EgressSettings {
    EgressSettings {
        name: Arc::from("out"),
        node: Arc::from("n"),
        cluster: Arc::from("paris"),
        event_max: 1 << 20,
        client_memory: 1 << 20,
        lossy,
        log: false,
    }
}
