//! The mapping, without a broker.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use weft_amqp_wire::message::{Header, MapWriter, Message, MessageId, MessageWriter, Properties};
use weft_amqp_wire::value::{Value, ValueRef};
use weft_api::connector::RawMessage;
use weft_api::event::{AttrKind, Attributes, Event, EventBuilder};
use weft_api::mapping::Accept;
use weft_api::outcome::{Fault, Reason};

use super::egress::{Layout, Scratch};
use super::ingress::{Mapper, Mapping};
use crate::config::EgressSection;
use crate::testing::{ingress_settings, node};

fn mapper(accept: Option<Accept>, event: Option<serde_json::Value>) -> Mapper {
    let mut settings = ingress_settings();
    settings.accept = accept;
    settings.event = event.map(|event| node(&event));
    settings.event_max = 1000;
    let section = node(&json!({}));
    Mapper::new(Arc::new(
        Mapping::new(&section, &settings)
            .map_err(|findings| format!("{findings:?}"))
            .unwrap(),
    ))
}

fn layout(more: serde_json::Value) -> Layout {
    let mut section = json!({ "url": "amqp://b", "address": "out" });
    for (key, value) in more.as_object().unwrap() {
        section[key] = value.clone();
    }
    let node = node(&section);
    let section: EgressSection = weft_api::config::decode(&node).unwrap();
    Layout::new(&section, &node)
        .map_err(|findings| format!("{findings:?}"))
        .unwrap()
}

