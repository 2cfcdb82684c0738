//! `weft check`: whether files can be run, and on demand what is in effect and whether the remotes are there.

use std::io::Write;
use std::path::{Path, PathBuf};

use weft_api::config::ByteSize;

use super::connect::{Answer, Ask, End, ask};
use super::load::{load, plural, warn};
use super::text::plain;
use super::{CliError, block_on, diff};
use crate::config::{Destination, Model};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files, or directories with *.yaml.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Ask every remote whether it can be reached, too.
    #[arg(long)]
    connect: bool,
    /// Print the configuration as it is in effect, secrets masked.
    #[arg(long)]
    print: bool,
    /// Compare two configurations, OLD and NEW: what differs, and what a reload would do.
    #[arg(long, conflicts_with_all = ["connect", "print"])]
    diff: bool,
    /// How the differences are written.
    #[arg(long, value_enum, default_value_t, requires = "diff")]
    format: diff::Format,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    if args.diff {
        return diff::run(&args.files, args.format, out);
    }
    let model = load(&args.files)?;
    warn(&model.warnings);
    if args.print {
        out.write_all(crate::config::print(&model).as_bytes())?;
    } else {
        let counts = [
            plural(model.ingress.len(), "ingress"),
            plural(model.destinations.len(), "destination"),
            plural(model.routes.len(), "route"),
        ];
        writeln!(out, "ok: {}", counts.join(", "))?;
    }
    if args.connect {
        connect(&model, out)
    } else {
        Ok(())
    }
}

/// Asks all remotes and prints a line for each.
fn connect(model: &Model, out: &mut dyn Write) -> Result<(), CliError> {
    let asks = asks(model);
    let mut answers = block_on(async { Ok(ask(asks).await) })?;
    answers.extend(store(model));
    let mut failed = 0;
    for answer in &answers {
        let said = answer
            .error
            .as_deref()
            .or(answer.warning.as_deref())
            .unwrap_or("ok");
        writeln!(
            out,
            "{}  {}  {}",
            answer.name,
            plain(&answer.address),
            plain(said)
        )?;
        failed += usize::from(answer.error.is_some());
    }
    match failed {
        0 => Ok(()),
        _ => Err(CliError::Unavailable(format!(
            "{failed} of {} cannot be reached",
            answers.len()
        ))),
    }
}

/// Where the store shall be, how much is free there, and why it cannot be there: takes nothing from a router that has it.
fn store(model: &Model) -> Option<Answer> {
    let store = model.store.as_ref()?;
    let (address, error, warning) = match weft_store::survey(Path::new(&store.path)) {
        Err(error) => (store.path.clone(), Some(error.to_string()), None),
        Ok(survey) => {
            let (free, keep_free) = (ByteSize(survey.free), store.keep_free);
            let warning = (free < keep_free).then(|| {
                format!(
                    "ok, but its disk has {free} free, and keep_free is {keep_free}: it would take nothing"
                )
            });
            (survey.path.display().to_string(), None, warning)
        }
    };
    Some(Answer {
        name: "store".to_owned(),
        address,
        error,
        warning,
    })
}

/// Builds everything that has a remote; nothing runs.
fn asks(model: &Model) -> Vec<Ask> {
    let ingresses = model.ingress.iter().map(|ingress| Ask {
        name: format!("ingress {}", ingress.name),
        address: ingress.builder.address(),
        end: ingress.builder.build().map(End::Ingress),
    });
    let destinations = model
        .destinations
        .iter()
        .filter_map(|destination| match destination {
            Destination::Endpoint(endpoint) => Some(Ask {
                name: format!("destination {}", endpoint.name),
                address: endpoint.builder.address(),
                end: endpoint.builder.build().map(End::Egress),
            }),
            Destination::Group(_) => None,
        });
    let logs = model.shared_logs().flat_map(|shared| {
        let reads = Ask {
            name: format!("ingress {}", shared.name),
            address: shared.ingress.address(),
            end: shared.ingress.build().map(End::Ingress),
        };
        let writes = Ask {
            name: format!("destination {}", shared.name),
            address: shared.egress.address(),
            end: shared.egress.build().map(End::Egress),
        };
        [reads, writes]
    });
    ingresses.chain(destinations).chain(logs).collect()
}
