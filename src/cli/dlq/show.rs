//! `weft dlq show`

use std::io::Write;

use super::ask::{Router, json};
use crate::admin::dlq::letters::{Whole, Would};
use crate::cli::CliError;
use crate::cli::text::{Table, bytes, plain};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The number that `weft dlq list` shows.
    #[arg(value_name = "ID")]
    id: u64,
    #[command(flatten)]
    router: Router,
    /// Print what the router says, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let whole: Whole = args.router.get(&format!("/dlq/{}", args.id))?;
    if args.json {
        return Ok(writeln!(out, "{}", json(&whole)?)?);
    }
    write(&whole, out)
}

fn write(whole: &Whole, out: &mut dyn Write) -> Result<(), CliError> {
    let letter = &whole.letter;
    let or = |text: &Option<String>, none: &str| plain(text.as_deref().unwrap_or(none));
    writeln!(out, "letter {}  dead since {}", letter.id, plain(&letter.dead_at))?;
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
