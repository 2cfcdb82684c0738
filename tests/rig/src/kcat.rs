//! kcat, a foreign client in C: what it sends and reads shows a record as other people's tools see it.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::child::Process;
use crate::{Dir, Kafka, Record};

const LIMIT: Duration = Duration::from_secs(60);

/// Sends one record; key, value and headers must be text, and none is null.
#[track_caller]
pub fn produce(kafka: &Kafka, record: &Record) {
    let dir = Dir::new("kcat");
    let value = dir.write("value", text(record.value.as_deref().expect("a value to send")));
    let mut command = Command::new("kcat");
    command.args(["-P", "-b", kafka.brokers(), "-t", &record.topic]);
    if let Some(key) = &record.key {
        command.arg("-k").arg(text(key));
    }
    for (name, value) in &record.headers {
        command.arg("-H").arg(format!(
            "{name}={}",
            text(value.as_deref().expect("a header with a value"))
        ));
    }
    // A file as the last argument is sent whole, with its newlines.
    command.arg(value);
    run(&command);
}

/// Reads `count` records from the beginning, as kcat's JSON: `topic`, `partition`, `offset`, `key`, `headers` (names
/// and values in turn) and `payload`.
#[track_caller]
#[must_use]
pub fn consume(kafka: &Kafka, topic: &str, count: usize) -> Vec<Value> {
    let mut command = Command::new("kcat");
    command.args([
        "-C",
        "-q",
        "-J",
        "-o",
        "beginning",
        "-b",
        kafka.brokers(),
        "-t",
        topic,
    ]);
    command.arg("-c").arg(count.to_string());
    run(&command)
        .iter()
        .map(|line| serde_json::from_str(line).expect("kcat -J prints JSON"))
        .collect()
}

#[track_caller]
fn run(command: &Command) -> Vec<String> {
    let mut process = Process::start("kcat", command);
    let status = process.wait(LIMIT);
    assert!(
        status.success(),
        "kcat failed ({status}):\n{}",
        process.err.to_end().join("\n")
    );
    process.out.to_end()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("kcat's arguments are text")
}
