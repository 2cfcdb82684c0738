//! Kafka to Kafka: a topic that is full already -> copy or router -> another topic, with three filters on the way.
//! Time on the cores counts from the start of the process on, joining the group included.

use std::process;

use weft_rig::{Kafka, Weft, free_port};

use super::table::{Sample, render};
use super::{MEMORY_MIB, Middle, Plan, Side, binary, figures, turns};
use crate::Failure;
use crate::tool::Tool;

/// Events of a run: so many that starting and joining the group are lost in them.
const EVENTS: usize = 1_000_000;
pub(super) const PARTITIONS: i32 = 4;
/// The prefetch that the router makes of its budget: half goes to the clients, an even part to each of the
/// two, and of an ingress' part one half is librdkafka's.
const PREFETCH_KIB: u64 = MEMORY_MIB * 1024 / 2 / 2 / 2;

/// Runs the scenario and returns its table.
///
/// # Errors
/// An event was lost or changed, or a process failed.
pub fn run(plan: &Plan) -> Result<String, Failure> {
    let events = plan.events.unwrap_or(EVENTS);
    let broker = Kafka::private();
    let from = broker.topic("from", PARTITIONS);
    fill(broker.brokers(), &from, events)?;
    let (plain, weft) = turns(plan, |side, round| {
        let to = broker.topic("to", PARTITIONS);
        let group = format!("{}-{side:?}-{round}", process::id()).to_lowercase();
        let sample = one(
            events,
            plan,
            side,
            &Flow {
                brokers: broker.brokers(),
                from: &from,
                to: &to,
                group: &group,
            },
        );
        broker.delete_topic(&to);
        sample
    })?;
    let title = format!(
        "Kafka -> Kafka: {} events a round, {PARTITIONS} partitions, three filters",
        events
    );
    Ok(render(&title, "plain: rdkafka", &plain, &weft))
}

struct Flow<'a> {
    brokers: &'a str,
    from: &'a str,
    to: &'a str,
    group: &'a str,
}

fn one(events: usize, plan: &Plan, side: Side, flow: &Flow<'_>) -> Result<Sample, Failure> {
    let counter = count(flow.brokers, flow.to, events, true)?;
    let middle = match side {
        Side::Plain => Middle::Plain(copy(flow)?),
        Side::Weft => Middle::Weft(router(plan, flow)?),
    };
    figures(events, &middle, counter)
}

/// Starts to count the events of a topic with [`PARTITIONS`].
pub(super) fn count(brokers: &str, topic: &str, events: usize, keyed: bool) -> Result<Tool, Failure> {
    let (partitions, events) = (PARTITIONS.to_string(), events.to_string());
    let mut args = vec![
        "--brokers",
        brokers,
        "--topic",
        topic,
        "--partitions",
        &partitions,
        "--events",
        &events,
    ];
    if !keyed {
        args.push("--keyless");
    }
    Tool::serve("kafka-count", &args)
}

/// What the router's file says of an ingress.
pub(super) fn source(brokers: &str, topic: &str, group: &str) -> String {
    format!(r#"kafka: {{ brokers: ["{brokers}"], topics: ["{topic}"], group: "{group}", start: earliest }}"#)
}

/// What the router's file says of a destination.
pub(super) fn target(brokers: &str, topic: &str) -> String {
    format!(r#"kafka: {{ brokers: ["{brokers}"], topic: "{topic}" }}"#)
}

/// Fills a topic.
pub(super) fn fill(brokers: &str, topic: &str, events: usize) -> Result<(), Failure> {
    let events = events.to_string();
    let args = ["--brokers", brokers, "--topic", topic, "--events", &events];
    Tool::run("kafka-fill", &args).map(drop)
}

fn copy(flow: &Flow<'_>) -> Result<Tool, Failure> {
    let prefetch = PREFETCH_KIB.to_string();
    let args = [
        "--brokers",
        flow.brokers,
        "--from",
        flow.from,
        "--to",
        flow.to,
        "--group",
        flow.group,
        "--prefetch-kib",
        &prefetch,
    ];
    Tool::serve("rdkafka-copy", &args)
}

fn router(plan: &Plan, flow: &Flow<'_>) -> Result<Weft, Failure> {
    let Flow {
        brokers,
        from,
        to,
        group,
    } = flow;
    let yaml = format!(
        r#"
node: {{ name: bench, cluster: bench }}
observe: {{ listen: "${{OBSERVE}}" }}
admin: {{ listen: "127.0.0.1:{admin}" }}
limits: {{ memory: {MEMORY_MIB}MiB }}
ingress:
  in: {{ kafka: {{ brokers: ["{brokers}"], topics: ["{from}"], group: "{group}", start: earliest }} }}
destinations:
  out: {{ kafka: {{ brokers: ["{brokers}"], topic: "{to}" }} }}
routes:
  copy:
    from: [in]
    filters: [{{ exact: {{ type: com.acme.reading }} }}, {{ prefix: {{ source: /plant/ }} }}, {{ sql: "priority > 3" }}]
    to: out
"#,
        admin = free_port(),
    );
    Ok(Weft::at(binary(plan)?).config(&yaml).start())
}
