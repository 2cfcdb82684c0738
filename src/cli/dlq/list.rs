//! `weft dlq list`

use std::io::Write;
use std::time::SystemTime;

use serde::Serialize;
use weft_api::event::time;

use super::ask::{Router, json};
use super::filter::{FilterArgs, target};
use crate::admin::dlq::letters::{Counts, Letter, Page};
use crate::cli::CliError;
use crate::cli::text::{Table, age, bytes, plain};

/// Characters of an error in a line.
const ERROR_CHARS: usize = 60;

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    router: Router,
    #[command(flatten)]
    filter: FilterArgs,
    /// How many are shown.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Show those from this number on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// Print letters and counts as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Told {
    letters: Vec<Letter>,
    next: Option<u64>,
    counts: Counts,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let query = args.filter.query()?;
    let (letters, next) = letters(args, &query)?;
    let counts = counts(&args.router, &query)?;
    if args.json {
        let told = Told {
            letters,
            next,
            counts,
        };
        return Ok(writeln!(out, "{}", json(&told)?)?);
    }
    write(&letters, next, &counts, args.filter.elsewhere(), out)
}

/// Pages until there are enough; a page may be short, or empty, where much had to be looked through.
fn letters(args: &Args, query: &[(&'static str, String)]) -> Result<(Vec<Letter>, Option<u64>), CliError> {
    let (mut letters, mut next) = (Vec::new(), Some(args.after));
    while let Some(after) = next
        && (letters.len() as u64) < args.limit
    {
        let mut query = query.to_vec();
        query.push(("after", after.to_string()));
        query.push(("limit", (args.limit - letters.len() as u64).to_string()));
        let page: Page = args.router.get(&target("/dlq", &query))?;
        letters.extend(page.letters);
        next = page.next;
    }
    Ok((letters, next))
}

/// How many there are, over all of it.
pub(super) fn counts(router: &Router, query: &[(&'static str, String)]) -> Result<Counts, CliError> {
    let mut all = Counts {
        next: Some(0),
        ..Counts::default()
    };
    while let Some(after) = all.next {
        let mut query = query.to_vec();
        query.push(("after", after.to_string()));
        let more: Counts = router.get(&target("/dlq/counts", &query))?;
        all.letters += more.letters;
        all.bytes += more.bytes;
        all.unreadable += more.unreadable;
        for (name, count) in more.by_reason {
            *all.by_reason.entry(name).or_default() += count;
        }
        for (name, count) in more.by_destination {
            *all.by_destination.entry(name).or_default() += count;
        }
        all.next = more.next;
    }
    Ok(all)
}

fn write(
    letters: &[Letter],
    next: Option<u64>,
    counts: &Counts,
    elsewhere: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if !letters.is_empty() {
        let mut table = Table::new(&[
            ">ID",
            ">DEAD FOR",
            "DESTINATION",
            "ROUTE",
            "REASON",
            ">TRIES",
            ">REPLAYS",
            "TYPE",
            "EVENT",
            "ERROR",
        ]);
        letters
            .iter()
            .for_each(|letter| table.row(row(letter, elsewhere.is_some())));
        table.write(out)?;
        writeln!(out)?;
    }
    if let Some(next) = next {
        writeln!(out, "there may be more: --after {next}, or a larger --limit")?;
    }
    summary(counts, out)
}

/// How many, by reason and destination.
pub(super) fn summary(counts: &Counts, out: &mut dyn Write) -> Result<(), CliError> {
    let noun = if counts.letters == 1 { "letter" } else { "letters" };
    writeln!(out, "{} dead {noun}, {}", counts.letters, bytes(counts.bytes))?;
    for (title, by) in [
        ("by reason", &counts.by_reason),
        ("by destination", &counts.by_destination),
    ] {
        let parts = by.iter().map(|(name, count)| format!("{} {count}", plain(name)));
        if !by.is_empty() {
            writeln!(out, "  {title}: {}", parts.collect::<Vec<_>>().join(", "))?;
        }
    }
    if counts.unreadable > 0 {
        writeln!(
            out,
            "  and {} that only the version of Weft that wrote them can read",
            counts.unreadable
        )?;
    }
    Ok(())
}

fn row(letter: &Letter, elsewhere: bool) -> Vec<String> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        letter.name(elsewhere),
        since(&letter.dead_at),
        or_none(&letter.destination),
        or_none(&letter.route),
        letter.reason.clone(),
        letter.attempts.to_string(),
        letter.replays.to_string(),
        letter.r#type.clone(),
        letter.event_id.clone(),
        letter.error.as_deref().map(cut).unwrap_or_default(),
    ]
}

/// As much of an error as a line has room for; `weft dlq show` has all of it.
fn cut(error: &str) -> String {
    match error.char_indices().nth(ERROR_CHARS) {
        Some((end, _)) => format!("{}...", &error[..end]),
        None => error.to_owned(),
    }
}

/// How long ago that was.
fn since(at: &str) -> String {
    if at.is_empty() {
        return "-".to_owned();
    }
    let passed = time::parse(at).and_then(|at| SystemTime::now().duration_since(at).ok());
    passed.map_or_else(|| at.to_owned(), |passed| age(passed.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_letter_is_a_line_and_the_end_says_how_many_there_are() {
        let letter = Letter {
            id: 7,
            event_id: "42\u{1b}[31m".to_owned(),
            r#type: "order".to_owned(),
            destination: Some("crm".to_owned()),
            route: Some("orders".to_owned()),
            reason: "refused".to_owned(),
            error: Some(format!("422{}", "é".repeat(80))),
            dead_at: "not a time".to_owned(),
            attempts: 3,
            ..Letter::default()
        };
        let counts = Counts {
            letters: 2,
            bytes: 2048,
            by_reason: [("refused".to_owned(), 2)].into(),
            by_destination: [("crm".to_owned(), 1), ("-".to_owned(), 1)].into(),
            ..Counts::default()
        };
        let mut text = Vec::new();
        write(&[letter], Some(8), &counts, None, &mut text).unwrap();
        let expected = "\
ID    DEAD FOR  DESTINATION  ROUTE   REASON   TRIES  REPLAYS  TYPE   EVENT    ERROR
 7  not a time  crm          orders  refused      3        0  order  42\u{fffd}[31m  422ééééééééééééééééééééééééééééééééééééééééééééééééééééééééé...

there may be more: --after 8, or a larger --limit
2 dead letters, 2.0 KiB
  by reason: refused 2
  by destination: - 1, crm 1
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
