//! `weft dlq show`

use std::io::Write;

use super::ask::{Router, json};
use super::filter::{FilterArgs, encoded, target};
use crate::admin::dlq::letters::{Whole, Would};
use crate::cli::CliError;
use crate::cli::text::{Table, bytes, plain};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The ID that `weft dlq list` shows; left out: the first that the filter means.
    #[arg(value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    router: Router,
    #[command(flatten)]
    filter: FilterArgs,
    /// Look for it from this number on.
    #[arg(long, value_name = "N", conflicts_with = "id")]
    after: Option<u64>,
    /// Print what the router says, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let mut query = args.filter.query()?;
    let path = match (&args.id, args.filter.filter()?.is_everything()) {
        (Some(id), true) => format!("/dlq/{}", encoded(id)),
        (Some(_), false) => {
            return Err(CliError::Config(
                "an ID and a filter contradict each other".to_owned(),
            ));
        }
        (None, false) => "/dlq/first".to_owned(),
        (None, true) => {
            return Err(CliError::Config(
                "which letter? give its ID, as `weft dlq list` shows it, or a filter (--event, ...)"
                    .to_owned(),
            ));
        }
    };
    query.extend(args.after.map(|after| ("after", after.to_string())));
    let whole: Whole = args.router.get(&target(&path, &query))?;
    if args.json {
        return Ok(writeln!(out, "{}", json(&whole)?)?);
    }
    write(&whole, args.filter.elsewhere(), out)
}

fn write(whole: &Whole, elsewhere: Option<&str>, out: &mut dyn Write) -> Result<(), CliError> {
    let letter = &whole.letter;
    let or = |text: &Option<String>, none: &str| plain(text.as_deref().unwrap_or(none));
    let name = plain(&letter.name(elsewhere.is_some()));
    let since = match letter.dead_at.as_str() {
        "" => "nobody knows when".to_owned(),
        at => plain(at),
    };
    match elsewhere {
        Some(destination) => writeln!(out, "letter {name} in {}  dead since {since}", plain(destination))?,
        None => writeln!(out, "letter {name}  dead since {since}")?,
    }
    writeln!(
        out,
        "  reason       {}  {}",
        plain(&letter.reason),
        or(&letter.error, "")
    )?;
    writeln!(
        out,
        "  destination  {}",
        or(&letter.destination, "(it never got to one)")
    )?;
    writeln!(out, "  route        {}", or(&letter.route, "(none)"))?;
    let times = match (&letter.first_failed, &letter.last_failed) {
        (Some(first), Some(last)) => format!(", first {}, last {}", plain(first), plain(last)),
        _ => String::new(),
    };
    writeln!(out, "  tries        {}{times}", letter.attempts)?;
    writeln!(out, "  replays      {}", letter.replays)?;
    if let Some(would) = &letter.would {
        writeln!(out, "  a replay     {}", told(would))?;
    }
    writeln!(out, "\nattributes")?;
    let mut table = Table::new(&["  NAME", "VALUE"]);
    for attribute in &whole.attributes {
        table.row(vec![format!("  {}", attribute.name), attribute.value.clone()]);
    }
    table.write(out)?;
    let Some(length) = whole.data_bytes else {
        return Ok(writeln!(out, "\nno data")?);
    };
    match (&whole.text, &whole.base64) {
        (Some(text), _) => {
            let part = (text.len() as u64) < length;
            writeln!(
                out,
                "\ndata, {}{}",
                bytes(length),
                if part { ", its beginning" } else { "" }
            )?;
            // Lines stay lines; nothing else moves the cursor.
            text.lines()
                .try_for_each(|line| writeln!(out, "{}", plain(line)))?;
        }
        (None, base64) => {
            writeln!(out, "\ndata, {}, no text: its beginning in base64", bytes(length))?;
            writeln!(out, "{}", plain(base64.as_deref().unwrap_or("")))?;
        }
    }
    Ok(())
}

/// What would become of it, in words.
pub(super) fn told(would: &Would) -> String {
    match &would.stays {
        Some(why) => format!("would leave it here: {}", plain(why)),
        None => format!("would send it to {}", plain(&would.to.join(", "))),
    }
}
