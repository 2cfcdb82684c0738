//! What the router gave and has not got back: batches, and the tickets by which a remote's answers find their events.
//!
//! For an egress with many events unconfirmed at a time. A ticket is two small numbers, so that an event on its way costs
//! no allocation.
//! Invariants: each event is settled at most once; confirmations are passed on in one call a batch; an event that comes
//! again takes back with it what was not handed on and may not pass it (C20); whatever is left when this is dropped comes
//! back as unknown.
//! Must not know: a protocol, why an event failed.

use std::time::Instant;

use super::{Batch, Line};
use crate::event::Event;
use crate::outcome::SendError;

#[cfg(test)]
mod tests;

/// One event of one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    slot: u32,
    index: u32,
}

impl Ticket {
    /// As one number, for a client library that carries one.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.slot) << 32 | u64::from(self.index)
    }

    /// From [`Ticket::to_bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Ticket {
        // The shift and the mask make both conversions exact.
        Ticket {
            slot: (bits >> 32) as u32,
            index: (bits & 0xffff_ffff) as u32,
        }
    }
}

/// A batch that is not settled.
struct Flight {
    batch: Batch,
    /// How many of its events have been handed on or refused: the others are certainly not delivered.
    handed: u32,
    /// When the first was handed on.
    since: Instant,
    /// Confirmed, not passed on yet.
    confirmed: Vec<u32>,
    /// Given back before they were handed on, in descending order.
    recalled: Vec<u32>,
}

impl Flight {
    /// The next one is done with; those after it that were given back are passed over.
    fn step(&mut self) {
        self.handed += 1;
        while self.recalled.pop_if(|index| *index == self.handed).is_some() {
            self.handed += 1;
        }
    }

    /// Gives back what is left of a line and was not handed on.
    fn recall(&mut self, line: Line, unsent: u32) {
        let recalled = self.batch.recall(line, unsent);
        self.recalled.extend(recalled);
        self.recalled.sort_unstable_by(|a, b| b.cmp(a));
        while self.recalled.pop_if(|index| *index == self.handed).is_some() {
            self.handed += 1;
        }
    }
}

/// The batches on their way.
#[derive(Default)]
pub struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// Slots with something in `confirmed`.
    touched: Vec<u32>,
    spare: Vec<Vec<u32>>,
}

impl Flights {
    /// Takes a batch. Returns its slot, which is used again once the batch is settled.
    pub fn begin(&mut self, batch: Batch) -> u32 {
        let flight = Some(Flight {
            batch,
            handed: 0,
            since: Instant::now(),
            confirmed: self.spare.pop().unwrap_or_default(),
            recalled: Vec::new(),
        });
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = flight;
                slot
            }
            None => {
                self.slots.push(flight);
                u32::try_from(self.slots.len() - 1).expect("in_flight bounds the batches far below 2^32")
            }
        };
        self.forget_if_settled(slot);
        slot
    }

    /// The next event of `slot` that has been neither handed on nor refused.
    #[must_use]
    pub fn next(&self, slot: u32) -> Option<(Ticket, &Event)> {
        let flight = self.slots.get(slot as usize)?.as_ref()?;
        let index = flight.handed;
        let event = flight.batch.events().get(index as usize)?;
        Some((Ticket { slot, index }, event))
    }

    /// The next event of `slot` is handed on: its fate is told by its ticket.
    pub fn handed(&mut self, slot: u32) {
        if let Some(flight) = self.get(slot) {
            if flight.handed == 0 {
                flight.since = Instant::now();
            }
            flight.step();
        }
    }

    /// The next event of `slot` is not even handed on. If it comes again, what may not pass it is given back, too.
    pub fn refused(&mut self, slot: u32, error: SendError) {
        if let Some(flight) = self.get(slot) {
            let line = flight.batch.refuse(flight.handed, error);
            flight.step();
            self.forget_if_settled(slot);
            self.recall(line);
        }
    }

    /// What is left of `slot` is not handed on, for one and the same reason.
    pub fn refused_rest(&mut self, slot: u32, error: &SendError) {
        // Nothing of it is sent, so that there is nothing to recall.
        while let Some((ticket, _)) = self.next(slot) {
            if let Some(flight) = self.get(slot) {
                flight.batch.fail(ticket.index, error.clone());
                flight.step();
            }
            self.forget_if_settled(slot);
        }
    }

    /// The event of a ticket, until its batch is settled.
    #[must_use]
    pub fn event(&self, ticket: Ticket) -> Option<&Event> {
        let flight = self.slots.get(ticket.slot as usize)?.as_ref()?;
        flight.batch.events().get(ticket.index as usize)
    }

    /// It was delivered; passed on by [`Flights::settle`].
    pub fn confirmed(&mut self, ticket: Ticket) {
        if let Some(flight) = self.get(ticket.slot) {
            flight.confirmed.push(ticket.index);
            if flight.confirmed.len() == 1 {
                self.touched.push(ticket.slot);
            }
        }
    }

    /// It was not delivered. If it comes again, what was not handed on and may not pass it is given back, too.
    pub fn failed(&mut self, ticket: Ticket, error: SendError) {
        if let Some(flight) = self.get(ticket.slot) {
            let line = flight.batch.refuse(ticket.index, error);
            self.forget_if_settled(ticket.slot);
            self.recall(line);
        }
    }

    /// Passes on what was confirmed, one call a batch.
    pub fn settle(&mut self) {
        while let Some(slot) = self.touched.pop() {
            if let Some(flight) = self.get(slot) {
                flight.batch.accept(&flight.confirmed);
                flight.confirmed.clear();
            }
            self.forget_if_settled(slot);
        }
    }

    /// Fails everything: what was handed on with `handed`, the rest with `kept`.
    pub fn fail_all(&mut self, handed: &SendError, kept: &SendError) {
        self.settle();
        for mut flight in std::mem::take(&mut self.slots).into_iter().flatten() {
            for index in 0..u32::try_from(flight.batch.events().len()).unwrap_or(u32::MAX) {
                let error = if index < flight.handed { handed } else { kept };
                flight.batch.fail(index, error.clone());
            }
        }
        self.free.clear();
    }

    /// When the oldest batch with anything handed on began to be.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        let under_way = self.slots.iter().flatten().filter(|flight| flight.handed > 0);
        under_way.map(|flight| flight.since).min()
    }

    /// Whether the router has everything back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    fn recall(&mut self, line: Option<Line>) {
        let Some(line) = line else { return };
        for slot in 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX) {
            if let Some(flight) = self.get(slot)
                && (flight.handed as usize) < flight.batch.events().len()
            {
                flight.recall(line, flight.handed);
                self.forget_if_settled(slot);
            }
        }
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
            self.spare.push(flight.confirmed);
            self.free.push(slot);
        }
    }
}
