//! What a message says beside its event (ids, replies, expiry, priority, keys) is kept over every chain, and back in its
//! field where the protocol has one: `docs/extensions.md`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use weft_rig::{Python, Weft, unique};

use crate::essence::{assert_equal, by_id};
use crate::mesh::Brokers;
use crate::support::wait_metric;

const TTL_S: u64 = 3000;

/// A router that carries what comes into `NAME.in` (AMQP) or `NAME/in` (MQTT) straight to AMQP, Kafka and MQTT, and from
/// the latter two on to AMQP and MQTT.
struct Chains {
    brokers: Brokers,
    name: String,
    /// What came to Kafka, before it goes on.
    topic: String,
    weft: Weft,
}

impl Chains {
    fn start(label: &str) -> Chains {
        let (brokers, name) = (Brokers::shared(), unique(label));
        let topic = brokers.kafka.topic(label, 1);
        let weft = brokers.router(&format!(
            r#"
ingress:
  queue: {{ amqp: {{ connection: queue, address: {name}.in, kind: queue }} }}
  plant: {{ mqtt: {{ connection: plant, client_id: {name}-in, subscribe: ["{name}/in"] }} }}
  kafka: {{ kafka: {{ connection: log, topics: [{topic}], group: {topic} }} }}
  mqtt: {{ mqtt: {{ connection: plant, client_id: {name}-on, subscribe: ["{name}/direct"] }} }}
destinations:
  amqp-direct: {{ amqp: {{ connection: queue, address: {name}.direct, kind: queue }} }}
  amqp-from-kafka: {{ amqp: {{ connection: queue, address: {name}.from-kafka, kind: queue, mode: structured }} }}
  amqp-from-mqtt: {{ amqp: {{ connection: queue, address: {name}.from-mqtt, kind: queue, prefix: "cloudEvents:" }} }}
  kafka-direct: {{ kafka: {{ connection: log, topic: {topic} }} }}
  mqtt-direct: {{ mqtt: {{ connection: plant, topic: {name}/direct }} }}
  mqtt-from-kafka: {{ mqtt: {{ connection: plant, topic: {name}/from-kafka, mode: structured }} }}
routes:
  direct: {{ from: [queue, plant], to: [amqp-direct, kafka-direct, mqtt-direct] }}
  over-kafka: {{ from: [kafka], to: [amqp-from-kafka, mqtt-from-kafka] }}
  over-mqtt: {{ from: [mqtt], to: amqp-from-mqtt }}
"#
        ));
        Chains {
            brokers,
            name,
            topic,
            weft,
        }
    }

    /// Runs a sender that sends one event, and collects it at every end: the ways by name.
    fn run(&self, sender: Python) -> (Value, Vec<(&'static str, Value)>) {
        let (brokers, name) = (self.brokers, &self.name);
        let [direct, over] =
            ["direct", "from-kafka"].map(|to| brokers.mqtt_subscribe(&format!("{name}/{to}"), "5", 1));
        let sent = sender.run().remove(0);
        let queue = |to: &str| brokers.amqp_receive(&format!("{name}.{to}"), 1).remove(0);
        let arrived = vec![
            ("AMQP", queue("direct")),
            ("Kafka", brokers.consume(&self.topic, 1).remove(0)),
            ("MQTT", direct.messages().remove(0)),
            ("Kafka -> AMQP", queue("from-kafka")),
            ("Kafka -> MQTT", over.messages().remove(0)),
            ("MQTT -> AMQP", queue("from-mqtt")),
        ];
        (sent, arrived)
    }
}

fn way<'a>(arrived: &'a [(&str, Value)], name: &str) -> &'a Value {
    &arrived.iter().find(|(way, _)| *way == name).unwrap().1
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The event's own attributes are untouched, and nothing but `added` came to them.
#[track_caller]
fn assert_only_added(sent: &Value, arrived: &[(&str, Value)], added: &[&str]) {
    let expected = by_id([sent]);
    for (way, line) in arrived {
        let mut line = line.clone();
        let attributes = line["attributes"].as_object_mut().unwrap();
        for name in added {
            assert!(attributes.shift_remove(*name).is_some(), "{way}: no {name}");
        }
        assert_equal(&expected, &by_id([&line]), way);
    }
}

/// A message of AMQP with everything that the table knows.
fn rich(brokers: Brokers, address: &str) -> Python {
    brokers
        .amqp_send(address)
        .option("--data", "json")
        .option("--keys", 0)
        .option("--message-id", "uuid:00112233-4455-6677-8899-aabbccddeeff")
        .option("--correlation-id", "ulong:42")
        .option("--subject", "of the message")
        .option("--reply-to", "answers")
        .option("--group-id", "the key ✓")
        .option("--ttl", TTL_S)
        .option("--priority", 7)
        .option("--annotation", "x-opt-partition-key=string:the partition")
}

