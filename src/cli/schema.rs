//! `weft schema`: the JSON Schema of the file, or of test files, from the types that read them.

use std::io::Write;

use super::{CliError, test};
use crate::{config, connectors};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Which files.
    #[arg(value_enum, default_value_t)]
    of: Of,
}

/// What has a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
enum Of {
    /// The configuration.
    #[default]
    Config,
    /// Files for `weft test`.
    Tests,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let schema = match args.of {
        Of::Config => config::schema::schema(connectors::ALL),
        Of::Tests => test::schema(),
    };
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| CliError::Internal(format!("encoding the schema: {error}")))?;
    Ok(writeln!(out, "{text}")?)
}
