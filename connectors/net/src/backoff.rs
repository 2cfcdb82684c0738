//! How long to wait before the next try to connect: exponential, with full jitter (C23).

use std::time::Duration;

/// The wait before try after try.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    tries: u32,
}

impl Backoff {
    /// Waits of up to `initial` first, up to `max` at last.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Backoff {
        Backoff {
            initial,
            max,
            tries: 0,
        }
    }

    /// The next wait: between a tenth of the present bound and all of it. The tenth keeps a remote that refuses at once from being
    /// asked in a tight loop by an unlucky draw.
    #[must_use]
    pub fn next_wait(&mut self) -> Duration {
        let bound = self
            .initial
            .saturating_mul(2u32.saturating_pow(self.tries.min(20)))
            .min(self.max);
        self.tries = self.tries.saturating_add(1);
        bound.mul_f64(0.1 + 0.9 * fastrand::f64())
    }

    /// How many waits there were since the last success.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// It worked: the next failure begins anew.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bound_and_begin_anew_after_a_success() {
        let (initial, max) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(initial, max);
        for attempt in 0..40 {
            let bound = initial.saturating_mul(1 << attempt.min(6)).min(max);
            let wait = backoff.next_wait();
            assert!(
                wait <= bound && wait >= bound.mul_f64(0.099),
                "{attempt}: {wait:?}"
            );
        }
        backoff.reset();
        assert_eq!(backoff.tries(), 0);
        assert!(backoff.next_wait() <= initial);
    }
}
