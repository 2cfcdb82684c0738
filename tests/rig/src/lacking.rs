//! What this machine may not do. Some faults need root, or a feature of the kernel; where it is missing a test goes
//! without them, says so past the capture of the test runner, and is counted.
//!
//! Policy: a skip is never silent, and never a pass where it was promised: with `WEFT_RIG_ALL=1` it is a failure.

use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Why a fault cannot be made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking(String);

impl Lacking {
    /// `what` says what was tried, and what the machine answered.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Says that `what` is not run and why, and counts it. Panics where `WEFT_RIG_ALL=1` promises that nothing is left
    /// out.
    #[track_caller]
    pub fn skip(&self, what: &str) {
        let promised = std::env::var("WEFT_RIG_ALL").is_ok_and(|value| value == "1");
        assert!(!promised, "{what} cannot run here: {self}");
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        // Not `eprintln`: the runner of tests would show it only where the test fails.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {what}: {self} ({count} skipped in this process)"
        );
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lacking {}

/// How many tests of this process were skipped.
#[must_use]
pub fn skipped() -> usize {
    SKIPPED.load(Ordering::Relaxed)
}

/// Runs a tool of the system with `input` on its standard input, and returns what it printed.
pub(crate) fn tool(words: &[&str], input: &str) -> Result<String, Lacking> {
    let said = |why: &str| Lacking::new(format!("`{}`: {}", words.join(" "), why.trim()));
    let child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| said(&format!("{e}; tools/setup.sh test brings it")))?;
    if let Some(mut to) = child.stdin.take() {
        // One that reads nothing closes it.
        let _ = to.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| said(&e.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(said(&String::from_utf8_lossy(&output.stderr)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tool_says_against_it_stands_in_the_reason() {
        let why = tool(&["ls", "/nowhere/at/all"], "").expect_err("there is no such directory");
        assert!(why.to_string().contains("/nowhere/at/all"), "{why}");
        let why = tool(&["weft-no-such-tool"], "").expect_err("there is no such tool");
        assert!(why.to_string().contains("tools/setup.sh"), "{why}");
        assert_eq!(tool(&["cat"], "a").expect("cat works"), "a");
    }
}
