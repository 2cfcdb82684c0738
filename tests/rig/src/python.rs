//! The Python clients: the official CloudEvents SDK over confluent-kafka, HTTP, Qpid Proton and Paho. The scripts in
//! `tests/rig/python` print one JSON object a line; what the fields mean stands at their top.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::cache;
use crate::child::Process;

const RUN_LIMIT: Duration = Duration::from_secs(120);

/// A script of `tests/rig/python` by its file name.
#[derive(Debug)]
pub struct Python {
    script: String,
    command: Command,
}

impl Python {
    /// Begins a call.
    #[must_use]
    pub fn script(name: &str) -> Self {
        let mut command = Command::new(cache::python());
        command.args(["-u", "-B"]).arg(cache::source("python").join(name));
        Self {
            script: name.to_owned(),
            command,
        }
    }

    /// An option with its value, e.g. `("--count", 3)`.
    #[must_use]
    pub fn option(mut self, name: &str, value: impl ToString) -> Self {
        self.command.arg(name).arg(value.to_string());
        self
    }

    /// An option without a value, e.g. `--retain`.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.command.arg(name);
        self
    }

    /// Runs it to its end and returns its lines. Panics with its errors where it fails.
    #[track_caller]
    #[must_use]
    pub fn run(self) -> Vec<Value> {
        match self.try_run() {
            Ok(lines) => lines,
            Err(why) => panic!("{why}"),
        }
    }

    /// The same with what it wrote to its standard error instead of a panic, where it fails.
    #[track_caller]
    pub fn try_run(self) -> Result<Vec<Value>, String> {
        let mut process = Process::start(&self.script, &self.command);
        let status = process.wait(RUN_LIMIT);
        let lines = process.out.to_end();
        if !status.success() {
            let errors = process.err.to_end().join("\n");
            return Err(format!("{} failed ({status}):\n{errors}", self.script));
        }
        Ok(lines.iter().map(|line| parse(&self.script, line)).collect())
    }

    /// Starts it; it runs until it ends by itself or is dropped.
    #[must_use]
    pub fn spawn(self) -> PythonProcess {
        let process = Process::start(&self.script, &self.command);
        PythonProcess {
            script: self.script,
            process,
            read: 0,
        }
    }
}

/// A script that is running.
#[derive(Debug)]
pub struct PythonProcess {
    script: String,
    process: Process,
    read: usize,
}

impl PythonProcess {
    /// The next line that it prints. Panics with its errors where it ends instead.
    #[track_caller]
    pub fn next_line(&mut self, limit: Duration) -> Value {
        let line = match self.process.out.find(self.read, limit, |_| true) {
            Ok(line) => line,
            Err(why) => panic!("{}: {why}:\n{}", self.script, self.process.err.tail()),
        };
        self.read += 1;
        parse(&self.script, &line)
    }

    /// SIGTERM: a script that runs until it is told to stop says its last line, and ends.
    pub fn stop(&mut self) {
        self.process.signal("TERM");
    }
}

fn parse(script: &str, line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{script} printed {line:?}, which is no JSON: {e}"))
}
