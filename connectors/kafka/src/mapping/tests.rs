//! The mapping from records, without a broker.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::json;
use weft_api::connector::{IngressSettings, RawMessage};
use weft_api::event::{AttrKind, Attributes, Event, EventBuilder};
use weft_api::mapping::Accept;

use super::ingress::{Mapped, Mapper, Mapping};
use super::record::{HeaderList, Record};
use crate::config::IngressSection;
use crate::testing::node;

fn mapper(more: serde_json::Value, accept: Option<Accept>, event: Option<serde_json::Value>) -> Mapper {
    let mut section = json!({ "brokers": ["k:1"], "topics": ["t"], "group": "g" });
    for (key, value) in more.as_object().unwrap() {
        section[key] = value.clone();
    }
    let place = node(&section);
    let section: IngressSection = weft_api::config::decode(&place).unwrap();
    let settings = IngressSettings {
        name: Arc::from("in"),
        node: Arc::from("n"),
        cluster: Arc::from("paris"),
        accept,
        event: event.map(|event| node(&event)),
        window: None,
        event_max: 1000,
        client_memory: 0,
        log: false,
    };
    Mapper::new(Arc::new(
        Mapping::new(section.tombstones, &place, &settings)
            .map_err(|f| format!("{f:?}"))
            .unwrap(),
    ))
}

fn record<'a>(headers: &[(&'a str, Option<&'a [u8]>)], value: Option<&'a [u8]>) -> Record<'a> {
    Record {
        topic: "t",
        partition: 3,
        offset: 42,
        timestamp: Some(1500),
        key: Some(b"k"),
        value,
        headers: headers.iter().copied().collect::<HeaderList<'a>>(),
        unreadable: None,
    }
}

const EVENT: &[(&str, Option<&[u8]>)] = &[
    ("ce_specversion", Some(b"1.0")),
    ("ce_id", Some(b"1")),
    ("ce_source", Some(b"/s")),
    ("ce_type", Some(b"t")),
    ("content-type", Some(b"text/plain")),
    ("ce_traceparent", Some(b"00-ab")),
    ("other", Some(b"left behind")),
];

fn event(mapped: Mapped) -> Event {
    match mapped {
        Mapped::Event(event) => event,
        Mapped::Malformed(event) => panic!("malformed: {:?}", event.get("weftreason")),
        Mapped::Dropped => panic!("dropped"),
    }
}

fn reason(mapped: Mapped) -> String {
    match mapped {
        Mapped::Malformed(event) => event.get("weftreason").unwrap().text.to_string(),
        Mapped::Event(event) => panic!("taken: {event:?}"),
        Mapped::Dropped => panic!("dropped"),
    }
}

#[test]
fn prefixed_headers_are_attributes_and_no_others_are() {
    let event = event(mapper(json!({}), None, None).map_record(&record(EVENT, Some(b"data"))));
    let mut expected = EventBuilder::new();
    expected
        .id("1")
        .source("/s")
        .ty("t")
        .datacontenttype("text/plain")
        .extension("traceparent", "00-ab");
    expected.data(bytes::Bytes::from_static(b"data"));
    assert_eq!(event, expected.build().unwrap());
    assert_eq!(event.key(), Some(&b"k"[..]));
}

