//! `weft send`: puts one event into a running router, or before any HTTP endpoint that takes CloudEvents.

use std::io::Write;

use weft_api::event::{CLOUDEVENTS_JSON, Event, json};

use super::event::EventArgs;
use super::text::plain;
use super::{CliError, block_on, client};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A URL that takes CloudEvents.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    event: EventArgs,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let event = args.event.build()?;
    let Some(url) = &args.to else {
        return Err(CliError::Config("where to? name a URL with --to".to_owned()));
    };
    to_url(url, &event, out)
}

/// Posts the event in structured mode and says what the answer means (CONTRACT C8).
fn to_url(url: &str, event: &Event, out: &mut dyn Write) -> Result<(), CliError> {
    let mut body = Vec::new();
    json::encode(event, &mut body);
    let reply = block_on(client::post(url, CLOUDEVENTS_JSON, body.into()))?;
    let meaning = match reply.status.as_u16() {
        202 => "taken, on its way",
        200..=299 => "delivered",
        429 | 503 => "not taken: busy or not ready; send it again",
        504 => "not known: may have been delivered; send it again under the same id",
        400 | 413 | 415 | 422 => "refused: the event's fault",
        _ => "not taken",
    };
    let line = format!("{}  {}  id {}", reply.status, meaning, plain(event.id()));
    if reply.status.is_success() {
        return Ok(writeln!(out, "{line}")?);
    }
    let said = String::from_utf8_lossy(&reply.body);
    let said: Vec<String> = said.lines().take(20).map(plain).collect();
    let text = format!("{url}: {line}\n{}", said.join("\n"));
    Err(match reply.status.as_u16() {
        429 | 502 | 503 | 504 => CliError::Unavailable(text),
        _ => CliError::Failed(text),
    })
}
