//! What the tests share: sections as the router hands them over, and foreign peers (Qpid Proton) that stay.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod copier;
pub mod fake;
pub mod queue;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::task::block_in_place;
use weft_amqp::Amqp;
use weft_api::browse::Browse;
use weft_api::config::Node;
use weft_api::connector::{Connector, EgressBuilder, EgressSettings, IngressSettings};
use weft_api::egress::Egress;
use weft_api::event::{AttrKind, Event, EventBuilder};
use weft_api::ingress::{Ingress, Window};
use weft_conformance::section;
use weft_rig::{Python, PythonProcess};

/// `limits.event` here.
pub const EVENT_MAX: usize = 1 << 20;
/// How long a peer may take for one question.
const ANSWER: Duration = Duration::from_secs(60);

/// A section as the router would hand it over.
pub fn node(json: &Json) -> Node {
    section("test.amqp", json)
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
    let built = Amqp.ingress(&node(section), &settings).unwrap();
    built.unwrap_or_else(|f| panic!("{f:?}")).build().unwrap()
}

/// An egress of this section.
pub fn egress(section: &Json) -> Box<dyn Egress> {
    destination(section).build().unwrap()
}

/// What a destination of this section holds.
pub fn browse(section: &Json) -> Arc<dyn Browse> {
    destination(section).browse().unwrap()
}

fn destination(section: &Json) -> Box<dyn EgressBuilder> {
    let settings = EgressSettings {
        name: Arc::from("test"),
        node: Arc::from("node"),
        cluster: Arc::from("paris"),
        event_max: EVENT_MAX as u64,
        client_memory: 8 << 20,
        lossy: false,
        log: false,
    };
    let built = Amqp.egress(&node(section), &settings).unwrap();
    built.unwrap_or_else(|f| panic!("{f:?}"))
}

/// A script that stays and answers.
pub struct Peer(Mutex<PythonProcess>);

impl Peer {
    /// A client of a broker at this port.
    pub fn client(port: u16) -> Peer {
        Peer(Mutex::new(
            Python::script("amqp_peer.py").option("--port", port).spawn(),
        ))
    }

    /// A broker that answers as it is told, and its port.
    pub fn broker() -> (Peer, u16) {
        let mut process = Python::script("amqp_fake.py").spawn();
        let line = process.next_line(ANSWER);
        let port = u16::try_from(line["port"].as_u64().unwrap()).unwrap();
        (Peer(Mutex::new(process)), port)
    }

    /// Asks, and waits for the answer.
    pub fn ask(&self, question: &Json) -> Json {
        let answer = block_in_place(|| self.0.lock().unwrap().ask(question, ANSWER));
        assert!(answer.get("error").is_none(), "{question}: {answer}");
        answer
    }

    pub fn send(&self, address: &str, messages: &[Json]) {
        let answer = self.ask(&json!({ "do": "send", "address": address, "messages": messages }));
        let outcomes = answer["outcomes"].as_array().unwrap();
        assert!(
            outcomes.iter().all(|outcome| outcome == "accepted"),
            "{outcomes:?}"
        );
    }

    /// Takes what an address has, until none comes for half a second.
    pub fn drain(&self, address: &str) -> Vec<Event> {
        let question = json!({ "do": "receive", "address": address, "count": 1_000_000, "seconds": 0.5 });
        events(&self.ask(&question))
    }

    pub fn depth(&self, queue: &str) -> usize {
        let answer = self.ask(&json!({ "do": "depth", "queue": queue }));
        usize::try_from(answer["depth"].as_u64().unwrap()).unwrap()
    }
}

/// The messages of an answer as events.
pub fn events(answer: &Json) -> Vec<Event> {
    answer["messages"].as_array().unwrap().iter().map(event).collect()
}

/// An event as the peer writes it: attributes in the types of AMQP.
pub fn message(event: &Event) -> Json {
    let mut attributes = vec![json!(["specversion", "string", "1.0"])];
    for (name, value) in event.attributes().filter(|(name, _)| *name != "datacontenttype") {
        let kind = match value.kind {
            AttrKind::Boolean => "boolean",
            AttrKind::Integer => "integer",
            AttrKind::Binary => "binary",
            _ => "string",
        };
        attributes.push(json!([name, kind, value.text]));
    }
    json!({
        "attributes": attributes,
        "content_type": event.datacontenttype(),
        "group": event.transport_key().map(|key| String::from_utf8_lossy(key)),
        "body": event.data().map(|data| base64(data)),
    })
}

fn event(message: &Json) -> Event {
    let mut builder = EventBuilder::new();
    for attribute in message["attributes"].as_array().unwrap() {
        let text = |index: usize| attribute[index].as_str().unwrap();
        let name = text(0);
        let Some(name) = name
            .strip_prefix("cloudEvents_")
            .or(name.strip_prefix("cloudEvents:"))
        else {
            continue;
        };
        let kind = match text(1) {
            "boolean" => AttrKind::Boolean,
            "integer" => AttrKind::Integer,
            "binary" => AttrKind::Binary,
            "timestamp" => {
                let at = Duration::from_millis(text(2).parse().unwrap());
                let moment = weft_api::event::time::format(std::time::UNIX_EPOCH + at);
                let moment = moment.replace(".000Z", "Z");
                builder.set(name, AttrKind::Timestamp, &moment);
                continue;
            }
            _ => AttrKind::String,
        };
        builder.set(name, kind, text(2));
    }
    if let Some(media) = message["content_type"].as_str() {
        builder.datacontenttype(media);
    }
    if let Some(group) = message["group"].as_str() {
        builder.key(group.to_owned().into());
    }
    if let Some(body) = message["body"].as_str() {
        builder.data(unbase64(body).into());
    }
    builder.build().unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}
