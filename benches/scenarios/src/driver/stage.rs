//! A router that runs, between senders and a far end that write into the same books; what the open-loop runs do with it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use weft_rig::{Weft, free_port};

use super::process;
use super::watch::Watch;
use crate::Failure;
use crate::books::Books;
use crate::offer::Pace;

/// How long it may take until events flow: a subscription or a group takes its time.
const WARM_UP: Duration = Duration::from_secs(60);
/// What of the router's log an error shows.
const LOG_LINES: usize = 12;
const WARM_UP_RATE: f64 = 100.0;

/// See the module.
pub struct Stage {
    /// What is known of its memory and metrics.
    pub watch: Watch,
    weft: Weft,
    /// The books.
    pub books: Arc<Books>,
    /// The rate of every flow.
    pub pace: Arc<Pace>,
}

impl Stage {
    /// Begins to watch.
    #[must_use]
    pub fn new(weft: Weft, books: &Arc<Books>, pace: &Arc<Pace>) -> Self {
        Self {
            watch: Watch::on(&weft),
            weft,
            books: Arc::clone(books),
            pace: Arc::clone(pace),
        }
    }

    /// The router's memory.
    ///
    /// # Errors
    /// It is gone.
    pub fn memory(&self) -> Result<process::Memory, Failure> {
        process::memory(self.weft.pid())
    }

    /// Sends nothing more, and waits until every event has its answer and every promise is kept.
    ///
    /// # Errors
    /// It takes longer than `limit`.
    pub fn rest(&self, limit: Duration) -> Result<(), Failure> {
        self.pace.set(0.0);
        let end = Instant::now() + limit;
        loop {
            let (unanswered, missing) = self.books.open();
            if (unanswered, missing) == (0, 0) {
                return Ok(());
            }
            if Instant::now() > end {
                let log = self.log();
                return Err(format!(
                    "after {limit:?} of rest {unanswered} events have no answer, and {missing} promised ones are not \
                     there; the router's log:\n{log}"
                )
                .into());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        let all = self.weft.log().tail();
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// Waits until a second has begun on the books' clock.
    pub fn wait_for(&self, second: usize) {
        let at = Duration::from_secs(second as u64);
        thread::sleep(at.saturating_sub(self.books.now()));
    }

    /// The next second that will be whole, with one between for a change of rate to settle.
    #[must_use]
    pub fn next_second(&self) -> usize {
        usize::try_from(self.books.now().as_secs()).unwrap_or(usize::MAX) + 2
    }

    /// Until each of the flows flows.
    ///
    /// # Errors
    /// One does not.
    pub fn warm_up(&self, flows: usize) -> Result<(), Failure> {
        self.pace.set(WARM_UP_RATE);
        let end = Instant::now() + WARM_UP;
        let second = 2 * usize::try_from(WARM_UP.as_secs())?;
        while (0..flows).any(|flow| self.books.sum(flow, 0..second).arrived < 50) {
            if Instant::now() > end {
                return Err(format!("not all flows; the router's log:\n{}", self.log()).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.rest(WARM_UP)
    }
}

/// The head of a file: names, addresses, and the memory.
#[must_use]
pub fn head(memory_mib: u64) -> String {
    format!(
        r#"
node: {{ name: bench, cluster: bench }}
observe: {{ listen: "${{OBSERVE}}" }}
admin: {{ listen: "127.0.0.1:{admin}" }}
limits: {{ memory: {memory_mib}MiB }}
"#,
        admin = free_port(),
    )
}
