//! Sections for unit tests.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::Value as Json;
use weft_api::config::{Key, Node, Span, Value};
use weft_api::connector::{EgressSettings, IngressSettings};

/// A section as the router would hand it over; every value knows its path.
pub(crate) fn node(json: &Json) -> Node {
    at(json, "amqp")
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
        Json::Number(n) => Value::Int(n.as_i64().unwrap()),
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
    }
}
