//! The driver's parts: what runs, how it is measured, and the table.

pub mod amqp;
pub mod backlog;
pub mod http;
pub mod idle;
pub mod kafka;
pub mod mqtt;
pub mod overload;
pub mod process;
pub mod runs;
pub mod stage;
pub mod stalled;
pub mod store;
pub mod table;
pub mod watch;

use std::path::PathBuf;

use weft_rig::{Weft, free_port};

use crate::Failure;
use crate::driver::table::Sample;
use crate::tool::Tool;

/// The router's budget where brokers stand on both sides.
const MEMORY_MIB: u64 = 256;

/// What the command line says for every scenario.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Events of one measured run, where the scenario's own number shall not do.
    pub events: Option<usize>,
    /// How often each side runs.
    pub rounds: usize,
    /// The router's binary; without it the plain loops run alone.
    pub weft: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The loop by hand.
    Plain,
    /// The router.
    Weft,
}

/// What stands in the middle of a run, and is measured.
enum Middle {
    Plain(Tool),
    Weft(Weft),
}

impl Middle {
    fn pid(&self) -> u32 {
        match self {
            Middle::Plain(tool) => tool.pid(),
            Middle::Weft(weft) => weft.pid(),
        }
    }
}

/// Waits until `counter` has seen every event, and takes the figures of the middle. Its time on the cores counts from
/// the start of its process on.
fn figures(events: usize, middle: &Middle, counter: Tool) -> Result<Sample, Failure> {
    figures_of(events, middle.pid(), counter)
}

/// The same of any process.
fn figures_of(events: usize, pid: u32, counter: Tool) -> Result<Sample, Failure> {
    let found = counter.found()?;
    let (cpu, memory) = (process::cpu(pid)?, process::memory(pid)?);
    if found.get::<usize>("changed")? != 0 {
        return Err(format!("events were changed on the way: {found:?}").into());
    }
    Ok(Sample {
        cpu_us: cpu.as_secs_f64() * 1e6 / events as f64,
        rate: found.get("rate")?,
        peak_mib: memory.peak,
        latency: None,
    })
}

/// Starts a router with one ingress, `in`, one destination, `out`, and one route between them, which looks at nothing.
fn router(plan: &Plan, ingress: &str, destination: &str) -> Result<Middle, Failure> {
    let yaml = format!(
        r#"
node: {{ name: bench, cluster: bench }}
observe: {{ listen: "${{OBSERVE}}" }}
admin: {{ listen: "127.0.0.1:{admin}" }}
limits: {{ memory: {MEMORY_MIB}MiB }}
ingress:
  in: {{ {ingress} }}
destinations:
  out: {{ {destination} }}
routes:
  copy: {{ from: [in], to: out }}
"#,
        admin = free_port(),
    );
    Ok(Middle::Weft(Weft::at(binary(plan)?).config(&yaml).start()))
}

/// Runs both sides in turns, so that what else the machine does meets both alike.
fn turns(
    plan: &Plan,
    mut run: impl FnMut(Side, usize) -> Result<Sample, Failure>,
) -> Result<(Vec<Sample>, Vec<Sample>), Failure> {
    let (mut plain, mut weft) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        plain.push(run(Side::Plain, round)?);
        if plan.weft.is_some() {
            weft.push(run(Side::Weft, round)?);
        }
    }
    Ok((plain, weft))
}

/// The threads that each side is given: one a core, as the router takes by itself.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The binary as the rig takes it.
fn binary(plan: &Plan) -> Result<&str, Failure> {
    let path = plan
        .weft
        .as_deref()
        .ok_or("this scenario needs the router's binary: --weft PATH")?;
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8", path.display()).into())
}
