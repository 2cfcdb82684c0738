//! Kafka to Kafka: a topic that is full already -> copy or router -> another topic, with three filters on the way.
//! Time on the cores counts from the start of the process on, joining the group included.

use std::process;

use weft_rig::{Kafka, Weft, free_port};

use super::process::{cpu, memory};
use super::table::{Sample, render};
use super::{Plan, Side, binary, turns};
use crate::Failure;
use crate::tool::Tool;

const PARTITIONS: i32 = 4;
/// The router's budget, and the prefetch that it makes of it: half goes to the clients, an even part to each of the
/// two, and of an ingress' part one half is librdkafka's.
const MEMORY_MIB: u64 = 256;
const PREFETCH_KIB: u64 = MEMORY_MIB * 1024 / 2 / 2 / 2;

/// Runs the scenario and returns its table.
///
/// # Errors
/// An event was lost or changed, or a process failed.
pub fn run(plan: &Plan) -> Result<String, Failure> {
    let broker = Kafka::private();
    let from = broker.topic("from", PARTITIONS);
    Tool::run(
        "kafka-fill",
        &[
            "--brokers",
            broker.brokers(),
            "--topic",
            &from,
            "--events",
            &plan.events.to_string(),
        ],
    )?;
    let (plain, weft) = turns(plan, |side, round| {
        let to = broker.topic("to", PARTITIONS);
        let group = format!("{}-{side:?}-{round}", process::id()).to_lowercase();
        let sample = one(
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
        plan.events
    );
    Ok(render(&title, "plain: rdkafka", &plain, &weft))
}

struct Flow<'a> {
    brokers: &'a str,
    from: &'a str,
    to: &'a str,
    group: &'a str,
}

fn one(plan: &Plan, side: Side, flow: &Flow<'_>) -> Result<Sample, Failure> {
    let (partitions, events) = (PARTITIONS.to_string(), plan.events.to_string());
    let count = [
        "--brokers",
        flow.brokers,
        "--topic",
        flow.to,
        "--partitions",
        &partitions,
        "--events",
        &events,
    ];
    let count = Tool::serve("kafka-count", &count)?;
    let (tool, weft);
    let pid = match side {
        Side::Plain => {
            tool = copy(flow)?;
            tool.pid()
        }
        Side::Weft => {
            weft = router(plan, flow)?;
            weft.pid()
        }
    };
    let found = count.found()?;
    let (cpu, memory) = (cpu(pid)?, memory(pid)?);
    if found.get::<usize>("changed")? != 0 {
        return Err(format!("{side:?} changed events on the way: {found:?}").into());
    }
    Ok(Sample {
        cpu_us: cpu.as_secs_f64() * 1e6 / plan.events as f64,
        rate: found.get("rate")?,
        peak_mib: memory.peak,
        latency: None,
    })
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
