//! From a session of Mosquitto that is full already to a topic of Kafka: the session is made and filled before the middle
//! comes, so that nothing starves it and no publisher shares the cores with it. And from Kafka to a subscriber of it. QoS 1,
//! one session.

use weft_rig::{Kafka, Mosquitto};

use super::amqp::queue;
use super::table::render;
use super::{Middle, Plan, Side, figures, kafka, router, turns};
use crate::Failure;
use crate::tool::Tool;

/// Events of a run.
const EVENTS: usize = 200_000;

/// Mosquitto would write all that it holds to disk at each turn; a long queue would measure that.
pub(super) const SETTINGS: &str = "autosave_interval 0\nautosave_on_changes false";

/// MQTT to Kafka.
///
/// # Errors
/// An event was lost or changed, or a process failed.
pub fn to_kafka(plan: &Plan) -> Result<String, Failure> {
    let events = plan.events.unwrap_or(EVENTS);
    let (mut broker, kafka) = (Mosquitto::reserve_with(SETTINGS), Kafka::private());
    broker.start();
    let (port, brokers) = (broker.port().to_string(), kafka.brokers());
    let (plain, weft) = turns(plan, |side, round| {
        let client = queue("client", side, round);
        let (from, to) = (format!("{client}/from"), kafka.topic("to", kafka::PARTITIONS));
        fill(&port, &client, &from, events)?;
        let counter = kafka::count(brokers, &to, events, false)?;
        let args = [
            "--port",
            &port,
            "--client",
            &client,
            "--from",
            &from,
            "--brokers",
            brokers,
            "--to",
            &to,
        ];
        let middle = match side {
            Side::Plain => Middle::Plain(Tool::serve("rumqttc-kafka", &args)?),
            Side::Weft => router(plan, &source(&port, &client, &from), &kafka::target(brokers, &to))?,
        };
        let sample = figures(events, &middle, counter);
        kafka.delete_topic(&to);
        sample
    })?;
    let title = format!("MQTT -> Kafka: {events} events a round, QoS 1, one session");
    Ok(render(&title, "plain: rumqttc and rdkafka", &plain, &weft))
}

/// Kafka to MQTT.
///
/// # Errors
/// An event was lost or changed, or a process failed.
pub fn from_kafka(plan: &Plan) -> Result<String, Failure> {
    let events = plan.events.unwrap_or(EVENTS);
    let (mut broker, kafka) = (Mosquitto::reserve_with(SETTINGS), Kafka::private());
    broker.start();
    let (port, brokers) = (broker.port().to_string(), kafka.brokers());
    let from = kafka.topic("from", kafka::PARTITIONS);
    kafka::fill(brokers, &from, events)?;
    let (plain, weft) = turns(plan, |side, round| {
        let (group, to) = (queue("group", side, round), queue("to", side, round));
        let count = events.to_string();
        let counter = Tool::serve(
            "mqtt-count",
            &["--port", &port, "--topic", &to, "--events", &count],
        )?;
        let args = [
            "--brokers",
            brokers,
            "--from",
            &from,
            "--group",
            &group,
            "--port",
            &port,
            "--to",
            &to,
        ];
        let middle = match side {
            Side::Plain => Middle::Plain(Tool::serve("kafka-rumqttc", &args)?),
            Side::Weft => router(plan, &kafka::source(brokers, &from, &group), &target(&port, &to))?,
        };
        figures(events, &middle, counter)
    })?;
    let title = format!("Kafka -> MQTT: {events} events a round, QoS 1");
    Ok(render(&title, "plain: rdkafka and rumqttc", &plain, &weft))
}

fn fill(port: &str, client: &str, topic: &str, events: usize) -> Result<(), Failure> {
    let events = events.to_string();
    let args = [
        "--port", port, "--client", client, "--topic", topic, "--events", &events,
    ];
    Tool::run("mqtt-fill", &args).map(drop)
}

/// With the largest packet said, the window of 8 MiB is worth as many packets as the loop takes.
pub(super) fn source(port: &str, client: &str, topic: &str) -> String {
    format!(
        r#"mqtt: {{ url: "mqtt://127.0.0.1:{port}", client_id: "{client}", subscribe: ["{topic}"], max_packet: 8KiB }}"#
    )
}

fn target(port: &str, topic: &str) -> String {
    format!(r#"mqtt: {{ url: "mqtt://127.0.0.1:{port}", topic: "{topic}" }}"#)
}
