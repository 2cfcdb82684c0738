//! `backlog`: a destination with a store is away until millions of events have piled up; see `docs/benchmarks.md`. Says how
//! long a start takes on them after SIGKILL and after SIGTERM, and how fast they go, in order, while others come in. Ends
//! with an error where one was lost, or came before an earlier one of its key.

use std::path::PathBuf;

use clap::Parser;
use weft_scenarios::Failure;
use weft_scenarios::driver::backlog::Case;
use weft_scenarios::driver::runs;

/// Piles up a backlog, starts on it, and lets it go.
#[derive(Parser)]
struct Args {
    /// Events that pile up.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// MiB that their log has at least.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Keys of order, each with a connection.
    #[arg(long, default_value_t = 256)]
    keys: usize,
    /// Events a second that come in while the backlog goes.
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// `limits.memory` in MiB.
    #[arg(long, default_value_t = 128)]
    memory: u64,
    /// The router's binary; by default the one beside this executable.
    #[arg(long)]
    weft: Option<PathBuf>,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let case = Case {
        events: args.events,
        bytes: args.mib << 20,
        keys: args.keys.clamp(1, 9_999),
        rate: args.rate.max(1.0),
        memory_mib: args.memory,
        weft: runs::weft(args.weft.as_ref())?,
    };
    case.run()
}
