//! What a store says of itself as a whole: what a start found in it, and what is left of its room.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use weft_store::Store;

use super::{Storage, asked};
use crate::delivery::leg::Leg;
use crate::delivery::stored::Kind;
use crate::metrics::StoreMetrics;
use crate::topology::spec::Spec;

/// A store on the board.
pub struct StoreView {
    store: Arc<Store<Leg>>,
    metrics: StoreMetrics,
}

impl StoreView {
    /// Brings its gauges up to date, for a scrape. Asks the disk.
    pub fn publish(&self) {
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.left.set(gauge(self.store.left()));
        // A disk that does not say is as good as full.
        let disk_left = self.store.disk_left().unwrap_or(0);
        self.metrics.disk_left.set(gauge(disk_left));
    }
}

impl Storage {
    /// For the board.
    pub(crate) fn view(&self) -> StoreView {
        StoreView {
            store: Arc::clone(&self.store),
            metrics: self.metrics.store(),
        }
    }

    /// Logs that `spec` does not ask for, and how much is in each that has something: that is delivered first.
    pub(crate) fn delivered_first(&self, spec: &Spec) -> Vec<(String, u64)> {
        let asked: HashSet<_> = asked(spec).into_iter().map(|(name, ..)| name).collect();
        let mut ending = Vec::new();
        for queue in self.queues() {
            let is_delivered = queue.kind == Kind::Backlog && !queue.is_orphan();
            if is_delivered && !asked.contains(&queue.name) && queue.pending() > 0 {
                ending.push((queue.name.to_string(), queue.pending()));
            }
        }
        ending
    }

    /// Tells what a start has found, and how long it took.
    pub(super) fn tell_what_was_found(&self, took: Duration) {
        let (mut events, mut bytes) = (0, 0);
        for queue in self.queues() {
            let holding = queue.log.holding();
            events += holding.open;
            bytes += holding.bytes + holding.retained;
            if holding.open > 0 {
                tracing::info!(log = %queue.name, events = holding.open, bytes = holding.bytes, "the log holds events");
            }
        }
        let (path, logs) = (self.spec.path.display(), self.logs.len());
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%path, logs, events, bytes, took_ms, "the store is open");
    }
}
