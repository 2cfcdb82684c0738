//! The command line: one file a command.
//!
//! Owns what a person types and reads. Invariants: standard output carries what was asked for and nothing else, and
//! only through the writer that a command is given; diagnostics go to standard error; every way to fail has an exit
//! code ([`CliError`], `docs/cli.md`).
//!
//! Does not know how events travel: `run` hands a file to [`crate::app`] and waits.

mod check;
mod client;
mod connect;
mod deliver;
mod diff;
mod dlq;
mod error;
mod event;
mod explain;
mod init;
mod load;
mod replay;
mod run;
mod schema;
mod send;
mod status;
mod test;
mod text;
mod version;

use std::ffi::OsString;
use std::future::Future;
use std::io::Write;

use clap::Parser as _;
use clap::error::ErrorKind;

pub use error::CliError;

use crate::telemetry::LogSpec;

/// An event mesh router: events in, CloudEvents inside, to whom the routes say. `weft version` lists the protocols.
#[derive(clap::Parser, Debug)]
#[command(
    name = "weft",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, \
    1 refused, 64 the command line or a file is wrong, 69 something outside does not answer, 70 a fault of weft."
)]
struct Cli {
    /// What is logged, on standard error: a level, or targets (info,weft_kafka=debug), after json: for JSON lines;
    /// else what WEFT_LOG says, else info
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Run the router until it is told to stop.
    Run(run::Args),
    /// Check files: every mistake with its place and what to write instead.
    Check(check::Args),
    /// Say for one event which routes match, why the others do not, and what is owed to whom.
    Explain(explain::Args),
    /// Run the cases of test files: where events and raw messages go, also while destinations fail.
    Test(test::Args),
    /// Send an event to an ingress of a file, or to a URL.
    Send(send::Args),
    /// Show how a running router stands: a line for each ingress and destination.
    Status(status::Args),
    /// Look through the dead letters of a running router; send them again, or take them out.
    Dlq(dlq::Args),
    /// Send again what a log of a running router kept (retain:).
    Replay(replay::Args),
    /// Print a commented file to start from: gateway or sidecar.
    Init(init::Args),
    /// Print the JSON Schema of the file, or of test files, for editors.
    Schema(schema::Args),
    /// Print the version and the connectors of this binary.
    Version,
}

/// Runs the command that `args` (the program's name first) spell, writing what it prints to `out`.
///
/// # Errors
/// Why it failed, with its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write) -> Result<(), CliError> {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(write!(out, "{error}")?);
        }
        Err(error) => return Err(CliError::Config(error.to_string())),
    };
    let env = std::env::var("WEFT_LOG").ok();
    let log = LogSpec::choose(cli.log.as_deref(), env.as_deref());
    let log = log.map_err(|error| CliError::Config(error.to_string()))?;
    log.install();
    match &cli.command {
        Command::Run(args) => run::run(args, log.is_json(), out),
        Command::Check(args) => check::run(args, out),
        Command::Explain(args) => explain::run(args, out),
        Command::Test(args) => test::run(args, out),
        Command::Send(args) => send::run(args, out),
        Command::Status(args) => status::run(args, out),
        Command::Dlq(args) => dlq::run(args, out),
        Command::Replay(args) => replay::run(args, out),
        Command::Init(args) => init::run(args, out),
        Command::Schema(args) => schema::run(args, out),
        Command::Version => version::run(out),
    }?;
    Ok(out.flush()?)
}

/// Runs a command's future on a runtime of its own.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| CliError::Internal(format!("starting a runtime: {error}")))?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_has_no_contradictions() {
        Cli::command().debug_assert();
    }
}
