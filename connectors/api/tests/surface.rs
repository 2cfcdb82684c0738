//! The event as a connector and a router use it, through the public surface only.

#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use weft_api::event::{
    AttrKind, Attributes, CLOUDEVENTS_JSON, ContentMode, Coordinates, Event, EventBuilder, MALFORMED_TYPE,
    header, json, malformed,
};
use weft_api::mapping::{Accept, Inputs, PlainDefaults, PlainMapping};
use weft_api::template::{Scope, Step, Template, guard};

fn crosses_threads<T: Send + Sync + 'static>() {}

#[test]
fn what_tasks_share_crosses_threads() {
    crosses_threads::<Event>();
    crosses_threads::<EventBuilder>();
    crosses_threads::<Template>();
    crosses_threads::<PlainMapping>();
    crosses_threads::<json::DecodeError>();
}

#[test]
fn an_event_crosses_from_structured_to_binary_mode_and_back() {
    let text = r#"{"specversion":"1.0","id":"caf\u00e9 1","source":"/s","type":"t","n":7,"data":{"big":12345678901234567890.50}}"#;
    assert_eq!(ContentMode::of(Some(CLOUDEVENTS_JSON)), ContentMode::Structured);
    let event = json::decode(&Bytes::from_static(text.as_bytes())).unwrap();

    let headers: BTreeMap<String, String> = event
        .attributes()
        .map(|(name, value)| (name.to_owned(), header::encode_value(value.text).into_owned()))
        .collect();
    assert_eq!(headers["id"], "caf%C3%A9%201");

    let mut builder = EventBuilder::new();
    for (name, value) in &headers {
        builder.set(
            name,
            AttrKind::String,
            &header::decode_value(value.as_bytes()).unwrap(),
        );
    }
    let back = builder.data(event.data().unwrap().clone()).build().unwrap();
    assert_eq!(back.get("n").unwrap().text, "7");
    assert_eq!(
        (back.id(), back.datacontenttype()),
        ("caf\u{e9} 1", Some("application/json"))
    );
    assert_eq!(back.data(), event.data());

    let mut out = Vec::new();
    json::encode_batch([&event, &back], &mut out);
    let batch = json::decode_batch(&out.into(), 2).unwrap();
    assert_eq!(batch, [event, back]);
}

#[test]
fn a_route_adds_attributes_and_leaves_the_rest_as_it_was() {
    let mut builder = EventBuilder::new();
    let event = builder
        .id("1")
        .source("/s")
        .ty("t")
        .key(Bytes::from_static(b"k"))
        .data(Bytes::from_static(b"x"))
        .build()
        .unwrap();
    let added = builder
        .load(&event)
        .extension("weftroute", "hot")
        .build()
        .unwrap();
    assert_eq!(added.get("weftroute").unwrap().text, "hot");
    assert_eq!(
        (added.id(), added.transport_key(), added.data()),
        (event.id(), event.transport_key(), event.data())
    );
    assert_eq!(added.size() - event.size(), 7 + "weftroutehot".len() as u64);
}

struct Message {
    topic: &'static str,
    body: Bytes,
}

impl Inputs for Message {
    fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
        match (name, step) {
            ("topic", None) => Some(self.topic.into()),
            ("topic", Some(Step::Element(level))) => self.topic.split('/').nth(*level).map(Cow::Borrowed),
            _ => None,
        }
    }

    fn data(&self) -> Option<&Bytes> {
        Some(&self.body)
    }
}

#[test]
fn a_plain_message_becomes_an_event_or_is_kept_as_malformed() {
    assert!(Accept::default().plain());
    let defaults = PlainDefaults {
        ty: "weft.mqtt",
        source: "weft://paris/plant",
        id: "{data.msgid}",
    };
    let mapping = PlainMapping::compile([("subject", "{topic[1]}")], defaults, &Scope::MQTT_INGRESS).unwrap();
    let mut builder = EventBuilder::new();
    let good = Message {
        topic: "plant/7",
        body: Bytes::from_static(b"{\"msgid\":\"m\"}"),
    };
    let event = mapping
        .apply(&good, Some(good.body.clone()), None, &mut builder)
        .unwrap();
    assert_eq!(
        (event.id(), event.subject(), event.ty()),
        ("m", Some("7"), "weft.mqtt")
    );

    let bad = Message {
        topic: "plant/7",
        body: Bytes::from_static(b"no json"),
    };
    let why = mapping
        .apply(&bad, Some(bad.body.clone()), None, &mut builder)
        .unwrap_err()
        .to_string();
    let at = Coordinates {
        source: "weft://paris/plant",
        id: "",
    };
    let kept = malformed(&at, bad.body.clone(), None, std::iter::empty(), &why);
    assert_eq!((kept.ty(), kept.data()), (MALFORMED_TYPE, Some(&bad.body)));
    assert!(
        kept.get("weftreason")
            .unwrap()
            .text
            .contains("{data.msgid} is missing"),
        "{why}"
    );
}

#[test]
fn an_attribute_cannot_add_a_level_to_a_topic() {
    let mut builder = EventBuilder::new();
    let event = builder
        .id("1")
        .source("/s")
        .ty("t")
        .subject("a/#")
        .build()
        .unwrap();
    let topic = Template::parse("plant/{subject}", &Scope::EGRESS).unwrap();
    let mut out = String::new();
    let error = topic
        .render_guarded(&event, &guard::level(&['/', '+', '#']), &mut out)
        .unwrap_err();
    assert_eq!(&*error.field, "subject");
}
