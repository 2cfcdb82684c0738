//! `overload INGRESS`: twice the load that the router can sustain, and back; see `docs/benchmarks.md`. Prints a line for
//! machines for each case, and a table in Markdown at the end. Ends with an error where a promise of the delivery contract
//! was broken, or where a case was void.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use weft_scenarios::driver::overload::report::HEAD;
use weft_scenarios::driver::overload::{Case, Ingress, Limit};
use weft_scenarios::driver::runs::{self, Run};
use weft_scenarios::{Failure, tool};

/// Offers twice the load that can be sustained.
#[derive(Parser)]
struct Args {
    /// Where events come in.
    ingress: Which,
    /// How long the overload lasts.
    #[arg(long, default_value_t = 300)]
    seconds: usize,
    /// `limits.memory` in MiB, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256])]
    memory: Vec<u64>,
    /// What the slow destination answers in a second.
    #[arg(long, default_value_t = 2000)]
    capacity: usize,
    /// The router's binary; by default the one beside this executable.
    #[arg(long)]
    weft: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// HTTP, with a slow destination.
    Http,
    /// HTTP, with the router's CPU as the limit.
    HttpCpu,
    /// Kafka.
    Kafka,
    /// AMQP, from Artemis.
    Amqp,
    /// MQTT, from Mosquitto.
    Mqtt,
    /// One after the other.
    All,
}

fn main() -> Result<(), Failure> {
    let cases = cases(&Args::parse())?;
    let run = |case: &Case| {
        let report = case.run()?;
        tool::say(&report.line());
        Ok((report.row(), report.broken(), report.missed()))
    };
    let runs = cases.iter().map(|case| Run {
        name: format!(
            "{:?}, limit {:?}, {} MiB",
            case.ingress, case.limit, case.memory_mib
        ),
        takes: case.duration(),
        run: Box::new(move || run(case)),
    });
    runs::each("overload", HEAD, runs.collect())
}

fn cases(args: &Args) -> Result<Vec<Case>, Failure> {
    let weft = runs::weft(args.weft.as_ref())?;
    let all = [
        (Which::Http, Ingress::Http, Limit::Destination),
        (Which::HttpCpu, Ingress::Http, Limit::Cpu),
        (Which::Kafka, Ingress::Kafka, Limit::Destination),
        (Which::Amqp, Ingress::Amqp, Limit::Destination),
        (Which::Mqtt, Ingress::Mqtt, Limit::Destination),
    ];
    let wanted = all
        .into_iter()
        .filter(|(which, ..)| [*which, Which::All].contains(&args.ingress));
    Ok(wanted
        .flat_map(|(_, ingress, limit)| {
            args.memory.iter().map({
                let weft = weft.clone();
                move |&memory_mib| Case {
                    ingress,
                    limit,
                    memory_mib,
                    seconds: args.seconds.max(10),
                    capacity: args.capacity.max(100),
                    weft: weft.clone(),
                }
            })
        })
        .collect())
}
