//! One stream lane: its ledger, and how much it may take now.

use std::cell::Cell;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;
use weft_api::ingress::Credit;

use crate::delivery::budget::Budget;
use crate::delivery::destination::Destination;
use crate::delivery::origin::{LanePort, Port};
use crate::lane::ledger::Ledger;

pub(super) const NONE: Credit = Credit { events: 0, bytes: 0 };

pub(super) struct Lane {
    pub(super) shared: Arc<LanePort>,
    pub(super) ledger: Ledger,
    pub(super) in_order: bool,
    /// The epoch under which it was opened: ids from that one on are ids of this lane.
    pub(super) opened: u32,
    pub(super) window_bytes: u64,
    /// Destinations whose bounds this lane has reached; it has no credit while one of them is full.
    pub(super) full: SmallVec<[Arc<Destination>; 1]>,
    /// It was told that it has no credit, or less than its window has room for, and wants to hear of more than this.
    pub(super) wants_more_than: Cell<Option<u64>>,
    pub(super) rewind_at: Option<Instant>,
    pub(super) rewinds: u32,
}

impl Lane {
    /// What the connector hears, who is told when there is more.
    pub(super) fn tell_credit(&self, budget: &Budget, port: &Arc<Port>) -> Credit {
        let credit = self.credit(budget, port);
        let room = self.ledger.room().1;
        self.wants_more_than.set(if credit.events == 0 {
            Some(0)
        } else if credit.bytes < room {
            // Short of budget. Told again for every byte that is freed, the connector would do nothing else.
            Some(credit.bytes.saturating_mul(2).min(room - 1))
        } else {
            None
        });
        credit
    }

    /// Whether there is as much credit now as the connector waits for.
    pub(super) fn has_more(&self, budget: &Budget, port: &Arc<Port>) -> bool {
        let Some(told) = self.wants_more_than.get() else {
            return false;
        };
        let credit = self.credit(budget, port);
        let more = credit.events > 0 && credit.bytes > told;
        if more {
            self.wants_more_than.set(None);
        }
        more
    }

    fn credit(&self, budget: &Budget, port: &Arc<Port>) -> Credit {
        if self.rewind_at.is_some() || self.full.iter().any(|destination| destination.is_full()) {
            return NONE;
        }
        let (events, room) = self.ledger.room();
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        if events == 0 || room == 0 {
            return NONE;
        }
        let bytes = budget.share_or_wait(self.ledger.bytes(), room, port);
        if self.ledger.unsettled() == 0 && bytes < room {
            // It may always move one event, whatever its size; with a whole window each, many lanes together would
            // make nothing of the budget.
            return Credit {
                events: 1,
                bytes: self.window_bytes,
            };
        }
        if bytes == 0 {
            NONE
        } else {
            Credit { events, bytes }
        }
    }
}
