//! Posts the event in structured mode, and says what the answer means (CONTRACT C8).

use std::io::Write;

use weft_api::event::{CLOUDEVENTS_JSON, Event};

use super::super::text::plain;
use super::super::{CliError, block_on, client};
use super::body;

/// Most lines of an answer that are shown.
const LINES_SHOWN: usize = 20;

pub(super) fn send(url: &str, event: &Event, out: &mut dyn Write) -> Result<(), CliError> {
    let reply = block_on(client::post(url, CLOUDEVENTS_JSON, body(event).into()))?;
    let code = reply.status.as_u16();
    let line = format!("{}  {}  id {}", reply.status, meaning(code), plain(event.id()));
    if reply.status.is_success() {
        return Ok(writeln!(out, "{line}")?);
    }
    let said = String::from_utf8_lossy(&reply.body);
    let said: Vec<String> = said.lines().take(LINES_SHOWN).map(plain).collect();
    let text = format!("{url}: {line}\n{}", said.join("\n"));
    Err(match code {
        429 | 502..=504 => CliError::Unavailable(text),
        _ => CliError::Failed(text),
    })
}

fn meaning(code: u16) -> &'static str {
    match code {
        202 => "taken, on its way",
        200..=299 => "delivered",
        429 | 503 => "not taken: busy or not ready; send it again",
        504 => "not known: may have been delivered; send it again under the same id",
        400 | 413 | 415 | 422 => "refused: the event's fault",
        _ => "not taken",
    }
}
