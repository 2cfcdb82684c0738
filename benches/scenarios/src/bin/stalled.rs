//! `stalled KIND`: one of eight destinations stops answering, and the other seven go on; see `docs/benchmarks.md`. Prints
//! the seconds of the stall and a line for machines for each case, and a table in Markdown at the end. Ends with an error
//! where a promise of the delivery contract was broken, or where a case was void.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use weft_scenarios::driver::runs::{self, Run};
use weft_scenarios::driver::stalled::report::HEAD;
use weft_scenarios::driver::stalled::{Case, Feed};
use weft_scenarios::{Failure, tool};

/// Stalls one of eight destinations.
#[derive(Parser)]
struct Args {
    /// What feeds them.
    kind: Kind,
    /// How long the stall lasts.
    #[arg(long, default_value_t = 60)]
    seconds: usize,
    /// Events a second for each destination; half of it where they are large.
    #[arg(long, default_value_t = 400)]
    rate: usize,
    /// The router's binary; by default the one beside this executable.
    #[arg(long)]
    weft: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One HTTP ingress.
    Http,
    /// In-order lanes: Kafka and MQTT.
    Lanes,
    /// Eight Kafka ingresses.
    Kafka,
    /// Eight topics of one Kafka ingress.
    KafkaTopics,
    /// Eight MQTT ingresses.
    Mqtt,
    /// One after the other.
    All,
}

/// Memory in MiB and bytes of an event: the defaults, and where memory is what is shared.
const SIZES: [(u64, usize); 2] = [(256, 256), (32, 16 << 10)];

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let weft = runs::weft(args.weft.as_ref())?;
    let feeds = [Feed::Http, Feed::Kafka, Feed::KafkaTopics, Feed::Mqtt];
    let wanted = feeds.into_iter().filter(|feed| args.kind.has(*feed));
    let cases = wanted.flat_map(|feed| SIZES.map(|size| (feed, size)));
    let runs = cases.map(|(feed, (memory_mib, event_bytes))| {
        let case = Case {
            feed,
            memory_mib,
            event_bytes,
            rate: if event_bytes > 1024 {
                args.rate / 2
            } else {
                args.rate
            }
            .max(10),
            seconds: args.seconds.max(10),
            weft: weft.clone(),
        };
        Run {
            name: format!("{feed:?}, {memory_mib} MiB, events of {event_bytes} B"),
            takes: case.duration(),
            run: Box::new(move || {
                let report = case.run()?;
                tool::note(&report.seconds());
                tool::say(&report.line());
                Ok((report.row(), report.broken(), report.missed()))
            }),
        }
    });
    runs::each("stalled", HEAD, runs.collect())
}

impl Kind {
    fn has(self, feed: Feed) -> bool {
        match self {
            Kind::All => true,
            Kind::Http => feed == Feed::Http,
            Kind::Lanes => feed != Feed::Http,
            Kind::Kafka => feed == Feed::Kafka,
            Kind::KafkaTopics => feed == Feed::KafkaTopics,
            Kind::Mqtt => feed == Feed::Mqtt,
        }
    }
}
