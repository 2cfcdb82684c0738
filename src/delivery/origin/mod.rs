//! Where a leg's end is reported: a slot of a lane (of an ingress or of a log), a waiting request, or the join of a
//! multicast inside another plan.

mod join;
mod slot;
mod ticket;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::delivery::leg::Duty;

pub use join::Join;
pub use slot::{Claim, LanePort, Mailbox, Port, Settled};
pub use ticket::{Charge, Ticket};

/// One of the three.
pub enum Origin {
    /// A slot of a stream lane, in one life of that lane.
    Slot {
        /// The lane.
        lane: Arc<LanePort>,
        /// The life.
        epoch: u32,
        /// The slot.
        seq: u64,
    },
    /// A request that waits for its answer.
    Ticket(Arc<Ticket>),
    /// A branch of a nested multicast.
    Join(Arc<Join>),
}

/// What may be done with an event that nobody will ever take and for which there is no dead letter (C17).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastResort {
    /// Keep it, try now and then, alarm: an in-order lane under `on_rejected: pause`.
    Hold,
    /// Drop and count it: `on_rejected: drop`.
    Drop,
    /// Tell the sender: requests, and lanes that settle one by one.
    Return,
}

impl Origin {
    /// Whether a request stands behind it.
    #[must_use]
    pub fn is_request(&self) -> bool {
        match self {
            Origin::Slot { .. } => false,
            Origin::Ticket(_) => true,
            Origin::Join(join) => join.with_parent(Duty::is_request).unwrap_or(false),
        }
    }

    /// Whether a log stands behind it.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        match self {
            Origin::Slot { lane, .. } => lane.port.is_log,
            Origin::Ticket(_) => false,
            Origin::Join(join) => join.with_parent(Duty::is_stored).unwrap_or(false),
        }
    }

    /// Whether a replay stands behind it: [`Port::keeps`].
    #[must_use]
    pub fn keeps(&self) -> bool {
        match self {
            Origin::Slot { lane, .. } => lane.port.keeps,
            Origin::Ticket(_) => false,
            Origin::Join(join) => join
                .with_parent(|parent| parent.origin().is_some_and(Origin::keeps))
                .unwrap_or(false),
        }
    }

    /// The stream lane that stands behind it.
    #[must_use]
    pub fn lane(&self) -> Option<Arc<LanePort>> {
        match self {
            Origin::Slot { lane, .. } => Some(Arc::clone(lane)),
            Origin::Ticket(_) => None,
            Origin::Join(join) => join
                .with_parent(|parent| parent.origin().and_then(Origin::lane))
                .flatten(),
        }
    }

    /// Nobody waits for this leg any more.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match self {
            Origin::Slot { lane, epoch, .. } => lane.epoch() != *epoch,
            Origin::Ticket(ticket) => ticket.is_closed(),
            Origin::Join(join) => join.is_stale(),
        }
    }

    /// What to do with a refused event when there is no dead letter.
    #[must_use]
    pub fn last_resort(&self) -> LastResort {
        match self {
            Origin::Slot { lane, .. } => lane.last_resort(),
            Origin::Ticket(ticket) if ticket.port().drops_rejected() => LastResort::Drop,
            Origin::Ticket(_) => LastResort::Return,
            Origin::Join(join) => join
                .with_parent(|parent| parent.origin().map(Origin::last_resort))
                .flatten()
                .unwrap_or(LastResort::Return),
        }
    }

    /// Marks the leg as handed to an egress. `false`: its request was answered in the meantime, do not send it.
    pub(super) fn dispatch(&self) -> bool {
        match self {
            Origin::Slot { lane, epoch, .. } => lane.epoch() == *epoch,
            Origin::Ticket(ticket) => ticket.dispatch(),
            Origin::Join(join) => join.dispatch(),
        }
    }

    /// Takes [`Origin::dispatch`] back: the egress certainly did not deliver the leg.
    pub(super) fn recall(&self) {
        match self {
            Origin::Slot { .. } => {}
            Origin::Ticket(ticket) => ticket.recall(),
            Origin::Join(join) => join.recall(),
        }
    }
}
