//! HTTP to Kafka without and with a store between: what a durable answer costs.
//!
//! Without one an answer waits for Kafka's acknowledgement, with one for the disk; either way all that was answered is
//! counted in the topic. Both sides are the router.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use weft_rig::{Kafka, Weft, free_port};

use super::table::{Sample, render_as};
use super::{Plan, Side, binary, figures_of, kafka, turns};
use crate::Failure;
use crate::tool::Tool;

/// Events of a run.
const EVENTS: usize = 200_000;
const CONNECTIONS: usize = 256;

/// Runs the scenario and returns its table.
///
/// # Errors
/// An event was lost, changed or refused, or a process failed.
pub fn run(plan: &Plan) -> Result<String, Failure> {
    let events = plan.events.unwrap_or(EVENTS);
    let broker = Kafka::private();
    let (without, with) = turns(plan, |side, round| {
        let topic = broker.topic("to", kafka::PARTITIONS);
        let store = Dir::new(&format!("{side:?}-{round}"));
        let sample = one(plan, side, events, (broker.brokers(), &topic), &store.0);
        broker.delete_topic(&topic);
        sample
    })?;
    let title = format!("HTTP -> Kafka, a store between: {events} events a round, {CONNECTIONS} connections");
    let names = ("without a store", "with a store");
    Ok(render_as(&title, names, "with / without", (&without, &with)))
}

fn one(
    plan: &Plan,
    side: Side,
    events: usize,
    (brokers, topic): (&str, &str),
    store: &Path,
) -> Result<Sample, Failure> {
    let counter = kafka::count(brokers, topic, events, false)?;
    let listen = free_port();
    let (section, keys) = match side {
        Side::Plain => (String::new(), ""),
        Side::Weft => (format!("store: {{ path: {} }}", store.display()), ", store: {}"),
    };
    let yaml = format!(
        r#"
node: {{ name: bench, cluster: bench }}
observe: {{ listen: "${{OBSERVE}}" }}
admin: {{ listen: "127.0.0.1:{admin}" }}
{section}
ingress:
  in: {{ http: {{ listen: "127.0.0.1:{listen}", path: / }} }}
destinations:
  out: {{ {target}{keys} }}
routes:
  all: {{ from: [in], to: out }}
"#,
        admin = free_port(),
        target = kafka::target(brokers, topic),
    );
    let weft = Weft::at(binary(plan)?).config(&yaml).start();
    let (port, count, connections) = (listen.to_string(), events.to_string(), CONNECTIONS.to_string());
    let args = [
        "--port",
        &port,
        "--first",
        "0",
        "--events",
        &count,
        "--connections",
        &connections,
    ];
    let found = Tool::run("http-load", &args)?;
    let delivered: usize = found.get("delivered")?;
    if delivered != events {
        return Err(format!("{delivered} of {events} events were answered with a 2xx: {found:?}").into());
    }
    let sample = figures_of(events, weft.pid(), counter)?;
    Ok(Sample {
        rate: found.get("rate")?,
        latency: Some((found.get("p50")?, found.get("p99")?)),
        ..sample
    })
}

/// Removed when it is dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        Dir(std::env::temp_dir().join(format!("weft-bench-store-{}-{name}", process::id())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_dir_all(&self.0);
    }
}
