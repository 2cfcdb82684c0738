//! What is written is read back equal; what is hostile is refused with a text and never panics.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use weft_api::event::{AttrKind, Attributes, Event, EventBuilder};
use weft_api::mapping::Accept;
use weft_api::outcome::{Fault, Reason, SendError};

use super::publish::{Properties, Publish};
use super::tests::{mapper, noon};
use super::{FIELD_MAX, Layout};
use crate::testing::{egress_settings, node};

fn layout(more: &Value) -> Layout {
    let mut section = json!({ "url": "mqtt://a", "topic": "t" });
    for (key, value) in more.as_object().unwrap() {
        section[key] = value.clone();
    }
    let read = crate::config::egress(&node(&section), &egress_settings(false));
    read.map_err(|f| format!("{f:?}")).unwrap().1.at(noon)
}

fn event(extensions: &[(&str, AttrKind, &str)]) -> Event {
    let mut builder = EventBuilder::new();
    builder.id("1").source("/s").ty("t");
    for (name, kind, text) in extensions {
        builder.set(name, *kind, text);
    }
    builder.build().unwrap()
}

fn fault(result: Result<Publish<'_>, SendError>) -> (Reason, String) {
    let error = result.unwrap_err();
    assert_eq!(error.fault, Fault::Event);
    (error.reason, error.detail.to_string())
}

/// Names and texts, whatever the types: in binary mode all are text.
fn texts(event: &Event) -> Vec<(String, String)> {
    let all = event.attributes();
    let mut all: Vec<_> = all
        .map(|(name, value)| (name.to_owned(), value.text.to_owned()))
        .collect();
    all.sort();
    all
}

#[test]
fn each_mode_has_the_properties_of_the_binding() {
    let mut builder = event(&[("n", AttrKind::Integer, "7")]).edit();
    let event = builder
        .datacontenttype("text/plain")
        .data(Bytes::from_static(b"hi"))
        .build()
        .unwrap();
    let binary = layout(&json!({}));
    let publish = binary.publish(&event).unwrap();
    let user: Vec<_> = publish.properties.user.iter().collect();
    assert_eq!(
        user,
        [
            ("specversion", "1.0"),
            ("id", "1"),
            ("source", "/s"),
            ("type", "t"),
            ("n", "7")
        ]
    );
    assert_eq!(
        (publish.properties.content_type, publish.properties.utf8),
        (Some("text/plain"), false)
    );
    assert_eq!((&publish.payload[..], publish.retain), (&b"hi"[..], false));

    let structured = layout(&json!({ "mode": "structured", "retain": true }));
    let publish = structured.publish(&event).unwrap();
    assert_eq!(
        publish.properties.content_type,
        Some("application/cloudevents+json")
    );
    assert!(publish.properties.utf8 && publish.retain && publish.payload.starts_with(b"{"));
    assert_eq!(publish.properties.user.iter().count(), 0);

    let old = layout(&json!({ "version": "3.1.1" }));
    let publish = old.publish(&event).unwrap();
    assert_eq!(publish.properties, Properties::default());
    assert!(publish.payload.starts_with(b"{"));
}

#[test]
fn metadata_goes_back_into_its_fields_and_stays_an_attribute() {
    let event = event(&[
        ("expirytime", AttrKind::Timestamp, "2026-01-31T12:00:01.500Z"),
        ("weftreplyto", AttrKind::String, "replies/1"),
        ("weftcorrelationid", AttrKind::Binary, "AP8="),
    ]);
    for mode in ["binary", "structured"] {
        let layout = layout(&json!({ "mode": mode }));
        let publish = layout.publish(&event).unwrap();
        let properties = &publish.properties;
        assert_eq!(properties.expiry, Some(2), "rounded up");
        assert_eq!(properties.response_topic.as_deref(), Some("replies/1"));
        assert_eq!(properties.correlation.as_deref(), Some(&b"\x00\xff"[..]));
        assert_eq!(texts(&mapper(None, None).map(&publish).event), texts(&event));
    }
}

#[test]
fn expiry_is_bounded_by_the_file_and_never_zero() {
    let at = |time: &str, more: Value| {
        // As text: what came through a binary mode.
        let event = event(&[("expirytime", AttrKind::String, time)]);
        layout(&more).publish(&event).unwrap().properties.expiry
    };
    assert_eq!(at("2026-01-31T12:01:00Z", json!({ "expiry": "10s" })), Some(10));
    assert_eq!(at("2026-01-31T12:00:05Z", json!({ "expiry": "10s" })), Some(5));
    assert_eq!(at("2020-01-01T00:00:00Z", json!({})), Some(1));
    assert_eq!(at("9999-01-01T00:00:00Z", json!({})), Some(u32::MAX));
    assert_eq!(at("never", json!({ "expiry": "1500ms" })), Some(2));
    assert_eq!(
        layout(&json!({})).publish(&event(&[])).unwrap().properties.expiry,
        None
    );
}

