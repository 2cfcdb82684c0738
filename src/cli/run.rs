//! `weft run`: runs the router until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use weft_api::config::HumanDuration;

use super::{CliError, load};
use crate::app::{self, AppError, Options};
use crate::shutdown::DRAIN_MAX;
use crate::{config, connectors};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files, or directories of *.yaml; together they are one configuration.
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// How long a stop may wait for what is unsettled.
    #[arg(long, value_name = "DURATION")]
    drain: Option<HumanDuration>,
    /// Do not reload when the files change; SIGHUP still does.
    #[arg(long)]
    no_watch: bool,
}

/// See the module.
///
/// # Errors
/// A wrong file (64), an address that is taken (69), a fault of ours (70).
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    out.flush()?;
    let options = Options {
        paths: args.files.clone(),
        drain: args.drain.map_or(DRAIN_MAX, Duration::from),
        watch: !args.no_watch,
    };
    app::run(&options, connectors::ALL, &config::Process, load::warn).map_err(|error| match error {
        AppError::Config(findings) => load::wrong(&findings),
        AppError::Listen(why) => CliError::Unavailable(why),
        AppError::Internal(why) => CliError::Internal(why),
    })
}
