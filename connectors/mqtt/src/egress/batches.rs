//! The batches that are not settled, and the tickets by which confirmations find their events.
//!
//! Invariants: an event is settled once; what is left when this is dropped comes back as unknown; confirmations are passed on in one
//! call a batch.
//! Does not know: packets, or why an event failed.

use tokio::time::Instant;
use weft_api::egress::Batch;
use weft_api::event::Event;
use weft_api::outcome::SendError;

use super::outbox::Ticket;

struct Flight {
    batch: Batch,
    /// How many of its events have been sent or refused: the others are certainly not delivered.
    handed: u32,
    since: Instant,
    confirmed: Vec<u32>,
}

#[derive(Default)]
pub(super) struct Batches {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// Slots with something in `confirmed`.
    touched: Vec<u32>,
    spare: Vec<Vec<u32>>,
}

impl Batches {
    /// Takes a batch. Returns its slot.
    pub(super) fn begin(&mut self, batch: Batch) -> u32 {
        let flight = Some(Flight {
            batch,
            handed: 0,
            since: Instant::now(),
            confirmed: self.spare.pop().unwrap_or_default(),
        });
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.slots.get_mut(slot as usize)
        {
            *place = flight;
            return slot;
        }
        self.slots.push(flight);
        u32::try_from(self.slots.len() - 1).expect("in_flight bounds the batches far below 2^32")
    }

    /// The next event of `slot` that has been neither sent nor refused.
    pub(super) fn next(&self, slot: u32) -> Option<(Ticket, &Event)> {
        let flight = self.slots.get(slot as usize)?.as_ref()?;
        let index = flight.handed;
        let event = flight.batch.events().get(index as usize)?;
        Some((Ticket { slot, index }, event))
    }

    /// The next event of `slot` is sent.
    pub(super) fn handed(&mut self, slot: u32) {
        if let Some(flight) = self.get(slot) {
            flight.handed += 1;
        }
    }

    /// The next event of `slot` is not even sent.
    pub(super) fn refused(&mut self, slot: u32, error: SendError) {
        if let Some(flight) = self.get(slot) {
            let index = flight.handed;
            flight.handed += 1;
            self.failed(Ticket { slot, index }, error);
        }
    }

    /// What is left of `slot` is not sent, for one and the same reason.
    pub(super) fn refused_rest(&mut self, slot: u32, error: &SendError) {
        while self.next(slot).is_some() {
            self.refused(slot, error.clone());
        }
    }

    /// When the batch in `slot` came.
    pub(super) fn since(&self, slot: u32) -> Option<Instant> {
        Some(self.slots.get(slot as usize)?.as_ref()?.since)
    }

    /// The event of a ticket.
    pub(super) fn event(&self, ticket: Ticket) -> Option<&Event> {
        let flight = self.slots.get(ticket.slot as usize)?.as_ref()?;
        flight.batch.events().get(ticket.index as usize)
    }

    /// It was delivered; passed on by [`Batches::settle`].
    pub(super) fn confirmed(&mut self, ticket: Ticket) {
        if let Some(flight) = self.get(ticket.slot) {
            flight.confirmed.push(ticket.index);
            if flight.confirmed.len() == 1 {
                self.touched.push(ticket.slot);
            }
        }
    }

    /// It was not delivered.
    pub(super) fn failed(&mut self, ticket: Ticket, error: SendError) {
        if let Some(flight) = self.get(ticket.slot) {
            flight.batch.fail(ticket.index, error);
            self.forget_if_settled(ticket.slot);
        }
    }

    /// Passes on what was confirmed.
    pub(super) fn settle(&mut self) {
        while let Some(slot) = self.touched.pop() {
            if let Some(flight) = self.get(slot) {
                flight.batch.accept(&flight.confirmed);
                flight.confirmed.clear();
            }
            self.forget_if_settled(slot);
        }
    }

    /// Whether nothing is unsettled.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    fn get(&mut self, slot: u32) -> Option<&mut Flight> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn forget_if_settled(&mut self, slot: u32) {
        let Some(place) = self.slots.get_mut(slot as usize) else {
            return;
        };
        if place.as_ref().is_some_and(|flight| flight.batch.unsettled() == 0)
            && let Some(mut flight) = place.take()
        {
            flight.confirmed.clear();
            self.spare.push(std::mem::take(&mut flight.confirmed));
            self.free.push(slot);
        }
    }
}
