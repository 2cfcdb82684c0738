//! Over TLS with SCRAM-SHA-512, against a real broker that takes nothing else there.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Router, Running, Sending, egress, event, ingress, ingress_settings, until};
use weft_api::outcome::{Fault, Reason};
use weft_rig::{Broker, Kafka, SCRAM, tls};

async fn broker(topic: &'static str) -> Broker {
    let start = move || {
        let broker = Kafka::private();
        broker.create_topic(topic, 1, &[]);
        broker
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// What both sections say about the way there.
fn way(broker: &Broker, ca: &std::path::Path, password: &str) -> Value {
    json!({
        "brokers": [broker.secure()],
        "tls": { "ca": ca },
        "auth": { "mechanism": "scram-sha-512", "user": SCRAM.0, "password": password },
        "timeout": "3s",
    })
}

fn out(mut way: Value, topic: &str) -> Value {
    way["topic"] = json!(topic);
    way
}

fn inwards(mut way: Value, topic: &str) -> Value {
    way.as_object_mut().unwrap().remove("timeout");
    way["topics"] = json!([topic]);
    way["group"] = json!(topic);
    way
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_there_and_back_over_tls_with_a_password() {
    let broker = broker("safe").await;
    let way = way(&broker, &tls::ca(), SCRAM.1);
    egress(&out(way.clone(), "safe")).probe().await.unwrap();
    let mut sending = Sending::start(&out(way.clone(), "safe"));
    for n in 0..10 {
        sending.send(event(&n.to_string(), "k", "v")).await.unwrap();
    }
    sending.finish().await;
    assert_eq!(broker.drain("safe").len(), 10);
    let inwards = inwards(way, "safe");
    ingress(&inwards, &ingress_settings(10)).probe().await.unwrap();
    let running = Running::start(&inwards, &ingress_settings(10), Router::accepting());
    running.router.wait(10).await;
    running.stop().await;
    assert_eq!(broker.committed("safe", "safe")[&0], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_and_is_the_destinations_fault() {
    let broker = broker("password").await;
    let way = way(&broker, &tls::ca(), "wrong");
    let mut sending = Sending::start(&out(way.clone(), "password"));
    let error = sending.send(event("1", "k", "v")).await.unwrap_err();
    assert_eq!(
        (error.fault, error.maybe_delivered),
        (Fault::Destination, false),
        "{error}"
    );
    assert!(error.detail.to_lowercase().contains("authentication"), "{error}");
    assert!(!error.detail.contains("wrong"), "the password is told: {error}");
    sending.finish().await;
    let running = Running::start(
        &inwards(way, "password"),
        &ingress_settings(10),
        Router::accepting(),
    );
    until("why nothing comes", || {
        (running.heard.any("uthentication") || running.heard.any("UTHENTICATION")).then_some(())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_of_another_authority_is_not_trusted() {
    let broker = broker("authority").await;
    let way = way(&broker, &tls::other_ca(), SCRAM.1);
    let mut sending = Sending::start(&out(way.clone(), "authority"));
    let error = sending.send(event("1", "k", "v")).await.unwrap_err();
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Destination, Reason::Unavailable)
    );
    assert!(error.detail.contains("certificate"), "{error}");
    sending.finish().await;
    assert!(broker.drain("authority").is_empty());
}
