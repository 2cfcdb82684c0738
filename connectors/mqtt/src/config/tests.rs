//! What a section may say, and what a person reads when it says something else.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_api::config::Finding;

use super::{Mode, Qos, Version};
use crate::testing::{egress_settings, ingress_settings, node};

fn lines(findings: &[Finding]) -> Vec<String> {
    assert!(
        findings.iter().all(|finding| !finding.remedy.is_empty()),
        "{findings:?}"
    );
    findings
        .iter()
        .map(|f| format!("{}: {} / {}", f.path, f.what, f.remedy))
        .collect()
}

fn ingress(section: &Value) -> Vec<String> {
    let read = super::ingress(&node(section), &ingress_settings(None, None));
    lines(&read.err().unwrap_or_default())
}

fn egress(section: &Value) -> Vec<String> {
    let read = super::egress(&node(section), &egress_settings(false));
    lines(&read.err().unwrap_or_default())
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
        "url": "mqtts://a:8883", "version": 5, "subscribe": ["plant/+/temperature", "jobs/#"], "qos": 2,
        "client_id": "w", "sessions": 4, "share": "weft", "session_expiry": "1h", "keep_alive": "10s", "retain": "new",
        "max_packet": "256KiB", "tls": {}, "auth": { "user": "u", "password": "p" }
    });
    assert_eq!(ingress(&section), Vec::<String>::new());
    let section = json!({
        "url": "mqtts://a:8883", "version": "5.0", "topic": "plant/{subject}", "topics": ["plant/1"], "qos": 2,
        "retain": true, "mode": "binary", "expiry": "1h", "user_properties": { "x-tenant": "{source}" },
        "response_topic": "replies/{subject}", "client_id": "w", "timeout": "5s", "in_flight": 10, "keep_alive": "10s",
        "tls": {}, "auth": { "user": "u" }
    });
    assert_eq!(egress(&section), Vec::<String>::new());
}

#[test]
fn silence_means_what_the_documentation_says() {
    let section = json!({ "url": "mqtt://a", "subscribe": ["a"] });
    let (read, _) = super::ingress(&node(&section), &ingress_settings(None, None)).unwrap();
    assert_eq!(
        (read.version, read.qos, read.sessions),
        (Version::V5, Qos::AtLeast, 1)
    );
    assert_eq!(read.session_expiry().as_secs(), 7 * 24 * 3600);
    assert_eq!(read.share("in"), None);
    let section = json!({ "url": "mqtt://a", "topic": "a" });
    let (read, layout) = super::egress(&node(&section), &egress_settings(false)).unwrap();
    assert_eq!(
        (read.qos, read.mode(), read.in_flight),
        (Qos::AtLeast, Mode::Binary, 1024)
    );
    assert_eq!(layout.fixed_topic(), Some("a"));
    let section = json!({ "url": "mqtt://a", "topic": "a", "version": "3.1.1" });
    let (read, _) = super::egress(&node(&section), &egress_settings(false)).unwrap();
    assert_eq!(read.mode(), Mode::Structured);
}

#[test]
fn several_sessions_share_under_the_ingress_name() {
    let section = json!({ "url": "mqtt://a", "subscribe": ["a"], "sessions": 3 });
    let (read, _) = super::ingress(&node(&section), &ingress_settings(None, None)).unwrap();
    assert_eq!(read.share("plant").as_deref(), Some("weft-plant"));
}

#[test]
fn a_version_is_read_however_it_is_written() {
    for (word, expected) in [
        (json!(5), Version::V5),
        (json!(5.0), Version::V5),
        (json!("5.0"), Version::V5),
        (json!(3), Version::V3),
        (json!("3.1.1"), Version::V3),
    ] {
        let section = json!({ "url": "mqtt://a", "subscribe": ["a"], "version": word });
        let (read, _) = super::ingress(&node(&section), &ingress_settings(None, None)).unwrap();
        assert_eq!(read.version, expected, "{word}");
    }
    for word in [json!(4), json!(3.1), json!("3.1"), json!("five"), json!(true)] {
        let section = json!({ "url": "mqtt://a", "subscribe": ["a"], "version": word });
        let found = ingress(&section);
        assert_eq!(paths(&found), ["mqtt.version"], "{found:?}");
    }
    assert_eq!(
        ingress(&json!({ "url": "mqtt://a", "subscribe": ["a"], "version": 3.1 })),
        ["mqtt.version: `3.1` is no version of MQTT that is spoken here / write 5, or 3.1.1"]
    );
}

