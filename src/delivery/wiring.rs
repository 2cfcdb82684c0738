//! One immutable wiring of routes to living destinations and logs. A reload makes a new one; legs keep the one that matched
//! them, so that each event sees the old or the new table, never a mix (C30).

use std::sync::Arc;

use super::destination::Destination;
use super::stored::DurableQueue;
use crate::routing::plan::{DestId, LogId, LogView, View};
use crate::routing::table::Table;

/// The table and its destinations.
pub struct Wiring {
    /// Routes, plans and their index.
    pub table: Table,
    /// By [`DestId`].
    pub destinations: Vec<Arc<Destination>>,
    /// By [`LogId`].
    pub logs: Vec<Arc<DurableQueue>>,
    /// Counts the matches of each route, by its place in the table.
    pub matched: Vec<prometheus::IntCounter>,
}

impl Wiring {
    /// The destination with this id.
    #[must_use]
    pub fn destination(&self, id: DestId) -> &Arc<Destination> {
        &self.destinations[usize::from(id.0)]
    }

    /// The log with this id.
    #[must_use]
    pub fn log(&self, id: LogId) -> &Arc<DurableQueue> {
        &self.logs[usize::from(id.0)]
    }

    /// The id of a log here.
    #[must_use]
    pub fn log_of(&self, queue: &Arc<DurableQueue>) -> Option<LogId> {
        let at = self.logs.iter().position(|known| Arc::ptr_eq(known, queue))?;
        u16::try_from(at).ok().map(LogId)
    }
}

impl View for Wiring {
    fn pending(&self, id: DestId) -> u64 {
        self.destination(id).pending_events()
    }

    fn available(&self, id: DestId) -> bool {
        self.destination(id).is_available()
    }

    fn log(&self, id: LogId) -> LogView {
        Wiring::log(self, id).view()
    }
}
