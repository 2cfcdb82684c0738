//! From a queue of Artemis that is full already: to another queue, and to a topic of Kafka. Messages are durable, and the
//! broker writes them to disk. Each run fills a queue of its own, since reading empties it.

use std::process;

use weft_rig::{Artemis, Kafka};

use super::table::render;
use super::{Middle, Plan, Side, figures, kafka, router, turns};
use crate::Failure;
use crate::tool::Tool;

/// Events of a run.
const EVENTS: usize = 200_000;

/// AMQP to AMQP.
///
/// # Errors
/// An event was lost or changed, or a process failed.
pub fn to_amqp(plan: &Plan) -> Result<String, Failure> {
    let events = plan.events.unwrap_or(EVENTS);
    let broker = Artemis::private();
    let address = address(&broker);
    let (plain, weft) = turns(plan, |side, round| {
        let (from, to) = (queue("from", side, round), queue("to", side, round));
        fill(&address, &from, events)?;
        let counter = count(&address, &to, events)?;
        let args = ["--broker", &address, "--from", &from, "--to", &to];
        let middle = match side {
            Side::Plain => Middle::Plain(Tool::serve("fe2o3-copy", &args)?),
            Side::Weft => router(plan, &source(&address, &from), &target(&address, &to))?,
        };
        figures(events, &middle, counter)
    })?;
    let title = format!("AMQP -> AMQP: {events} events a round");
    Ok(render(&title, "plain: fe2o3-amqp", &plain, &weft))
}

/// AMQP to Kafka.
///
/// # Errors
/// An event was lost or changed, or a process failed.
pub fn to_kafka(plan: &Plan) -> Result<String, Failure> {
    let events = plan.events.unwrap_or(EVENTS);
    let (broker, kafka) = (Artemis::private(), Kafka::private());
    let (address, brokers) = (address(&broker), kafka.brokers());
    let (plain, weft) = turns(plan, |side, round| {
        let (from, to) = (queue("from", side, round), kafka.topic("to", kafka::PARTITIONS));
        fill(&address, &from, events)?;
        let counter = kafka::count(brokers, &to, events, false)?;
        let args = [
            "--broker",
            &address,
            "--from",
            &from,
            "--brokers",
            brokers,
            "--to",
            &to,
        ];
        let middle = match side {
            Side::Plain => Middle::Plain(Tool::serve("fe2o3-kafka", &args)?),
            Side::Weft => router(plan, &source(&address, &from), &kafka::target(brokers, &to))?,
        };
        let sample = figures(events, &middle, counter);
        kafka.delete_topic(&to);
        sample
    })?;
    let title = format!("AMQP -> Kafka: {events} events a round");
    Ok(render(&title, "plain: fe2o3-amqp and rdkafka", &plain, &weft))
}

/// Kafka to AMQP.
///
/// # Errors
/// An event was lost or changed, or a process failed.
pub fn from_kafka(plan: &Plan) -> Result<String, Failure> {
    let events = plan.events.unwrap_or(EVENTS);
    let (broker, kafka) = (Artemis::private(), Kafka::private());
    let (address, brokers) = (address(&broker), kafka.brokers());
    let from = kafka.topic("from", kafka::PARTITIONS);
    kafka::fill(brokers, &from, events)?;
    let (plain, weft) = turns(plan, |side, round| {
        let (group, to) = (queue("group", side, round), queue("to", side, round));
        let counter = count(&address, &to, events)?;
        let args = ["--brokers", brokers, "--from", &from, "--group", &group];
        let middle = match side {
            Side::Plain => {
                let args = [&args[..], &["--broker", &address, "--to", &to]].concat();
                Middle::Plain(Tool::serve("kafka-fe2o3", &args)?)
            }
            Side::Weft => router(
                plan,
                &kafka::source(brokers, &from, &group),
                &target(&address, &to),
            )?,
        };
        figures(events, &middle, counter)
    })?;
    let title = format!("Kafka -> AMQP: {events} events a round");
    Ok(render(&title, "plain: rdkafka and fe2o3-amqp", &plain, &weft))
}

fn address(broker: &Artemis) -> String {
    format!("127.0.0.1:{}", broker.amqp_port())
}

/// A name that no other run has.
pub(super) fn queue(what: &str, side: Side, round: usize) -> String {
    format!("bench-{}-{what}-{side:?}-{round}", process::id()).to_lowercase()
}

fn fill(address: &str, queue: &str, events: usize) -> Result<(), Failure> {
    let events = events.to_string();
    let args = ["--broker", address, "--queue", queue, "--events", &events];
    Tool::run("amqp-fill", &args).map(drop)
}

fn count(address: &str, queue: &str, events: usize) -> Result<Tool, Failure> {
    let events = events.to_string();
    let args = ["--broker", address, "--queue", queue, "--events", &events];
    Tool::serve("amqp-count", &args)
}

pub(super) fn source(address: &str, queue: &str) -> String {
    format!(r#"amqp: {{ url: "amqp://{address}", address: "{queue}", kind: queue }}"#)
}

fn target(address: &str, queue: &str) -> String {
    format!(r#"amqp: {{ url: "amqp://{address}", address: "{queue}", kind: queue }}"#)
}
