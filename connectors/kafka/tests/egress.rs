//! Events out, against a real broker.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Router, Running, Sending, event, ingress_settings};
use weft_api::event::{AttrKind, Event, EventBuilder};
use weft_api::outcome::{Fault, Reason};
use weft_rig::Kafka;

fn section(topic: &str) -> serde_json::Value {
    json!({ "brokers": [Kafka::shared().brokers()], "topic": topic })
}

fn rich() -> EventBuilder {
    let mut builder = EventBuilder::new();
    builder
        .id("A-1")
        .source("/a/b?c=1#d")
        .ty("com.acme.order")
        .subject("übergabe 100% ☕")
        .time("2026-01-31T08:00:00.120+02:00");
    builder
        .dataschema("https://acme.com/schema")
        .datacontenttype("application/json");
    builder
        .set("attempt", AttrKind::Integer, "7")
        .extension("empty", "")
        .extension("note", "a,b=c\"d\"");
    builder
}

async fn there_and_back(mode: &str, events: Vec<Event>) -> Vec<Event> {
    let topic = Kafka::shared().topic(mode, 1);
    let mut out = section(&topic);
    out["mode"] = json!(mode);
    let mut sending = Sending::start(&out);
    let count = events.len();
    sending.give(events);
    for _ in 0..count {
        assert!(sending.settled().await.error.is_none());
    }
    sending.finish().await;
    let inwards = json!({ "brokers": [Kafka::shared().brokers()], "topics": [topic], "group": topic });
    let running = Running::start(&inwards, &ingress_settings(100), Router::accepting());
    let delivered = running.router.wait(count).await;
    running.stop().await;
    assert!(delivered.iter().all(|d| !d.malformed));
    delivered.into_iter().map(|d| d.event).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_mode_brings_every_attribute_and_byte_there_and_back() {
    let none = rich().build().unwrap();
    let empty = rich().data(bytes::Bytes::new()).build().unwrap();
    let bytes = rich()
        .data(bytes::Bytes::from_static(&[0, 255, 10]))
        .key(bytes::Bytes::from_static(&[1, 0, 2]))
        .build()
        .unwrap();
    let large = rich()
        .data(bytes::Bytes::from(vec![7; 64 << 10]))
        .key(bytes::Bytes::new())
        .build()
        .unwrap();
    let sent = vec![none, empty, bytes, large];
    let came = there_and_back("binary", sent.clone()).await;
    for (sent, came) in sent.iter().zip(&came) {
        // Headers are text: an extension's type does not travel in binary mode.
        let plain = |event: &Event| {
            let mut attributes: Vec<_> = event
                .attributes()
                .map(|(n, v)| (n.to_string(), v.text.to_string()))
                .collect();
            attributes.sort();
            attributes
        };
        assert_eq!(plain(sent), plain(came));
        assert_eq!(
            (sent.data(), sent.transport_key()),
            (came.data(), came.transport_key())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn structured_mode_brings_types_too() {
    let none = rich().build().unwrap();
    let json = rich()
        .data(bytes::Bytes::from_static(b"{\"n\": 12345678901234567890.0}"))
        .build()
        .unwrap();
    let bytes = rich()
        .datacontenttype("application/octet-stream")
        .data(bytes::Bytes::from_static(&[0, 255]))
        .build()
        .unwrap();
    let sent = vec![none, json, bytes];
    assert_eq!(there_and_back("structured", sent.clone()).await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_data_is_a_null_value_and_empty_data_an_empty_one() {
    let topic = Kafka::shared().topic("null", 1);
    let mut sending = Sending::start(&section(&topic));
    sending.send(rich().build().unwrap()).await.unwrap();
    sending
        .send(rich().data(bytes::Bytes::new()).build().unwrap())
        .await
        .unwrap();
    sending.finish().await;
    let records = Kafka::shared().drain(&topic);
    assert_eq!(
        records.iter().map(|r| r.value.clone()).collect::<Vec<_>>(),
        [None, Some(vec![])]
    );
    assert_eq!(records[0].key, None);
    assert_eq!(records[0].text_header("ce_id"), Some("A-1"));
    assert_eq!(records[0].text_header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_named_at_once_and_is_the_destinations_fault() {
    let mut sending = Sending::start(&section("no-such-topic-out"));
    let began = Instant::now();
    let error = sending.send(event("1", "k", "v")).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Destination, Reason::Misconfigured)
    );
    assert!(error.detail.contains("no-such-topic-out"), "{error}");
    assert!(sending.heard.any("no-such-topic-out"));
    sending.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_appears_is_found_without_a_restart() {
    let topic = format!("{}-later", Kafka::shared().topic("appears", 1));
    let mut sending = Sending::start(&section(&topic));
    assert!(sending.send(event("1", "k", "v")).await.is_err());
    Kafka::shared().create_topic(&topic, 1, &[]);
    let mut tries = 0;
    while sending.send(event("1", "k", "v")).await.is_err() {
        tries += 1;
        assert!(tries < 100);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    sending.finish().await;
    assert_eq!(Kafka::shared().drain(&topic).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_where_the_file_says_so() {
    let topic = format!("{}-made", Kafka::shared().topic("create", 1));
    let mut out = section(&topic);
    out["create"] = json!({ "partitions": 3, "replication": 1 });
    let mut sending = Sending::start(&out);
    sending.send(event("1", "k", "v")).await.unwrap();
    sending.finish().await;
    assert_eq!(Kafka::shared().offsets(&topic).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_templated_topic_blames_the_event_and_lets_the_others_pass() {
    let good = Kafka::shared().topic("tpl-good", 1);
    let mut out = section("{subject}");
    out["topics"] = json!([good, "tpl-missing"]);
    let mut sending = Sending::start(&out);
    let to = |subject: Option<&str>| {
        let mut builder = EventBuilder::new();
        builder.id("1").source("/s").ty("t");
        subject.map(|subject| builder.subject(subject));
        builder.build().unwrap()
    };
    sending.give(vec![
        to(Some("tpl-missing")),
        to(Some("a/b")),
        to(Some("forbidden")),
        to(None),
        to(Some(&good)),
    ]);
    for index in 0..5 {
        let settled = sending.settled().await;
        assert_eq!(settled.index, index);
        match settled.error {
            Some(error) => assert_eq!(
                (error.fault, error.reason),
                (Fault::Event, Reason::Address),
                "{error}"
            ),
            None => assert_eq!(index, 4),
        }
    }
    sending.finish().await;
    assert_eq!(Kafka::shared().drain(&good).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_larger_than_the_topic_takes_is_the_events_fault_and_the_others_arrive() {
    let topic = format!("{}-small", Kafka::shared().topic("large", 1));
    Kafka::shared().create_topic(&topic, 1, &[("max.message.bytes", "20000")]);
    let mut sending = Sending::start(&section(&topic));
    let body = |n: usize| "x".repeat(n);
    // Together more than the topic takes, each alone less, but for one.
    let mut open: Vec<Event> = (0..40).map(|n| event(&n.to_string(), "k", &body(1000))).collect();
    open.insert(20, event("big", "k", &body(30_000)));
    let mut delivered = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..40 {
        let batch = std::mem::take(&mut open);
        sending.give(batch.clone());
        for _ in 0..batch.len() {
            let settled = sending.settled().await;
            let event = batch[settled.index as usize].clone();
            match settled.error {
                None => delivered.push(event),
                Some(error) if error.fault == Fault::Event => {
                    assert_eq!(error.reason, Reason::TooLarge);
                    refused.push(event.id().to_string());
                }
                Some(_) => open.push(event),
            }
        }
        if open.is_empty() {
            break;
        }
    }
    assert_eq!((delivered.len(), refused), (40, vec!["big".to_string()]));
    // Larger than the configured limit: refused before it is sent, by the limit's name.
    let error = sending
        .send(event("huge", "k", &body(2 << 20)))
        .await
        .unwrap_err();
    assert_eq!((error.fault, error.reason), (Fault::Event, Reason::TooLarge));
    sending.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_headers_come_from_templates() {
    let topic = Kafka::shared().topic("key", 1);
    let mut out = section(&topic);
    out["key"] = json!("{type}-{subject}");
    out["headers"] = json!({ "tenant": "{source}" });
    let mut sending = Sending::start(&out);
    sending.send(rich().build().unwrap()).await.unwrap();
    sending.finish().await;
    let record = Kafka::shared().drain(&topic).remove(0);
    assert_eq!(
        record.key.as_deref(),
        Some("com.acme.order-übergabe 100% ☕".as_bytes())
    );
    assert_eq!(record.text_header("tenant"), Some("/a/b?c=1#d"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_unavailable_for_certain_and_said_once() {
    let mut broker = weft_rig::Broker::reserve();
    let out = json!({ "brokers": [broker.brokers()], "topic": "down" });
    let mut sending = Sending::start(&out);
    for _ in 0..2 {
        let error = sending.send(event("1", "k", "v")).await.unwrap_err();
        assert_eq!(
            (error.fault, error.reason, error.maybe_delivered),
            (Fault::Destination, Reason::Unavailable, false)
        );
        assert!(error.detail.contains("refused the connection"), "{error}");
    }
    let heard = sending.heard.clone();
    let said = heard.said.lock().unwrap().clone();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("refused the connection"), "{said:?}");
    let broker = tokio::task::spawn_blocking(move || {
        broker.start();
        broker.create_topic("down", 1, &[]);
        broker
    });
    let broker = broker.await.unwrap();
    while sending.send(event("1", "k", "v")).await.is_err() {}
    let said = heard.said.lock().unwrap().clone();
    assert_eq!(said.last().unwrap(), "Ready", "{said:?}");
    sending.finish().await;
    assert_eq!(broker.drain("down").len(), 1);
}
