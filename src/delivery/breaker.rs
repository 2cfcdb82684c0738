//! A destination's circuit breaker (C23): closed, open until a time, or probing with a single event.
//!
//! It opens after several failures in a row that are the destination's, or that hit different events one after the
//! other; one poisonous event alone never opens it. Pure: the clock and the jitter come from the caller.

use std::time::Duration;

use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// When it opens and how long it waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    /// Failures in a row that open it; at least 1.
    pub failures: u32,
    /// The first wait before a probe.
    pub initial: Duration,
    /// The longest.
    pub max: Duration,
}

impl Default for BreakerSettings {
    fn default() -> BreakerSettings {
        BreakerSettings {
            failures: 5,
            initial: Duration::from_millis(500),
            max: Duration::from_secs(30),
        }
    }
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerState {
    /// Events flow.
    Closed,
    /// Nothing is sent before this time.
    Open {
        /// When the next probe is due.
        until: Instant,
    },
    /// One event is under way; the others wait for what becomes of it.
    Probing,
}

/// The breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: BreakerState,
    failures: u32,
    last_event: u64,
    /// Openings since it was last closed: the exponent of the wait.
    openings: u32,
    /// How often it has closed again; attempts counted in an earlier life are forgotten.
    life: u32,
    opened_at: Option<Instant>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Breaker {
        Breaker {
            settings,
            state: BreakerState::Closed,
            failures: 0,
            last_event: 0,
            openings: 0,
            life: 0,
            opened_at: None,
        }
    }

    /// Changes the settings; the state stays.
    pub fn configure(&mut self, settings: BreakerSettings) {
        self.settings = settings;
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Which life it is in.
    #[must_use]
    pub fn life(&self) -> u32 {
        self.life
    }

    /// The life that what is sent now counts for: an outage is none, so a probe belongs to the next one already. What
    /// failed in this very life is sent again as a retry.
    #[must_use]
    pub fn life_of_sends(&self) -> u32 {
        match self.state {
            BreakerState::Closed => self.life,
            BreakerState::Open { .. } | BreakerState::Probing => self.life.wrapping_add(1),
        }
    }

    /// Since when it has not been closed.
    #[must_use]
    pub fn opened_at(&self) -> Option<Instant> {
        self.opened_at
    }

    /// Open => Probing, when the time has come.
    pub fn start_probe(&mut self, now: Instant) -> bool {
        match self.state {
            BreakerState::Open { until } if now >= until => {
                self.state = BreakerState::Probing;
                true
            }
            _ => false,
        }
    }

    /// The remote answered as it should (an answer that refuses one event is one): any => Closed.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        if self.state != BreakerState::Closed {
            self.state = BreakerState::Closed;
            self.openings = 0;
            self.opened_at = None;
            self.life = self.life.wrapping_add(1);
        }
    }

    /// The destination failed. `event` tells events apart where the failure may be the event's own; `None` where it is
    /// certainly the destination's. `at_once` opens without counting (refused credentials, a missing topic).
    /// `jitter` is in `0.0..1.0`. Returns whether it opened just now.
    pub fn failed(
        &mut self,
        now: Instant,
        event: Option<u64>,
        at_once: bool,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> bool {
        match self.state {
            // A probe was due, and there is not even a client to send it with, or it would be refused.
            BreakerState::Open { until } if at_once && now >= until => {
                self.open(now, retry_after, jitter);
                false
            }
            BreakerState::Open { .. } => false,
            BreakerState::Probing => {
                self.open(now, retry_after, jitter);
                false
            }
            BreakerState::Closed => {
                if event.is_none_or(|event| event != self.last_event) {
                    self.failures += 1;
                }
                self.last_event = event.unwrap_or(0);
                let opens = at_once || self.failures >= self.settings.failures;
                if opens {
                    self.opened_at = Some(now);
                    self.open(now, retry_after, jitter);
                }
                opens
            }
        }
    }

    fn open(&mut self, now: Instant, retry_after: Option<Duration>, jitter: f64) {
        let wait = backoff(self.settings.initial, self.settings.max, self.openings, jitter);
        self.openings = self.openings.saturating_add(1);
        // What the remote asks for is honoured, but not without bound: a wrong header must not stop us for a day.
        let asked = retry_after
            .unwrap_or_default()
            .min(self.settings.max.max(Duration::from_secs(60)));
        self.state = BreakerState::Open {
            until: now + wait.max(asked),
        };
    }
}

/// Exponential backoff with jitter over its upper half: attempt `n` waits between half of `initial * 2^n` and all of
/// it, never more than `max`. Full jitter down to zero was turned down for probes: it hammers a struggling remote.
#[must_use]
pub fn backoff(initial: Duration, max: Duration, n: u32, jitter: f64) -> Duration {
    let ceiling = initial
        .saturating_mul(1u32.checked_shl(n.min(20)).unwrap_or(u32::MAX))
        .min(max);
    ceiling.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

/// Exponential backoff with full jitter (C23): attempt `n` waits between nothing and `initial * 2^n`, never more than
/// `max`.
#[must_use]
pub fn full_jitter(initial: Duration, max: Duration, n: u32, jitter: f64) -> Duration {
    let ceiling = initial
        .saturating_mul(1u32.checked_shl(n.min(20)).unwrap_or(u32::MAX))
        .min(max);
    ceiling.mul_f64(jitter.clamp(0.0, 1.0))
}