const RICH: &[&str] = &[
    "weftmessageid",
    "weftcorrelationid",
    "weftsubject",
    "weftreplyto",
    "weftpriority",
    "expirytime",
];

#[test]
fn what_an_amqp_message_says_is_there_again_after_every_chain() {
    let chains = Chains::start("rich");
    let before = now_ms();
    let (sent, arrived) = chains.run(rich(chains.brokers, &format!("{}.in", chains.name)));
    let expires = before + TTL_S * 1000..=now_ms() + TTL_S * 1000;
    assert_only_added(&sent, &arrived, RICH);

    for amqp in ["AMQP", "Kafka -> AMQP", "MQTT -> AMQP"] {
        let message = way(&arrived, amqp);
        let (header, properties) = (&message["header"], &message["properties"]);
        let uuid = json!(["uuid", "00112233-4455-6677-8899-aabbccddeeff"]);
        assert_eq!(properties["message_id"], uuid, "{amqp}");
        assert_eq!(properties["correlation_id"], json!(["ulong", 42]), "{amqp}");
        assert_eq!(properties["subject"], "of the message", "{amqp}");
        assert_eq!(properties["reply_to"], "answers", "{amqp}");
        assert_eq!(header["priority"], 7, "{amqp}");
        assert_eq!(header["durable"], true, "{amqp}");
        // Over MQTT the attribute is kept to the millisecond, too.
        let expiry = properties["expiry_time"].as_u64().unwrap();
        assert!(expires.contains(&expiry), "{amqp}: {expiry} not in {expires:?}");
        let ttl = header["ttl"].as_u64().unwrap();
        assert!((1..=TTL_S * 1000).contains(&ttl), "{amqp}: {ttl}");
        let annotations = message["annotations"].as_array().unwrap();
        let key = json!(["x-opt-partition-key", "string", "the partition"]);
        assert!(annotations.contains(&key), "{amqp}: {annotations:?}");
        // MQTT has no place for a key.
        let group = (amqp != "MQTT -> AMQP").then(|| json!("the key ✓"));
        assert_eq!(properties.get("group_id"), group.as_ref(), "{amqp}");
    }
    assert_eq!(way(&arrived, "Kafka")["key"], "the key ✓");
    for mqtt in ["MQTT", "Kafka -> MQTT"] {
        let properties = &way(&arrived, mqtt)["properties"];
        assert_eq!(properties["response_topic"], "answers", "{mqtt}");
        // `ID:AMQP_ULONG:42`.
        assert_eq!(properties["correlation"], "SUQ6QU1RUF9VTE9ORzo0Mg==", "{mqtt}");
        let expiry = properties["expiry"].as_u64().unwrap();
        assert!((TTL_S - 120..=TTL_S).contains(&expiry), "{mqtt}: {expiry}");
    }
}

#[test]
fn what_an_mqtt_message_says_is_there_again_after_every_chain() {
    let chains = Chains::start("said");
    let before = now_ms();
    let sender = chains.brokers.mqtt_publish(&format!("{}/in", chains.name));
    let sender = sender
        .option("--data", "text")
        .option("--expiry", TTL_S)
        .option("--response-topic", "answers/7")
        .option("--correlation", "größe 1");
    let (sent, arrived) = chains.run(sender);
    let expires = before + TTL_S * 1000..=now_ms() + TTL_S * 1000;
    assert_only_added(
        &sent,
        &arrived,
        &["weftreplyto", "weftcorrelationid", "expirytime"],
    );
    for mqtt in ["MQTT", "Kafka -> MQTT"] {
        let properties = &way(&arrived, mqtt)["properties"];
        assert_eq!(properties["response_topic"], "answers/7", "{mqtt}");
        assert_eq!(
            properties["correlation"], sent["properties"]["correlation"],
            "{mqtt}"
        );
        let expiry = properties["expiry"].as_u64().unwrap();
        assert!((TTL_S - 120..=TTL_S).contains(&expiry), "{mqtt}: {expiry}");
    }
    for amqp in ["AMQP", "Kafka -> AMQP", "MQTT -> AMQP"] {
        let (header, properties) = (&way(&arrived, amqp)["header"], &way(&arrived, amqp)["properties"]);
        assert_eq!(properties["reply_to"], "answers/7", "{amqp}");
        assert_eq!(
            properties["correlation_id"],
            json!(["string", "größe 1"]),
            "{amqp}"
        );
        let expiry = properties["expiry_time"].as_u64().unwrap();
        assert!(expires.contains(&expiry), "{amqp}: {expiry} not in {expires:?}");
        assert_eq!(
            (&header["priority"], &header["durable"]),
            (&json!(4), &json!(true)),
            "{amqp}"
        );
    }
    // The partition key that the event has is the record's key, and AMQP's annotation.
    assert_eq!(way(&arrived, "Kafka")["key"], "key-0");
    let annotations = way(&arrived, "AMQP")["annotations"].as_array().unwrap();
    assert!(annotations.contains(&json!(["x-opt-partition-key", "string", "key-0"])));
}

