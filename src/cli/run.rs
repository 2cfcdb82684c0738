//! `weft run`: runs the router until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use weft_api::config::{Finding, HumanDuration};

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

/// See the module. `json`: the log is for collectors, who shall hear in it why it ended, too.
///
/// # Errors
/// A wrong file or path (64), an address or a store that is taken (69), a fault of ours (70).
pub(super) fn run(args: &Args, json: bool, out: &mut dyn Write) -> Result<(), CliError> {
    out.flush()?;
    let options = Options {
        paths: args.files.clone(),
        drain: args.drain.map_or(DRAIN_MAX, Duration::from),
        watch: !args.no_watch,
    };
    let warn: fn(&[Finding]) = if json { log_warnings } else { load::warn };
    let ended = app::run(&options, connectors::ALL, &config::Process, warn).map_err(|error| match error {
        AppError::Config(findings) => load::wrong(&findings),
        AppError::Wrong(why) => CliError::Config(why),
        AppError::Taken(why) => CliError::Unavailable(why),
        AppError::Internal(why) => CliError::Internal(why),
    });
    ended.map_err(|error| if json { logged(error) } else { error })
}

fn log_warnings(findings: &[Finding]) {
    for finding in findings {
        tracing::warn!("{finding}");
    }
}

/// Why it ended, as a line of the log: whoever collects lines of JSON reads no others.
fn logged(error: CliError) -> CliError {
    if error.code() == 0 || !tracing::enabled!(tracing::Level::ERROR) {
        return error;
    }
    tracing::error!(exit_code = error.code(), "{error}");
    CliError::Logged(error.code())
}
