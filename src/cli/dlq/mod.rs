//! `weft dlq`: the dead letters that a running router keeps, or finds in a topic or queue, from its admin port. One file a
//! command.

pub(super) mod ask;
mod export;
pub(super) mod filter;
pub(super) mod job;
mod list;
mod purge;
pub(super) mod replay;
mod show;

use std::io::Write;

use super::CliError;

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// A line for each dead letter, and how many there are by reason and destination.
    List(list::Args),
    /// One dead letter: why it is here, all attributes, its data, and where it would go.
    Show(show::Args),
    /// Send dead letters again, to where they failed; --dry-run says where that would be.
    Replay(replay::Args),
    /// Take dead letters out for good.
    Purge(purge::Args),
    /// Write dead letters as CloudEvents JSON; they stay.
    Export(export::Args),
    /// How far the replay or purge has come that runs, or ran last.
    Job(job::Args),
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    match &args.command {
        Command::List(args) => list::run(args, out),
        Command::Show(args) => show::run(args, out),
        Command::Replay(args) => replay::run(args, out),
        Command::Purge(args) => purge::run(args, out),
        Command::Export(args) => export::run(args, out),
        Command::Job(args) => job::run(args, out),
    }
}
