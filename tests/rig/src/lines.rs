//! What a child process writes, line by line, for a test to wait on.
//!
//! Invariants: the stream is always read, so that the child never blocks on a full pipe; what is kept is bounded; the
//! end of the stream wakes whoever waits.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// Lines kept of one stream; older ones are forgotten.
const LINES_MAX: usize = 100_000;

/// Lines shown when something fails.
const TAIL: usize = 40;

/// What a child has written so far. Clones share it; it can be read after the child's end.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

struct Shared {
    text: Mutex<Text>,
    grown: Condvar,
}

#[derive(Default)]
struct Text {
    lines: VecDeque<String>,
    /// How many were forgotten before the first one that is kept.
    forgotten: usize,
    ended: bool,
}

impl Lines {
    /// Reads the stream to its end, on a thread of its own.
    pub(crate) fn read(stream: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::new(Shared {
            text: Mutex::default(),
            grown: Condvar::new(),
        }));
        let shared = Arc::clone(&lines.0);
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                shared
                    .text
                    .lock()
                    .expect("no holder panics")
                    .push(String::from_utf8_lossy(&line).into_owned());
                shared.grown.notify_all();
            }
            shared.text.lock().expect("no holder panics").ended = true;
            shared.grown.notify_all();
        });
        lines
    }

    /// Every line that is kept.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.text().lines.iter().cloned().collect()
    }

    /// How many lines there have been. A line from here on is a new one for [`Lines::wait_from`].
    #[must_use]
    pub fn mark(&self) -> usize {
        let text = self.text();
        text.forgotten + text.lines.len()
    }

    /// Waits for a line that `wanted` accepts, also an earlier one, and returns it.
    #[track_caller]
    pub fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_from(0, what, limit, wanted)
    }

    /// The same for lines after `mark` only. Panics after `limit`, or when the stream ends without such a line.
    #[track_caller]
    pub fn wait_from(
        &self,
        mark: usize,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        match self.find(mark, limit, wanted) {
            Ok(line) => line,
            Err(why) => panic!("no line {what:?}: {why}; the last lines:\n{}", self.tail()),
        }
    }

    /// The same with the reason instead of a panic.
    pub(crate) fn find(
        &self,
        mark: usize,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let end = Instant::now() + limit;
        let mut seen = mark;
        let mut text = self.text();
        loop {
            let from = seen.saturating_sub(text.forgotten);
            if let Some(line) = text.lines.iter().skip(from).find(|line| wanted(line)) {
                return Ok(line.clone());
            }
            seen = text.forgotten + text.lines.len();
            if text.ended {
                return Err("the stream has ended".to_owned());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("none within {limit:?}"));
            }
            text = self.0.grown.wait_timeout(text, left).expect("no holder panics").0;
        }
    }

    /// Waits until the stream has ended, and returns what is kept of it.
    pub(crate) fn to_end(&self) -> Vec<String> {
        let text = self
            .0
            .grown
            .wait_while(self.text(), |text| !text.ended)
            .expect("no holder panics");
        text.lines.iter().cloned().collect()
    }

    /// The last lines, for a message.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = self.text();
        let from = text.lines.len().saturating_sub(TAIL);
        text.lines
            .iter()
            .skip(from)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.0.text.lock().expect("no holder panics")
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({})", self.mark())
    }
}

impl Text {
    fn push(&mut self, line: String) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        self.lines.push_back(line);
    }
}
