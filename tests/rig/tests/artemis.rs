//! Artemis with Proton and Paho: what one sends the other receives, every way in and out, over a kill.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use weft_rig::{Artemis, Client, artemis, tls, unique};

const LIMIT: Duration = Duration::from_secs(60);

fn send(port: u16, address: &str) -> Client {
    let call = Client::script("amqp_send.py").option("--port", port);
    call.option("--address", address)
}

fn plain(port: u16, address: &str, body: &str) -> Client {
    let call = send(port, address).option("--mode", "plain");
    call.option("--section", "value").option("--body", body)
}

/// The messages alone.
fn receive(port: u16, address: &str, count: usize) -> Vec<Value> {
    let call = Client::script("amqp_recv.py").option("--port", port);
    let call = call.option("--address", address).option("--count", count);
    call.run().split_off(1)
}

#[test]
fn events_are_the_same_on_both_sides_in_every_mode() {
    let broker = Artemis::shared();
    for (mode, prefix, section) in [
        ("binary", "cloudEvents_", "data"),
        ("binary", "cloudEvents:", "value"),
        ("structured", "cloudEvents_", "data"),
        ("structured", "cloudEvents_", "value"),
    ] {
        let address = unique("modes");
        let call = send(broker.amqp_port(), &address)
            .option("--count", 4)
            .option("--mode", mode);
        let sent = call.option("--prefix", prefix).option("--section", section).run();
        assert_eq!(broker.depth(&address), 4);
        let read = receive(broker.amqp_port(), &address, 4);
        for (sent, read) in sent.iter().zip(&read) {
            assert_eq!(sent["outcome"], "accepted");
            assert_eq!(read["section"], section);
            for field in ["attributes", "json", "text", "base64", "raw", "application"] {
                assert_eq!(
                    sent.get(field),
                    read.get(field),
                    "{mode} {prefix} {section}: {field}"
                );
            }
        }
        let names = read[0]["application"].to_string();
        assert_eq!(names.contains(&format!("{prefix}id")), mode == "binary");
    }
}

