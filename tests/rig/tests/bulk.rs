//! The floods and the drains lose nothing while their broker dies under them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value, json};
use weft_rig::{Artemis, Client, ClientProcess, Mosquitto};

const LIMIT: Duration = Duration::from_secs(120);
const COUNT: u64 = 4_000;

/// Reads until the line that has `field`, and returns it.
fn until(process: &mut ClientProcess, field: &str) -> Value {
    loop {
        let line = process.next_line(LIMIT);
        if line.get(field).is_some() {
            return line;
        }
    }
}

/// A drain that is connected, and a flood that has just begun.
fn begin(protocol: &str, place: &str, port: u16) -> [ClientProcess; 2] {
    let call = |what: &str| {
        let call = Client::script(&format!("{protocol}_{what}.py")).option("--port", port);
        // Not one name for both: the topic of MQTT and the queue of AMQP would be one address of Artemis.
        call.option(place, format!("bulk-{protocol}"))
            .option("--count", COUNT)
    };
    let mut drain = call("drain").spawn();
    assert_eq!(drain.next_line(LIMIT), json!({"connected": 1}));
    let mut flood = call("flood").spawn();
    until(&mut flood, "confirmed");
    [drain, flood]
}

/// Both lines at the end.
fn finish([mut drain, mut flood]: [ClientProcess; 2]) -> [Value; 2] {
    let sent = until(&mut flood, "done");
    let came = until(&mut drain, "done");
    assert_eq!(sent["confirmed"], COUNT, "{sent}");
    assert_eq!(came["distinct"], COUNT, "{came}");
    assert_eq!(came["missing"], json!([]));
    [sent, came]
}

#[test]
fn what_artemis_confirmed_is_not_lost_by_a_kill() {
    let mut broker = Artemis::private();
    let amqp = begin("amqp", "--address", broker.amqp_port());
    broker.kill9();
    broker.start();
    let mqtt = begin("mqtt", "--topic", broker.mqtt_port());
    broker.kill9();
    broker.start();
    for [sent, _] in [finish(amqp), finish(mqtt)] {
        assert!(sent["connections"].as_u64() > Some(1), "{sent}");
    }
}

#[test]
fn what_mosquitto_confirmed_is_not_lost_by_a_stop() {
    let mut broker = Mosquitto::private();
    let mqtt = begin("mqtt", "--topic", broker.port());
    broker.stop();
    broker.start();
    let [sent, _] = finish(mqtt);
    assert!(sent["connections"].as_u64() > Some(1), "{sent}");
}

#[test]
fn a_drain_that_is_told_to_stop_says_what_it_has() {
    let broker = Mosquitto::shared();
    let call = Client::script("mqtt_drain.py").option("--port", broker.port());
    let mut drain = call.option("--topic", "rig/nothing").spawn();
    until(&mut drain, "connected");
    drain.stop();
    assert_eq!(until(&mut drain, "done")["distinct"], 0);
}
