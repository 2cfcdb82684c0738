//! What the file says about a destination, as far as delivery cares.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::BreakerSettings;
use super::dedupe::DedupeSettings;
use super::rate::Rate;
use super::retry_budget::RetryBudget;
use crate::routing::plan::KeyRule;

/// One destination's settings.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    /// What orders its events.
    pub order_by: KeyRule,
    /// How it retries.
    pub retry: Retry,
    /// How much may wait for it or be on its way to it.
    pub queue: Bounds,
    /// How it batches.
    pub batch: Batching,
    /// When it stops sending.
    pub breaker: BreakerSettings,
    /// How fast it is sent to; `None`: as fast as it takes events.
    pub rate: Option<Rate>,
    /// Which repetitions are not sent; `None`: all are.
    pub dedupe: Option<DedupeSettings>,
    /// It is a log that routers share, in front of this destination or group: what it confirms is stored, not delivered
    /// ([`super::shared`]).
    pub shared_log: Option<Arc<str>>,
}

/// How a destination retries (C23).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Retry {
    /// Failures of the event's own, after which it is refused for good; at least 1.
    pub attempts: u32,
    /// The first wait's upper bound.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// How long an event waits for a destination that is down before it counts as refused; `None`: it waits.
    pub unavailable: Option<Duration>,
    /// How many attempts may be second ones while the breaker is closed; `None`: all.
    pub budget: Option<RetryBudget>,
}

/// Bounds on what is pending. An individual lane's event that would pass them is refused at once; an in-order lane
/// waits once they are reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// In events.
    pub events: u64,
    /// In bytes.
    pub bytes: u64,
}

/// How a destination batches, within what its egress can take.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Batching {
    /// Most events; `None`: what the egress takes.
    pub events: Option<u32>,
    /// Most bytes; `None`: what the egress takes.
    pub bytes: Option<u64>,
    /// How long a batch that is not full waits for more.
    pub linger: Duration,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts: 8,
            initial: Duration::from_millis(100),
            max: Duration::from_secs(30),
            unavailable: None,
            budget: Some(RetryBudget::default()),
        }
    }
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            events: 10_000,
            bytes: 32 * 1024 * 1024,
        }
    }
}