#[test]
fn every_mistake_of_an_ingress_is_named_at_once() {
    let section = json!({
        "url": "mqtt://a", "subscribe": ["a/#/b", "$share/g/a", "a", "a"], "client_id": "", "sessions": 0,
        "share": "a/b", "session_expiry": "10ms", "keep_alive": "0s", "no_local": true, "max_packet": 5
    });
    let found = ingress(&section);
    let expected = [
        "mqtt.client_id",
        "mqtt.keep_alive",
        "mqtt.subscribe",
        "mqtt.subscribe",
        "mqtt.subscribe",
        "mqtt.sessions",
        "mqtt.share",
        "mqtt.no_local",
        "mqtt.session_expiry",
        "mqtt.max_packet",
    ];
    assert_eq!(paths(&found), expected, "{found:#?}");
    assert!(found[3].contains("`share:`"), "{}", found[3]);
    let found = ingress(&json!({ "url": "mqtt://a", "subscribe": [], "qos": 3, "sesions": 2 }));
    assert_eq!(paths(&found), ["mqtt.qos", "mqtt.sesions"], "{found:#?}");
    assert!(
        found[0].contains("write 0, 1 or 2") && found[1].contains("`sessions`"),
        "{found:#?}"
    );
}

#[test]
fn every_mistake_of_a_destination_is_named_at_once() {
    let section = json!({
        "url": "mqtt://a", "topic": "a/+", "topics": ["b#"], "qos": 0, "timeout": "0s", "in_flight": 0,
        "expiry": "0s", "user_properties": { "tenant": "x", "": "x", "ok-1": "{" }, "response_topic": "#"
    });
    let mut found = egress(&section);
    found.sort();
    let expected = [
        "mqtt.expiry",
        "mqtt.in_flight",
        "mqtt.qos",
        "mqtt.response_topic",
        "mqtt.timeout",
        "mqtt.topic",
        "mqtt.topics",
        "mqtt.topics",
        "mqtt.user_properties.",
        "mqtt.user_properties.ok-1",
        "mqtt.user_properties.tenant",
    ];
    assert_eq!(paths(&found), expected, "{found:#?}");
    assert!(found[2].contains("`lossy: true`"), "{}", found[2]);
    assert!(found[10].contains("`add` on a route"), "{}", found[10]);
}

#[test]
fn the_text_of_a_template_has_no_wildcard_either() {
    let found = egress(&json!({ "url": "mqtt://a", "topic": "plant/+/{subject}" }));
    assert_eq!(paths(&found), ["mqtt.topic"], "{found:?}");
    let found = egress(&json!({ "url": "mqtt://a", "topic": "{subject}", "response_topic": "{subject}/#" }));
    assert_eq!(paths(&found), ["mqtt.response_topic"], "{found:?}");
    assert_eq!(
        egress(&json!({ "url": "mqtt://a", "topic": "a/{subject | else #}" })),
        Vec::<String>::new()
    );
}

#[test]
fn quality_of_service_0_needs_a_destination_that_may_lose() {
    let section = json!({ "url": "mqtt://a", "topic": "a", "qos": 0 });
    assert!(super::egress(&node(&section), &egress_settings(true)).is_ok());
    assert_eq!(
        egress(&section),
        [
            "mqtt.qos: nobody confirms a message of QoS 0, so it can be lost without a trace / use 1, or mark the \
          destination `lossy: true`"
        ]
    );
}

#[test]
fn what_3_1_1_does_not_have_is_refused_and_not_left_without_effect() {
    let found = ingress(&json!({
        "url": "mqtt://a", "version": 3, "subscribe": ["a"], "session_expiry": "1h", "retain": "never", "no_local": true
    }));
    assert_eq!(
        paths(&found),
        ["mqtt.session_expiry", "mqtt.retain", "mqtt.no_local"],
        "{found:#?}"
    );
    let found = egress(&json!({
        "url": "mqtt://a", "version": 3, "topic": "a", "mode": "binary", "expiry": "1h",
        "user_properties": { "x-a": "b" }, "response_topic": "r"
    }));
    assert_eq!(
        paths(&found),
        [
            "mqtt.mode",
            "mqtt.expiry",
            "mqtt.user_properties",
            "mqtt.response_topic"
        ],
        "{found:#?}"
    );
}

#[test]
fn an_address_that_is_none_says_what_to_write() {
    for (url, why) in [
        ("mosquitto:1883", "no scheme"),
        ("tcp://a", "not spoken"),
        ("mqtt://a/path", "behind"),
        ("mqtt://u:secret@a", "credentials"),
    ] {
        for found in [
            ingress(&json!({ "url": url, "subscribe": ["a"] })),
            egress(&json!({ "url": url, "topic": "a" })),
        ] {
            assert_eq!(paths(&found), ["mqtt.url"], "{found:?}");
            assert!(
                found[0].contains(why) && !found[0].contains("secret"),
                "{found:?}"
            );
        }
    }
    let found = egress(&json!({ "url": "mqtts://a", "topic": "a", "tls": { "cert": "/c" } }));
    assert_eq!(paths(&found), ["mqtt.tls"], "{found:?}");
}

#[test]
fn a_password_is_never_shown() {
    let section = json!({ "url": "mqtt://a", "topic": "a", "auth": { "user": "u", "password": "secret" } });
    let (read, _) = super::egress(&node(&section), &egress_settings(false)).unwrap();
    assert!(!format!("{read:?}").contains("secret"));
}
