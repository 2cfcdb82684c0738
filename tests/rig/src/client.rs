//! The foreign clients: scripts in Python, JavaScript and Java, each over other people's libraries. They print one JSON
//! object a line; what the options and the fields mean stands at the top of the script. The ending of a script's name
//! tells where it lies (`tests/rig/python`, `node`, `java`) and what runs it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::cache;
use crate::child::Process;

const RUN_LIMIT: Duration = Duration::from_secs(120);

/// A script that is about to run, by its file name: `amqp_send.py` (Proton), `mqtt_pub.py` (Paho), `amqp_send.js` (rhea),
/// `mqtt_pub.js` (MQTT.js), `Jms.java` (Qpid JMS) and their fellows.
#[derive(Debug)]
pub struct Client {
    script: String,
    command: Command,
}

/// The name under which most scripts are called.
pub type Python = Client;

/// A script that is running, under the name of [`Python`].
pub type PythonProcess = ClientProcess;

impl Client {
    /// Begins a call.
    #[must_use]
    pub fn script(name: &str) -> Self {
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
        let command = match ending {
            Some("py") => {
                let mut command = Command::new(cache::python());
                command.args(["-u", "-B"]).arg(cache::source("python").join(name));
                command
            }
            Some("js") => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", cache::node_modules());
                command.arg(cache::source("node").join(name));
                command
            }
            Some("java") => {
                let mut command = Command::new("java");
                command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
                // Java asks the environment, which may know ASCII only.
                command.args(["-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]);
                command.arg("-cp").arg(cache::java_jars().join("*"));
                command.arg(cache::source("java").join(name));
                command
            }
            _ => panic!("{name}: no known ending"),
        };
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
    pub fn spawn(self) -> ClientProcess {
        let process = Process::start_listening(&self.script, &self.command);
        ClientProcess {
            script: self.script,
            process,
            read: 0,
        }
    }
}

/// A script that is running.
#[derive(Debug)]
pub struct ClientProcess {
    script: String,
    process: Process,
    read: usize,
}

impl ClientProcess {
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

    /// The next line that it prints; `None` where there is none within `limit`, or no more.
    pub fn poll_line(&mut self, limit: Duration) -> Option<Value> {
        let line = self.process.out.find(self.read, limit, |_| true).ok()?;
        self.read += 1;
        Some(parse(&self.script, &line))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// Writes a line of JSON to its standard input, and returns the line that it answers with.
    #[track_caller]
    pub fn ask(&mut self, question: &Value, limit: Duration) -> Value {
        self.process.say(&question.to_string());
        self.next_line(limit)
    }

    /// SIGTERM: a script that runs until it is told to stop says its last line, and ends.
    pub fn stop(&mut self) {
        self.process.signal("TERM");
    }
}

fn parse(script: &str, line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{script} printed {line:?}, which is no JSON: {e}"))
}
