//! What is on its way to the brokers: batches, and the tickets by which delivery reports find them.
//!
//! Owns: the batches that are not settled. A ticket is an integer that librdkafka carries with each record, so that a
//! record on its way costs no allocation.
//! Invariants: each ticket is answered at most once; whatever is left when this is dropped comes back as unknown.
//! Does not know: why a record failed.

use std::time::Instant;

use weft_api::egress::Batch;
use weft_api::event::Event;
use weft_api::outcome::SendError;

const _: () = assert!(usize::BITS >= 64, "a ticket holds a slot and an index");

/// A batch that is not settled.
struct Flight {
    batch: Batch,
    /// How many of its events have been handed to librdkafka or answered: the others are certainly not delivered.
    handed: u32,
    /// When the first was handed over.
    since: Instant,
    /// Reported as delivered, not passed on yet.
    confirmed: Vec<u32>,
}

/// The batches on their way.
#[derive(Default)]
pub(crate) struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// Slots with something in `confirmed`.
    touched: Vec<u32>,
    spare: Vec<Vec<u32>>,
}

impl Flights {
    /// Takes a batch. Returns its slot.
    pub(crate) fn begin(&mut self, batch: Batch) -> u32 {
        let confirmed = self.spare.pop().unwrap_or_default();
        let flight = Some(Flight {
            batch,
            handed: 0,
            since: Instant::now(),
            confirmed,
        });
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = flight;
            return slot;
        }
        self.slots.push(flight);
        u32::try_from(self.slots.len() - 1).expect("in_flight bounds the batches far below 2^32")
    }

    /// The ticket of one event.
    pub(crate) fn ticket(slot: u32, index: u32) -> usize {
        (slot as usize) << 32 | index as usize
    }

    /// The next event of `slot` that has not been handed over, with its index.
    pub(crate) fn next(&self, slot: u32) -> Option<(u32, &Event)> {
        let flight = self.slots.get(slot as usize)?.as_ref()?;
        flight
            .batch
            .events()
            .get(flight.handed as usize)
            .map(|event| (flight.handed, event))
    }

    /// The next event of `slot` is in librdkafka's hands.
    pub(crate) fn handed(&mut self, slot: u32) {
        if let Some(flight) = self.get(slot) {
            if flight.handed == 0 {
                flight.since = Instant::now();
            }
            flight.handed += 1;
        }
    }

    /// The next event of `slot` was not even handed over.
    pub(crate) fn refused(&mut self, slot: u32, error: SendError) {
        if let Some(flight) = self.get(slot) {
            flight.batch.fail(flight.handed, error);
            flight.handed += 1;
            self.forget_if_settled(slot);
        }
    }

    /// What is left of `slot` was not handed over, for one and the same reason.
    pub(crate) fn refused_rest(&mut self, slot: u32, error: &SendError) {
        while self.next(slot).is_some() {
            self.refused(slot, error.clone());
        }
    }

    /// A record was delivered; passed on by [`Flights::settle`].
    pub(crate) fn confirmed(&mut self, ticket: usize) {
        let (slot, index) = split(ticket);
        if let Some(flight) = self.get(slot) {
            flight.confirmed.push(index);
            if flight.confirmed.len() == 1 {
                self.touched.push(slot);
            }
        }
    }

    /// A record was not delivered.
    pub(crate) fn failed(&mut self, ticket: usize, error: SendError) {
        let (slot, index) = split(ticket);
        if let Some(flight) = self.get(slot) {
            flight.batch.fail(index, error);
            self.forget_if_settled(slot);
        }
    }

    /// The event of a ticket.
    pub(crate) fn event(&self, ticket: usize) -> Option<&Event> {
        let (slot, index) = split(ticket);
        self.slots
            .get(slot as usize)?
            .as_ref()?
            .batch
            .events()
            .get(index as usize)
    }

    /// Passes on what was confirmed, one call a batch.
    pub(crate) fn settle(&mut self) {
        while let Some(slot) = self.touched.pop() {
            if let Some(flight) = self.get(slot) {
                flight.batch.accept(&flight.confirmed);
                flight.confirmed.clear();
            }
            self.forget_if_settled(slot);
        }
    }

    /// Fails everything: what was handed over with `handed`, the rest with `kept`.
    pub(crate) fn fail_all(&mut self, handed: &SendError, kept: &SendError) {
        self.settle();
        for mut flight in std::mem::take(&mut self.slots).into_iter().flatten() {
            for index in 0..u32::try_from(flight.batch.events().len()).unwrap_or(u32::MAX) {
                let error = if index < flight.handed { handed } else { kept };
                flight.batch.fail(index, error.clone());
            }
        }
        self.free.clear();
    }

    /// When the oldest record that is on its way was handed over.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.slots
            .iter()
            .flatten()
            .filter(|f| f.handed > 0)
            .map(|f| f.since)
            .min()
    }

    /// Whether nothing is on its way.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    fn get(&mut self, slot: u32) -> Option<&mut Flight> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn forget_if_settled(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        if let Some(flight) = entry
            && flight.batch.unsettled() == 0
        {
            self.spare.push(std::mem::take(&mut flight.confirmed));
            *entry = None;
            self.free.push(slot);
        }
    }
}

fn split(ticket: usize) -> (u32, u32) {
    // The masks make both conversions exact.
    ((ticket >> 32) as u32, (ticket & 0xffff_ffff) as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use weft_api::egress::BatchSink;
    use weft_api::event::EventBuilder;
    use weft_api::outcome::Reason;

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
            flights.confirmed(Flights::ticket(slot, index));
        }
        flights.settle();
        assert_eq!(*heard_a.0.lock().unwrap(), ["accept [1, 0]"]);
        assert_eq!(*heard_b.0.lock().unwrap(), ["accept [0, 1]", "gone"]);
        flights.confirmed(Flights::ticket(a, 2));
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
        flights.failed(Flights::ticket(first, 0), error(Reason::Reset));
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
        flights.confirmed(Flights::ticket(slot, 0));
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
        assert_eq!(flights.next(slot).map(|(index, _)| index), Some(1));
        flights.refused_rest(slot, &error(Reason::Misconfigured));
        assert!(flights.next(slot).is_none());
        assert!(flights.is_empty());
        assert_eq!(
            *heard.0.lock().unwrap(),
            ["fail 0 address", "fail 1 misconfigured", "gone"]
        );
    }
}
