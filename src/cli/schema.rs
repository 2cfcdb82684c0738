//! `weft schema`: the JSON Schema of the file, from the types that read it.

use std::io::Write;

use super::CliError;
use crate::{config, connectors};

pub(super) fn run(out: &mut dyn Write) -> Result<(), CliError> {
    let schema = config::schema::schema(connectors::ALL);
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| CliError::Internal(format!("encoding the schema: {error}")))?;
    Ok(writeln!(out, "{text}")?)
}
