//! `weft dlq purge`

use std::io::Write;

use super::ask::Router;
use super::filter::FilterArgs;
use super::{job, list};
use crate::admin::dlq::letters::{JobStatus, PurgeOrder};
use crate::cli::CliError;
use crate::cli::text::plain;

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    router: Router,
    #[command(flatten)]
    filter: FilterArgs,
    /// All dead letters.
    #[arg(long)]
    all: bool,
    /// How many at most, the oldest first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Do it. Without it only their number is told.
    #[arg(long)]
    yes: bool,
    /// Print what the router says, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let order = PurgeOrder {
        r#in: args.filter.elsewhere().map(str::to_owned),
        filter: args.filter.filter()?,
        all: args.all,
        limit: args.limit,
    };
    if args.all != order.filter.is_everything() {
        return Err(CliError::Config(
            "which letters? give a filter (--id, --destination, --reason, ...), or --all, and not both"
                .to_owned(),
        ));
    }
    if !args.yes {
        let counts = list::counts(&args.router, &args.filter.query()?)?;
        list::summary(&counts, out)?;
        let count = args
            .limit
            .map_or(counts.letters, |limit| limit.min(counts.letters));
        let end = match args.filter.elsewhere() {
            Some(destination) => format!("would leave {} for good", plain(destination)),
            None => "would be gone for good".to_owned(),
        };
        return Err(CliError::Failed(format!(
            "nothing was purged: {count} {end}; say --yes to do it"
        )));
    }
    let begun: JobStatus = args.router.post("/dlq/purge", &order)?;
    job::follow(&args.router, begun, false, args.json, out)
}