#[test]
fn fields_and_types_of_plain_messages_arrive() {
    let port = Artemis::shared().amqp_port();
    let address = unique("plain");
    let call = plain(port, &address, r#"{"a": [1, "x", true], "b": 2.5}"#).flag("--json");
    let _ = call
        .option("--message-id", "ulong:42")
        .option("--correlation-id", "uuid:00000000-0000-0000-0000-00000000002a")
        .option("--subject", "s")
        .option("--reply-to", "answers")
        .option("--group-id", "g")
        .option("--priority", 7)
        .option("--ttl", 600)
        .option("--property", "n=int:-1")
        .option("--property", "b=boolean:true")
        .option("--annotation", "x-opt-partition-key=pk")
        .run();
    let read = receive(port, &address, 1).remove(0);
    assert_eq!(read["properties"]["message_id"], json!(["ulong", 42]));
    assert_eq!(read["properties"]["correlation_id"][0], "uuid");
    assert_eq!(read["properties"]["group_id"], "g");
    assert_eq!(read["header"]["priority"], 7);
    assert_eq!(read["header"]["ttl"], 600_000);
    assert_eq!(
        read["application"],
        json!([["n", "int", -1], ["b", "boolean", true]])
    );
    let annotations = read["annotations"].as_array().unwrap();
    assert!(
        annotations.contains(&json!(["x-opt-partition-key", "string", "pk"])),
        "{read}"
    );
    assert_eq!(
        read["body"],
        json!([
            "map",
            [
                [
                    ["string", "a"],
                    ["list", [["long", 1], ["string", "x"], ["boolean", true]]]
                ],
                [["string", "b"], ["double", 2.5]],
            ]
        ])
    );
}

#[test]
fn a_rejected_message_is_dead_and_a_released_one_comes_again() {
    let broker = Artemis::shared();
    let address = unique("settled");
    let _ = plain(broker.amqp_port(), &address, "x").run();
    let settle = |how: &str| {
        let call = Client::script("amqp_recv.py").option("--port", broker.amqp_port());
        call.option("--address", &address)
            .option("--settle", how)
            .run()
            .remove(1)
    };
    assert_eq!(settle("release")["header"]["delivery_count"], 0);
    assert_eq!(settle("modify")["header"]["delivery_count"], 0);
    assert_eq!(settle("reject")["header"]["delivery_count"], 1);
    assert_eq!(broker.depth(&address), 0);
    assert_eq!(
        receive(broker.amqp_port(), &Artemis::dead(&address), 1)[0]["body"],
        json!(["string", "x"])
    );
}

#[test]
fn a_full_address_refuses_and_a_topic_copies() {
    let port = Artemis::shared().amqp_port();
    let full = format!("fail.{}", unique("full"));
    let call = send(port, &full).option("--data", "large").option("--count", 5);
    let outcomes = call.option("--outcome", "any").run();
    assert_eq!(outcomes[0]["outcome"], "accepted");
    assert_eq!(outcomes[4]["outcome"], "rejected");

    let topic = unique("topic");
    let subscribe = || {
        let call = Client::script("amqp_recv.py")
            .option("--port", port)
            .option("--address", &topic);
        let mut reader = call.option("--capability", "topic").spawn();
        reader.next_line(LIMIT);
        reader
    };
    let mut readers = [subscribe(), subscribe()];
    let _ = plain(port, &topic, "copied")
        .option("--capability", "topic")
        .run();
    for reader in &mut readers {
        assert_eq!(reader.next_line(LIMIT)["body"][1], "copied");
    }
}

#[test]
fn users_and_certificates_are_known_and_wrong_ones_are_not() {
    let broker = Artemis::shared();
    let locked = format!("locked.{}", unique("as"));
    let (certificate, key) = tls::client();
    let plainly = || plain(broker.amqp_port(), &locked, "x");
    plainly().try_run().unwrap_err();
    let as_user = || plainly().option("--user", artemis::USER);
    as_user().option("--password", "wrong").try_run().unwrap_err();
    let _ = as_user().option("--password", artemis::PASSWORD).run();

    let safely =
        |ca: std::path::PathBuf| plain(broker.amqps_port(), &locked, "x").option("--ca", ca.display());
    safely(tls::other_ca()).try_run().unwrap_err();
    safely(tls::ca()).try_run().unwrap_err();
    let named = safely(tls::ca()).option("--cert", certificate.display());
    let named = named.option("--cert-key", key.display());
    let _ = named.option("--mechanism", "EXTERNAL").run();
}

#[test]
fn mqtt_goes_through_in_both_versions() {
    let broker = Artemis::shared();
    for (version, mode) in [("5", "binary"), ("3.1.1", "structured")] {
        let topic = format!("rig/{}", unique("trip"));
        let call = |script| {
            let call = Client::script(script).option("--port", broker.mqtt_port());
            call.option("--version", version).option("--topic", &topic)
        };
        let mut reader = call("mqtt_sub.py").option("--count", 2).spawn();
        assert_eq!(reader.next_line(LIMIT)["subscribed"], json!([1]));
        let sent = call("mqtt_pub.py")
            .option("--mode", mode)
            .option("--count", 2)
            .run();
        for sent in sent {
            let read = reader.next_line(LIMIT);
            assert_eq!(read["attributes"], sent["attributes"], "{version}");
            assert_eq!(read["raw"], sent["raw"]);
        }
    }
    let call = Client::script("mqtt_pub.py").option("--port", broker.mqtts_port());
    let call = call.option("--topic", "rig/tls").option("--mode", "plain");
    let _ = call.option("--ca", tls::ca().display()).run();
    let call = Client::script("mqtt_pub.py").option("--port", broker.mqtt_port());
    let call = call.option("--topic", "rig/user").option("--mode", "plain");
    call.option("--user", artemis::USER)
        .option("--password", "wrong")
        .try_run()
        .unwrap_err();
}

#[test]
fn what_was_confirmed_outlives_a_kill() {
    let mut broker = Artemis::reserve();
    let port = broker.amqp_port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    broker.start();
    let subscribe = |count: usize| {
        let call = Client::script("mqtt_sub.py").option("--port", broker.mqtt_port());
        let call = call.option("--topic", "rig/kept").flag("--session");
        call.option("--client-id", "kept").option("--count", count)
    };
    let mut reader = subscribe(0).spawn();
    assert_eq!(reader.next_line(LIMIT)["session"], false);
    drop(reader);
    let publish = Client::script("mqtt_pub.py").option("--port", broker.mqtt_port());
    let publish = publish.option("--topic", "rig/kept").option("--count", 3);
    let again = subscribe(3);
    let _ = publish.run();
    let _ = send(port, "kept").option("--count", 3).run();
    broker.kill9();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    broker.start();
    assert_eq!(broker.depth("kept"), 3);
    assert_eq!(receive(port, "kept", 3).len(), 3);
    let lines = again.run();
    assert_eq!(lines[0]["session"], true);
    assert_eq!(lines.len(), 4);
}
