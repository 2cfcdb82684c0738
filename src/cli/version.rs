//! `weft version`: what this binary is and which connectors it was built with.

use std::io::Write;

use super::CliError;

pub(super) fn run(out: &mut dyn Write) -> Result<(), CliError> {
    let kinds: Vec<&str> = crate::connectors::ALL
        .iter()
        .map(|connector| connector.kind())
        .collect();
    writeln!(out, "weft {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "connectors: {}", kinds.join(" "))?;
    Ok(())
}
