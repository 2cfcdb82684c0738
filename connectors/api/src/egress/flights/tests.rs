#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};

use crate::egress::BatchSink;
use crate::event::EventBuilder;
use crate::outcome::Reason;

use super::*;

/// Says what it was told; like the router's, it settles each index once.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<String>>>, std::collections::HashSet<u32>);

/// Gives everything that failed again; events of even and of odd index are of two lines.
struct Again(Sink);

impl BatchSink for Again {
    fn accept(&mut self, indices: &[u32]) -> usize {
        self.0.accept(indices)
    }
    fn accept_rest(&mut self) {}
    fn fail(&mut self, index: u32, events: &[Event], error: SendError) -> usize {
        self.0.fail(index, events, error)
    }
    fn refuse(&mut self, index: u32, events: &[Event], error: SendError) -> (usize, Option<Line>) {
        (self.fail(index, events, error), Some(Line(index % 2)))
    }
    fn recall(&mut self, line: Line, unsent: u32, events: &[Event]) -> Vec<u32> {
        let all = unsent..u32::try_from(events.len()).unwrap();
        let recalled: Vec<u32> = all
            .filter(|index| index % 2 == line.0 && self.0.1.insert(*index))
            .collect();
        self.0.0.lock().unwrap().push(format!("recall {recalled:?}"));
        recalled
    }
    fn abandon(&mut self, events: &[Event]) {
        self.0.abandon(events);
    }
}

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

fn events(count: usize) -> Vec<Event> {
    let mut builder = EventBuilder::new();
    let events = (0..count).map(|i| builder.id(&i.to_string()).source("/s").ty("t").build().unwrap());
    events.collect()
}

fn batch(count: usize) -> (Batch, Sink) {
    let sink = Sink::default();
    (Batch::new(events(count), Box::new(sink.clone())), sink)
}

fn again(count: usize) -> (Batch, Sink) {
    let sink = Sink::default();
    (Batch::new(events(count), Box::new(Again(sink.clone()))), sink)
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
fn what_would_pass_a_refused_event_that_comes_again_is_not_handed_on() {
    let mut flights = Flights::default();
    let (batch, heard) = again(6);
    let slot = flights.begin(batch);
    flights.handed(slot);
    flights.refused(slot, error(Reason::TooLarge));
    let mut handed = Vec::new();
    while let Some((ticket, _)) = flights.next(slot) {
        handed.push(ticket.index);
        flights.handed(slot);
    }
    assert_eq!(handed, [2, 4]);
    for index in [0, 2, 4] {
        flights.confirmed(Ticket { slot, index });
    }
    flights.settle();
    assert!(flights.is_empty());
    let heard = heard.0.lock().unwrap();
    assert_eq!(
        *heard,
        ["fail 1 too_large", "recall [3, 5]", "accept [0, 2, 4]", "gone"]
    );
}

#[test]
fn a_failure_takes_back_what_would_pass_it_from_the_batch_that_is_being_handed_on() {
    let mut flights = Flights::default();
    let ((first, _), (second, heard)) = (again(1), again(4));
    let first = flights.begin(first);
    flights.handed(first);
    let second = flights.begin(second);
    flights.handed(second);
    let ticket = Ticket {
        slot: first,
        index: 0,
    };
    flights.failed(ticket, error(Reason::Refused));
    assert_eq!(*heard.0.lock().unwrap(), ["recall [2]"]);
    assert_eq!(flights.next(second).map(|(ticket, _)| ticket.index), Some(1));
    flights.handed(second);
    assert_eq!(flights.next(second).map(|(ticket, _)| ticket.index), Some(3));
}

#[test]
fn a_batch_that_is_given_back_as_a_whole_recalls_nothing() {
    let mut flights = Flights::default();
    let (batch, heard) = again(2);
    let slot = flights.begin(batch);
    flights.refused_rest(slot, &error(Reason::Unavailable));
    assert!(flights.is_empty());
    let heard = heard.0.lock().unwrap();
    assert_eq!(*heard, ["fail 0 unavailable", "fail 1 unavailable", "gone"]);
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