#[test]
fn an_extension_that_does_not_fit_its_field_is_an_attribute_only() {
    let event = event(&[
        ("weftreplyto", AttrKind::String, "queue/#"),
        ("weftcorrelationid", AttrKind::String, &"c".repeat(FIELD_MAX + 1)),
    ]);
    let layout = layout(&json!({ "mode": "structured" }));
    let publish = layout.publish(&event).unwrap();
    assert_eq!(
        (publish.properties.response_topic, publish.properties.correlation),
        (None, None)
    );
}

#[test]
fn no_value_adds_a_level_a_wildcard_or_a_dollar_to_a_topic() {
    let topic = |template: &str, subject: &str| {
        let layout = layout(&json!({ "topic": template }));
        let event = event(&[("at", AttrKind::String, subject)]);
        layout.publish(&event).map(|publish| publish.topic.into_owned())
    };
    assert_eq!(topic("plant/{at}", "caf\u{e9} 7").unwrap(), "plant/caf\u{e9} 7");
    for hostile in ["", "a/b", "/", "+", "#", "a#"] {
        let error = topic("plant/{at}", hostile).unwrap_err();
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Event, Reason::Address),
            "{hostile}"
        );
        assert!(error.detail.contains("at"), "{}", error.detail);
    }
    assert!(topic("{at}/x", "$SYS").unwrap_err().detail.contains('$'));
    assert_eq!(topic("$weft/{at}", "x").unwrap(), "$weft/x");
    assert_eq!(topic("{at}/x", "a$b").unwrap(), "a$b/x");
    let long = topic("plant/{at}", &"x".repeat(FIELD_MAX - 5)).unwrap_err();
    assert!(long.detail.contains("65,535"), "{}", long.detail);
}

#[test]
fn a_topic_that_is_not_allowed_or_cannot_be_made_is_the_events_fault() {
    let layout = layout(&json!({ "topic": "plant/{subject}", "topics": ["plant/1"] }));
    let (reason, text) = fault(layout.publish(&event(&[])));
    assert!(
        reason == Reason::Address && text.contains("{subject} is missing"),
        "{text}"
    );
    let with = |subject| event(&[]).edit().subject(subject).build().unwrap();
    let (one, two) = (with("1"), with("2"));
    assert_eq!(layout.publish(&one).unwrap().topic, "plant/1");
    let (reason, text) = fault(layout.publish(&two));
    assert!(
        reason == Reason::Address && text.contains("not in `topics`"),
        "{text}"
    );
}

#[test]
fn properties_of_the_file_stand_behind_the_attributes() {
    let layout =
        layout(&json!({ "user_properties": { "x-tenant": "{source}" }, "response_topic": "r/{id}" }));
    let event = event(&[("weftreplyto", AttrKind::String, "own")]);
    let publish = layout.publish(&event).unwrap();
    assert_eq!(publish.properties.user.iter().last(), Some(("x-tenant", "/s")));
    assert_eq!(publish.properties.response_topic.as_deref(), Some("r/1"));
    assert_eq!(mapper(None, None).map(&publish).event, event);
}

#[test]
fn what_a_property_cannot_hold_is_the_events_fault_and_structured_mode_takes_it() {
    let long = "x".repeat(FIELD_MAX + 1);
    let event = event(&[("long", AttrKind::String, &long)]);
    let (reason, text) = fault(layout(&json!({})).publish(&event));
    assert_eq!(reason, Reason::TooLarge);
    assert!(
        text.contains("`long` has 65536 bytes") && text.contains("structured"),
        "{text}"
    );
    let structured = layout(&json!({ "mode": "structured" }));
    assert_eq!(
        mapper(None, None).map(&structured.publish(&event).unwrap()).event,
        event
    );
}

fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::char::range(' ', '~'),
        1 => proptest::char::range('\u{a0}', '\u{d7ff}'),
        1 => proptest::char::range('\u{1f300}', '\u{1f9ff}'),
    ];
    proptest::collection::vec(character, 1..30).prop_map(|all| all.into_iter().collect())
}

fn attribute() -> impl Strategy<Value = (AttrKind, String)> {
    prop_oneof![
        text().prop_map(|text| (AttrKind::String, text)),
        Just((AttrKind::String, String::new())),
        any::<bool>().prop_map(|value| (AttrKind::Boolean, value.to_string())),
        any::<i32>().prop_map(|value| (AttrKind::Integer, value.to_string())),
        Just((AttrKind::Binary, "AP8=".to_owned())),
        Just((AttrKind::Uri, "urn:a:b".to_owned())),
        Just((AttrKind::UriReference, "/a/b?c".to_owned())),
        Just((
            AttrKind::Timestamp,
            "2026-01-31T12:00:00.123456789+02:00".to_owned()
        )),
    ]
}

