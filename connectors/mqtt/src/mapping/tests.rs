//! The mapping from messages, without a broker.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Value, json};
use weft_api::connector::RawMessage;
use weft_api::event::{AttrKind, Attributes, Event, EventBuilder};
use weft_api::mapping::Accept;

use super::publish::{Properties, Publish, USER_MAX};
use super::{Mapper, Mapping};
use crate::testing::{ingress_settings, node};

pub(super) fn mapper(accept: Option<Accept>, event: Option<Value>) -> Mapper {
    let settings = ingress_settings(accept, event);
    let mapping = Mapping::new(&settings, &node(&json!({}))).map_err(|f| format!("{f:?}"));
    Mapper::new(Arc::new(mapping.unwrap())).at(noon)
}

/// 2026-01-31T12:00:00Z.
pub(super) fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_769_860_800)
}

fn message<'a>(payload: &'static [u8], user: &[(&'a str, &'a str)]) -> Publish<'a> {
    Publish {
        topic: "plant/7/temperature".into(),
        payload: Bytes::from_static(payload),
        retain: false,
        properties: Properties {
            user: user.iter().copied().collect(),
            ..Properties::default()
        },
    }
}

fn typed<'a>(content_type: &'a str, payload: &'static [u8], user: &[(&'a str, &'a str)]) -> Publish<'a> {
    let mut publish = message(payload, user);
    publish.properties.content_type = Some(content_type);
    publish
}

const EVENT: &[(&str, &str)] = &[
    ("specversion", "1.0"),
    ("id", "1"),
    ("source", "/s"),
    ("type", "t"),
    ("traceparent", "00-ab"),
    ("X-Tenant", "left behind"),
    ("data", "left behind"),
];

const STRUCTURED: &[u8] =
    br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","n":7,"datacontenttype":"application/json","data":{"a":[1]}}"#;

fn taken(mapper: &mut Mapper, publish: &Publish<'_>) -> Event {
    let incoming = mapper.map(publish);
    assert!(!incoming.malformed, "{:?}", incoming.event.get("weftreason"));
    incoming.event
}

fn refused(mapper: &mut Mapper, publish: &Publish<'_>) -> (Event, String) {
    let incoming = mapper.map(publish);
    assert!(incoming.malformed, "taken: {:?}", incoming.event);
    let why = incoming.event.get("weftreason").unwrap().text.to_owned();
    (incoming.event, why)
}

#[test]
fn user_properties_are_attributes_and_other_names_are_left_behind() {
    let publish = typed("text/plain", b"data", EVENT);
    let mut expected = EventBuilder::new();
    expected
        .id("1")
        .source("/s")
        .ty("t")
        .datacontenttype("text/plain")
        .extension("traceparent", "00-ab");
    expected.data(Bytes::from_static(b"data"));
    assert_eq!(
        taken(&mut mapper(None, None), &publish),
        expected.build().unwrap()
    );
}

