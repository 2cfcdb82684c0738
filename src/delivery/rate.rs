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
    /// In shares of a token: [`Bucket::token`] of them are one token, and each nanosecond brings `rate.events`.
    shares: u128,
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
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Bucket {
        let mut bucket = Bucket {
            rate,
            shares: 0,
            at: now,
        };
        bucket.shares = bucket.full();
        bucket
    }

    /// Changes the rate; what is in the bucket stays, as far as the new one holds it.
    pub fn configure(&mut self, rate: Rate, now: Instant) {
        self.fill(now);
        let tokens = self.shares / self.token();
        self.rate = rate;
        self.shares = (tokens * self.token()).min(self.full());
    }

    /// How many may leave now.
    pub fn available(&mut self, now: Instant) -> u32 {
        self.fill(now);
        u32::try_from(self.shares / self.token()).unwrap_or(u32::MAX)
    }

    /// So many leave; never more than [`Bucket::available`] said.
    pub fn take(&mut self, tokens: u32) {
        self.shares = self.shares.saturating_sub(u128::from(tokens) * self.token());
    }

    /// When the next one may leave; not later than `now` where one may leave now.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        let mut then = self.clone();
        then.fill(now);
        let missing = then.token().saturating_sub(then.shares);
        let nanos = missing.div_ceil(u128::from(then.rate.events.max(1)));
        now + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_nanos();
        self.at = self.at.max(now);
        // Longer than it takes to fill it from empty is no longer than that: the product stays small.
        let longest = self.full() / u128::from(self.rate.events.max(1)) + 1;
        self.shares += passed.min(longest) * u128::from(self.rate.events);
        self.shares = self.shares.min(self.full());
    }

    fn token(&self) -> u128 {
        self.rate.per.as_nanos().max(1)
    }

    fn full(&self) -> u128 {
        u128::from(self.rate.burst.max(1)) * self.token()
    }
}
