//! How a command ends when it does not end well, and the exit code that scripts see (`docs/cli.md`).

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why a command failed, by whose turn it is now.
#[derive(Debug)]
pub enum CliError {
    /// The command line or a configuration file must be changed; the text is complete.
    Config(String),
    /// Something outside did not answer, or is not ready; the same command may succeed later.
    Unavailable(String),
    /// The answer is no: refused, not sent, not found.
    Failed(String),
    /// A fault of ours, or of the machine.
    Internal(String),
    /// Standard output went away or is full.
    Output(io::Error),
    /// The log has said why: there is nothing to add. With its exit code.
    Logged(u8),
}

impl CliError {
    /// The exit code: 64, 69 and 70 as in BSD's `sysexits.h`; a reader that went away (`| head`) is no failure.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            CliError::Config(_) => 64,
            CliError::Unavailable(_) => 69,
            CliError::Failed(_) => 1,
            CliError::Internal(_) => 70,
            CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            CliError::Output(_) => 70,
            CliError::Logged(code) => *code,
        }
    }

    /// The same for `main`.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Config(text)
            | CliError::Unavailable(text)
            | CliError::Failed(text)
            | CliError::Internal(text) => f.write_str(text.trim_end()),
            CliError::Output(error) => write!(f, "writing to standard output: {error}"),
            CliError::Logged(_) => f.write_str("see the log"),
        }
    }
}

impl std::error::Error for CliError {}

impl From<io::Error> for CliError {
    /// Commands do no I/O with `?` but their output; everything else is given its context where it fails.
    fn from(error: io::Error) -> CliError {
        CliError::Output(error)
    }
}
