//! Eight destinations, one of which stops answering: what the other seven lose by it.
//!
//! Senders offer the same rate to each flow, the one to the stalled destination from a thread of its own. A case goes
//! through three phases: before, stalled (from the first second on), after; then every promise must be kept.

pub mod report;
pub mod world;

use std::path::PathBuf;
use std::time::Duration;

use crate::Failure;
use report::Report;
use world::World;

/// How many flows and destinations there are.
pub const FLOWS: usize = 8;
/// The one that stalls.
pub const STALLED: usize = FLOWS - 1;

/// Seconds before.
const BEFORE: usize = 15;
/// Seconds after, the first of which the stalled destination needs for what waits.
const AFTER: usize = 15;
/// How long the last events may take: the breaker's longest wait, and a window of events at the slowest.
const REST: Duration = Duration::from_secs(180);

/// What feeds the destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// One HTTP ingress, a route by type for each.
    Http,
    /// Eight Kafka ingresses with a topic of one partition each.
    Kafka,
    /// One Kafka ingress with eight topics of one partition each.
    KafkaTopics,
    /// Eight MQTT ingresses with a session each.
    Mqtt,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// What feeds the destinations.
    pub feed: Feed,
    /// `limits.memory`.
    pub memory_mib: u64,
    /// Bytes of each event's data.
    pub event_bytes: usize,
    /// Events a second for each flow.
    pub rate: usize,
    /// How long the stall lasts.
    pub seconds: usize,
    /// The router's binary.
    pub weft: PathBuf,
}

impl Case {
    /// About how long it takes.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs((BEFORE + self.seconds + AFTER + 40) as u64)
    }

    /// Runs it.
    ///
    /// # Errors
    /// A process failed, or the stall did not happen.
    pub fn run(&self) -> Result<Report, Failure> {
        let world = World::start(self)?;
        world.stage.pace.set(self.rate as f64);
        let before = world.stage.next_second();
        let stall = before + BEFORE;
        world.stage.wait_for(stall);
        world.swallow(true);
        let heal = stall + self.seconds;
        world.stage.wait_for(heal);
        let peaks = world.stage.watch.take();
        world.swallow(false);
        world.stage.wait_for(heal + AFTER);
        world.stage.rest(REST)?;
        let report = Report {
            case: self.clone(),
            before: world.flows(before..stall),
            during: world.flows(stall..heal),
            after: world.flows(heal + 1..heal + AFTER),
            second_by_second: (0..FLOWS)
                .map(|flow| world.stage.books.seconds(flow, stall..heal))
                .collect(),
            totals: world.stage.books.totals(),
            peak_mib: world.stage.memory()?.peak,
            peaks,
        };
        report.valid()?;
        Ok(report)
    }
}
