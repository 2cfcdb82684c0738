//! What a taking link holds: every message from its delivery on until it is removed or given back.
//!
//! Invariants: a place is removed once; what was removed counts as unsure until the broker has answered something that was said
//! after it.

use weft_amqp_wire::performative::DeliveryState;

use crate::client::wire::Wire;
use crate::ingress::ledger::Ledger;

/// See the module.
#[derive(Default)]
pub(super) struct Pile {
    ledger: Ledger,
    /// Neighbours that wait to be settled by one frame.
    run: Option<(u32, u32)>,
    held: u64,
    removed: u64,
    /// Removed when the last step was begun.
    said: u64,
    /// Removed, and the broker has read so.
    sure: u64,
}

impl Pile {
    /// A message came; it has the next place.
    pub(super) fn came(&mut self, delivery: Option<u32>) {
        self.held += u64::from(delivery.is_some());
        self.ledger.delivered(delivery);
    }

    /// The message at this place leaves.
    pub(super) fn remove(&mut self, wire: &mut Wire, place: u64) {
        let mut gone = None;
        self.ledger
            .settled(place, place, |delivery, _| gone = Some(delivery));
        let Some(delivery) = gone else { return };
        self.held -= 1;
        self.removed += 1;
        match &mut self.run {
            Some((_, last)) if last.wrapping_add(1) == delivery => *last = delivery,
            _ => {
                self.flush(wire);
                self.run = Some((delivery, delivery));
            }
        }
    }

    /// Hands over what waits.
    pub(super) fn flush(&mut self, wire: &mut Wire) {
        if let Some((first, last)) = self.run.take() {
            wire.settle(first, last, DeliveryState::Accepted);
        }
    }

    /// A step is begun, after all that was removed has been handed over.
    pub(super) fn asks(&mut self) {
        self.said = self.removed;
    }

    /// The step is over: the broker has read what was said before it.
    pub(super) fn answered(&mut self) {
        self.sure = self.said;
    }

    /// Gives back all that is held.
    pub(super) fn release(&mut self, wire: &mut Wire) {
        self.flush(wire);
        self.ledger
            .give_up(|first, last| wire.settle(first, last, DeliveryState::Released));
        self.held = 0;
    }

    /// How many are held.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// How many were removed, and may be there still.
    pub(super) fn unsure(&self) -> u64 {
        self.removed - self.sure
    }
}
