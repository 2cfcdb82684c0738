//! When a connection has been still for too long.
//!
//! One timer a connection, re-armed only when it fires: requests cost a note of the time and nothing in the timer
//! wheel. (hyper's own header time-out allocates and registers a timer for each request.)

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Stands for "no head has begun".
const NONE: u64 = u64::MAX;

/// What a connection is at; shared by its socket, its service and its timer, all in one thread.
#[derive(Debug)]
pub(super) struct Activity {
    epoch: Instant,
    header_timeout: Duration,
    idle_timeout: Duration,
    /// Requests that are being answered.
    busy: AtomicU32,
    /// When the last request was answered, or the connection was opened; milliseconds since `epoch`.
    idle_since: AtomicU64,
    /// When the head that is being read began; [`NONE`] between requests.
    head_since: AtomicU64,
}

/// What the timer should do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Look again then.
    At(Instant),
    /// A request's head takes too long.
    Head,
    /// Nothing was asked for too long.
    Idle,
}

impl Activity {
    /// A connection that was just accepted: its first head has begun.
    pub(super) fn new(header_timeout: Duration, idle_timeout: Duration) -> Activity {
        Activity {
            epoch: Instant::now(),
            header_timeout,
            idle_timeout,
            busy: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
        }
    }

    /// Bytes came in: a head begins, unless one has begun or a request is being answered.
    pub(super) fn bytes(&self) {
        if self.busy.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == NONE {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    /// No head is being read. (HTTP/2 reads frames of many kinds; only idleness is watched there.)
    pub(super) fn settled(&self) {
        self.head_since.store(NONE, Ordering::Relaxed);
    }

    /// A head is complete; a request is being answered until the guard is dropped.
    pub(super) fn enter(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.settled();
        Busy(self)
    }

    /// What is due at `now`.
    pub(super) fn due(&self, now: Instant) -> Due {
        if self.busy.load(Ordering::Relaxed) > 0 {
            return Due::At(now + self.header_timeout.min(self.idle_timeout));
        }
        let (since, timeout, due) = match self.head_since.load(Ordering::Relaxed) {
            NONE => (
                self.idle_since.load(Ordering::Relaxed),
                self.idle_timeout,
                Due::Idle,
            ),
            began => (began, self.header_timeout, Due::Head),
        };
        let at = self.epoch + Duration::from_millis(since) + timeout;
        if at <= now {
            return due;
        }
        // A head may begin at any moment, and has the shorter time-out: never sleep past it.
        Due::At(at.min(now + self.header_timeout))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(NONE - 1)
    }
}

/// A request that is being answered.
pub(super) struct Busy<'a>(&'a Activity);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let activity = self.0;
        activity.idle_since.store(activity.now(), Ordering::Relaxed);
        activity.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_has_the_time_of_a_head() {
        let activity = Activity::new(HEAD, IDLE);
        assert_eq!(activity.due(Instant::now()), Due::At(Instant::now() + HEAD));
        tokio::time::advance(HEAD).await;
        assert_eq!(activity.due(Instant::now()), Due::Head);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_trickle_do_not_prolong_a_head() {
        let activity = Activity::new(HEAD, IDLE);
        drop(activity.enter());
        activity.bytes();
        tokio::time::advance(HEAD / 2).await;
        activity.bytes();
        tokio::time::advance(HEAD / 2).await;
        activity.bytes();
        assert_eq!(activity.due(Instant::now()), Due::Head);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_as_long_as_it_takes() {
        let activity = Activity::new(HEAD, IDLE);
        let busy = activity.enter();
        tokio::time::advance(IDLE * 3).await;
        assert!(matches!(activity.due(Instant::now()), Due::At(_)));
        drop(busy);
        tokio::time::advance(IDLE).await;
        assert_eq!(activity.due(Instant::now()), Due::Idle);
    }
}
