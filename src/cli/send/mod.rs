//! `weft send`: puts one event before an ingress, or before any HTTP endpoint that takes CloudEvents.

mod url;
mod way;

use std::io::Write;
use std::path::PathBuf;

use super::deliver::deliver;
use super::event::EventArgs;
use super::load::load;
use super::text::plain;
use super::{CliError, block_on};
use way::Way;
use weft_api::event::Event;
use weft_api::outcome::{Fault, SendError};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files, or directories with *.yaml, that have the ingress.
    #[arg(value_name = "FILE", requires = "ingress", required_unless_present = "to")]
    files: Vec<PathBuf>,
    /// The ingress that is to receive it.
    #[arg(long, value_name = "NAME", requires = "files")]
    ingress: Option<String>,
    /// A URL that takes CloudEvents.
    #[arg(long, value_name = "URL", conflicts_with_all = ["files", "ingress", "address"])]
    to: Option<String>,
    /// The topic or address, where the ingress has several or a pattern.
    #[arg(long, value_name = "TEXT", requires = "ingress")]
    address: Option<String>,
    #[command(flatten)]
    event: EventArgs,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let event = args.event.build()?;
    match (&args.to, &args.ingress) {
        (Some(url), _) => url::send(url, &event, out),
        (None, Some(ingress)) => {
            let model = load(&args.files)?;
            match way::to(&model, ingress, args.address.as_deref())? {
                Way::Url(url) => url::send(&url, &event, out),
                Way::Egress(builder) => {
                    let egress = builder.build().map_err(CliError::Config)?;
                    let id = plain(event.id());
                    let sent = block_on(async { Ok(deliver(egress, ingress, event).await) })?;
                    sent.map_err(|error| refusal(&builder.address(), &id, &error))?;
                    Ok(writeln!(
                        out,
                        "confirmed by {}  id {id}",
                        plain(&builder.address())
                    )?)
                }
            }
        }
        (None, None) => Err(CliError::Config(
            "where to? FILE --ingress NAME, or --to URL".to_owned(),
        )),
    }
}

fn refusal(address: &str, id: &str, error: &SendError) -> CliError {
    let perhaps = if error.maybe_delivered {
        "; it may have been delivered all the same"
    } else {
        ""
    };
    let text = plain(&format!("{address}: not confirmed: {error}{perhaps}  id {id}"));
    match error.fault {
        Fault::Event => CliError::Failed(text),
        Fault::Attempt | Fault::Destination => CliError::Unavailable(text),
    }
}

/// What is posted: the event as CloudEvents JSON.
fn body(event: &Event) -> Vec<u8> {
    let mut body = Vec::new();
    weft_api::event::json::encode(event, &mut body);
    body
}
