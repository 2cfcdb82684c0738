//! A configuration section from JSON: what a test gives to a connector in place of a file.
//!
//! Must not know: any connector's keys.

use std::sync::Arc;

use serde_json::Value as Json;
use weft_api::config::{Key, Node, Span, Value};

/// The section as the router would hand it over; it stands at `path`, and every value knows its own.
#[must_use]
pub fn section(path: &str, json: &Json) -> Node {
    let span = Span {
        file: Arc::from("test.yaml"),
        line: 1,
        column: 1,
    };
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(number.as_f64().unwrap_or(f64::INFINITY)),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(list) => Value::List(list.iter().map(|item| section(path, item)).collect()),
        Json::Object(map) => {
            let entry = |(name, value): (&String, &Json)| {
                let key = Key {
                    name: name.clone(),
                    span: span.clone(),
                };
                (key, section(&format!("{path}.{name}"), value))
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
