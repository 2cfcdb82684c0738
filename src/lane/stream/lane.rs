//! One stream lane: its ledger, and how much it may take now.

use std::cell::Cell;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;
use weft_api::ingress::Credit;

use crate::delivery::budget::Budget;
use crate::delivery::origin::{LanePort, Port};
use crate::delivery::room::Place;
use crate::lane::ledger::Ledger;

pub(super) const NONE: Credit = Credit { events: 0, bytes: 0 };

pub(super) struct Lane {
    pub(super) shared: Arc<LanePort>,
    pub(super) ledger: Ledger,
    pub(super) in_order: bool,
    /// The epoch under which it was opened: ids from that one on are ids of this lane.
    pub(super) opened: u32,
    pub(super) window_bytes: u64,
    /// Places whose bounds this lane has reached; it has no credit while one of them is full.
    pub(super) full: SmallVec<[Place; 1]>,
    /// What its connector was told last, and whether it waits for more.
    pub(super) told: Cell<Told>,
    pub(super) rewind_at: Option<Instant>,
    pub(super) rewinds: u32,
}

/// What a connector knows of its lane's credit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// All that the window has room for: there is nothing to wait for.
    All,
    /// None, or less than the window has room for: it waits for more bytes than this.
    Bytes(u64),
    /// One event, since the lane is empty and the budget short of its window: with that one admitted there may be more.
    One,
}

impl Lane {
    /// It has reached the bounds of a place.
    pub(super) fn wait_for(&mut self, place: Place) {
        if !self.full.contains(&place) {
            self.full.push(place);
        }
    }

    /// What the connector hears, who is told when there is more.
    pub(super) fn tell_credit(&self, budget: &Budget, port: &Arc<Port>) -> Credit {
        let credit = self.credit(budget, port);
        let (events, room) = self.ledger.room();
        self.told.set(if credit.events == 0 {
            Told::Bytes(0)
        } else if u64::from(credit.events) < events {
            Told::One
        } else if credit.bytes < room {
            // Short of budget. Told again for every byte that is freed, the connector would do nothing else.
            Told::Bytes(credit.bytes.saturating_mul(2).min(room - 1))
        } else {
            Told::All
        });
        credit
    }

    /// Whether there is as much credit now as the connector waits for.
    pub(super) fn has_more(&self, budget: &Budget, port: &Arc<Port>) -> bool {
        let least = match self.told.get() {
            Told::All => return false,
            // It has not used it. Once it has, and the event is settled, that is what it hears of.
            Told::One if self.ledger.unsettled() == 0 => return false,
            Told::One => 0,
            Told::Bytes(least) => least,
        };
        let credit = self.credit(budget, port);
        let more = credit.events > 0 && credit.bytes > least;
        if more {
            self.told.set(Told::All);
        }
        more
    }

    fn credit(&self, budget: &Budget, port: &Arc<Port>) -> Credit {
        if self.rewind_at.is_some() || self.full.iter().any(Place::is_full) {
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
