//! A destination's retry budget (C23): how many events may be sent again while the breaker is closed, so that a remote
//! that struggles gets little more than its ordinary traffic.
//!
//! Two stores of tokens: the floor, which time fills, and what first attempts earned. A retry spends one token, the
//! floor's first, since that comes back by itself. Pure: the clock comes from the caller.

use std::time::Duration;

use tokio::time::Instant;

use super::rate::{Bucket, Rate};

#[cfg(test)]
mod tests;

/// Tokens of the floor are kept for this long, in seconds.
const FLOOR_KEPT_S: u128 = 10;
/// Most tokens that first attempts earn in advance.
const EARNED_MAX: u64 = 1_000;
/// Earned tokens are counted in millionths.
const TOKEN: u64 = 1_000_000;

/// How large a budget is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryBudget {
    /// What a first attempt earns, in tokens; 0 to 1.
    pub share: f64,
    /// What time brings; its burst is not used.
    pub floor: Rate,
}

/// The tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    floor: Bucket,
    /// Earned by one first attempt, in millionths.
    share: u64,
    /// In millionths.
    earned: u64,
}

impl Default for RetryBudget {
    fn default() -> RetryBudget {
        RetryBudget {
            share: 0.2,
            floor: Rate::steady(10, Duration::from_secs(1)),
        }
    }
}

impl RetryBudget {
    /// The floor as it is kept: ten seconds' worth, at least one.
    fn kept(&self) -> Rate {
        let most =
            u128::from(self.floor.events) * FLOOR_KEPT_S * 1_000_000_000 / self.floor.per.as_nanos().max(1);
        Rate {
            burst: u32::try_from(most).unwrap_or(u32::MAX).max(1),
            ..self.floor
        }
    }

    fn millionths(&self) -> u64 {
        (self.share.clamp(0.0, 1.0) * TOKEN as f64).round() as u64
    }
}

impl Tokens {
    /// The floor full, nothing earned.
    #[must_use]
    pub fn new(budget: RetryBudget, now: Instant) -> Tokens {
        Tokens {
            floor: Bucket::new(budget.kept(), now),
            share: budget.millionths(),
            earned: 0,
        }
    }

    /// Changes the budget; tokens stay, as far as the new one holds them.
    pub fn configure(&mut self, budget: RetryBudget, now: Instant) {
        self.floor.configure(budget.kept(), now);
        self.share = budget.millionths();
    }

    /// So many first attempts were sent.
    pub fn earn(&mut self, attempts: u32) {
        let more = u64::from(attempts) * self.share;
        self.earned = self.earned.saturating_add(more).min(EARNED_MAX * TOKEN);
    }

    /// How many retries may leave now.
    pub fn available(&mut self, now: Instant) -> u32 {
        let earned = u32::try_from(self.earned / TOKEN).unwrap_or(u32::MAX);
        self.floor.available(now).saturating_add(earned)
    }

    /// So many retries leave at `now`; never more than [`Tokens::available`] said.
    pub fn spend(&mut self, retries: u32, now: Instant) {
        let of_floor = self.floor.available(now).min(retries);
        self.floor.take(of_floor);
        let rest = u64::from(retries - of_floor) * TOKEN;
        self.earned = self.earned.saturating_sub(rest);
    }

    /// When the next retry may leave, should nothing be earned before.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        if self.earned >= TOKEN {
            now
        } else {
            self.floor.due(now)
        }
    }
}
