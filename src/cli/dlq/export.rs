//! `weft dlq export`

use std::fs::OpenOptions;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use super::ask::Router;
use super::filter::{FilterArgs, target};
use super::job;
use crate::admin::dlq::letters::Page;
use crate::cli::CliError;

/// Letters that are asked for at a time; an answer is bounded in bytes, too.
const PAGE: u64 = 5000;

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    router: Router,
    #[command(flatten)]
    filter: FilterArgs,
    /// How many at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// A new file; standard output if left out.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The events as they were, without the description of why they died: to be changed and sent anew.
    #[arg(long)]
    original: bool,
    /// One event a line, or a CloudEvents JSON batch.
    #[arg(long, value_enum, default_value_t = Format::Lines)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    Lines,
    Batch,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let Some(path) = &args.output else {
        export(args, out)?;
        return Ok(());
    };
    let failed =
        |doing: &str, error: std::io::Error| CliError::Failed(format!("{doing} {}: {error}", path.display()));
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::Failed(format!(
            "{} is there already, and is not written over: name a new file, or remove it",
            path.display()
        )),
        _ => failed("making", error),
    });
    let mut file = BufWriter::new(file?);
    let count = export(args, &mut file).map_err(|error| match error {
        CliError::Output(error) => failed("writing", error),
        other => other,
    })?;
    if count == 0 {
        // Nobody shall take it for what was asked for.
        drop(file);
        std::fs::remove_file(path).map_err(|error| failed("removing", error))?;
        return Err(job::nothing_meant());
    }
    // Whoever purges next relies on it.
    let file = file
        .into_inner()
        .map_err(|error| failed("writing", error.into_error()))?;
    file.sync_all().map_err(|error| failed("writing", error))?;
    Ok(writeln!(
        out,
        "{count} letters in {}; they are still among the dead letters",
        path.display()
    )?)
}

/// Returns how many there were.
fn export(args: &Args, out: &mut dyn Write) -> Result<u64, CliError> {
    let filter = args.filter.query()?;
    let (mut count, mut unreadable, mut next) = (0u64, 0, Some(0));
    while let Some(after) = next
        && args.limit.is_none_or(|limit| count < limit)
    {
        let mut query = filter.clone();
        query.push(("after", after.to_string()));
        query.push((
            "limit",
            args.limit
                .map_or(PAGE, |limit| (limit - count).min(PAGE))
                .to_string(),
        ));
        query.push((
            "events",
            if args.original { "original" } else { "true" }.to_owned(),
        ));
        let page: Page = args.router.get(&target("/dlq", &query))?;
        for event in page.letters.iter().filter_map(|letter| letter.event.as_deref()) {
            match (args.format, count) {
                // Between the tokens of JSON data, where alone they can stand, line feeds are as good as blanks.
                (Format::Lines, _) => writeln!(out, "{}", event.replace(['\n', '\r'], " "))?,
                (Format::Batch, 0) => write!(out, "[{event}")?,
                (Format::Batch, _) => write!(out, ",\n{event}")?,
            }
            count += 1;
        }
        unreadable += page.unreadable;
        next = page.next;
    }
    if args.format == Format::Batch {
        writeln!(out, "{}]", if count == 0 { "[" } else { "" })?;
    }
    match unreadable {
        0 => Ok(count),
        some => Err(CliError::Failed(format!(
            "{some} letters are not in it: another version of Weft wrote them, and can read them"
        ))),
    }
}
