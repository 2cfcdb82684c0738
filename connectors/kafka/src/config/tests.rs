//! What a section may say, and what a person reads when it says something else.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::{Value, json};
use weft_api::config::Finding;
use weft_api::connector::{Connector, EgressSettings, IngressSettings};

use super::reserved;
use crate::Kafka;
use crate::testing::node;

fn findings<T>(read: Result<T, Vec<Finding>>) -> Vec<String> {
    read.err()
        .unwrap_or_default()
        .iter()
        .map(|f| format!("{}: {} / {}", f.path, f.what, f.remedy))
        .collect()
}

fn ingress(section: &Value) -> Vec<String> {
    let settings = IngressSettings {
        name: Arc::from("in"),
        node: Arc::from("n"),
        cluster: Arc::from("c"),
        accept: None,
        event: None,
        window: None,
        event_max: 1 << 20,
        client_memory: 64 << 20,
        log: false,
    };
    let built = Kafka.ingress(&node(section), &settings).unwrap();
    findings(built.and_then(|builder| {
        // What decodes must be what librdkafka takes.
        builder
            .build()
            .map(|_| ())
            .map_err(|error| vec![Finding::error(&node(section), error, "")])
    }))
}

fn egress(section: &Value) -> Vec<String> {
    let settings = EgressSettings {
        name: Arc::from("out"),
        node: Arc::from("n"),
        cluster: Arc::from("c"),
        event_max: 1 << 20,
        client_memory: 64 << 20,
        lossy: false,
        log: false,
    };
    let built = Kafka.egress(&node(section), &settings).unwrap();
    findings(built.and_then(|builder| {
        builder
            .build()
            .map(|_| ())
            .map_err(|error| vec![Finding::error(&node(section), error, "")])
    }))
}

#[test]
fn full_sections_are_taken_by_librdkafka_too() {
    let section = json!({
        "brokers": ["a:9092", "b:9092"], "topics": ["orders", "^audit\\..*"], "group": "g",
        "start": "2026-01-31T08:00:00Z", "instance_id": "r-0", "isolation": "read_uncommitted",
        "tombstones": "malformed", "session_timeout": "10s", "fetch_wait": "50ms", "fetch_max": "256KiB",
        "commit_every": "500ms", "tls": { "insecure": true },
        "auth": { "mechanism": "scram-sha-512", "user": "u", "password": "p" },
        "librdkafka": { "socket.nagle.disable": true, "client.rack": "r1", "fetch.error.backoff.ms": 100 }
    });
    assert_eq!(ingress(&section), Vec::<String>::new());
    let section = json!({
        "brokers": ["a:9092"], "topic": "orders.{subject}", "topics": ["orders.eu"], "key": "{id}", "partition": 0,
        "headers": { "tenant": "{source}" }, "mode": "structured", "compression": "zstd", "timeout": "5s",
        "create": { "partitions": 3, "replication": 1 }, "tls": {},
        "auth": { "mechanism": "plain", "user": "u", "password": "p" }, "librdkafka": { "linger.ms": 20 }
    });
    assert_eq!(egress(&section), Vec::<String>::new());
}

#[test]
fn every_mistake_of_an_ingress_is_named_at_once() {
    let section = json!({
        "brokers": [], "topics": ["a b", "^("], "group": "", "instance_id": "",
        "tls": { "cert": "/c" }, "librdkafka": { "enable.auto.commit": true, "sasl.password": "x" }
    });
    let found = ingress(&section);
    let paths: Vec<&str> = found
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "kafka.brokers",
            "kafka.tls",
            "kafka.librdkafka.enable.auto.commit",
            "kafka.librdkafka.sasl.password",
            "kafka.topics",
            "kafka.topics",
            "kafka.group",
            "kafka.instance_id",
        ],
        "{found:#?}"
    );
    assert!(found[3].ends_with("it is set by `auth`"), "{}", found[3]);
}

#[test]
fn every_mistake_of_a_destination_is_named_at_once() {
    let section = json!({
        "brokers": ["a:1,b:1"], "topic": "no good", "topics": ["x"], "key": "{nothing.here}", "partition": -1,
        "headers": { "ce_id": "x", "ok": "{" }, "librdkafka": { "acks": 1 }
    });
    let found = egress(&section);
    for path in [
        "kafka.brokers",
        "kafka.librdkafka.acks",
        "kafka.key",
        "kafka.headers.ok",
        "kafka.partition",
        "kafka.topics",
        "kafka.topic",
        "kafka.headers.ce_id",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(&format!("{path}: "))),
            "{path} in {found:#?}"
        );
    }
}

/// As librdkafka does it: an expression is bound to the name's beginning, and not to its end.
#[test]
fn an_ingress_tells_which_topics_it_reads() {
    let section = json!({ "brokers": ["a:1"], "topics": ["orders", "^audit\\.", "^b$"], "group": "g" });
    let section: super::IngressSection = weft_api::config::decode(&node(&section)).unwrap();
    for topic in ["orders", "audit.x", "b"] {
        assert!(section.reads(topic), "{topic}");
    }
    for topic in ["orders.x", "x.audit.x", "bb", "^b$"] {
        assert!(!section.reads(topic), "{topic}");
    }
}

#[test]
fn a_setting_that_librdkafka_does_not_know_is_refused_before_the_start() {
    let section = json!({ "brokers": ["a:1"], "topic": "t", "librdkafka": { "no.such.thing": 1 } });
    let found = egress(&section);
    assert!(found[0].contains("no.such.thing"), "{found:?}");
}

#[test]
fn a_start_that_is_none_says_what_would_be() {
    let section = json!({ "brokers": ["a:1"], "topics": ["t"], "group": "g", "start": "yesterday" });
    let found = ingress(&section);
    assert!(
        found[0].contains("`earliest`, `latest` nor a time like"),
        "{found:?}"
    );
}

#[test]
fn a_topic_is_made_only_with_its_shape() {
    let section = json!({ "brokers": ["a:1"], "topic": "t", "create": true });
    assert!(
        egress(&section)[0].contains("partitions: 6, replication: 3"),
        "{:?}",
        egress(&section)
    );
}

#[test]
fn a_setting_that_the_contract_rests_on_never_passes_through() {
    for key in [
        "acks",
        "enable.idempotence",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "partition.assignment.strategy",
        "group.id",
        "message.timeout.ms",
        "ssl.ca.location",
        "sasl.password",
        "enable.ssl.certificate.verification",
        "security.protocol",
    ] {
        assert!(reserved(key).is_some(), "{key} passes through");
    }
    for key in ["linger.ms", "socket.keepalive.enable", "partitioner", "debug"] {
        assert!(reserved(key).is_none(), "{key} is held back");
    }
}