/// From AMQP to AMQP the types survive; everywhere else the texts do.
#[test]
fn amqp_s_own_types_stay_what_they_are() {
    let chains = Chains::start("types");
    let mut sender = chains.brokers.amqp_send(&format!("{}.in", chains.name));
    sender = sender.option("--mode", "plain").option("--body", "binary:00ff");
    for (name, value) in [
        ("specversion", "string:1.0"),
        ("id", "string:typed"),
        ("source", "string:/t"),
        ("type", "string:t"),
        ("yes", "boolean:true"),
        ("number", "int:-7"),
        ("big", "long:9007199254740993"),
        ("bytes", "binary:00ff80"),
        ("at", "timestamp:1767323045678"),
        ("one", "uuid:00112233-4455-6677-8899-aabbccddeeff"),
        ("half", "double:0.5"),
        ("nothing", "null:"),
        ("weftdurable", "boolean:false"),
    ] {
        sender = sender.option("--property", format!("cloudEvents_{name}={value}"));
    }
    let (_, arrived) = chains.run(sender);
    let properties = way(&arrived, "AMQP")["application"].as_array().unwrap();
    for expected in [
        json!(["cloudEvents_yes", "boolean", true]),
        json!(["cloudEvents_number", "long", -7]),
        json!(["cloudEvents_big", "string", "9007199254740993"]),
        json!(["cloudEvents_bytes", "binary", "AP+A"]),
        json!(["cloudEvents_at", "timestamp", 1_767_323_045_678_u64]),
        json!([
            "cloudEvents_one",
            "string",
            "00112233-4455-6677-8899-aabbccddeeff"
        ]),
        json!(["cloudEvents_half", "string", "0.5"]),
    ] {
        assert!(
            properties.contains(&expected),
            "{expected} is not in {properties:?}"
        );
    }
    for amqp in ["AMQP", "Kafka -> AMQP", "MQTT -> AMQP"] {
        assert_eq!(way(&arrived, amqp)["header"]["durable"], false, "{amqp}");
    }
    for text in ["Kafka", "MQTT", "Kafka -> MQTT"] {
        let attributes = &way(&arrived, text)["attributes"];
        assert_eq!(attributes["yes"], "true", "{text}");
        assert_eq!(attributes["number"], "-7", "{text}");
        assert_eq!(attributes["big"], "9007199254740993", "{text}");
        assert_eq!(attributes["bytes"], "AP+A", "{text}");
        assert_eq!(attributes["at"], "2026-01-02T03:04:05.678Z", "{text}");
        assert_eq!(attributes["half"], "0.5", "{text}");
        assert!(attributes.get("nothing").is_none(), "{text}");
    }
}

/// What has expired on the way is not delivered (C19), in whatever field its time came.
#[test]
fn a_message_that_is_late_is_counted_and_goes_nowhere() {
    let chains = Chains::start("late");
    let address = format!("{}.in", chains.name);
    let late = |id: &str, field: &str| {
        let mut script = chains.brokers.amqp_send(&address).option("--mode", "plain");
        for (name, value) in [
            ("specversion", "1.0"),
            ("id", id),
            ("source", "/t"),
            ("type", "t"),
        ] {
            script = script.option("--property", format!("cloudEvents_{name}=string:{value}"));
        }
        let _ = script
            .option("--body", "binary:00")
            .option("--property", field)
            .run();
    };
    late("late", "cloudEvents_expirytime=string:2020-01-01T00:00:00Z");
    late("early", "cloudEvents_expirytime=string:2120-01-01T00:00:00Z");
    let came = chains.brokers.amqp_receive(&format!("{}.direct", chains.name), 1);
    assert_eq!(came[0]["attributes"]["id"], "early");
    // It came in late, so it never was three obligations.
    let name = "weft_obligations_settled_total";
    wait_metric(&chains.weft, name, &[("result", "expired")], 1.0);
}
