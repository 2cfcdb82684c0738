//! `weft replay`: what a log kept is sent again.

use std::collections::BTreeMap;
use std::io::Write;

use super::CliError;
use super::dlq::ask::Router;
use super::dlq::filter::moment;
use super::dlq::job::follow;
use super::dlq::replay::{per, rate, rehearse};
use crate::admin::dlq::letters::{Filter, JobStatus, KeptOrder};
use crate::config::keys::Rate;

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    router: Router,
    /// The destination or group whose log kept it (store: { retain: ... }).
    #[arg(long, value_name = "NAME")]
    from_log: String,
    /// What came into the log since then: a time (2026-01-31T12:00:00Z), or so long ago (2h).
    #[arg(long, value_name = "TIME")]
    from: String,
    /// And before then; now if left out.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only events with this value of this attribute; may be repeated.
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = pair)]
    filters: Vec<(String, String)>,
    /// Where it is sent.
    #[arg(long, value_name = "DESTINATION")]
    to_destination: String,
    /// How fast: 100/s, 30/min, 10/h.
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<Rate>,
    /// How many at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Say for each event where it would go, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not wait for the end; `weft dlq job` tells it.
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    /// Print what the router says, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let attributes: BTreeMap<_, _> = args.filters.iter().cloned().collect();
    if attributes.len() < args.filters.len() {
        return Err(CliError::Config(
            "two filters on one attribute: no event has both values".to_owned(),
        ));
    }
    let order = KeptOrder {
        log: args.from_log.clone(),
        filter: Filter {
            attributes,
            since: Some(moment(&args.from)?),
            until: Some(moment(args.to.as_deref().unwrap_or("0s"))?),
            ..Filter::default()
        },
        to: args.to_destination.clone(),
        limit: args.limit,
        rate: args.rate.map(|rate| rate.events.get()),
        per: args.rate.map(per),
        dry_run: args.dry_run,
        after: 0,
    };
    if args.dry_run {
        let page = |limit, after| {
            let order = KeptOrder {
                limit,
                after,
                ..order.clone()
            };
            args.router.post("/replay", &order)
        };
        return rehearse(args.limit, args.json, false, page, out);
    }
    let begun: JobStatus = args.router.post("/replay", &order)?;
    follow(&args.router, begun, args.no_wait, args.json, out)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}
