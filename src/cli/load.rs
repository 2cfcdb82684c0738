//! Loads the files of a command and says what is wrong with them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use weft_api::config::{Finding, Severity};

use super::CliError;
use crate::config::{self, Model};
use crate::connectors;

/// The validated configuration behind `files`.
///
/// # Errors
/// Every mistake, one below the other, with a count at the end.
pub(super) fn load(files: &[PathBuf]) -> Result<Model, CliError> {
    config::load(files, connectors::ALL, &config::Process).map_err(|findings| wrong(&findings))
}

/// The failure that these findings are.
pub(super) fn wrong(findings: &[Finding]) -> CliError {
    CliError::Config(report(findings))
}

/// Writes warnings to standard error; a terminal that cannot take them is no reason to stop.
pub(super) fn warn(findings: &[Finding]) {
    if !findings.is_empty() {
        let _ = writeln!(std::io::stderr(), "{}", report(findings));
    }
}

fn report(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{finding}");
    }
    let count = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match (errors, warnings) {
        (0, _) => text + &plural(warnings, "warning"),
        (_, 0) => text + &plural(errors, "error"),
        _ => text + &plural(errors, "error") + ", " + &plural(warnings, "warning"),
    }
}

/// `1 error`, `3 errors`, `2 ingresses`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ if noun.ends_with('s') => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}
