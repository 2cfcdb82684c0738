//! How fast a destination may be sent to: a token bucket.
//!
//! Whole numbers throughout, so that nothing is lost to rounding however often it is asked. Pure: the clock comes from
//! the caller.

use std::time::Duration;

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// So many events in such a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many; at least 1.
    pub events: u32,
    /// In which time; more than nothing.
    pub per: Duration,
    /// How many at once after a pause; at least 1.
    pub burst: u32,
}

/// The bucket. It begins full.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// In shares of a token: so many of them are one token as `rate.per` has nanoseconds, and each nanosecond brings
    /// `rate.events`.
    shares: u128,
    /// What a full bucket holds.
    full: u128,
    /// When `shares` was right.
    at: Instant,
}

impl Rate {
    /// A rate with the burst that goes without saying: what a tenth of a second brings, at least one.
    #[must_use]
    pub fn steady(events: u32, per: Duration) -> Rate {
        let tenth = u128::from(events) * 100_000_000 / per.as_nanos().max(1);
        let burst = u32::try_from(tenth).unwrap_or(u32::MAX).max(1);
        Rate { events, per, burst }
    }

    /// One token, in shares.
    fn token(&self) -> u128 {
        self.per.as_nanos().max(1)
    }
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Bucket {
        let full = u128::from(rate.burst.max(1)) * rate.token();
        Bucket {
            rate,
            shares: full,
            full,
            at: now,
        }
    }

    /// Changes the rate; whole tokens stay, as far as the new one holds them.
    pub fn configure(&mut self, rate: Rate, now: Instant) {
        let tokens = u128::from(self.available(now));
        *self = Bucket::new(rate, now);
        self.shares = (tokens * rate.token()).min(self.full);
    }

    /// How many may leave now.
    pub fn available(&mut self, now: Instant) -> u32 {
        self.fill(now);
        // Nothing is divided where nothing was taken: the ordinary case of a retry budget.
        if self.shares == self.full {
            return self.rate.burst.max(1);
        }
        u32::try_from(self.shares / self.rate.token()).unwrap_or(u32::MAX)
    }

    /// So many leave; never more than [`Bucket::available`] said.
    pub fn take(&mut self, tokens: u32) {
        let shares = u128::from(tokens) * self.rate.token();
        debug_assert!(shares <= self.shares, "more taken than there was");
        self.shares = self.shares.saturating_sub(shares);
    }

    /// When the next one may leave; `now` where one may leave now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        let mut then = self.clone();
        then.fill(now);
        let missing = self.rate.token().saturating_sub(then.shares);
        let nanos = missing.div_ceil(u128::from(self.rate.events.max(1)));
        now + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_nanos();
        self.at = self.at.max(now);
        if self.shares < self.full {
            let brought = passed.saturating_mul(u128::from(self.rate.events));
            self.shares = self.shares.saturating_add(brought).min(self.full);
        }
    }
}
