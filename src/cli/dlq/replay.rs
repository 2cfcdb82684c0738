//! `weft dlq replay`

use std::io::Write;

use super::ask::{Router, json};
use super::filter::FilterArgs;
use super::{job, show};
use crate::admin::dlq::letters::{JobStatus, Letter, Page, ReplayOrder};
use crate::cli::CliError;
use crate::cli::text::plain;
use crate::config::keys::Rate;

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
    /// Say for each letter where it would go, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// How fast: 100/s, 30/min, 10/h.
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<Rate>,
    /// How many at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// To this destination or group only, whatever failed.
    #[arg(long, value_name = "DESTINATION", conflicts_with = "all_routes")]
    to: Option<String>,
    /// To whatever the routes of today owe, as if it came in anew.
    #[arg(long)]
    all_routes: bool,
    /// By this ingress; needed where the file has several.
    #[arg(long, value_name = "NAME", requires = "all_routes")]
    ingress: Option<String>,
    /// Do not wait for the end; `weft dlq job` tells it.
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    /// Print what the router says, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let order = ReplayOrder {
        r#in: args.filter.elsewhere().map(str::to_owned),
        filter: args.filter.filter()?,
        all: args.all,
        limit: args.limit,
        rate: args.rate.map(|rate| rate.events.get()),
        per: args.rate.map(per),
        to: args.to.clone(),
        all_routes: args.all_routes,
        ingress: args.ingress.clone(),
        dry_run: args.dry_run,
        after: 0,
    };
    if !args.all && order.filter.is_everything() {
        return Err(CliError::Config(
            "which letters? give a filter (--id, --destination, --reason, ...), or --all".to_owned(),
        ));
    }
    if args.all && !order.filter.is_everything() {
        return Err(CliError::Config(
            "--all and a filter contradict each other".to_owned(),
        ));
    }
    if args.dry_run {
        let page = |limit, after| {
            let order = ReplayOrder {
                limit,
                after,
                ..order.clone()
            };
            args.router.post("/dlq/replay", &order)
        };
        let elsewhere = args.filter.elsewhere().is_some();
        return rehearse(args.limit, args.json, elsewhere, page, out);
    }
    let begun: JobStatus = args.router.post("/dlq/replay", &order)?;
    job::follow(&args.router, begun, args.no_wait, args.json, out)
}

/// A line a letter, from pages until there are enough; then how many would go, and how many stay.
pub(in crate::cli) fn rehearse(
    limit: Option<u64>,
    as_json: bool,
    elsewhere: bool,
    page: impl Fn(Option<u64>, u64) -> Result<Page, CliError>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let (mut next, mut go, mut stay) = (Some(0), 0u64, 0u64);
    while let Some(after) = next
        && limit.is_none_or(|limit| go + stay < limit)
    {
        let page = page(
            Some(limit.map_or(500, |limit| (limit - go - stay).min(500))),
            after,
        )?;
        for letter in &page.letters {
            let stays = letter.would.as_ref().is_some_and(|would| would.stays.is_some());
            *(if stays { &mut stay } else { &mut go }) += 1;
            match as_json {
                true => writeln!(out, "{}", line(letter)?)?,
                false => writeln!(
                    out,
                    "{}  {}  {}",
                    plain(&letter.name(elsewhere)),
                    plain(&letter.event_id),
                    letter.would.as_ref().map(show::told).unwrap_or_default()
                )?,
            }
        }
        next = page.next;
    }
    if !as_json {
        writeln!(out, "{go} would be sent, {stay} would stay; nothing was sent")?;
    }
    match go + stay {
        0 => Err(job::nothing_meant()),
        _ => Ok(()),
    }
}

fn line(letter: &Letter) -> Result<String, CliError> {
    // One object a line, so that the output of any length can be read as it comes.
    let text = json(letter)?;
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| CliError::Internal(format!("encoding the answer: {error}")))?;
    Ok(value.to_string())
}

/// As the file writes it; a mere number is one a second.
pub(in crate::cli) fn rate(text: &str) -> Result<Rate, String> {
    let read = Rate::read(text).or_else(|| Rate::read(&format!("{text}/s")));
    read.ok_or_else(|| "expected a number of events in a time, such as 100/s, 30/min or 10/h".to_owned())
}

/// In how many seconds.
pub(in crate::cli) fn per(rate: Rate) -> u32 {
    u32::try_from(rate.per.get().as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_rate_is_read_as_the_file_reads_it() {
        for (text, expected) in [
            ("100", (100, 1)),
            ("100/s", (100, 1)),
            ("30/min", (30, 60)),
            ("10/h", (10, 3600)),
        ] {
            let read = rate(text).unwrap();
            assert_eq!((read.events.get(), per(read)), expected, "{text}");
        }
        for wrong in ["", "0/s", "0", "-1/s", "1/d", "x/s", "1/s/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
