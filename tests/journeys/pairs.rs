//! Every pair of ingress and egress, in every mode: one router with all four protocols on both sides, each event to all.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weft_rig::{Python, Receiver, free_port, kcat, unique};

use crate::essence::{assert_equal, by_id, id};
use crate::mesh::{Brokers, Web, post};
use crate::support::{LIMIT, record};

/// One of each kind of data: JSON, text, bytes, none, empty, 64 KiB, 512 KiB, odd text.
const EVENTS: usize = 8;

/// The ways in. With the SDK's version of MQTT 3.1.1 goes structured mode only.
const WAYS: usize = 3 + 2 + 4 + 3;

/// The ways in on which an event has an order key of its transport or as an attribute.
const KEYED: usize = 2 + 4 + 3;

#[test]
fn the_python_clients_read_on_every_way_what_they_wrote() {
    let (brokers, mut web, http) = (Brokers::shared(), Web::start(), free_port());
    let (name, url) = (unique("pairs"), web.url.clone());
    let topic = |part: &str| brokers.kafka.topic(&format!("pairs-{part}"), 2);
    let (log, binary, structured) = (topic("in"), topic("binary"), topic("structured"));
    let count = WAYS * EVENTS;
    let subscriptions = [("5", "binary"), ("5", "structured"), ("3.1.1", "old")].map(|(version, to)| {
        (
            to,
            brokers.mqtt_subscribe(&format!("{name}/to/{to}"), version, count),
        )
    });
    let weft = brokers.router(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{http}" }} }}
  log: {{ kafka: {{ connection: log, topics: [{log}], group: {log} }} }}
  queue: {{ amqp: {{ connection: queue, address: {name}.in, kind: queue }} }}
  plant: {{ mqtt: {{ connection: plant, subscribe: ["{name}/from/5"] }} }}
  old: {{ mqtt: {{ connection: old, subscribe: ["{name}/from/3"] }} }}
destinations:
  http-binary: {{ http: {{ url: "{url}/binary" }} }}
  http-structured: {{ http: {{ url: "{url}/structured", mode: structured }} }}
  http-batch: {{ http: {{ url: "{url}/batch", mode: batch }} }}
  kafka-binary: {{ kafka: {{ connection: log, topic: {binary} }} }}
  kafka-structured: {{ kafka: {{ connection: log, topic: {structured}, mode: structured }} }}
  amqp-binary: {{ amqp: {{ connection: queue, address: {name}.binary, kind: queue }} }}
  amqp-colon: {{ amqp: {{ connection: queue, address: {name}.colon, kind: queue, prefix: "cloudEvents:" }} }}
  amqp-structured: {{ amqp: {{ connection: queue, address: {name}.structured, kind: queue, mode: structured }} }}
  mqtt-binary: {{ mqtt: {{ connection: plant, topic: {name}/to/binary }} }}
  mqtt-structured: {{ mqtt: {{ connection: plant, topic: {name}/to/structured, mode: structured }} }}
  mqtt-old: {{ mqtt: {{ connection: old, topic: {name}/to/old }} }}
routes:
  all:
    to:
      - http-binary
      - http-structured
      - http-batch
      - kafka-binary
      - kafka-structured
      - amqp-binary
      - amqp-colon
      - amqp-structured
      - mqtt-binary
      - mqtt-structured
      - mqtt-old
"#
    ));

    let mut sent = Sent::default();
    for mode in ["binary", "structured", "batch"] {
        let lines = post(&weft, http, mode, |script| sent.next(script));
        sent.take(mode, lines);
    }
    for mode in ["binary", "structured"] {
        let script = brokers.produce(&log).option("--mode", mode);
        sent.take(mode, sent.next(script).run());
    }
    for (mode, prefix, section) in [
        ("binary", "cloudEvents_", "data"),
        ("binary", "cloudEvents:", "data"),
        ("binary", "cloudEvents:", "value"),
        ("structured", "cloudEvents_", "data"),
    ] {
        let script = brokers.amqp_send(&format!("{name}.in")).option("--mode", mode);
        let script = script.option("--prefix", prefix).option("--section", section);
        sent.take(mode, sent.next(script).run());
    }
    for (version, level, mode) in [
        ("5", "5", "binary"),
        ("5", "5", "structured"),
        ("3.1.1", "3", "structured"),
    ] {
        let script = brokers.mqtt_publish(&format!("{name}/from/{level}"));
        let script = script.option("--version", version).option("--mode", mode);
        sent.take(mode, sent.next(script).run());
    }
    assert_eq!(sent.lines.len(), count);
    sent.judge_types();

    let mut arrived: Vec<(String, Vec<Value>)> = Vec::new();
    let events = web.events(3 * count);
    for path in ["/binary", "/structured", "/batch"] {
        let those = events.iter().filter(|event| event["path"] == path);
        arrived.push((format!("http{path}"), those.cloned().collect()));
    }
    for (mode, topic) in [("binary", &binary), ("structured", &structured)] {
        let lines = brokers.consume(topic, count);
        // The record's key came with those that had one, and was made of the partition key of those that had that.
        let keyed = lines
            .iter()
            .filter(|line| line["key"].as_str().is_some_and(|key| key.starts_with("key-")));
        assert_eq!(keyed.count(), KEYED * EVENTS, "keys in Kafka, {mode}");
        arrived.push((format!("kafka/{mode}"), lines));
    }
    for mode in ["binary", "colon", "structured"] {
        let lines = brokers.amqp_receive(&format!("{name}.{mode}"), count);
        judge_amqp(mode, &lines);
        arrived.push((format!("amqp/{mode}"), lines));
    }
    for (mode, subscription) in subscriptions {
        arrived.push((format!("mqtt/{mode}"), subscription.messages()));
    }

    let expected = by_id(&sent.lines);
    for (way, lines) in &arrived {
        assert_equal(&expected, &by_id(lines), &format!("to {way}"));
    }
    // Where both ends are binary the body is the data, byte for byte.
    for (way, lines) in arrived.iter().filter(|(way, _)| is_binary(way)) {
        for line in lines {
            let differs = sent.bodies.get(id(line)).is_some_and(|body| *body != line["raw"]);
            assert!(!differs, "to {way}: the bytes of {} differ", id(line));
        }
    }
}

