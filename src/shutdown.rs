//! Signals, and the two steps of a stop.
//!
//! Owns what SIGTERM, SIGINT and SIGHUP mean (CONTRACT C29): the first stop signal drains up to a deadline and says
//! for what it waits, a second one releases what is left at once, a hang-up asks for a reload. Does not know what is
//! drained: it is told through a future and a closure.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

/// How long a drain may take, unless the command line says otherwise.
pub const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How often a drain says for what it still waits.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// What an operator, or the system, asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The signals of the process. Made before anything is opened, so that none is lost while starting.
pub struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    /// Takes the three signals over.
    ///
    /// # Errors
    /// The system refused a handler.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// The next thing asked for. Cancel-safe.
    pub async fn next(&mut self) -> Asked {
        // Stop before reload: who stops does not care for a new table.
        tokio::select! {
            biased;
            _ = self.term.recv() => Asked::Stop,
            _ = self.int.recv() => Asked::Stop,
            _ = self.hup.recv() => Asked::Reload,
        }
    }

    /// The next SIGTERM or SIGINT; hang-ups in between are passed over. Cancel-safe.
    pub async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// How a drain ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drained {
    /// Everything is settled.
    Clean,
    /// The deadline passed: the rest is released.
    Deadline,
    /// A second signal came: the rest is released at once.
    Hurried,
}

/// Waits for a drain that has begun: for `finished`, for `again` (the second signal), or for the deadline, and says
/// every five seconds what `waiting` lists ("crm: 12 events pending").
pub async fn drain(
    finished: impl Future<Output = ()>,
    again: impl Future<Output = ()>,
    deadline: Duration,
    waiting: impl Fn() -> Vec<String>,
) -> Drained {
    let mut say = interval_at(Instant::now() + SAY_EVERY, SAY_EVERY);
    say.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = sleep(deadline);
    tokio::pin!(finished, again, end);
    loop {
        // Finished first: an end that comes together with the deadline is a clean one.
        tokio::select! {
            biased;
            () = &mut finished => return Drained::Clean,
            () = &mut again => {
                let left = waiting().join(", ");
                tracing::warn!(left, "second stop signal: releasing what is left");
                return Drained::Hurried;
            }
            () = &mut end => {
                let left = waiting().join(", ");
                tracing::warn!(left, "drain deadline passed: releasing what is left");
                return Drained::Deadline;
            }
            _ = say.tick() => {
                let waiting_for = waiting().join(", ");
                tracing::info!(waiting_for, "draining");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::{pending, ready};

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_settles_in_time_is_clean() {
        let ended = drain(sleep(Duration::from_secs(29)), pending(), DRAIN_MAX, Vec::new).await;
        assert_eq!(ended, Drained::Clean);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_at_its_deadline_and_says_for_what_it_waits_meanwhile() {
        let asked = Cell::new(0);
        let waiting = || {
            asked.set(asked.get() + 1);
            vec!["crm: 12 events pending".to_owned()]
        };
        let begun = Instant::now();
        assert_eq!(
            drain(pending(), pending(), DRAIN_MAX, waiting).await,
            Drained::Deadline
        );
        assert_eq!(begun.elapsed(), DRAIN_MAX);
        assert_eq!(
            asked.get(),
            6,
            "after 5, 10, 15, 20, 25 s and once at the deadline"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_releases_at_once() {
        let begun = Instant::now();
        assert_eq!(
            drain(pending(), ready(()), DRAIN_MAX, Vec::new).await,
            Drained::Hurried
        );
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
