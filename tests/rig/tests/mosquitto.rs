//! Mosquitto and Paho: what one publishes the other reads, on every listener and over a restart.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use weft_rig::{Client, Mosquitto, mosquitto, tls, unique};

const LIMIT: Duration = Duration::from_secs(60);

fn call(script: &str, port: u16, topic: &str) -> Client {
    Client::script(script)
        .option("--port", port)
        .option("--topic", topic)
}

/// Subscribes, publishes by `publish`, and returns both sides' lines.
fn round_trip(
    port: u16,
    version: &str,
    count: usize,
    publish: impl FnOnce(Client) -> Client,
) -> [Vec<Value>; 2] {
    let topic = format!("rig/{}", unique("trip"));
    let mut reader = call("mqtt_sub.py", port, &topic)
        .option("--version", version)
        .option("--count", count)
        .spawn();
    assert_eq!(reader.next_line(LIMIT)["subscribed"], json!([1]));
    let sent = publish(call("mqtt_pub.py", port, &topic).option("--version", version)).run();
    let read = (0..count).map(|_| reader.next_line(LIMIT)).collect();
    [sent, read]
}

#[test]
fn events_are_the_same_on_both_sides_in_every_mode() {
    for (version, mode) in [("5", "binary"), ("5", "structured"), ("3.1.1", "structured")] {
        let [sent, read] = round_trip(Mosquitto::shared().port(), version, 6, |publish| {
            publish
                .option("--count", 6)
                .option("--mode", mode)
                .option("--data", "all")
        });
        assert_eq!(sent.len(), 6);
        for (sent, mut read) in sent.into_iter().zip(read) {
            assert_eq!(read["attributes"]["type"], "com.example.rig.made");
            assert_eq!(read["dup"], false);
            read.as_object_mut().unwrap().remove("dup");
            assert_eq!(sent, read, "{version} {mode}");
        }
    }
}

#[test]
fn properties_of_plain_messages_arrive() {
    let [sent, read] = round_trip(Mosquitto::shared().port(), "5", 1, |publish| {
        publish
            .option("--mode", "plain")
            .option("--payload", "ünï")
            .option("--content-type", "text/plain")
            .option("--user-property", "a=1")
            .option("--user-property", "a=2")
            .option("--response-topic", "answers")
            .option("--correlation", "c")
            .option("--expiry", 300)
    });
    assert_eq!(read[0]["properties"], sent[0]["properties"]);
    assert_eq!(read[0]["properties"]["user"], json!([["a", "1"], ["a", "2"]]));
    assert_eq!(read[0]["text"], "ünï");
    assert_eq!(read[0].get("attributes"), None);
}

#[test]
fn each_listener_asks_for_what_it_says() {
    let broker = Mosquitto::shared();
    let (certificate, key) = tls::client();
    let publish = |port| call("mqtt_pub.py", port, "rig/listeners").option("--mode", "plain");
    let refused = |call: Client| call.try_run().unwrap_err();

    refused(publish(broker.password_port()));
    let as_user = publish(broker.password_port()).option("--user", mosquitto::USER);
    let _ = as_user.option("--password", mosquitto::PASSWORD).run();

    refused(publish(broker.tls_port()).option("--ca", tls::other_ca().display()));
    let _ = publish(broker.tls_port())
        .option("--ca", tls::ca().display())
        .run();

    let with_name = publish(broker.mutual_port()).option("--ca", tls::ca().display());
    let with_name = with_name.option("--cert", certificate.display());
    let _ = with_name.option("--cert-key", key.display()).run();
}

#[test]
fn sessions_outlive_a_restart_and_once_saved_a_kill() {
    let mut broker = Mosquitto::reserve();
    assert!(TcpStream::connect(broker.address()).is_err());
    broker.start();
    let port = broker.port();
    let session = |count: usize| {
        let call = call("mqtt_sub.py", port, "rig/kept").flag("--session");
        call.option("--client-id", "kept").option("--count", count)
    };
    let publish = |text: &str| {
        let call = call("mqtt_pub.py", port, "rig/kept").option("--mode", "plain");
        let _ = call.option("--payload", text).run();
    };
    let mut first = session(1).spawn();
    assert_eq!(first.next_line(LIMIT)["session"], false);
    publish("one");
    assert_eq!(first.next_line(LIMIT)["text"], "one");
    drop(first);

    publish("two");
    broker.stop();
    broker.start();
    publish("three");
    broker.save();
    broker.kill9();
    assert!(TcpStream::connect(broker.address()).is_err());
    broker.start();
    let lines = session(2).run();
    assert_eq!(lines[0]["session"], true);
    assert_eq!([&lines[1]["text"], &lines[2]["text"]], ["two", "three"]);
}
