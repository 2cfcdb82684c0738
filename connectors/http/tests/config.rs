//! Sections of the configuration: every mistake at once, each with what to write instead.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value as Json, json};
use support::{egress_settings, ingress_settings, node};
use weft_api::connector::{Connector, IngressSettings, RawMessage};
use weft_api::event::Attributes;
use weft_api::mapping::Accept;
use weft_http::Http;

fn ingress_faults(section: Json) -> Vec<String> {
    let read = Http.ingress(&node(section), &ingress_settings()).unwrap();
    let findings = read.err().unwrap_or_default();
    assert!(
        findings.iter().all(|finding| !finding.remedy.is_empty()),
        "{findings:?}"
    );
    findings
        .into_iter()
        .map(|finding| format!("{}: {}", finding.path, finding.what))
        .collect()
}

fn egress_faults(section: Json) -> Vec<String> {
    let findings = Http
        .egress(&node(section), &egress_settings())
        .unwrap()
        .err()
        .unwrap_or_default();
    assert!(
        findings.iter().all(|finding| !finding.remedy.is_empty()),
        "{findings:?}"
    );
    findings
        .into_iter()
        .map(|finding| format!("{}: {}", finding.path, finding.what))
        .collect()
}

#[test]
fn all_mistakes_of_an_ingress_are_found_at_once() {
    let faults = ingress_faults(json!({
        "listen": ["127.0.0.1:8080", "8080"],
        "path": "events",
        "methods": ["POST", "BREW"],
        "workers": 0,
        "deadline": "0s",
        "max_connections": 0,
        "max_header_bytes": "1KiB",
        "batch": { "events": 0 },
        "webhook_origins": [""],
    }));
    let places: Vec<_> = faults
        .iter()
        .map(|fault| fault.split(':').next().unwrap())
        .collect();
    let expected = [
        "listen",
        "path",
        "methods",
        "workers",
        "deadline",
        "max_connections",
        "max_header_bytes",
        "batch",
        "webhook_origins",
    ];
    assert_eq!(places, expected.map(|key| format!("section.{key}")));
    assert!(faults[0].contains("\"8080\""), "{faults:?}");
}

#[test]
fn an_unknown_key_and_a_missing_one_are_found() {
    let faults = ingress_faults(json!({ "listne": "127.0.0.1:80" })).join("\n");
    assert!(faults.contains("listne") && faults.contains("listen"), "{faults}");
}

#[test]
fn a_bad_mapping_is_found_beside_a_bad_section() {
    let settings = IngressSettings {
        event: Some(node(json!({ "subject": "{topic}" }))),
        ..ingress_settings()
    };
    let read = Http.ingress(&node(json!({ "listen": "x" })), &settings).unwrap();
    let faults: Vec<_> = read
        .err()
        .unwrap()
        .into_iter()
        .map(|finding| finding.path)
        .collect();
    assert_eq!(faults, ["section.listen", "section.subject"]);
}

#[test]
fn what_a_destination_cannot_do_is_refused_with_advice() {
    for (section, word) in [
        (json!({ "url": "https://crm/" }), "https"),
        (json!({ "url": "http://{subject}/" }), "host"),
        (json!({ "url": "http://h/", "tls": { "ca": "/x" } }), "tls"),
        (json!({ "url": "http://h/", "auth": { "user": "u" } }), "auth"),
        (json!({ "url": "http://h/", "method": "GET" }), "GET"),
        (
            json!({ "url": "http://h/", "headers": { "ce-id": "1" } }),
            "ce-id",
        ),
        (
            json!({ "url": "http://h/", "headers": { "x": "{data.x}" } }),
            "column",
        ),
        (json!({ "url": "http://h/{id}", "mode": "batch" }), "batch"),
        (json!({ "url": "http://h/", "mode": "btach" }), "btach"),
        (json!({ "url": "http://h/", "concurrency": 0 }), "concurrency"),
        (json!({ "url": "http://h/", "timeout": "0s" }), "zero"),
    ] {
        let faults = egress_faults(section.clone());
        assert!(
            faults.len() == 1 && faults[0].contains(word),
            "{section}: {faults:?}"
        );
    }
}

#[test]
fn explain_makes_the_event_that_a_request_would_become() {
    let settings = IngressSettings {
        accept: Some(Accept::Both),
        event: Some(node(json!({ "type": "x.{path[1]}" }))),
        ..ingress_settings()
    };
    let section = node(json!({ "listen": "127.0.0.1:8080" }));
    let builder = Http.ingress(&section, &settings).unwrap().unwrap();
    let raw = RawMessage {
        body: "hi".into(),
        headers: vec![],
        address: "/a/b?c=d".into(),
        ..RawMessage::default()
    };
    let event = builder.explain(&raw).unwrap();
    assert_eq!(
        (event.ty(), event.subject(), event.data().unwrap().as_ref()),
        ("x.b", Some("/a/b"), &b"hi"[..])
    );
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
    ];
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let event = builder
        .explain(&RawMessage {
            headers,
            ..raw.clone()
        })
        .unwrap();
    assert_eq!(event.get("type").unwrap().text, "t");
    let strict = Http.ingress(&section, &ingress_settings()).unwrap().unwrap();
    assert!(strict.explain(&raw).unwrap_err().contains("accept: both"));
}

#[test]
fn the_schema_knows_every_key() {
    let mut generator = schemars::SchemaGenerator::default();
    let schema = Http.ingress_schema(&mut generator).unwrap();
    Http.egress_schema(&mut generator).unwrap();
    let all = format!(
        "{} {}",
        schema.as_value(),
        serde_json::to_string(&generator.definitions()).unwrap()
    );
    for key in [
        "listen",
        "max_header_bytes",
        "webhook_origins",
        "connect_timeout",
        "concurrency",
    ] {
        assert!(all.contains(&format!("\"{key}\"")), "{key}");
    }
}

#[test]
fn the_documentation_lists_every_key() {
    let mut generator = schemars::SchemaGenerator::default();
    Http.ingress_schema(&mut generator).unwrap();
    Http.egress_schema(&mut generator).unwrap();
    let page = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/connectors/http.md"
    ))
    .unwrap();
    let mut keys = Vec::new();
    for (name, definition) in generator.definitions() {
        if let Some(properties) = definition.get("properties").and_then(Json::as_object) {
            let prefix = if name == "BatchSection" { "batch." } else { "" };
            keys.extend(
                properties
                    .keys()
                    .filter(|key| *key != "batch")
                    .map(|key| format!("`{prefix}{key}`")),
            );
        }
    }
    assert!(keys.len() > 20, "{keys:?}");
    let missing: Vec<_> = keys.into_iter().filter(|key| !page.contains(key)).collect();
    assert!(missing.is_empty(), "docs/connectors/http.md lacks {missing:?}");
}
