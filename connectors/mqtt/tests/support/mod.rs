//! What the tests of this crate share: sections, a client and a tap that know nothing of the connector's own code.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod client;
pub mod fake;
pub mod packet;
pub mod tap;

use std::sync::Arc;

use serde_json::Value as Json;
use weft_api::config::Node;
use weft_api::connector::{Connector, EgressSettings, IngressSettings};
use weft_api::egress::Egress;
use weft_api::ingress::{Ingress, Window};
use weft_conformance::section;
use weft_mqtt::Mqtt;

/// `limits.event` here.
pub const EVENT_MAX: usize = 1 << 20;

/// A section as the router would hand it over.
pub fn node(json: &Json) -> Node {
    section("test.mqtt", json)
}

/// An ingress of this section.
pub fn ingress(section: &Json, window: Option<Window>) -> Box<dyn Ingress> {
    let settings = IngressSettings {
        name: Arc::from("test"),
        node: Arc::from("node"),
        cluster: Arc::from("paris"),
        accept: None,
        event: None,
        window,
        event_max: EVENT_MAX as u64,
        client_memory: 8 << 20,
        log: false,
    };
    let builder = Mqtt.ingress(&node(section), &settings).unwrap();
    builder
        .unwrap_or_else(|findings| panic!("{findings:?}"))
        .build()
        .unwrap()
}

/// An egress of this section; lossy where it says `qos: 0`.
pub fn egress(section: &Json) -> Box<dyn Egress> {
    let settings = EgressSettings {
        name: Arc::from("test"),
        node: Arc::from("node"),
        cluster: Arc::from("paris"),
        event_max: EVENT_MAX as u64,
        client_memory: 8 << 20,
        lossy: section["qos"] == 0,
        log: false,
    };
    let builder = Mqtt.egress(&node(section), &settings).unwrap();
    builder
        .unwrap_or_else(|findings| panic!("{findings:?}"))
        .build()
        .unwrap()
}

/// How long anything may take.
pub const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Waits for something that can only be looked at.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looked = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(LIMIT, looked).await.is_ok(),
        "{what}: not within {LIMIT:?}"
    );
}

/// Waits for something that says so itself.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}