#[test]
fn a_structured_record_is_read_whatever_its_parameters_and_case() {
    let body = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","n":7,"data":{"a":[1]}}"#;
    let headers: &[(&str, Option<&[u8]>)] = &[(
        "Content-Type",
        Some(b"Application/CloudEvents+JSON; charset=utf-8"),
    )];
    let event = event(mapper(json!({}), None, None).map_record(&record(headers, Some(body))));
    assert_eq!(
        event.get("n").map(|v| (v.kind, v.text)),
        Some((AttrKind::Integer, "7"))
    );
    assert_eq!(event.data().unwrap(), &r#"{"a":[1]}"#);
    assert_eq!(event.key(), Some(&b"k"[..]));
}

#[test]
fn what_cannot_become_an_event_says_why_and_keeps_its_bytes() {
    let mut mapper = mapper(json!({}), None, None);
    let json: (&str, Option<&[u8]>) = ("content-type", Some(b"application/cloudevents+json"));
    for (headers, value, why) in [
        (vec![json], None, "no value"),
        (vec![json], Some(&b"{"[..]), ""),
        (
            vec![("content-type", Some(&b"application/cloudevents-batch+json"[..]))],
            Some(&b"[]"[..]),
            "no batched mode",
        ),
        (
            vec![("content-type", Some(&b"application/cloudevents+avro"[..]))],
            Some(&b"x"[..]),
            "+avro` is not known",
        ),
        (
            vec![("ce_specversion", Some(&b"0.3"[..]))],
            Some(&b"x"[..]),
            "specversion",
        ),
        (
            vec![("ce_specversion", Some(&b"1.0"[..])), ("ce_BAD", Some(&b"x"[..]))],
            Some(&b"x"[..]),
            "",
        ),
        (
            vec![("ce_specversion", None)],
            Some(&b"x"[..]),
            "`ce_specversion` has no value",
        ),
    ] {
        let mapped = mapper.map_record(&record(&headers, value));
        let Mapped::Malformed(event) = &mapped else {
            panic!("taken: {headers:?}")
        };
        assert_eq!((event.id(), event.source()), ("t/3/42", "weft://paris/in"));
        assert_eq!(event.data().map(|d| &d[..]), Some(value.unwrap_or_default()));
        assert_eq!(event.key(), Some(&b"k"[..]));
        let reason = reason(mapped);
        assert!(reason.contains(why) && !reason.is_empty(), "{reason}");
    }
}

#[test]
fn a_record_past_the_limit_is_malformed_and_the_limit_is_named() {
    let big = vec![b'x'; 1001];
    let why = reason(mapper(json!({}), None, None).map_record(&record(&[], Some(&big))));
    assert!(why.contains("limits.event") && why.contains("1000"), "{why}");
}

#[test]
fn accept_decides_between_the_two_kinds() {
    let plain = event(mapper(json!({}), Some(Accept::Plain), None).map_record(&record(EVENT, Some(b"d"))));
    assert_eq!((plain.ty(), plain.id()), ("weft.kafka.record", "t/3/42"));
    let why = reason(mapper(json!({}), Some(Accept::CloudEvents), None).map_record(&record(&[], Some(b"d"))));
    assert!(why.contains("accept"), "{why}");
}

#[test]
fn a_plain_record_is_mapped_by_the_files_templates() {
    let templates = json!({ "type": "com.acme.{headers.kind}", "subject": "{key}", "n": "{data.n | int}", "at": "{partition}-{offset}" });
    let mut mapper = mapper(json!({}), None, Some(templates));
    let headers: &[(&str, Option<&[u8]>)] = &[("kind", Some(b"order"))];
    let event = event(mapper.map_record(&record(headers, Some(br#"{"n":5}"#))));
    assert_eq!(
        (event.ty(), event.subject(), event.time()),
        ("com.acme.order", Some("k"), Some("1970-01-01T00:00:01.500Z"))
    );
    assert_eq!(
        (event.get("n").unwrap().text, event.get("at").unwrap().text),
        ("5", "3-42")
    );
    let why = reason(mapper.map_record(&record(&[], Some(b"{}"))));
    assert!(why.contains("headers.kind"), "{why}");
}

#[test]
fn a_tombstone_is_what_the_file_says() {
    let tombstone = record(&[], None);
    let taken = event(mapper(json!({}), None, None).map_record(&tombstone));
    assert_eq!(taken.data(), None);
    assert!(matches!(
        mapper(json!({ "tombstones": "drop" }), None, None).map_record(&tombstone),
        Mapped::Dropped
    ));
    let why = reason(mapper(json!({ "tombstones": "malformed" }), None, None).map_record(&tombstone));
    assert!(why.contains("tombstone"), "{why}");
    // An event without data is no tombstone, whatever the setting.
    let event = event(mapper(json!({ "tombstones": "drop" }), None, None).map_record(&record(EVENT, None)));
    assert_eq!(event.data(), None);
}

#[test]
fn explain_shows_the_event_of_a_raw_message() {
    let raw = RawMessage {
        body: bytes::Bytes::from_static(b"hi"),
        headers: vec![
            ("ce_specversion".into(), "1.0".into()),
            ("ce_id".into(), "9".into()),
        ],
        ..RawMessage::default()
    };
    let mut mapper = mapper(json!({}), None, None);
    assert!(mapper.explain("t", &raw).unwrap_err().contains("source"));
    assert_eq!(
        mapper
            .explain(
                "t",
                &RawMessage {
                    headers: vec![],
                    ..raw
                }
            )
            .unwrap()
            .id(),
        "t/0/0"
    );
}
