//! What `/status` and `/routes` show, and `weft status` reads back: the wire types.
//!
//! Owns the JSON's shape; fields are added, never renamed. Totals, not rates: whoever wants a rate takes two snapshots
//! and divides by the difference of `uptime_s`. Ages are seconds, so that no clocks need agree.

use serde::{Deserialize, Serialize};
use weft_api::status::Health;

/// The whole router at one instant.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// `node.name`.
    pub node: String,
    /// `node.cluster`.
    pub cluster: String,
    /// Weft's version.
    pub version: String,
    /// Seconds since the process started.
    pub uptime_s: f64,
    /// What `/readyz` says.
    pub ready: bool,
    /// The byte budget for events, and what of it is taken.
    pub memory: Memory,
    /// In the order of the file.
    pub ingress: Vec<IngressStatus>,
    /// In the order of the file.
    pub destinations: Vec<DestinationStatus>,
    /// The logs of the store, by name; none where there is no store.
    #[serde(default)]
    pub logs: Vec<LogStatus>,
}

/// The byte budget.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Taken.
    pub used_bytes: u64,
    /// All of it.
    pub budget_bytes: u64,
}

/// Where a connector stands with its remote.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum HealthStatus {
    /// Not tried yet.
    #[default]
    Starting,
    /// Listening or connected.
    Ready,
    /// Waiting for something outside.
    Waiting {
        /// For what, and what is tried ("kafka:9093: connection refused").
        on: String,
    },
}

impl From<&Health> for HealthStatus {
    fn from(health: &Health) -> HealthStatus {
        match health {
            Health::Starting => HealthStatus::Starting,
            Health::Ready => HealthStatus::Ready,
            Health::Waiting(on) => HealthStatus::Waiting { on: on.clone() },
        }
    }
}

/// The last thing that went wrong; stays after it was mended, so its age matters.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LastError {
    /// One line.
    pub line: String,
    /// Seconds since.
    pub age_s: f64,
}

/// One ingress.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct IngressStatus {
    /// Its name in the file.
    pub name: String,
    /// Its connector (`kafka`).
    pub kind: String,
    /// Where it takes messages from.
    pub address: String,
    /// Where it stands.
    pub health: HealthStatus,
    /// Events admitted since the start.
    pub events_total: u64,
    /// Messages that the remote still holds for us, where that can be known.
    pub lag: Option<u64>,
    /// Age of the oldest event that is not settled; 0 when there is none.
    pub oldest_s: f64,
    /// Events admitted and not settled.
    pub unsettled: u64,
    /// Lanes that stand still behind a refusal.
    pub held_lanes: u64,
    /// The last thing that went wrong.
    pub last_error: Option<LastError>,
}

/// One destination.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct DestinationStatus {
    /// Its name in the file.
    pub name: String,
    /// Its connector (`kafka`), or the plan that it stands for (`anycast`).
    pub kind: String,
    /// Where it delivers to; for a plan, its members.
    pub address: String,
    /// Where it stands.
    pub health: HealthStatus,
    /// Events that the remote confirmed since the start.
    pub delivered_total: u64,
    /// Events that wait or are in flight.
    pub pending_events: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Age of the oldest of them; 0 when there is none.
    pub oldest_s: f64,
    /// Events handed to the connector and not confirmed.
    pub in_flight: u64,
    /// Its breaker.
    pub breaker: BreakerStatus,
    /// What else keeps it from sending: its `rate`, or, for some of its events, its `retry_budget`.
    #[serde(default)]
    pub held_back: Option<HeldBack>,
    /// The last thing that went wrong.
    pub last_error: Option<LastError>,
}

/// One log of the store.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LogStatus {
    /// The destination or group, or `local` for the dead letters.
    pub name: String,
    /// It holds this router's dead letters, which wait for a person.
    pub dead_letters: bool,
    /// The file does not have its destination: nobody delivers what is in it.
    #[serde(default)]
    pub orphaned: bool,
    /// Events in it.
    pub pending: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Events that wait in memory for room.
    pub waiting: u64,
    /// Age of the oldest event that was read from it and has not ended; 0 when there is none.
    pub oldest_s: f64,
    /// It has no room.
    pub full: bool,
    /// Why it takes nothing more before a restart.
    pub failed: Option<String>,
    /// Records that were found damaged since the start.
    pub damaged_total: u64,
}

/// A destination's breaker.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct BreakerStatus {
    /// Its state.
    pub state: BreakerState,
    /// Seconds until the next probe, while it is open.
    pub retry_in_s: Option<f64>,
}

/// Why a destination that is well sends nothing, or not all, right now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBack {
    /// Its rate is used up.
    Rate,
    /// Some events wait for the retry budget.
    RetryBudget,
}

/// The states of a breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Events flow.
    #[default]
    Closed,
    /// A single probe is under way.
    HalfOpen,
    /// The destination is left alone.
    Open,
}

impl BreakerState {
    /// The value of `weft_breaker_state`.
    #[must_use]
    pub fn as_gauge(self) -> i64 {
        match self {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        }
    }
}

/// One route.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RouteStatus {
    /// Its name in the file.
    pub name: String,
    /// The ingresses that it listens to; empty: all of this node.
    pub from: Vec<String>,
    /// Its filters as text; empty: every event.
    pub filters: String,
    /// Its plan as text.
    pub to: String,
    /// Whether it takes part.
    pub enabled: bool,
    /// Events that it matched since the start.
    pub matched_total: u64,
}
