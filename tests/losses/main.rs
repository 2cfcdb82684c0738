//! Nothing is lost between Kafka, AMQP and MQTT while the brokers on both sides and Weft are killed with -9 in turn, nor
//! while Kafka is away (C1, C3, C4). What counts as sent is what the broker confirmed to a foreign client.
//!
//! A run in which a kill came too late, or less was confirmed than planned, proves nothing, and fails.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod stage;
mod tally;

use stage::Stage;
use support::{LIMIT, weft};
use tally::Tally;
use weft_rig::{Broker, Mosquitto, Python, PythonProcess, Record, Weft, eventually, unique};

const EVENTS: usize = 50_000;
const KEYS: usize = 1_000;
/// What all lanes together may have unsettled; of Kafka, uncommitted.
const WINDOW: usize = 1_000;
const PARTITIONS: usize = 4;

/// A flood or a drain of the rig.
fn script(name: &str, port: u16, place: (&str, &str)) -> Python {
    Python::script(name)
        .option("--port", port)
        .option(place.0, place.1)
}

/// A flood of [`EVENTS`], under way.
fn flood(name: &str, port: u16, place: (&str, &str), count: usize) -> PythonProcess {
    let script = script(name, port, place).option("--count", count);
    let mut flood = script.option("--keys", KEYS).option("--window", 1000).spawn();
    tally::until(&mut flood, "confirmed");
    flood
}

/// Panics unless the flood ends with everything confirmed.
#[track_caller]
fn assert_confirmed(mut flood: PythonProcess, count: usize) {
    let end = tally::until(&mut flood, "done");
    assert_eq!(end["confirmed"], count, "void: {end}");
    eprintln!("flood: {end}");
}

/// The records of a flood, as the drains know them.
fn records(topic: &str) -> Vec<Record> {
    (0..EVENTS)
        .map(|n| {
            let key = format!("key-{}", n % KEYS);
            let pad = "x".repeat(180);
            support::record(topic, &format!("flood-{n}"))
                .key(key.clone())
                .value(format!(
                    r#"{{"id":"flood-{n}","n":{n},"key":"{key}","pad":"{pad}"}}"#
                ))
        })
        .collect()
}

/// From a broker to Kafka: the flood goes on while everything is killed.
fn into_kafka(label: &str, ingress: &str, name: &str, place: &str) {
    let mut stage = Stage::take();
    let from = unique(label);
    let topic = stage.kafka.topic(label, i32::try_from(PARTITIONS).unwrap());
    let brokers = stage.kafka.brokers();
    let (amqp, mqtt) = (stage.artemis.amqp_url(), stage.artemis.mqtt_url());
    let ingress = ingress
        .replace("{amqp}", &amqp)
        .replace("{mqtt}", &mqtt)
        .replace("{from}", &from);
    let mut weft = weft(&format!(
        r#"
ingress:
  in: {{ {ingress}, window: {{ events: {WINDOW}, bytes: 64MiB }} }}
destinations:
  out:
    kafka: {{ brokers: ["{brokers}"], topic: {topic} }}
    breaker: {{ initial: 100ms, max: 1s }}
routes:
  all: {{ to: out }}
"#
    ))
    .start();
    let port = if place == "--topic" {
        stage.artemis.mqtt_port()
    } else {
        stage.artemis.amqp_port()
    };
    subscribed(&stage, &weft, place, &from);
    let flood = flood(name, port, (place, &from), EVENTS);
    stage.kill_in_turn(&mut weft, EVENTS);
    assert_confirmed(flood, EVENTS);
    let tally = Tally::of_kafka(&stage.kafka, &topic, EVENTS, &weft);
    tally.judge(label, &stage, WINDOW);
}

/// What is published before Weft has subscribed is nobody's.
fn subscribed(stage: &Stage, weft: &Weft, place: &str, topic: &str) {
    if place == "--topic" {
        eventually("a session at the broker", LIMIT, || {
            // A message that arrives: the subscription is there. Its event is foreign to the tally.
            let probe = Python::script("mqtt_pub.py").option("--port", stage.artemis.mqtt_port());
            let probe = probe.option("--topic", topic).option("--mode", "plain");
            let _ = probe.option("--payload", "probe").run();
            (weft.metrics().sum("weft_ingress_events_total", &[]) > 0.5).then_some(())
        });
    }
}

