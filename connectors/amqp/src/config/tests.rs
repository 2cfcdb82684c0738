//! What a section may say, and what a person reads when it says something else.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_api::config::Finding;
use weft_api::connector::Connector;

use crate::Amqp;
use crate::testing::{egress_settings, ingress_settings, node};

fn findings<T>(read: Result<T, Vec<Finding>>) -> Vec<String> {
    read.err()
        .unwrap_or_default()
        .iter()
        .map(|f| format!("{}: {} / {}", f.path, f.what, f.remedy))
        .collect()
}

fn ingress(section: &Value) -> Vec<String> {
    findings(Amqp.ingress(&node(section), &ingress_settings()).unwrap())
}

fn egress(section: &Value) -> Vec<String> {
    findings(Amqp.egress(&node(section), &egress_settings()).unwrap())
}

fn paths(found: &[String]) -> Vec<&str> {
    found
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect()
}

#[test]
fn full_sections_are_taken() {
    let section = json!({
        "url": "amqps://broker", "address": ["a", "b"], "kind": "queue", "links": 2, "selector": "x = 1",
        "container_id": "c", "virtual_host": "v", "idle_timeout": "10s", "max_frame": "64KiB",
        "tls": { "ca": "/ca" }, "auth": { "mechanism": "scram-sha-512", "user": "u", "password": "p" }
    });
    assert_eq!(ingress(&section), Vec::<String>::new());
    let section = json!({
        "url": "amqp://broker", "address": "news", "kind": "topic", "subscription": "audit", "shared": true, "links": 3
    });
    assert_eq!(ingress(&section), Vec::<String>::new());
    let section = json!({
        "url": "amqp://broker:5673", "address": "orders.{type}", "addresses": ["orders.a"], "kind": "any",
        "mode": "structured", "prefix": "cloudEvents:", "durable": false, "priority": 9, "timeout": "5s",
        "properties": { "tenant": "{source}" }, "auth": { "mechanism": "anonymous" }
    });
    assert_eq!(egress(&section), Vec::<String>::new());
}

#[test]
fn every_mistake_of_an_ingress_is_named_at_once() {
    let section = json!({
        "url": "http://u:hunter2@broker", "address": ["a", "a", ""], "links": 0, "selector": "", "shared": true,
        "container_id": "", "idle_timeout": "1ms", "max_frame": 100, "tls": { "cert": "/c" },
        "auth": { "mechanism": "plain", "user": "u" }
    });
    let found = ingress(&section);
    assert_eq!(
        paths(&found),
        [
            "amqp.url",
            "amqp.max_frame",
            "amqp.idle_timeout",
            "amqp.container_id",
            "amqp.tls",
            "amqp.auth",
            "amqp.address",
            "amqp.address",
            "amqp.links",
            "amqp.selector",
            "amqp.shared",
        ],
        "{found:#?}"
    );
    let told = |line: &String| !line.contains("hunter2") && !line.ends_with("/ ");
    assert!(found.iter().all(told), "{found:#?}");
}

#[test]
fn a_subscription_needs_a_topic_and_a_name_that_stays() {
    let base = json!({ "url": "amqp://b", "address": "news", "subscription": "audit" });
    let with = |more: Value| {
        let mut section = base.clone();
        for (key, value) in more.as_object().unwrap() {
            section[key] = value.clone();
        }
        ingress(&section)
    };
    assert!(with(json!({}))[0].contains("container_id"));
    assert_eq!(with(json!({ "container_id": "c" })), Vec::<String>::new());
    assert!(with(json!({ "container_id": "c", "kind": "queue" }))[0].contains("no subscriptions"));
    assert!(with(json!({ "container_id": "c", "links": 2 }))[0].contains("one consumer"));
    assert!(with(json!({ "shared": true, "address": ["a", "b"] }))[0].contains("one address"));
    assert!(with(json!({ "shared": true, "subscription": "a|b" }))[0].contains('|'));
}

#[test]
fn every_mistake_of_a_destination_is_named_at_once() {
    let section = json!({
        "url": "amqp://b/vhost", "address": "fixed", "addresses": ["x", ""], "priority": 10, "timeout": "0s",
        "properties": { "cloudEvents_id": "x", "ok": "{", "": "x" },
        "auth": { "mechanism": "external", "password": "p" }
    });
    let found = egress(&section);
    for path in [
        "amqp.url",
        "amqp.auth",
        "amqp.addresses",
        "amqp.priority",
        "amqp.timeout",
        "amqp.properties.cloudEvents_id",
        "amqp.properties.ok",
        "amqp.properties.",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(&format!("{path}: "))),
            "{path} in {found:#?}"
        );
    }
}

#[test]
fn unknown_keys_are_refused() {
    assert!(ingress(&json!({ "url": "amqp://b", "address": "a", "queue": "q" }))[0].contains("queue"));
    assert!(egress(&json!({ "url": "amqp://b", "address": "a", "queue": "q" }))[0].contains("queue"));
}
