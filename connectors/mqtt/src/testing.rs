//! Sections for unit tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::Value as Json;
use weft_api::config::{Key, Node, Span, Value};
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_api::mapping::Accept;

/// A section as the router would hand it over; every value knows its path.
pub(crate) fn node(json: &Json) -> Node {
    at(json, "mqtt")
}

fn at(json: &Json, path: &str) -> Node {
    let span = Span {
        file: Arc::from("test.yaml"),
        line: 1,
        column: 1,
    };
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => n
            .as_i64()
            .map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
        Json::String(s) => Value::Text(s.clone()),
        Json::Array(list) => Value::List(list.iter().map(|item| at(item, path)).collect()),
        Json::Object(map) => {
            let entry = |(name, value): (&String, &Json)| {
                (
                    Key {
                        name: name.clone(),
                        span: span.clone(),
                    },
                    at(value, &format!("{path}.{name}")),
                )
            };
            Value::Map(map.iter().map(entry).collect())
        }
    };
    Node {
        value,
        span,
        path: Arc::from(path),
        secret: false,
    }
}

/// What the router would say of an ingress.
pub(crate) fn ingress_settings(accept: Option<Accept>, event: Option<Json>) -> IngressSettings {
    IngressSettings {
        name: Arc::from("in"),
        node: Arc::from("n"),
        cluster: Arc::from("paris"),
        accept,
        event: event.map(|event| at(&event, "event")),
        window: None,
        event_max: 1 << 20,
        client_memory: 1 << 20,
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
    }
}