#[test]
fn a_structured_message_is_read_whatever_its_parameters_and_case() {
    let mut mapper = mapper(Some(Accept::CloudEvents), None);
    for media in [
        "Application/CloudEvents+JSON; charset=utf-8",
        "application/cloudevents",
    ] {
        // User properties may repeat the attributes; the payload is what counts (binding, 3.2.3).
        let event = taken(&mut mapper, &typed(media, STRUCTURED, &[("id", "other")]));
        assert_eq!(
            (event.id(), event.data().unwrap()),
            ("1", &Bytes::from_static(br#"{"a":[1]}"#))
        );
        let n = event.get("n").unwrap();
        assert_eq!((n.kind, n.text), (AttrKind::Integer, "7"));
    }
}

#[test]
fn without_a_content_type_the_payload_tells_what_it_is() {
    // MQTT 3.1.1, or its publisher seen from MQTT 5.
    let (mut both, mut strict) = (mapper(None, None), mapper(Some(Accept::CloudEvents), None));
    for mapper in [&mut both, &mut strict] {
        assert_eq!(taken(mapper, &message(STRUCTURED, &[])).id(), "1");
    }
    let broken = br#"{"specversion":"1.0","id":"1","source":"/s","tpye":"t"}"#;
    for other in [&broken[..], b"21.5", b"{\"temp\":1}", b"{", b"\xff\xfe"] {
        let event = taken(&mut both, &message(other, &[]));
        assert_eq!(
            (event.ty(), &event.data().unwrap()[..]),
            ("weft.mqtt.message", other)
        );
        let (_, why) = refused(&mut strict, &message(other, &[]));
        assert!(why.contains("accept: cloudevents"), "{why}");
    }
    let (_, why) = refused(&mut strict, &message(broken, &[]));
    assert!(why.contains("\"type\""), "{why}");
    // A content type says that it is data, whatever it looks like.
    assert_eq!(
        taken(&mut both, &typed("application/json", STRUCTURED, &[])).ty(),
        "weft.mqtt.message"
    );
    let (_, why) = refused(&mut strict, &typed("application/json", STRUCTURED, &[]));
    assert!(why.contains("accept: cloudevents"), "{why}");
}

#[test]
fn specversion_alone_tells_an_event_in_binary_mode() {
    let words: &[(&str, &str)] = &[("id", "1"), ("source", "/s"), ("type", "t")];
    assert_eq!(
        taken(&mut mapper(None, None), &message(b"x", words)).ty(),
        "weft.mqtt.message"
    );
    let (_, why) = refused(
        &mut mapper(None, None),
        &message(b"x", &[("specversion", "1.0"), ("id", "1")]),
    );
    assert!(why.contains("\"source\""), "{why}");
}

#[test]
fn the_prefix_of_the_go_sdk_is_read_and_never_mixed_with_bare_names() {
    let go: &[(&str, &str)] = &[
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
        ("ce-traceparent", "00-ab"),
        ("id", "left behind"),
    ];
    let event = taken(&mut mapper(None, None), &typed("text/plain", b"data", go));
    assert_eq!(
        event,
        taken(&mut mapper(None, None), &typed("text/plain", b"data", EVENT))
    );
    let both = [EVENT, &[("ce-specversion", "1.0"), ("ce-id", "2")]].concat();
    assert_eq!(taken(&mut mapper(None, None), &message(b"", &both)).id(), "1");
    for (name, why) in [("ce-id", "`ce-id` comes twice"), ("ce-Bad", "\"Bad\"")] {
        let broken = [go, &[(name, "2")]].concat();
        let (_, reason) = refused(&mut mapper(None, None), &message(b"x", &broken));
        assert!(reason.contains(why), "{reason}");
    }
}

#[test]
fn what_cannot_become_an_event_says_why_and_keeps_its_bytes_and_properties() {
    let mut mapper = mapper(None, None);
    let base: &[(&str, &str)] = &EVENT[..4];
    let with = |name: &'static str, value: &'static str| [base, &[(name, value)]].concat();
    for (publish, why) in [
        (typed("application/cloudevents+json", b"", &[]), "is empty"),
        (typed("application/cloudevents+json", b"{", &[]), ""),
        (
            typed("application/cloudevents-batch+json", b"[]", &[]),
            "no batched mode",
        ),
        (
            typed("application/cloudevents+avro", b"x", &[]),
            "+avro` is not known",
        ),
        (message(b"x", &[("specversion", "0.3")]), "specversion"),
        (message(b"x", &with("id", "2")), "`id` comes twice"),
        (
            message(b"x", &with("specversion", "1.0")),
            "`specversion` comes twice",
        ),
        (message(b"x", &with("time", "yesterday")), "RFC 3339"),
        (message(b"x", &with("subject", "")), "subject"),
        (
            typed("text/plain", b"x", &with("datacontenttype", "text/html")),
            "differ",
        ),
        (typed("no media type", b"x", base), "media type"),
    ] {
        let (event, reason) = refused(&mut mapper, &publish);
        assert!(reason.contains(why) && !reason.is_empty(), "{reason}");
        assert_eq!(
            (event.ty(), event.source()),
            ("weft.malformed", "weft://paris/in")
        );
        assert_eq!(event.data(), Some(&publish.payload));
        let headers = event.get("weftheaders").unwrap().text;
        assert!(
            headers.contains(r#"["topic","plant/7/temperature"]"#),
            "{headers}"
        );
    }
    let (event, _) = refused(&mut mapper, &message(b"x", &with("id", "2")));
    let headers = event.get("weftheaders").unwrap().text;
    assert!(
        headers.contains(r#"["id","1"]"#) && headers.contains(r#"["id","2"]"#),
        "{headers}"
    );
}

#[test]
fn another_format_is_taken_where_the_attributes_are_properties_too() {
    let event = taken(
        &mut mapper(None, None),
        &typed("application/cloudevents+avro", b"\x01", EVENT),
    );
    assert_eq!(event.datacontenttype(), Some("application/cloudevents+avro"));
}

#[test]
fn a_content_type_that_comes_as_a_user_property_counts_and_may_be_repeated() {
    let twice = [EVENT, &[("datacontenttype", "text/plain")]].concat();
    for publish in [typed("text/plain", b"x", &twice), message(b"x", &twice)] {
        let event = taken(&mut mapper(None, None), &publish);
        assert_eq!(event.datacontenttype(), Some("text/plain"));
    }
}

#[test]
fn an_empty_payload_is_no_data() {
    assert_eq!(taken(&mut mapper(None, None), &message(b"", EVENT)).data(), None);
    assert_eq!(taken(&mut mapper(None, None), &message(b"", &[])).data(), None);
}

#[test]
fn a_message_past_a_limit_is_malformed_and_the_limit_is_named() {
    let mut big = message(b"", &[]);
    big.payload = vec![b'x'; (1 << 20) + 1].into();
    let (event, why) = refused(&mut mapper(None, None), &big);
    assert!(why.contains("limits.event") && why.contains("1048576"), "{why}");
    assert_eq!(event.data(), Some(&big.payload));
    let mut many = message(b"x", EVENT);
    (0..USER_MAX).for_each(|_| many.properties.user.push("a", "b"));
    let (_, why) = refused(&mut mapper(None, None), &many);
    assert!(why.contains("1024 user properties"), "{why}");
}

#[test]
fn accept_decides_between_the_two_kinds() {
    let mut plain = mapper(Some(Accept::Plain), None);
    for publish in [
        message(b"d", EVENT),
        message(STRUCTURED, &[]),
        typed("application/cloudevents-batch+json", b"[]", &[]),
    ] {
        assert_eq!(taken(&mut plain, &publish).ty(), "weft.mqtt.message");
    }
}

#[test]
fn a_plain_message_has_defaults() {
    let event = taken(
        &mut mapper(None, None),
        &typed("application/json", b"{}", &[("kind", "x")]),
    );
    assert_eq!(
        (event.ty(), event.source()),
        ("weft.mqtt.message", "weft://paris/in")
    );
    assert_eq!(
        (event.subject(), event.datacontenttype()),
        (Some("plant/7/temperature"), Some("application/json"))
    );
    assert_eq!((event.id().len(), event.extensions().count()), (36, 0));
    // To MQTT any text is a content type.
    assert_eq!(
        taken(&mut mapper(None, None), &typed("json", b"{}", &[])).datacontenttype(),
        None
    );
}

#[test]
fn a_plain_message_is_mapped_by_the_files_templates() {
    let templates = json!({
        "id": "{data.msgid | else uuid}", "type": "com.acme.{topic[2]}", "subject": "{topic[1]}",
        "kind": "{user.kind}", "celsius": "{data.temp | round}"
    });
    let mut mapper = mapper(None, Some(templates));
    let event = taken(
        &mut mapper,
        &message(br#"{"msgid":"m1","temp":21.5}"#, &[("kind", "big")]),
    );
    assert_eq!(
        (event.id(), event.ty(), event.subject()),
        ("m1", "com.acme.temperature", Some("7"))
    );
    let celsius = event.get("celsius").unwrap();
    assert_eq!((celsius.kind, celsius.text), (AttrKind::Integer, "22"));
    let (_, why) = refused(&mut mapper, &message(b"{}", &[]));
    assert!(why.contains("user.kind"), "{why}");
}

#[test]
fn what_the_packet_says_beside_the_event_is_kept_as_extensions() {
    let whole = |mut publish: Publish<'static>| {
        publish.retain = true;
        publish.properties.expiry = Some(90);
        publish.properties.response_topic = Some("replies/1".into());
        publish.properties.correlation = Some(b"c-1".as_slice().into());
        publish
    };
    for publish in [
        message(b"x", EVENT),
        message(b"x", &[]),
        message(STRUCTURED, &[]),
        typed("application/cloudevents+json", STRUCTURED, &[]),
    ] {
        let event = taken(&mut mapper(None, None), &whole(publish));
        let get = |name| event.get(name).map(|value| (value.kind, value.text));
        assert_eq!(
            get("expirytime"),
            Some((AttrKind::Timestamp, "2026-01-31T12:01:30.000Z"))
        );
        assert_eq!(get("weftreplyto"), Some((AttrKind::String, "replies/1")));
        assert_eq!(get("weftcorrelationid"), Some((AttrKind::String, "c-1")));
        assert_eq!(get("weftretained"), Some((AttrKind::Boolean, "true")));
    }
}

#[test]
fn metadata_never_replaces_what_the_event_brought_and_never_spoils_it() {
    let own = [
        EVENT,
        &[("expirytime", "2030-01-01T00:00:00Z"), ("weftreplyto", "mine")],
    ]
    .concat();
    let mut publish = message(b"x", &own);
    publish.properties.expiry = Some(1);
    publish.properties.response_topic = Some("theirs".into());
    publish.properties.correlation = Some(b"\x00\xff".as_slice().into());
    let event = taken(&mut mapper(None, None), &publish);
    assert_eq!(event.get("expirytime").unwrap().text, "2030-01-01T00:00:00Z");
    assert_eq!(event.get("weftreplyto").unwrap().text, "mine");
    let id = event.get("weftcorrelationid").unwrap();
    assert_eq!((id.kind, id.text), (AttrKind::Binary, "AP8="));
    let mut odd = message(b"x", EVENT);
    odd.properties.response_topic = Some("a\u{1}b".into());
    odd.properties.correlation = Some(b"".as_slice().into());
    let event = taken(&mut mapper(None, None), &odd);
    assert_eq!(
        (event.get("weftreplyto"), event.get("weftcorrelationid")),
        (None, None)
    );
}

#[test]
fn explain_shows_the_event_of_a_raw_message() {
    let mut raw = RawMessage {
        body: Bytes::from_static(b"hi"),
        headers: vec![
            ("specversion".into(), "1.0".into()),
            ("Content-Type".into(), "text/plain".into()),
        ],
        ..RawMessage::default()
    };
    let mut mapper = mapper(None, None);
    assert!(mapper.explain("a/b", &raw).unwrap_err().contains("\"id\""));
    raw.headers.remove(0);
    let event = mapper.explain("a/b", &raw).unwrap();
    assert_eq!(
        (event.subject(), event.datacontenttype()),
        (Some("a/b"), Some("text/plain"))
    );
}
