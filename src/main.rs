//! The binary: hands the command line to [`weft::cli`] and turns how it ended into an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use weft::cli::CliError;

fn main() -> ExitCode {
    let mut out = io::BufWriter::new(io::stdout());
    match weft::cli::run(std::env::args_os(), &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What was printed before the failure stands before its explanation; if neither can be written, the
            // exit code still tells.
            let _ = out.flush();
            if error.code() != 0 && !matches!(error, CliError::Logged(_)) {
                let _ = writeln!(io::stderr(), "{error}");
            }
            error.exit_code()
        }
    }
}
