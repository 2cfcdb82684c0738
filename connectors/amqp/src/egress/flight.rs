//! What the router gave and has not got back: batches, and the tickets by which outcomes find their events.
//!
//! Owns: the batches that are not settled. A ticket is two numbers, so that an event on its way costs no allocation.
//! Invariants: each ticket is answered at most once; whatever is left when this is dropped comes back as unknown.
//! Does not know: links, deliveries, why a send failed.

use weft_api::egress::Batch;
use weft_api::event::Event;
use weft_api::outcome::SendError;

/// One event of one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket {
    slot: u32,
    index: u32,
}

struct Flight {
    batch: Batch,
    /// Accepted, not passed on yet.
    accepted: Vec<u32>,
}

/// The batches on their way.
#[derive(Default)]
pub(crate) struct Flights {
    slots: Vec<Option<Flight>>,
    free: Vec<u32>,
    /// Slots with something in `accepted`.
    touched: Vec<u32>,
    spare: Vec<Vec<u32>>,
}

impl Flights {
    /// Takes a batch. Gives the tickets of its events, in order.
    pub(crate) fn begin(&mut self, batch: Batch) -> impl Iterator<Item = Ticket> + use<> {
        let count = u32::try_from(batch.events().len()).unwrap_or(u32::MAX);
        let accepted = self.spare.pop().unwrap_or_default();
        let flight = Some(Flight { batch, accepted });
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
        (0..count).map(move |index| Ticket { slot, index })
    }

    /// The event of a ticket.
    pub(crate) fn event(&self, ticket: Ticket) -> Option<&Event> {
        let flight = self.slots.get(ticket.slot as usize)?.as_ref()?;
        flight.batch.events().get(ticket.index as usize)
    }

    /// The broker accepted it; passed on by [`Flights::settle`].
    pub(crate) fn accepted(&mut self, ticket: Ticket) {
        if let Some(flight) = self.get(ticket.slot) {
            flight.accepted.push(ticket.index);
            if flight.accepted.len() == 1 {
                self.touched.push(ticket.slot);
            }
        }
    }

    /// It was not delivered.
    pub(crate) fn failed(&mut self, ticket: Ticket, error: SendError) {
        if let Some(flight) = self.get(ticket.slot) {
            flight.batch.fail(ticket.index, error);
            self.forget_if_settled(ticket.slot);
        }
    }

    /// Passes on what was accepted, one call a batch.
    pub(crate) fn settle(&mut self) {
        while let Some(slot) = self.touched.pop() {
            if let Some(flight) = self.get(slot) {
                flight.batch.accept(&flight.accepted);
                flight.accepted.clear();
            }
            self.forget_if_settled(slot);
        }
    }

    /// Whether the router has everything back.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    fn get(&mut self, slot: u32) -> Option<&mut Flight> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    fn forget_if_settled(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return;
        };
        if let Some(flight) = entry
            && flight.batch.unsettled() == 0
        {
            self.spare.push(std::mem::take(&mut flight.accepted));
            *entry = None;
            self.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;
    use std::sync::{Arc, Mutex};

    use weft_api::egress::BatchSink;
    use weft_api::event::EventBuilder;
    use weft_api::outcome::Reason;

    use super::*;

    /// Says what it was told; like the router's, it settles each index once.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<String>>>, HashSet<u32>);

    impl BatchSink for Sink {
        fn accept(&mut self, indices: &[u32]) -> usize {
            self.0.lock().unwrap().push(format!("accept {indices:?}"));
            indices.iter().filter(|index| self.1.insert(**index)).count()
        }
        fn accept_rest(&mut self) {}
        fn fail(&mut self, index: u32, _: &[Event], error: SendError) -> usize {
            self.0
                .lock()
                .unwrap()
                .push(format!("fail {index} {}", error.reason));
            usize::from(self.1.insert(index))
        }
        fn abandon(&mut self, _: &[Event]) {
            self.0.lock().unwrap().push("gone".into());
        }
    }

    fn begin(flights: &mut Flights, count: usize) -> (Vec<Ticket>, Sink) {
        let mut builder = EventBuilder::new();
        let events = (0..count).map(|i| builder.id(&i.to_string()).source("/s").ty("t").build().unwrap());
        let sink = Sink::default();
        let batch = Batch::new(events.collect(), Box::new(sink.clone()));
        (flights.begin(batch).collect(), sink)
    }

    #[test]
    fn acceptances_are_passed_on_in_one_call_a_batch() {
        let mut flights = Flights::default();
        let (a, heard_a) = begin(&mut flights, 3);
        let (b, heard_b) = begin(&mut flights, 2);
        for ticket in [a[1], b[0], a[0], b[1]] {
            flights.accepted(ticket);
        }
        flights.settle();
        assert_eq!(*heard_a.0.lock().unwrap(), ["accept [1, 0]"]);
        assert_eq!(*heard_b.0.lock().unwrap(), ["accept [0, 1]", "gone"]);
        flights.accepted(a[2]);
        flights.settle();
        assert!(flights.is_empty());
    }

    #[test]
    fn a_slot_is_used_again_only_when_its_batch_is_settled() {
        let mut flights = Flights::default();
        let (first, _) = begin(&mut flights, 1);
        let (second, _) = begin(&mut flights, 1);
        flights.failed(first[0], SendError::destination(Reason::Reset, "x"));
        let (third, _) = begin(&mut flights, 1);
        assert_eq!((third[0], first[0] == second[0]), (first[0], false));
        assert_eq!(flights.event(second[0]).map(Event::id), Some("0"));
        assert!(!flights.is_empty());
    }
}