/// A message as a client would make it.
fn message(
    header: Header,
    annotations: &[(&str, ValueRef<'_>)],
    properties: Properties<'_>,
    application: &[(&str, ValueRef<'_>)],
    body: impl FnOnce(&mut MessageWriter<'_>),
) -> Bytes {
    let mut out = Vec::new();
    let mut writer = MessageWriter::new(&mut out);
    let put = |map: &mut MapWriter<'_>, entries: &[(&str, ValueRef<'_>)]| {
        for (key, value) in entries {
            map.put(key, *value);
        }
    };
    writer.header(&header);
    writer.message_annotations(|map| put(map, annotations));
    writer.properties(&properties);
    writer.application_properties(|map| put(map, application));
    body(&mut writer);
    out.into()
}

fn simple(application: &[(&str, ValueRef<'_>)], data: &[u8]) -> Bytes {
    message(Header::default(), &[], Properties::default(), application, |m| {
        m.data(data)
    })
}

fn taken(mapper: &mut Mapper, payload: &Bytes) -> Event {
    let incoming = mapper.map("jobs", payload);
    assert!(!incoming.malformed, "{:?}", incoming.event.get("weftreason"));
    incoming.event
}

fn refused(mapper: &mut Mapper, payload: &Bytes) -> (Event, String) {
    let incoming = mapper.map("jobs", payload);
    assert!(incoming.malformed, "taken: {:?}", incoming.event);
    let reason = incoming.event.get("weftreason").unwrap().text.to_owned();
    (incoming.event, reason)
}

const EVENT: &[(&str, ValueRef<'_>)] = &[
    ("cloudEvents_specversion", ValueRef::String("1.0")),
    ("cloudEvents_id", ValueRef::String("1")),
    ("cloudEvents_source", ValueRef::String("/s")),
    ("cloudEvents_type", ValueRef::String("t")),
    ("other", ValueRef::String("left behind")),
];

fn builder() -> EventBuilder {
    let mut builder = EventBuilder::new();
    builder.id("1").source("/s").ty("t");
    builder
}

/// One of everything.
fn full() -> Event {
    let mut builder = builder();
    builder
        .subject("caf\u{e9}")
        .time("2018-04-05T17:31:00+02:00")
        .datacontenttype("text/plain; charset=utf-8")
        .dataschema("https://example.com/schema")
        .extension("text", "Euro \u{20ac}")
        .set("flag", AttrKind::Boolean, "true")
        .set("number", AttrKind::Integer, "-7")
        .set("bytes", AttrKind::Binary, "AP8=")
        .set("at", AttrKind::Timestamp, "2018-04-05T17:31:00.250Z")
        .extension("partitionkey", "p")
        .extension("weftmessageid", "ID:AMQP_ULONG:42")
        .set("weftcorrelationid", AttrKind::Binary, "AP8=")
        .extension("weftreplyto", "answers")
        .extension("weftsubject", "other")
        .extension("weftcontentencoding", "identity")
        .set("weftpriority", AttrKind::Integer, "9")
        .set("weftdurable", AttrKind::Boolean, "false")
        .set("expirytime", AttrKind::Timestamp, "2999-01-01T00:00:00Z")
        .key(Bytes::from_static(b"group"));
    builder.data(Bytes::from_static(b"data"));
    builder.build().unwrap()
}

fn encode(layout: &Layout, event: &Event) -> Bytes {
    let mut out = Vec::new();
    layout
        .encode(event, "out", &mut Scratch::default(), &mut out)
        .unwrap();
    out.into()
}

#[test]
fn an_event_comes_back_equal_in_every_mode_and_prefix() {
    for (settings, typed) in [
        (json!({}), true),
        (json!({ "prefix": "cloudEvents:" }), true),
        (json!({ "mode": "structured" }), false),
    ] {
        let payload = encode(&layout(settings), &full());
        let back = taken(&mut mapper(None, None), &payload);
        for (name, value) in full().attributes() {
            let theirs = back.get(name).unwrap();
            assert_eq!(theirs.text, value.text, "{name}");
            assert!(!typed || theirs.kind == value.kind, "{name}");
        }
        assert_eq!(back.attributes().count(), full().attributes().count());
        assert_eq!(back.data(), full().data());
        assert_eq!(back.transport_key(), full().transport_key());
    }
}

#[test]
fn metadata_is_written_into_the_fields_of_amqp() {
    for settings in [json!({}), json!({ "mode": "structured" })] {
        let payload = encode(&layout(settings), &full());
        let message = Message::decode(&payload).unwrap();
        let properties = message.properties;
        assert_eq!(properties.message_id, Some(MessageId::Ulong(42)));
        assert_eq!(properties.correlation_id, Some(MessageId::Binary(b"\x00\xff")));
        assert_eq!(
            (properties.to, properties.reply_to),
            (Some("out"), Some("answers"))
        );
        assert_eq!(properties.subject, Some("other"));
        assert_eq!(properties.group_id, Some("group"));
        assert_eq!(properties.content_encoding, Some("identity"));
        assert_eq!(properties.absolute_expiry_time, Some(32_472_144_000_000));
        assert_eq!(properties.creation_time, Some(1_522_942_260_000));
        assert_eq!(
            (message.header.priority, message.header.durable),
            (9, Some(false))
        );
        // A thousand years are more than ttl can say.
        assert_eq!(message.header.ttl, None);
        let key = message
            .message_annotations
            .unwrap()
            .find("x-opt-partition-key")
            .unwrap();
        assert_eq!(key, Some(ValueRef::String("p")));
    }
}

#[test]
fn an_event_without_metadata_has_only_its_own_fields() {
    let payload = encode(&layout(json!({})), &builder().build().unwrap());
    let message = Message::decode(&payload).unwrap();
    assert_eq!(message.properties.message_id, Some(MessageId::String("1")));
    assert_eq!((message.header.durable, message.header.priority), (Some(true), 4));
    assert!(message.message_annotations.is_none());
    let names: Vec<_> = message
        .application_properties
        .unwrap()
        .map(|entry| entry.unwrap().0)
        .collect();
    assert_eq!(
        names,
        [
            "cloudEvents_specversion",
            "cloudEvents_id",
            "cloudEvents_source",
            "cloudEvents_type"
        ]
    );
}

#[test]
fn no_data_and_empty_data_are_told_apart() {
    for mode in ["binary", "structured"] {
        let layout = layout(json!({ "mode": mode }));
        let without = builder().build().unwrap();
        assert_eq!(
            taken(&mut mapper(None, None), &encode(&layout, &without)),
            without
        );
        let mut builder = builder();
        builder
            .datacontenttype("application/octet-stream")
            .data(Bytes::new());
        let empty = builder.build().unwrap();
        assert_eq!(taken(&mut mapper(None, None), &encode(&layout, &empty)), empty);
    }
}

#[test]
fn an_event_of_a_foreign_client_gets_no_attribute_that_it_does_not_bring() {
    let properties = Properties {
        message_id: Some(MessageId::String("1")),
        to: Some("jobs"),
        creation_time: Some(5),
        ..Properties::default()
    };
    let payload = message(Header::default(), &[], properties, EVENT, |m| {
        m.value(ValueRef::Binary(b"x"))
    });
    let mut expected = builder();
    expected.data(Bytes::from_static(b"x"));
    assert_eq!(
        taken(&mut mapper(None, None), &payload),
        expected.build().unwrap()
    );
    // A JMS client drops the content type, and makes text a value.
    let payload = message(Header::default(), &[], Properties::default(), EVENT, |m| {
        m.value("{}")
    });
    let event = taken(&mut mapper(None, None), &payload);
    assert_eq!(
        (event.datacontenttype(), event.data().unwrap()),
        (None, &Bytes::from_static(b"{}"))
    );
}

#[test]
fn metadata_of_a_message_becomes_extensions_and_replaces_nothing() {
    let header = Header {
        priority: 7,
        durable: Some(false),
        ttl: Some(60_000),
        ..Header::default()
    };
    let properties = Properties {
        message_id: Some(MessageId::Uuid([0; 16])),
        correlation_id: Some(MessageId::String("a\nb")),
        reply_to: Some("answers"),
        subject: Some("s"),
        group_id: Some("g"),
        ..Properties::default()
    };
    let annotations = [("x-opt-partition-key", ValueRef::String("p"))];
    let mut own = EVENT.to_vec();
    own.push(("cloudEvents_weftreplyto", ValueRef::String("mine")));
    let payload = message(header, &annotations, properties, &own, |m| m.data(b""));
    let event = taken(&mut mapper(None, None), &payload);
    let get = |name: &str| event.get(name).map(|value| (value.kind, value.text.to_owned()));
    let string = |text: &str| Some((AttrKind::String, text.to_owned()));
    assert_eq!(
        get("weftmessageid"),
        string("ID:AMQP_UUID:00000000-0000-0000-0000-000000000000")
    );
    assert_eq!(get("weftcorrelationid"), Some((AttrKind::Binary, "YQpi".into())));
    assert_eq!(get("weftreplyto"), string("mine"));
    assert_eq!((get("subject"), get("weftsubject")), (None, string("s")));
    assert_eq!(get("partitionkey"), string("p"));
    assert_eq!(get("weftpriority"), Some((AttrKind::Integer, "7".into())));
    assert_eq!(get("weftdurable"), Some((AttrKind::Boolean, "false".into())));
    assert_eq!(get("expirytime").unwrap().0, AttrKind::Timestamp);
    assert_eq!(event.transport_key().unwrap(), "g");
}

#[test]
fn both_prefixes_are_understood_and_never_mixed() {
    let colon: Vec<_> = EVENT
        .iter()
        .map(|(name, value)| (name.replace('_', ":"), *value))
        .collect();
    let colon: Vec<_> = colon
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let mut mapper = mapper(None, None);
    assert_eq!(
        taken(&mut mapper, &simple(&colon, b"")),
        taken(&mut mapper, &simple(EVENT, b""))
    );
    let mut mixed = EVENT.to_vec();
    mixed.push(("cloudEvents:subject", ValueRef::String("x")));
    let (_, why) = refused(&mut mapper, &simple(&mixed, b"d"));
    assert!(why.contains("never mixed"), "{why}");
}

#[test]
fn what_cannot_become_an_event_says_why_and_keeps_its_bytes() {
    let mut mapper = mapper(None, None);
    let with = |more: &[(&'static str, ValueRef<'static>)]| [EVENT, more].concat();
    for (application, why) in [
        (with(&[("cloudEvents_BAD", ValueRef::String("x"))]), "BAD"),
        (with(&[("cloudEvents_id", ValueRef::String("2"))]), "comes twice"),
        (with(&[("cloudEvents_e", ValueRef::Decimal32(0))]), "decimal"),
        (
            with(&[("cloudEvents_e", ValueRef::Timestamp(i64::MAX))]),
            "0 to 9999",
        ),
        (with(&[("cloudEvents_e", ValueRef::String("a\nb"))]), ""),
        (
            with(&[("cloudEvents_specversion", ValueRef::String("0.3"))]),
            "specversion",
        ),
        (EVENT[..3].to_vec(), "type"),
    ] {
        let payload = simple(&application, b"data");
        let (event, reason) = refused(&mut mapper, &payload);
        assert_eq!(
            (event.ty(), event.source()),
            ("weft.malformed", "weft://paris/in")
        );
        assert_eq!(event.data().unwrap(), "data");
        assert!(reason.contains(why) && !reason.is_empty(), "{reason}");
        assert!(event.get("weftheaders").unwrap().text.contains("cloudEvents_id"));
    }
    let broken = Bytes::from_static(b"\x00\x53\x75\xb0\xff\xff\xff\xff");
    let (event, reason) = refused(&mut mapper, &broken);
    assert_eq!(event.data().unwrap(), &broken);
    assert!(reason.contains("no AMQP message"), "{reason}");
}

#[test]
fn the_content_type_tells_the_mode() {
    let typed = |content_type: &'static str| Properties {
        content_type: Some(content_type),
        ..Properties::default()
    };
    let structured = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","n":7,"data":{"a":[1]}}"#;
    let mut mapper = mapper(None, None);
    let json = typed("Application/CloudEvents+JSON; charset=utf-8");
    for payload in [
        message(Header::default(), &[], json, &[], |m| m.data(structured)),
        message(Header::default(), &[], json, &[], |m| {
            m.value(std::str::from_utf8(structured).unwrap())
        }),
    ] {
        let event = taken(&mut mapper, &payload);
        assert_eq!(
            event.get("n").map(|v| (v.kind, v.text)),
            Some((AttrKind::Integer, "7"))
        );
        assert_eq!(event.data().unwrap(), &r#"{"a":[1]}"#);
    }
    let empty = message(Header::default(), &[], json, &[], |m| m.value(ValueRef::Null));
    assert!(refused(&mut mapper, &empty).1.contains("no body"));
    let batch = typed("application/cloudevents-batch+json");
    let payload = message(Header::default(), &[], batch, &[], |m| m.data(b"[]"));
    assert!(refused(&mut mapper, &payload).1.contains("no batched mode"));
    let avro = typed("application/cloudevents+avro");
    let payload = message(Header::default(), &[], avro, &[], |m| m.data(b"x"));
    assert!(refused(&mut mapper, &payload).1.contains("not known here"));
    // The attributes are properties, too: it is forwarded as it is (binding, 3).
    let payload = message(Header::default(), &[], avro, EVENT, |m| m.data(b"x"));
    assert_eq!(
        taken(&mut mapper, &payload).datacontenttype(),
        Some("application/cloudevents+avro")
    );
}

#[test]
fn jms_labels_bytes_by_itself_and_the_attribute_counts() {
    let bytes = Properties {
        content_type: Some("application/octet-stream"),
        ..Properties::default()
    };
    let json = (
        "cloudEvents_datacontenttype",
        ValueRef::String("application/json"),
    );
    let application = [EVENT, &[json]].concat();
    let jms = [("x-opt-jms-msg-type", ValueRef::Byte(3))];
    let mut mapper = mapper(None, None);
    let payload = message(Header::default(), &jms, bytes, &application, |m| m.data(b"{}"));
    assert_eq!(
        taken(&mut mapper, &payload).datacontenttype(),
        Some("application/json")
    );
    let payload = message(Header::default(), &[], bytes, &application, |m| m.data(b"{}"));
    assert!(refused(&mut mapper, &payload).1.contains("different things"));
}

#[test]
fn accept_decides_between_the_two_kinds() {
    let event = taken(&mut mapper(Some(Accept::Plain), None), &simple(EVENT, b"d"));
    assert_eq!(event.ty(), "weft.amqp.message");
    let (_, why) = refused(&mut mapper(Some(Accept::CloudEvents), None), &simple(&[], b"d"));
    assert!(why.contains("accept"), "{why}");
}

#[test]
fn a_message_past_the_limit_is_malformed_and_the_limit_is_named() {
    let (_, why) = refused(&mut mapper(None, None), &simple(&[], &[b'x'; 1001]));
    assert!(why.contains("limits.event") && why.contains("1000"), "{why}");
}

#[test]
fn a_plain_message_becomes_an_event_that_is_the_same_when_it_comes_again() {
    let properties = Properties {
        message_id: Some(MessageId::String("m-1")),
        subject: Some("s"),
        creation_time: Some(1500),
        content_type: Some("application/json"),
        group_id: Some("g"),
        ..Properties::default()
    };
    let payload = message(Header::default(), &[], properties, &[], |m| m.data(b"{}"));
    let mut mapper = mapper(None, None);
    let event = taken(&mut mapper, &payload);
    assert_eq!(
        (event.id(), event.source(), event.ty()),
        ("m-1", "weft://paris/in", "weft.amqp.message")
    );
    assert_eq!(
        (event.subject(), event.time()),
        (Some("s"), Some("1970-01-01T00:00:01.500Z"))
    );
    assert_eq!(event.datacontenttype(), Some("application/json"));
    assert_eq!(event.transport_key().unwrap(), "g");
    assert_eq!(event.extensions().count(), 0);
    assert_eq!(event, taken(&mut mapper, &payload));
}

#[test]
fn a_plain_message_is_mapped_by_the_files_templates() {
    let templates = json!({
        "type": "com.acme.{properties.kind}", "id": "{data.n}", "subject": "{address}/{correlation_id}",
        "n": "{data.n | int}", "p": "{priority | int}", "a": "{annotations.x-opt-a}", "r": "{reply_to | else none}"
    });
    let properties = Properties {
        message_id: Some(MessageId::Ulong(7)),
        correlation_id: Some(MessageId::Ulong(8)),
        subject: Some("own"),
        ..Properties::default()
    };
    let application = [("kind", ValueRef::Symbol("order"))];
    let annotations = [("x-opt-a", ValueRef::Long(-1))];
    let payload = message(Header::default(), &annotations, properties, &application, |m| {
        m.data(br#"{"n":5}"#)
    });
    let mut mapper = mapper(None, Some(templates));
    let event = taken(&mut mapper, &payload);
    let text = |name: &str| {
        event
            .get(name)
            .map(|value| value.text.to_owned())
            .unwrap_or_default()
    };
    assert_eq!((event.ty(), event.id()), ("com.acme.order", "5"));
    assert_eq!(event.subject(), Some("jobs/ID:AMQP_ULONG:8"));
    assert_eq!(
        (text("n"), text("p"), text("a"), text("r")),
        ("5".into(), "4".into(), "-1".into(), "none".into())
    );
    assert_eq!(
        (text("weftmessageid"), text("weftsubject")),
        ("ID:AMQP_ULONG:7".into(), "own".into())
    );
    let (_, why) = refused(&mut mapper, &simple(&[], b"{}"));
    assert!(why.contains("properties.kind"), "{why}");
}

#[test]
fn every_body_becomes_data() {
    let octets = Some("application/octet-stream");
    let jms = |kind: i8| vec![("x-opt-jms-msg-type", ValueRef::Byte(kind))];
    let map = Value::map([("a", 1u8)]);
    let list = Value::List(vec![Value::Bool(true), Value::from("x")]);
    type Write<'a> = Box<dyn FnOnce(&mut MessageWriter<'_>) + 'a>;
    type Case<'a> = (
        Vec<(&'a str, ValueRef<'a>)>,
        Write<'a>,
        Option<&'a str>,
        Option<&'a str>,
    );
    let cases: Vec<Case<'_>> = vec![
        (vec![], Box::new(|m| m.data(b"x")), Some("x"), None),
        (
            vec![],
            Box::new(|m| {
                m.data(b"x");
                m.data(b"y");
            }),
            Some("xy"),
            None,
        ),
        (vec![], Box::new(|_| {}), None, None),
        (vec![], Box::new(|m| m.value(ValueRef::Null)), None, None),
        (
            vec![],
            Box::new(|m| m.value("text")),
            Some("text"),
            Some("text/plain; charset=utf-8"),
        ),
        (
            vec![],
            Box::new(|m| m.value(ValueRef::Binary(b"x"))),
            Some("x"),
            None,
        ),
        (
            vec![],
            Box::new(|m| m.value(ValueRef::Long(5))),
            Some("5"),
            Some("application/json"),
        ),
        (
            jms(2),
            Box::new(|m| m.value(map)),
            Some(r#"{"a":1}"#),
            Some("application/json"),
        ),
        (
            jms(4),
            Box::new(|m| m.sequence(&list)),
            Some(r#"[true,"x"]"#),
            Some("application/json"),
        ),
        (
            vec![],
            Box::new(|m| {
                m.sequence(&list);
                m.sequence(&list);
            }),
            Some(r#"[true,"x",true,"x"]"#),
            Some("application/json"),
        ),
        (jms(3), Box::new(|m| m.data(b"x")), Some("x"), octets),
        (
            jms(1),
            Box::new(|m| m.data(b"x")),
            Some("x"),
            Some("application/x-java-serialized-object"),
        ),
    ];
    for (annotations, body, data, media) in cases {
        let payload = message(Header::default(), &annotations, Properties::default(), &[], body);
        let event = taken(&mut mapper(None, None), &payload);
        assert_eq!(event.data().map(|data| &data[..]), data.map(str::as_bytes));
        assert_eq!(event.datacontenttype(), media);
    }
}

#[test]
fn data_shares_the_frame() {
    let payload = simple(EVENT, b"data");
    let event = taken(&mut mapper(None, None), &payload);
    assert!(payload.as_ptr_range().contains(&event.data().unwrap().as_ptr()));
}

#[test]
fn a_template_makes_addresses_that_no_value_can_break_out_of() {
    let fixed = layout(json!({}));
    assert_eq!(fixed.address.of(&full()).unwrap(), "out");
    let templated = layout(json!({ "address": "orders.{region}", "addresses": ["orders.eu", "orders.a.b"] }));
    let of = |region: &str| {
        let event = builder().extension("region", region).build().unwrap();
        templated.address.of(&event).map(|address| address.into_owned())
    };
    assert_eq!(of("eu").unwrap(), "orders.eu");
    assert_eq!(of("a.b").unwrap(), "orders.a.b");
    for region in ["us", "", "a/b", "*", "#", ">", "a::q", "a?b", "a b"] {
        let error = of(region).unwrap_err();
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Event, Reason::Address),
            "{region}"
        );
    }
    let error = templated.address.of(&builder().build().unwrap()).unwrap_err();
    assert!(error.detail.contains("region"), "{error}");
}

#[test]
fn the_files_properties_stand_beside_the_attributes() {
    let layout = layout(json!({ "properties": { "tenant": "{source}" }, "durable": false, "priority": 2 }));
    let payload = encode(&layout, &full());
    let message = Message::decode(&payload).unwrap();
    let tenant = message.application_properties.unwrap().find("tenant").unwrap();
    assert_eq!(tenant, Some(ValueRef::String("/s")));
    assert_eq!(
        (message.header.durable, message.header.priority),
        (Some(false), 2)
    );
}

#[test]
fn a_media_type_that_no_symbol_can_hold_is_a_property() {
    let mut builder = builder();
    builder.datacontenttype("text/plain; name=\"caf\u{e9}\"");
    if let Ok(event) = builder.build() {
        let payload = encode(&layout(json!({})), &event);
        assert_eq!(taken(&mut mapper(None, None), &payload), event);
    }
}

#[test]
fn explain_shows_the_event_of_a_raw_message() {
    let raw = RawMessage {
        body: Bytes::from_static(b"hi"),
        headers: vec![("message-id".into(), "9".into()), ("kind".into(), "k".into())],
        ..RawMessage::default()
    };
    let mut mapper = mapper(None, Some(json!({ "type": "{properties.kind}" })));
    let event = mapper.explain("jobs", &raw).unwrap();
    assert_eq!((event.id(), event.ty()), ("9", "k"));
}
