//! `weft explain`: for one event, what each route says and what would be owed to whom. Nothing is sent.

mod show;
mod story;

use std::io::Write;
use std::path::PathBuf;

use weft_api::connector::RawMessage;
use weft_api::event::Event;

use super::event::{EventArgs, content_type, input};
use super::load::load;
use super::{CliError, text};
use crate::config::keys::OnMalformed;
use crate::config::{Ingress, Model};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files, or directories with *.yaml.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The ingress that it comes in by; without --event and --type, --data is the raw message that it receives.
    #[arg(long, value_name = "NAME")]
    ingress: Option<String>,
    #[command(flatten)]
    event: EventArgs,
    /// A header, property or user property of the raw message; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "ingress", conflicts_with_all = ["event", "ty"])]
    header: Vec<String>,
    /// The topic, path or address of the raw message; the ingress' own where it is left out.
    #[arg(long, value_name = "TEXT", requires = "ingress", conflicts_with_all = ["event", "ty"])]
    address: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let model = load(&args.files)?;
    let ingress = args
        .ingress
        .as_deref()
        .map(|name| named(&model, name))
        .transpose()?;
    let event = match ingress {
        Some(ingress) if args.event.event.is_none() && args.event.ty.is_none() => received(ingress, args)?,
        _ => args.event.build()?,
    };
    let story = story::tell(&model, ingress, &event);
    if args.json {
        let text = serde_json::to_string_pretty(&story)
            .map_err(|error| CliError::Internal(format!("encoding the explanation: {error}")))?;
        return Ok(writeln!(out, "{text}")?);
    }
    Ok(show::write(&story, out)?)
}

fn named<'a>(model: &'a Model, name: &str) -> Result<&'a Ingress, CliError> {
    model.ingress(name).ok_or_else(|| {
        let names: Vec<&str> = model.ingress.iter().map(|ingress| &*ingress.name).collect();
        CliError::Config(format!(
            "--ingress {name}: there is none of this name; there are: {}",
            names.join(", ")
        ))
    })
}

/// The event that the ingress makes of a raw message.
fn received(ingress: &Ingress, args: &Args) -> Result<Event, CliError> {
    let mut raw = RawMessage {
        address: args.address.clone().unwrap_or_default(),
        ..RawMessage::default()
    };
    if let Some(data) = &args.event.data {
        raw.body = input("--data", data)?;
    }
    for header in &args.header {
        let Some((name, value)) = header.split_once(['=', ':']) else {
            return Err(CliError::Config(format!("--header {header:?}: write NAME=VALUE")));
        };
        raw.headers
            .push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let typed = raw
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    // Every HTTP client says what it sends; in other protocols a message often says nothing.
    let says = args.event.content_type.is_some() || ingress.kind == "http" && !raw.body.is_empty();
    if says && !typed {
        let content_type = content_type(args.event.content_type.as_deref(), &raw.body).to_owned();
        raw.headers.push(("content-type".to_owned(), content_type));
    }
    ingress.builder.explain(&raw).map_err(|why| {
        let then = match (ingress.on_malformed, &ingress.dead_letter) {
            (OnMalformed::DeadLetter, Some(to)) => {
                format!("it goes to {to} as an event of type weft.malformed")
            }
            (OnMalformed::DeadLetter, None) | (OnMalformed::Reject, _) => "it is rejected".to_owned(),
            (OnMalformed::Drop, _) => "it is dropped and counted".to_owned(),
        };
        CliError::Failed(format!(
            "ingress {}: malformed: {}\n  {then}",
            ingress.name,
            text::plain(&why)
        ))
    })
}