fn payload() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        Just(None),
        Just(Some(Vec::new())),
        Just(Some(vec![0])),
        any::<Vec<u8>>().prop_map(Some),
        any::<u8>().prop_map(|byte| Some(vec![byte; 65_536])),
        Just(Some(br#"{"specversion":"1.0","a":[1]}"#.to_vec())),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let extensions = proptest::collection::vec(("x[a-z0-9]{0,19}", attribute()), 0..30);
    let media = prop_oneof![
        Just(None),
        Just(Some("application/json")),
        Just(Some("text/plain; charset=iso-8859-1")),
        Just(Some("application/octet-stream")),
    ];
    let optional = (proptest::option::of(text()), media);
    (text(), text(), optional, extensions, payload()).prop_map(
        |(id, ty, (subject, media), extensions, data)| {
            let mut builder = EventBuilder::new();
            builder.id(&id).source("/s").ty(&ty);
            if let Some(subject) = subject {
                builder.subject(&subject);
            }
            if let Some(media) = media {
                builder.datacontenttype(media);
            }
            for (name, (kind, text)) in extensions {
                builder.set(&name, kind, &text);
            }
            if let Some(data) = data {
                builder.data(data.into());
            }
            builder.build().unwrap()
        },
    )
}

proptest! {
    #[test]
    fn what_binary_mode_writes_is_read_back_equal(event in any_event()) {
        let layout = layout(&json!({}));
        let publish = layout.publish(&event).unwrap();
        let back = mapper(Some(Accept::CloudEvents), None).map(&publish);
        prop_assert!(!back.malformed, "{:?}", back.event.get("weftreason"));
        prop_assert_eq!(texts(&back.event), texts(&event));
        // MQTT cannot tell empty data from none.
        let data = |event: &Event| event.data().cloned().unwrap_or_default();
        prop_assert_eq!(data(&back.event), data(&event));
    }

    #[test]
    fn what_structured_mode_writes_is_read_back_equal(event in any_event(), version in prop_oneof![Just(3), Just(5)]) {
        let layout = layout(&json!({ "mode": "structured", "version": version }));
        let publish = layout.publish(&event).unwrap();
        for accept in [Accept::CloudEvents, Accept::Both] {
            let back = mapper(Some(accept), None).map(&publish);
            prop_assert!(!back.malformed, "{:?}", back.event.get("weftreason"));
            for (name, value) in event.attributes() {
                prop_assert_eq!(back.event.get(name).map(|back| back.text), Some(value.text));
            }
            prop_assert_eq!(back.event.data(), event.data());
        }
    }

    #[test]
    fn no_message_panics_and_each_keeps_its_bytes(
        topic in any::<String>(), payload in any::<Vec<u8>>(), retain in any::<bool>(), expiry in any::<Option<u32>>(),
        content_type in proptest::option::of(prop_oneof![
            any::<String>(), Just("application/cloudevents+json".to_owned()), Just("text/plain".to_owned())
        ]),
        response in any::<Option<String>>(), correlation in any::<Option<Vec<u8>>>(),
        user in proptest::collection::vec((prop_oneof![
            any::<String>(), "[a-z]{1,4}", Just("specversion".to_owned()), Just("id".to_owned()), Just("source".to_owned()),
            Just("type".to_owned()), Just("datacontenttype".to_owned()), "ce-[a-z]{1,4}", Just("ce-specversion".to_owned())
        ], prop_oneof![any::<String>(), Just("1.0".to_owned())]), 0..12),
        accept in prop_oneof![Just(Accept::Both), Just(Accept::CloudEvents), Just(Accept::Plain)],
    ) {
        let publish = Publish {
            topic: topic.as_str().into(),
            payload: payload.into(),
            retain,
            properties: Properties {
                utf8: false,
                expiry,
                content_type: content_type.as_deref(),
                response_topic: response.as_deref().map(Cow::Borrowed),
                correlation: correlation.as_deref().map(Cow::Borrowed),
                user: user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            },
        };
        let incoming = mapper(Some(accept), None).map(&publish);
        if incoming.malformed {
            prop_assert_eq!(incoming.event.data(), Some(&publish.payload));
            prop_assert!(incoming.event.get("weftreason").is_some());
        }
    }

    #[test]
    fn no_event_panics_and_no_topic_is_illegal(event in any_event(), subject in any::<String>()) {
        let layout = layout(&json!({ "topic": "a/{subject}/{xname | else none}", "response_topic": "{type}" }));
        let event = match event.edit().subject(&subject).build() {
            Ok(event) => event,
            Err(_) => event,
        };
        if let Ok(publish) = layout.publish(&event) {
            prop_assert_eq!(publish.topic.split('/').count(), 3);
            prop_assert!(!publish.topic.contains(['+', '#', '\0']));
        }
    }
}
