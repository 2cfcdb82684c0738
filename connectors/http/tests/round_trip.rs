//! What goes out through the egress comes in through the ingress as the same event.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::json;
use support::{Router, Server, accepted, egress, soon};
use weft_api::event::{AttrKind, Event, EventBuilder};
use weft_http::mapping::binary;

fn awkward() -> Vec<Event> {
    let minimal = EventBuilder::new().id("1").source("/s").ty("t").build().unwrap();
    let mut full = EventBuilder::new();
    full.id("a \"b\" %41 \\")
        .source("urn:x:y")
        .ty("\u{1f600}")
        .subject(" padded ")
        .time("2026-01-01T00:00:00.123456789+05:30");
    full.datacontenttype("application/json; charset=\"utf-8\"")
        .dataschema("http://x/y#z")
        .extension("quoted", "\"whole\"");
    full.extension("empty", "")
        .extension("percent", "100%25")
        .data(Bytes::from_static(b"{\"a\": 1.10}"));
    let mut bytes = EventBuilder::new();
    bytes
        .id("2")
        .source("/s")
        .ty("t")
        .datacontenttype("application/octet-stream");
    bytes.data(Bytes::from((0..=255_u8).cycle().take(60_000).collect::<Vec<_>>()));
    vec![minimal, full.build().unwrap(), bytes.build().unwrap()]
}

#[tokio::test]
async fn every_mode_and_protocol_brings_the_same_event() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({ "path": "/events" }), router.clone()).await;
    for mode in ["binary", "structured"] {
        for (gzip, http2) in [(false, false), (true, false), (false, true), (true, true)] {
            let url = format!("http://{}/events", server.address);
            let section = json!({ "url": url, "mode": mode, "gzip": gzip, "http2": http2 });
            let sender = egress(section.clone()).build().unwrap().direct().unwrap().open();
            for event in awkward() {
                // 60 kB of bytes are more than the limit as base64, unless they are packed; the limit is of the text.
                if mode == "structured" && event.size() > 40_000 {
                    continue;
                }
                let before = router.seen().len();
                soon(sender.send(event.clone()))
                    .await
                    .unwrap_or_else(|error| panic!("{section}: {error}"));
                let seen = router.seen();
                assert_eq!(seen.len(), before + 1);
                assert_eq!(seen[before].incoming.event, event, "{section}");
            }
        }
    }
}

#[tokio::test]
async fn a_batch_brings_the_same_events_in_order() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    let section = json!({ "url": format!("http://{}/", server.address), "mode": "batch" });
    let settled = support::queue::run(section, vec![awkward()]).finish().await;
    assert_eq!(settled.len(), 3);
    let came: Vec<_> = router
        .seen()
        .into_iter()
        .map(|seen| seen.incoming.event)
        .collect();
    assert_eq!(came, awkward());
}

proptest! {
    #[test]
    fn headers_carry_any_text(id in "\\PC{1,40}", subject in "\\PC{1,40}", value in "\\PC{0,60}", data in any::<Vec<u8>>()) {
        let mut builder = EventBuilder::new();
        builder.id(&id).source("/s").ty("t").subject(&subject).set("myext", AttrKind::String, &value);
        if !data.is_empty() {
            builder.data(data.into());
        }
        // What no event may hold is not the mapping's matter.
        let Ok(event) = builder.build() else { return Ok(()) };
        let mut headers = HeaderMap::new();
        let body = binary::encode(&event, &mut headers);
        prop_assert!(headers.values().all(|value| value.as_bytes().iter().all(|byte| matches!(byte, 0x21..=0x7e))));
        prop_assert_eq!(binary::decode(&headers, body).unwrap(), event);
    }

    #[test]
    fn any_headers_are_an_event_or_an_error(pairs in proptest::collection::vec(("ce-[a-z]{0,8}|content-type", any::<Vec<u8>>()), 0..8)) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name.as_bytes()), http::HeaderValue::from_bytes(&value)) {
                headers.append(name, value);
            }
        }
        let _ = binary::decode(&headers, Bytes::new());
    }
}
