//! What the router gave and has not got back: batches, and the tickets by which a remote's answers find their events.
//!
//! For an egress with many events unconfirmed at a time. A ticket is two small numbers, so that an event on its way costs
//! no allocation.
//! Invariants: each event is settled at most once; confirmations are passed on in one call a batch; whatever is left when
//! this is dropped comes back as unknown.
//! Must not know: a protocol, why an event failed.

use std::time::Instant;

use super::Batch;
use crate::event::Event;
use crate::outcome::SendError;

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
            flight.handed += 1;
        }
    }

    /// The next event of `slot` is not even handed on.
    pub fn refused(&mut self, slot: u32, error: SendError) {
        if let Some(flight) = self.get(slot) {
            flight.batch.fail(flight.handed, error);
            flight.handed += 1;
            self.forget_if_settled(slot);
        }
    }

    /// What is left of `slot` is not handed on, for one and the same reason.
    pub fn refused_rest(&mut self, slot: u32, error: &SendError) {
        while self.next(slot).is_some() {
            self.refused(slot, error.clone());
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

    /// It was not delivered.
    pub fn failed(&mut self, ticket: Ticket, error: SendError) {
        if let Some(flight) = self.get(ticket.slot) {
            flight.batch.fail(ticket.index, error);
            self.forget_if_settled(ticket.slot);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use crate::egress::BatchSink;
    use crate::event::EventBuilder;
    use crate::outcome::Reason;

    use super::*;

    /// Says what it was told; like the router's, it settles each index once.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<String>>>, std::collections::HashSet<u32>);

    impl BatchSink for Sink {
        fn accept(&mut self, indices: &[u32]) -> usize {
            self.0.lock().unwrap().push(format!("accept {indices:?}"));
            indices.iter().filter(|index| self.1.insert(**index)).count()
        }
        fn accept_rest(&mut self) {}
        fn fail(&mut self, index: u32, _: &[Event], error: SendError) -> usize {
            if !self.1.insert(index) {
                return 0;
            }
            self.0
                .lock()
                .unwrap()
                .push(format!("fail {index} {}", error.reason));
            1
        }
        fn abandon(&mut self, _: &[Event]) {
            self.0.lock().unwrap().push("gone".into());
        }
    }

    fn batch(count: usize) -> (Batch, Sink) {
        let mut builder = EventBuilder::new();
        let events = (0..count).map(|i| builder.id(&i.to_string()).source("/s").ty("t").build().unwrap());
        let sink = Sink::default();
        (Batch::new(events.collect(), Box::new(sink.clone())), sink)
    }

    fn error(reason: Reason) -> SendError {
        SendError::destination(reason, "x")
    }

    #[test]
    fn confirmations_are_passed_on_in_one_call_a_batch() {
        let mut flights = Flights::default();
        let ((a, heard_a), (b, heard_b)) = (batch(3), batch(2));
        let (a, b) = (flights.begin(a), flights.begin(b));
        for (slot, count) in [(a, 3), (b, 2)] {
            (0..count).for_each(|_| flights.handed(slot));
        }
        for (slot, index) in [(a, 1), (b, 0), (a, 0), (b, 1)] {
            flights.confirmed(Ticket { slot, index });
        }
        flights.settle();
        assert_eq!(*heard_a.0.lock().unwrap(), ["accept [1, 0]"]);
        assert_eq!(*heard_b.0.lock().unwrap(), ["accept [0, 1]", "gone"]);
        flights.confirmed(Ticket { slot: a, index: 2 });
        flights.settle();
        assert!(flights.is_empty());
    }

    #[test]
    fn a_slot_is_used_again_only_when_its_batch_is_settled() {
        let mut flights = Flights::default();
        let first = flights.begin(batch(1).0);
        let second = flights.begin(batch(1).0);
        assert_ne!(first, second);
        flights.handed(first);
        flights.failed(
            Ticket {
                slot: first,
                index: 0,
            },
            error(Reason::Reset),
        );
        assert_eq!(flights.begin(batch(1).0), first);
        assert!(!flights.is_empty());
    }

    #[test]
    fn what_was_not_handed_over_is_told_apart_when_all_fails() {
        let mut flights = Flights::default();
        let (batch, heard) = batch(3);
        let slot = flights.begin(batch);
        assert!(flights.oldest().is_none());
        flights.handed(slot);
        flights.handed(slot);
        flights.confirmed(Ticket { slot, index: 0 });
        assert!(flights.oldest().is_some());
        flights.fail_all(&error(Reason::Timeout), &error(Reason::Unavailable));
        let heard = heard.0.lock().unwrap();
        assert_eq!(
            *heard,
            ["accept [0]", "fail 1 timeout", "fail 2 unavailable", "gone"]
        );
        assert!(flights.is_empty());
    }

    #[test]
    fn events_refused_on_the_way_keep_the_others_going() {
        let mut flights = Flights::default();
        let (batch, heard) = batch(2);
        let slot = flights.begin(batch);
        flights.refused(slot, error(Reason::Address));
        assert_eq!(flights.next(slot).map(|(ticket, _)| ticket.index), Some(1));
        flights.refused_rest(slot, &error(Reason::Misconfigured));
        assert!(flights.next(slot).is_none());
        assert!(flights.is_empty());
        assert_eq!(
            *heard.0.lock().unwrap(),
            ["fail 0 address", "fail 1 misconfigured", "gone"]
        );
    }

    #[test]
    fn a_ticket_is_one_number_and_back() {
        for (slot, index) in [(0, 0), (1, u32::MAX), (u32::MAX, 7)] {
            let ticket = Ticket { slot, index };
            assert_eq!(Ticket::from_bits(ticket.to_bits()), ticket);
        }
    }

    #[test]
    fn a_batch_without_events_is_settled_at_once() {
        let mut flights = Flights::default();
        let slot = flights.begin(batch(0).0);
        assert!(flights.next(slot).is_none() && flights.is_empty());
    }
}
