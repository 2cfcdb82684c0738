//! Clients in JavaScript (rhea, MQTT.js, the CloudEvents SDK) and Java (Qpid JMS): what they send arrives, what leaves they
//! read, and all of them see the same event.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_rig::{Client, Python, free_port, unique};

use crate::essence::id;
use crate::mesh::{Brokers, Web, post};
use crate::support::LIMIT;

/// Of each kind of data one: JSON, text, bytes, none.
const EVENTS: usize = 4;

/// An event's attributes and its bytes, where the body is the data.
type Seen = (BTreeMap<String, String>, String);

/// What must be equal whoever reads: every attribute as text, times without what each language adds to them.
fn seen(line: &Value) -> Seen {
    let attributes = line["attributes"].as_object().unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let named = attributes.iter().map(|(name, value)| (name.clone(), text(value)));
    // The order key of one protocol is no attribute in another.
    let named = named.filter(|(name, _)| name != "partitionkey" && name != "atime" && name != "time");
    let body = line["raw"]
        .as_str()
        .or(line["base64"].as_str())
        .unwrap_or_default();
    (named.collect(), body.to_owned())
}

fn by_id(lines: &[Value]) -> BTreeMap<String, Seen> {
    lines
        .iter()
        .map(|line| (id(line).to_owned(), seen(line)))
        .collect()
}

#[track_caller]
fn assert_seen(sent: &BTreeMap<String, Seen>, bodies: &[String], lines: &[Value], way: &str) {
    let came = by_id(lines);
    assert_eq!(came.len(), sent.len(), "{way}");
    for (id, (attributes, raw)) in sent {
        let (theirs, body) = came.get(id).unwrap_or_else(|| panic!("{way}: {id} did not come"));
        for (name, value) in attributes {
            assert_eq!(theirs.get(name), Some(value), "{way}: {name} of {id}");
        }
        assert!(!bodies.contains(id) || body == raw, "{way}: the bytes of {id}");
    }
}

#[test]
fn clients_in_three_languages_see_the_same_events() {
    let (brokers, mut web, http, name) = (Brokers::shared(), Web::start(), free_port(), unique("clients"));
    let url = web.url.clone();
    // Three times rhea, three times MQTT.js, and Python over HTTP.
    let count = (3 + 3 + 1) * EVENTS;
    let mqtt = |script: &str, topic: &str| {
        let script = Client::script(script).option("--port", brokers.mosquitto.port());
        script.option("--topic", format!("{name}/{topic}"))
    };
    let subscribers = [("5", "binary"), ("4", "old")].map(|(version, topic)| {
        let script = mqtt("mqtt_sub.js", topic).option("--version", version);
        let mut script = script.option("--count", count).option("--seconds", 170).spawn();
        assert!(script.next_line(LIMIT).get("subscribed").is_some());
        (topic, script)
    });
    let weft = brokers.router(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{http}" }} }}
  queue: {{ amqp: {{ connection: queue, address: {name}.in, kind: queue }} }}
  plant: {{ mqtt: {{ connection: plant, subscribe: ["{name}/in"] }} }}
  old: {{ mqtt: {{ connection: old, subscribe: ["{name}/in-old"] }} }}
destinations:
  http: {{ http: {{ url: "{url}/binary" }} }}
  js: {{ amqp: {{ connection: queue, address: {name}.js, kind: queue, prefix: "cloudEvents:" }} }}
  jms: {{ amqp: {{ connection: queue, address: {name}.jms, kind: queue }} }}
  mqtt: {{ mqtt: {{ connection: plant, topic: {name}/binary }} }}
  mqtt-old: {{ mqtt: {{ connection: old, topic: {name}/old }} }}
routes:
  all: {{ to: [http, js, jms, mqtt, mqtt-old] }}
"#
    ));
    let (mut sent, mut bodies) = (Vec::new(), Vec::new());
    let mut take = |mode: &str, lines: Vec<Value>| {
        if mode == "binary" {
            bodies.extend(lines.iter().map(|line| id(line).to_owned()));
        }
        sent.extend(lines);
        sent.len()
    };
    let next = |script: Client, at: usize| script.option("--count", EVENTS).option("--start", at);
    let amqp = |script: &str, address: &str| {
        let script = Client::script(script).option("--port", brokers.artemis.amqp_port());
        script.option("--address", format!("{name}.{address}"))
    };
    let mut at = 0;
    for (mode, types, prefix) in [
        ("binary", "string", "cloudEvents:"),
        ("binary", "native", "cloudEvents_"),
        ("structured", "string", "cloudEvents:"),
    ] {
        let script = amqp("amqp_send.js", "in").option("--mode", mode);
        let script = script.option("--types", types).option("--prefix", prefix);
        at = take(mode, next(script, at).run());
    }
    for (version, topic, mode) in [
        ("5", "in", "binary"),
        ("5", "in", "structured"),
        ("4", "in-old", "structured"),
    ] {
        let script = mqtt("mqtt_pub.js", topic)
            .option("--version", version)
            .option("--mode", mode);
        at = take(mode, next(script, at).run());
    }
    take(
        "binary",
        post(&weft, http, "binary", |script: Python| next(script, at)),
    );
    let sent = by_id(&sent);
    assert_seen(&sent, &bodies, &web.events(count), "http");
    let read = |address: &str, script: &str, more: (&str, &str)| {
        let script = amqp(script, address)
            .option(more.0, more.1)
            .option("--count", count);
        script.run().split_off(1)
    };
    assert_seen(
        &sent,
        &bodies,
        &read("js", "amqp_recv.js", ("--seconds", "60")),
        "rhea",
    );
    // JMS shows nobody the content type, and a binary as Java does.
    let mut by_jms = sent.clone();
    for (attributes, _) in by_jms.values_mut() {
        attributes.retain(|name, _| name != "datacontenttype" && name != "abytes");
    }
    let lines = read("jms", "Jms.java", ("--do", "receive"));
    assert_seen(&by_jms, &[], &lines, "JMS");
    for (topic, mut subscriber) in subscribers {
        let lines: Vec<_> = (0..count).map(|_| subscriber.next_line(LIMIT)).collect();
        let bodies = if topic == "old" { &[][..] } else { &bodies };
        assert_seen(&sent, bodies, &lines, topic);
    }
}