fn is_binary(way: &str) -> bool {
    way.ends_with("/binary") || way.ends_with("/colon")
}

/// What the senders say that they sent.
#[derive(Default)]
struct Sent {
    lines: Vec<Value>,
    /// The bodies of those that were sent in binary mode, by the event's id.
    bodies: BTreeMap<String, Value>,
}

impl Sent {
    /// Makes a script send the next events.
    fn next(&self, script: Python) -> Python {
        script
            .option("--data", "every")
            .option("--count", EVENTS)
            .option("--start", self.lines.len())
    }

    fn take(&mut self, mode: &str, lines: Vec<Value>) {
        if mode == "binary" {
            let bodies = lines
                .iter()
                .map(|line| (id(line).to_owned(), line["raw"].clone()));
            self.bodies.extend(bodies);
        }
        self.lines.extend(lines);
    }

    /// The SDK has made one of every type of the type system, on every way.
    fn judge_types(&self) {
        for name in [
            "subject",
            "time",
            "dataschema",
            "astring",
            "anint",
            "abool",
            "auri",
            "aref",
            "atime",
            "abytes",
        ] {
            let with = self
                .lines
                .iter()
                .filter(|line| line["attributes"].get(name).is_some());
            assert_eq!(with.count(), self.lines.len(), "{name}");
        }
    }
}

/// What AMQP says beside the attributes: ids, subjects, keys.
fn judge_amqp(mode: &str, lines: &[Value]) {
    for line in lines {
        let (properties, event) = (&line["properties"], id(line));
        assert_eq!(properties["message_id"], json!(["string", event]), "{mode}");
        assert_eq!(
            properties["subject"], line["attributes"]["subject"],
            "{mode}: {event}"
        );
        assert_eq!(line["header"]["durable"], true, "{mode}: {event}");
    }
    let groups = lines
        .iter()
        .filter(|line| line["properties"].get("group_id").is_some());
    assert_eq!(groups.count(), 2 * EVENTS, "{mode}: keys of Kafka are group ids");
    let with_key = lines.iter().filter(|line| {
        let annotations = line["annotations"].as_array().unwrap();
        annotations
            .iter()
            .any(|annotation| annotation[0] == "x-opt-partition-key")
    });
    assert_eq!(with_key.count(), KEYED * EVENTS, "{mode}: partition keys");
}

#[test]
fn a_record_of_kcat_arrives_and_kcat_reads_what_leaves() {
    let (brokers, receiver) = (Brokers::shared(), Receiver::start());
    let topic = |part: &str| brokers.kafka.topic(&format!("kcat-{part}"), 2);
    let (from, binary, structured) = (topic("in"), topic("binary"), topic("structured"));
    let url = receiver.url("/binary");
    let _weft = brokers.router(&format!(
        r#"
ingress:
  log: {{ kafka: {{ connection: log, topics: [{from}], group: {from} }} }}
destinations:
  http-binary: {{ http: {{ url: "{url}" }} }}
  kafka-binary: {{ kafka: {{ connection: log, topic: {binary} }} }}
  kafka-structured: {{ kafka: {{ connection: log, topic: {structured}, mode: structured }} }}
routes:
  all: {{ to: [http-binary, kafka-binary, kafka-structured] }}
"#
    ));
    kcat::produce(brokers.kafka, &record(&from, "from kcat ✓").key("k1"));
    let request = &receiver.wait_for(1, LIMIT)[0];
    // Spaces and what is not ASCII are percent-encoded in a header's value.
    assert_eq!(request.header("ce-id"), Some("from%20kcat%20%E2%9C%93"));
    assert_eq!(&request.body[..], "{\"id\":\"from kcat ✓\"}".as_bytes());

    let read = &kcat::consume(brokers.kafka, &binary, 1)[0];
    assert_eq!(read["key"], "k1");
    assert_eq!(read["payload"], "{\"id\":\"from kcat ✓\"}");
    let headers = read["headers"].as_array().unwrap();
    let header = |name: &str| {
        let at = headers.iter().step_by(2).position(|n| n == name);
        at.map(|at| headers[2 * at + 1].as_str().unwrap())
    };
    assert_eq!(header("ce_specversion"), Some("1.0"));
    assert_eq!(header("ce_id"), Some("from kcat ✓"));
    assert_eq!(header("ce_source"), Some("/tests"));
    assert_eq!(header("content-type"), Some("application/json"));
    let whole = &kcat::consume(brokers.kafka, &structured, 1)[0];
    let whole: Value = serde_json::from_str(whole["payload"].as_str().unwrap()).unwrap();
    assert_eq!(whole["id"], "from kcat ✓");
    assert_eq!(whole["data"], json!({ "id": "from kcat ✓" }));
}
