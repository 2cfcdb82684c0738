//! `weft-rig kafka -- COMMAND...` runs a command with a Kafka broker at hand, whose address it finds in
//! `WEFT_TEST_KAFKA`, and ends as the command ends. `make test` wraps all test binaries in one such call.

use std::io::Write;
use std::process::{Command, ExitCode};

use weft_rig::Kafka;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["kafka", "--", program, rest @ ..] => with_kafka(program, rest),
        _ => {
            say("usage: weft-rig kafka -- COMMAND [ARGUMENT...]");
            ExitCode::from(2)
        }
    }
}

fn with_kafka(program: &str, args: &[&str]) -> ExitCode {
    let mut broker = Kafka::private();
    say(&format!("Kafka serves at {}", broker.brokers()));
    let status = Command::new(program)
        .args(args)
        .env("WEFT_TEST_KAFKA", broker.brokers())
        .status();
    broker.kill9();
    match status {
        Ok(status) => ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ),
        Err(e) => {
            say(&format!("starting {program}: {e}"));
            ExitCode::from(127)
        }
    }
}

fn say(line: &str) {
    // Nobody is there to be told that the standard error is gone.
    let _ = writeln!(std::io::stderr(), "weft-rig: {line}");
}
