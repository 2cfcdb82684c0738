//! Both ends of the pipes between the driver and a tool: a tool says on its standard output that it is ready and what it
//! found, and ends when its standard input does, so that none outlives its driver however that one ends.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::thread;

use crate::Failure;

/// Writes a line to the driver.
pub fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody reads any more: the driver is gone, and so are we in a moment.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes a line to the person at the terminal.
pub fn note(line: &str) {
    // Nobody looks any more.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Ends this process once its standard input ends.
pub fn end_with_driver() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    });
}

/// A tool that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Tool {
    name: &'static str,
    child: Child,
    out: BufReader<ChildStdout>,
    _in: ChildStdin,
}

impl Tool {
    /// Starts a tool that lies beside this executable.
    ///
    /// # Errors
    /// It is not there.
    pub fn start(name: &'static str, args: &[&str]) -> Result<Self, Failure> {
        let path = std::env::current_exe()?.with_file_name(name);
        let mut child = Command::new(&path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| {
                format!(
                    "starting {}: {e}; build the whole package weft-scenarios",
                    path.display()
                )
            })?;
        let out = BufReader::new(child.stdout.take().expect("piped above"));
        let _in = child.stdin.take().expect("piped above");
        Ok(Self {
            name,
            child,
            out,
            _in,
        })
    }

    /// Starts one that serves, and waits until it does.
    ///
    /// # Errors
    /// It ends before.
    pub fn serve(name: &'static str, args: &[&str]) -> Result<Self, Failure> {
        let mut tool = Self::start(name, args)?;
        tool.line()?;
        Ok(tool)
    }

    /// Runs one to its end, and returns what it found.
    ///
    /// # Errors
    /// It fails.
    pub fn run(name: &'static str, args: &[&str]) -> Result<Found, Failure> {
        Self::start(name, args)?.found()
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, and returns what it found: its last line.
    ///
    /// # Errors
    /// It fails.
    pub fn found(mut self) -> Result<Found, Failure> {
        let found = self.line()?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(format!("{}: {status} after {found:?}", self.name).into());
        }
        Ok(Found::parse(self.name, &found))
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.out.read_line(&mut line)? == 0 {
            return Err(format!("{}: {}, its reason stands above", self.name, self.child.wait()?).into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a tool found: `name=value name=value`.
#[derive(Debug)]
pub struct Found {
    tool: &'static str,
    values: BTreeMap<String, String>,
}

impl Found {
    pub(crate) fn parse(tool: &'static str, line: &str) -> Self {
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        Self {
            tool,
            values: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// One value.
    ///
    /// # Errors
    /// It is not there, or is of another type.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let value = self.values.get(name).and_then(|value| value.parse().ok());
        value.ok_or_else(|| format!("{} did not say {name}: {:?}", self.tool, self.values).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_found_is_read_by_name_and_type() {
        let found = Found::parse("x", "rate=1.5 errors=0");
        assert!(found.get::<f64>("rate").is_ok_and(|rate| rate > 1.4));
        assert!(found.get::<u64>("errors").is_ok_and(|errors| errors == 0));
        assert!(found.get::<u64>("rate").is_err());
        assert!(found.get::<u64>("p50").is_err());
    }
}
