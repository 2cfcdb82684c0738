//! Waiting for a state of the outer world, which nobody announces. It owns the pace; the caller owns the deadline.

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at what is waited for.
const PACE: Duration = Duration::from_millis(10);

/// Asks `look` again and again until it has an answer, and panics with `what` after `limit`.
///
/// ```
/// # use std::time::Duration;
/// let mut left = 3;
/// let done = weft_rig::eventually("the countdown", Duration::from_secs(5), || {
///     left -= 1;
///     (left == 0).then_some("done")
/// });
/// assert_eq!(done, "done");
/// ```
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not so within {limit:?}");
        thread::park_timeout(PACE);
    }
}
