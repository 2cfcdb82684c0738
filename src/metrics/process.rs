//! What is counted for the process as a whole.

use std::time::Instant;

use prometheus::{Gauge, IntCounter, IntGauge};

use super::{Make, families};

/// The handles of the process.
pub struct ProcessMetrics {
    /// The byte budget for events.
    pub budget_bytes: IntGauge,
    /// What of it is taken.
    pub used_bytes: IntGauge,
    uptime: Gauge,
    started: Instant,
    reloads: [IntCounter; 3],
}

/// How a reload ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReloadResult {
    /// The new configuration runs.
    Applied,
    /// It says the same as the one that runs.
    Unchanged,
    /// It is invalid, or would lose what is pending: the old one goes on.
    Refused,
}

impl ProcessMetrics {
    pub(super) fn new(make: &Make<'_>) -> ProcessMetrics {
        let none: &[&str] = &[];
        let reloads = make.counters(&families::CONFIG_RELOADS);
        make.gauges(&families::BUILD_INFO)
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        ProcessMetrics {
            budget_bytes: make.gauges(&families::MEMORY_BUDGET).with_label_values(none),
            used_bytes: make.gauges(&families::MEMORY_USED).with_label_values(none),
            uptime: make.seconds(&families::UPTIME).with_label_values(none),
            started: Instant::now(),
            reloads: ["applied", "unchanged", "refused"].map(|word| reloads.with_label_values(&[word])),
        }
    }

    /// Counts a reload.
    pub fn reloaded(&self, result: ReloadResult) {
        self.reloads[result as usize].inc();
    }

    pub(super) fn refresh(&self) {
        self.uptime.set(self.started.elapsed().as_secs_f64());
    }
}
