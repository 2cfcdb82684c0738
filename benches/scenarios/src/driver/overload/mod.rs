//! Twice the load that can be sustained, and back: what is lost (nothing may be), what it costs in memory and goodput, how
//! refusals come, and how long it takes until all is as before.
//!
//! A case goes through five phases: search (what rate is kept up with), normal (half of it), overload (twice of it),
//! return (half again, until backlog and latency are gone), and rest (nothing more, until every promise is kept).

pub mod phases;
pub mod report;
pub mod search;
pub mod world;

use std::path::PathBuf;
use std::time::Duration;

use crate::Failure;
use report::Report;
use world::World;

/// Where events come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingress {
    /// One event a request.
    Http,
    /// A topic of four partitions.
    Kafka,
    /// A queue of Artemis.
    Amqp,
    /// A topic of Mosquitto.
    Mqtt,
}

/// What is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The destination, which answers so many a second.
    Destination,
    /// The router's own CPU: one worker, and a table of costly routes.
    Cpu,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where events come in.
    pub ingress: Ingress,
    /// What is too slow.
    pub limit: Limit,
    /// `limits.memory`.
    pub memory_mib: u64,
    /// How long the overload lasts.
    pub seconds: usize,
    /// What the slow destination answers in a second.
    pub capacity: usize,
    /// The router's binary.
    pub weft: PathBuf,
}

impl Case {
    /// About how long it takes.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let backlog = if self.ingress == Ingress::Http {
            0
        } else {
            2 * self.seconds
        };
        let search = 12 * (search::probe_seconds(self.seconds) + 3);
        Duration::from_secs((search + phases::NORMAL + self.seconds + backlog + 30) as u64)
    }

    /// Runs it.
    ///
    /// # Errors
    /// A process failed, or the overload did not happen.
    pub fn run(&self) -> Result<Report, Failure> {
        let world = World::start(self)?;
        let found = search::search(&world, self)?;
        phases::run(&world, self, found)
    }
}
