//! The clients in JavaScript and Java: what they send, those in Python receive, and the other way round.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};
use weft_rig::{Artemis, Client, Mosquitto, artemis, unique};

const LIMIT: Duration = Duration::from_secs(60);

fn amqp(script: &str, address: &str) -> Client {
    let call = Client::script(script).option("--port", Artemis::shared().amqp_port());
    call.option("--address", address)
}

fn mqtt(script: &str, topic: &str) -> Client {
    let call = Client::script(script).option("--port", Mosquitto::shared().port());
    call.option("--topic", topic)
}

fn jms(what: &str, address: &str) -> Client {
    amqp("Jms.java", address).option("--do", what)
}

/// The body of a JMS message, whatever its type.
fn body(line: &Value) -> [&Value; 6] {
    ["type", "text", "base64", "map", "object", "stream"].map(|name| line.get(name).unwrap_or(&Value::Null))
}

#[test]
fn rhea_and_proton_read_each_other() {
    let address = unique("rhea");
    for (mode, prefix) in [
        ("binary", "cloudEvents:"),
        ("binary", "cloudEvents_"),
        ("structured", "cloudEvents_"),
    ] {
        let call = |script| {
            amqp(script, &address)
                .option("--mode", mode)
                .option("--prefix", prefix)
                .option("--count", 4)
        };
        let sent = call("amqp_send.js").run();
        let read = amqp("amqp_recv.py", &address)
            .option("--count", 4)
            .run()
            .split_off(1);
        for (sent, read) in sent.iter().zip(&read) {
            assert_eq!(sent["outcome"], "accepted");
            assert_eq!(sent["raw"], read["raw"], "{mode}");
            for (name, value) in sent["attributes"].as_object().unwrap() {
                // The two write milliseconds in different ways.
                if name != "time" {
                    assert_eq!(value, &read["attributes"][name], "{mode} {name}");
                }
            }
        }
        let sent = call("amqp_send.py").run();
        let read = amqp("amqp_recv.js", &address)
            .option("--count", 4)
            .run()
            .split_off(1);
        for (sent, read) in sent.iter().zip(&read) {
            assert_eq!(sent["raw"], read["raw"], "{mode}");
            assert_eq!(sent["attributes"]["subject"], read["attributes"]["subject"]);
        }
    }
}

#[test]
fn mqtt_js_and_paho_read_each_other() {
    for (mode, ours, theirs) in [
        ("binary", "5", "5"),
        ("structured", "5", "5"),
        ("structured", "4", "3.1.1"),
    ] {
        for (from, from_version, to, to_version) in [
            ("mqtt_pub.js", ours, "mqtt_sub.py", theirs),
            ("mqtt_pub.py", theirs, "mqtt_sub.js", ours),
        ] {
            let topic = format!("rig/{}", unique("js"));
            let reader = mqtt(to, &topic).option("--version", to_version);
            let mut reader = reader.option("--count", 4).spawn();
            assert_eq!(reader.next_line(LIMIT)["subscribed"], json!([1]));
            let writer = mqtt(from, &topic).option("--version", from_version);
            for sent in writer.option("--mode", mode).option("--count", 4).run() {
                let read = reader.next_line(LIMIT);
                assert_eq!(sent["raw"], read["raw"], "{from} {mode}");
                for name in ["id", "subject", "astring", "anint", "abool", "datacontenttype"] {
                    assert_eq!(
                        sent["attributes"].get(name),
                        read["attributes"].get(name),
                        "{from} {mode} {name}"
                    );
                }
            }
        }
    }
}

#[test]
fn jms_reads_every_type_of_jms() {
    let address = unique("jms");
    let call = jms("send", &address).option("--type", "all").option("--count", 6);
    let call = call
        .option("--subject", "s")
        .option("--group", "g")
        .option("--correlation", "c");
    let sent = call.option("--property", "p=ünï").run();
    let read = jms("receive", &address).option("--count", 6).run().split_off(1);
    let types: Vec<_> = read.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["text", "bytes", "map", "object", "stream", "bytes"]);
    for (sent, read) in sent.iter().zip(&read) {
        assert_eq!(body(sent), body(read));
        for field in ["id", "correlation", "subject", "group", "attributes"] {
            assert_eq!(sent.get(field), read.get(field), "{field}");
        }
        assert!(
            read["application"]
                .as_array()
                .unwrap()
                .contains(&json!(["p", "String", "ünï"]))
        );
    }
    assert_eq!(read[5]["attributes"]["id"], "rig-5");
}

#[test]
fn jms_and_proton_read_each_other() {
    let address = unique("jms");
    let _ = jms("send", &address)
        .option("--type", "all")
        .option("--count", 6)
        .run();
    let read = amqp("amqp_recv.py", &address)
        .option("--count", 6)
        .run()
        .split_off(1);
    let sections: Vec<_> = read
        .iter()
        .map(|line| line["section"].as_str().unwrap())
        .collect();
    assert_eq!(sections, ["value", "data", "value", "data", "sequence", "data"]);
    assert_eq!(read[5]["attributes"]["subject"], "größe ✓ 100% \"5\"");
    let _ = amqp("amqp_send.py", &address).run();
    assert_eq!(jms("receive", &address).run()[1]["attributes"]["id"], "rig-0");
}

#[test]
fn jms_speaks_scram() {
    let address = format!("locked.{}", unique("scram"));
    let call = |password: &str| {
        let call = jms("send", &address).option("--mechanism", "SCRAM-SHA-256");
        call.option("--user", artemis::USER)
            .option("--password", password)
    };
    call("wrong").try_run().unwrap_err();
    let _ = call(artemis::PASSWORD).run();
}