/// From Kafka to a broker: all of it is there before, and a drain collects what comes.
fn out_of_kafka(label: &str, egress: &str, name: &str, place: &str) {
    let mut stage = Stage::take();
    let (to, topic) = (
        unique(label),
        stage.kafka.topic(label, i32::try_from(PARTITIONS).unwrap()),
    );
    stage.kafka.produce(&records(&topic));
    let brokers = stage.kafka.brokers();
    let (amqp, mqtt) = (stage.artemis.amqp_url(), stage.artemis.mqtt_url());
    let egress = egress
        .replace("{amqp}", &amqp)
        .replace("{mqtt}", &mqtt)
        .replace("{to}", &to);
    let window = WINDOW / PARTITIONS;
    let port = if place == "--topic" {
        stage.artemis.mqtt_port()
    } else {
        stage.artemis.amqp_port()
    };
    let mut drain = script(name, port, (place, &to)).spawn();
    tally::until(&mut drain, "connected");
    let mut weft = weft(&format!(
        r#"
limits: {{ memory: 16MiB }}
ingress:
  in:
    kafka:
      brokers: ["{brokers}"]
      topics: [{topic}]
      group: {topic}
      session_timeout: 2s
      librdkafka: {{ heartbeat.interval.ms: 400 }}
    window: {{ events: {window} }}
destinations:
  out:
    {egress}
    breaker: {{ initial: 100ms, max: 1s }}
routes:
  all: {{ to: out }}
"#
    ))
    .start();
    stage.kill_in_turn(&mut weft, EVENTS);
    let tally = Tally::of_drain(drain, EVENTS, || {
        let ends: Vec<i64> = stage
            .kafka
            .offsets(&topic)
            .iter()
            .map(|(_, high)| *high)
            .collect();
        let committed = stage.kafka.committed(&topic, &topic);
        committed.values().copied().collect::<Vec<_>>() == ends
    });
    tally.judge(label, &stage, WINDOW);
}

#[test]
fn nothing_is_lost_from_mqtt_to_kafka() {
    into_kafka(
        "mqtt-kafka",
        "mqtt: { url: \"{mqtt}\", subscribe: [\"{from}\"], client_id: \"{from}\", max_packet: 64KiB }",
        "mqtt_flood.py",
        "--topic",
    );
}

#[test]
fn nothing_is_lost_from_amqp_to_kafka() {
    into_kafka(
        "amqp-kafka",
        "amqp: { url: \"{amqp}\", address: \"{from}\", kind: queue }",
        "amqp_flood.py",
        "--address",
    );
}

#[test]
fn nothing_is_lost_from_kafka_to_amqp() {
    out_of_kafka(
        "kafka-amqp",
        "amqp: { url: \"{amqp}\", address: \"{to}\", kind: queue }",
        "amqp_drain.py",
        "--address",
    );
}

#[test]
fn nothing_is_lost_from_kafka_to_mqtt() {
    out_of_kafka(
        "kafka-mqtt",
        "mqtt: { url: \"{mqtt}\", topic: \"{to}\", client_id: \"{to}-out\" }",
        "mqtt_drain.py",
        "--topic",
    );
}

/// Where the neighbours lose: nothing was acknowledged to the MQTT broker that is not in Kafka.
#[test]
fn what_was_published_while_kafka_was_away_and_weft_was_killed_arrives() {
    const COUNT: usize = 10_000;
    const KILLS: usize = 3;
    let _stage = Stage::take();
    // It lives, so nothing has to be on its disk; writing a long queue again and again takes it minutes.
    let mut mosquitto = Mosquitto::reserve_with("autosave_on_changes false\nautosave_interval 0");
    mosquitto.start();
    let mut kafka = Broker::reserve();
    kafka.start();
    let (topic, from) = (kafka.topic("away", 2), unique("away"));
    kafka.stop();
    let (brokers, url) = (kafka.brokers(), mosquitto.url());
    let mut weft = weft(&format!(
        r#"
ingress:
  in:
    mqtt: {{ url: "{url}", subscribe: ["{from}"], client_id: {from}, max_packet: 64KiB }}
    window: {{ events: {WINDOW}, bytes: 64MiB }}
destinations:
  out:
    kafka: {{ brokers: ["{brokers}"], topic: {topic} }}
    breaker: {{ initial: 100ms, max: 1s }}
routes:
  all: {{ to: out }}
"#
    ))
    .start();
    let pending = |weft: &Weft| {
        eventually("events that wait for Kafka", LIMIT, || {
            (weft.metrics().sum("weft_obligations_pending", &[]) > 100.0).then_some(())
        });
    };
    mosquitto
        .log()
        .wait_for("a session", LIMIT, |line| line.contains(&from));
    let flood = flood("mqtt_flood.py", mosquitto.port(), ("--topic", &from), COUNT);
    for _ in 0..KILLS {
        pending(&weft);
        weft.kill9();
        weft.restart();
    }
    assert_confirmed(flood, COUNT);
    pending(&weft);
    let settled = weft
        .metrics()
        .sum("weft_obligations_settled_total", &[("result", "delivered")]);
    assert_eq!(settled.round(), 0.0, "Kafka is away");
    kafka.start();
    let tally = Tally::of_kafka(&kafka, &topic, COUNT, &weft);
    eprintln!("away: {COUNT} events, {KILLS} kills, {} came again", tally.again);
    let first = &tally.lost[..tally.lost.len().min(10)];
    assert!(
        tally.lost.is_empty(),
        "{} lost, the first {first:?}; the logs:\n{}\n{}",
        tally.lost.len(),
        weft.log().tail(),
        mosquitto.log().tail()
    );
    // Nothing had been delivered, so nothing can come twice but what broke off with the first connection to Kafka.
    assert!(tally.again <= WINDOW, "{} came again", tally.again);
}
