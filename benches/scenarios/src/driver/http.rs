//! HTTP to HTTP, one event a request: load -> forwarder or router -> sink.

use weft_rig::{Weft, free_port, http};

use super::table::{Sample, render};
use super::{Plan, Side, binary, process, threads, turns};
use crate::Failure;
use crate::tool::{Found, Tool};

const CONNECTIONS: usize = 64;
/// Events that fill pools and caches before the clock starts.
const WARM_UP: usize = 5_000;
/// The fixed rate at which latency is measured, far below what either side can do, and for how many events.
const RATE: usize = 3_000;
const RATE_EVENTS: usize = 15_000;

/// What stands between load and sink.
enum Middle {
    Plain(Tool),
    Weft(Box<Weft>),
}

impl Middle {
    fn pid(&self) -> u32 {
        match self {
            Middle::Plain(tool) => tool.pid(),
            Middle::Weft(weft) => weft.pid(),
        }
    }
}

/// Runs the scenario and returns its table.
///
/// # Errors
/// An event was lost, changed or refused, or a process failed.
pub fn run(plan: &Plan) -> Result<String, Failure> {
    let (plain, weft) = turns(plan, |side, _| one(plan, side))?;
    let title = format!(
        "HTTP -> HTTP: {} events a round, {CONNECTIONS} connections, latency at {RATE}/s",
        plan.events
    );
    Ok(render(&title, "plain: hyper", &plain, &weft))
}

fn one(plan: &Plan, side: Side) -> Result<Sample, Failure> {
    let (listen, sink) = (free_port(), free_port());
    let _sink = Tool::serve("http-sink", &["--port", &sink.to_string()])?;
    let middle = start(plan, side, listen, sink)?;

    load(listen, 0, WARM_UP, &[])?;
    let before = process::cpu(middle.pid())?;
    let free = load(listen, WARM_UP, plan.events, &[])?;
    let cpu = process::cpu(middle.pid())? - before;
    let paced = load(
        listen,
        WARM_UP + plan.events,
        RATE_EVENTS,
        &["--rate", &RATE.to_string()],
    )?;

    let memory = process::memory(middle.pid())?;
    arrived(sink, WARM_UP + plan.events + RATE_EVENTS)?;
    Ok(Sample {
        cpu_us: cpu.as_secs_f64() * 1e6 / plan.events as f64,
        rate: free.get("rate")?,
        peak_mib: memory.peak,
        latency: Some((paced.get("p50")?, paced.get("p99")?)),
    })
}

fn start(plan: &Plan, side: Side, listen: u16, sink: u16) -> Result<Middle, Failure> {
    if side == Side::Plain {
        let (listen, sink, threads) = (listen.to_string(), sink.to_string(), threads().to_string());
        let args = ["--port", &listen, "--to", &sink, "--threads", &threads];
        return Ok(Middle::Plain(Tool::serve("hyper-forward", &args)?));
    }
    let yaml = format!(
        r#"
node: {{ name: bench, cluster: bench }}
observe: {{ listen: "${{OBSERVE}}" }}
admin: {{ listen: "127.0.0.1:{admin}" }}
ingress:
  in: {{ http: {{ listen: "127.0.0.1:{listen}", path: / }} }}
destinations:
  out: {{ http: {{ url: "http://127.0.0.1:{sink}/" }} }}
routes:
  all: {{ from: [in], to: out }}
"#,
        admin = free_port(),
    );
    Ok(Middle::Weft(Box::new(
        Weft::at(binary(plan)?).config(&yaml).start(),
    )))
}

fn load(port: u16, first: usize, events: usize, more: &[&str]) -> Result<Found, Failure> {
    let (port, first, count) = (port.to_string(), first.to_string(), events.to_string());
    let connections = CONNECTIONS.to_string();
    let mut args = vec![
        "--port",
        &port,
        "--first",
        &first,
        "--events",
        &count,
        "--connections",
        &connections,
    ];
    args.extend(more);
    let found = Tool::run("http-load", &args)?;
    let delivered: usize = found.get("delivered")?;
    if delivered != events {
        return Err(format!("{delivered} of {events} events were answered with a 2xx: {found:?}").into());
    }
    Ok(found)
}

/// Everything that was answered with a 2xx is there, as it was sent.
fn arrived(sink: u16, events: usize) -> Result<(), Failure> {
    let counts = http::get(sink, "/")?.text();
    let found = Found::parse("http-sink", &counts);
    if found.get::<usize>("events")? == events && found.get::<usize>("changed")? == 0 {
        return Ok(());
    }
    let last = http::get(sink, "/last")?.text();
    Err(format!("sent {events} events, the sink has {counts}; its last requests:\n{last}").into())
}
