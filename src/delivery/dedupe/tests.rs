#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;
use weft_api::event::{Event, EventBuilder};

use super::memory::{EXPIRED_PER_RECORD, Memory};
use super::{Dedupe, DedupeSettings, Verdict};

const WINDOW: Duration = Duration::from_secs(600);

fn settings(by: &[&str], max_entries: u32) -> DedupeSettings {
    DedupeSettings {
        by: by.iter().map(|name| (*name).into()).collect(),
        window: WINDOW,
        max_entries,
    }
}

fn fresh(now: Instant) -> Dedupe {
    Dedupe::new(settings(&["source", "id"], 1000), now)
}

fn event(source: &str, id: &str) -> Event {
    EventBuilder::new().id(id).source(source).ty("t").build().unwrap()
}

/// The claim that sending it takes.
fn sent(dedupe: &mut Dedupe, event: &Event, now: Instant) -> u32 {
    match dedupe.look(event, now) {
        Verdict::Send(Some(identity)) => dedupe.claim(identity),
        other => panic!("{other:?}"),
    }
}

fn delivered(dedupe: &mut Dedupe, id: &str, now: Instant) -> u64 {
    let claim = sent(dedupe, &event("/s", id), now);
    dedupe.confirmed(claim, now)
}

#[test]
fn a_copy_waits_while_the_first_is_under_way_and_is_not_sent_once_it_is_confirmed() {
    let now = Instant::now();
    let mut dedupe = fresh(now);
    let (one, other) = (event("/s", "1"), event("/s", "2"));
    let claim = sent(&mut dedupe, &one, now);
    assert_eq!(dedupe.look(&one, now), Verdict::UnderWay(claim));
    assert!(matches!(dedupe.look(&other, now), Verdict::Send(Some(_))));
    assert_eq!(dedupe.confirmed(claim, now), 0);
    assert_eq!(dedupe.look(&one, now), Verdict::Delivered);
}

#[test]
fn what_was_not_confirmed_is_not_remembered() {
    let now = Instant::now();
    let mut dedupe = fresh(now);
    let one = event("/s", "1");
    for _ in 0..3 {
        let claim = sent(&mut dedupe, &one, now);
        dedupe.abandoned(claim);
    }
    assert!(dedupe.is_empty());
    assert_eq!(dedupe.claims.identities.len(), 1, "numbers are given again");
}

#[test]
fn a_delivery_is_remembered_for_the_window_and_not_longer() {
    let now = Instant::now();
    let mut dedupe = fresh(now);
    delivered(&mut dedupe, "1", now);
    let end = now + WINDOW;
    let one = event("/s", "1");
    assert_eq!(
        dedupe.look(&one, end - Duration::from_nanos(1)),
        Verdict::Delivered
    );
    assert!(matches!(dedupe.look(&one, end), Verdict::Send(Some(_))));
}

#[test]
fn a_full_memory_forgets_the_oldest_and_counts_it() {
    let now = Instant::now();
    let mut dedupe = Dedupe::new(settings(&["id"], 3), now);
    let evicted: Vec<u64> = ["1", "2", "3", "4", "5"]
        .iter()
        .map(|id| delivered(&mut dedupe, id, now))
        .collect();
    assert_eq!(evicted, [0, 0, 0, 1, 1]);
    assert_eq!(dedupe.len(), 3);
    let known = |id| dedupe.look(&event("/s", id), now) == Verdict::Delivered;
    assert_eq!(
        ["1", "2", "3", "4", "5"].map(known),
        [false, false, true, true, true]
    );
    let later = now + WINDOW;
    assert_eq!(
        delivered(&mut dedupe, "6", later),
        0,
        "what is over is not missed"
    );
}

#[test]
fn an_event_without_one_of_the_attributes_is_no_copy() {
    let now = Instant::now();
    let dedupe = Dedupe::new(settings(&["id", "tenant"], 10), now);
    assert_eq!(dedupe.look(&event("/s", "1"), now), Verdict::Send(None));
}

#[test]
fn attributes_are_told_apart_however_their_texts_join() {
    let now = Instant::now();
    let mut dedupe = fresh(now);
    let claim = sent(&mut dedupe, &event("/ab", "c"), now);
    dedupe.confirmed(claim, now);
    for (source, id) in [("/a", "bc"), ("/abc", "c"), ("c", "/ab")] {
        let other = event(source, id);
        assert!(matches!(dedupe.look(&other, now), Verdict::Send(Some(_))));
    }
}

#[test]
fn another_by_forgets_and_another_window_or_bound_does_not() {
    let now = Instant::now();
    let mut dedupe = fresh(now);
    let one = event("/s", "1");
    delivered(&mut dedupe, "1", now);
    let shorter = DedupeSettings {
        window: Duration::from_secs(10),
        ..settings(&["source", "id"], 5)
    };
    dedupe.configure(shorter);
    assert_eq!(dedupe.look(&one, now), Verdict::Delivered);
    let later = now + Duration::from_secs(10);
    assert!(matches!(dedupe.look(&one, later), Verdict::Send(Some(_))));
    let claim = sent(&mut dedupe, &event("/s", "2"), now);
    dedupe.configure(settings(&["id"], 5));
    assert!(matches!(dedupe.look(&one, now), Verdict::Send(Some(_))));
    let again = sent(&mut dedupe, &event("/s", "2"), now);
    assert_ne!(again, claim, "a claim that is held stays a claim");
    dedupe.confirmed(claim, now);
    assert_eq!(
        dedupe.look(&event("/s", "2"), now),
        Verdict::UnderWay(again),
        "what was claimed under another `by` says nothing about this one"
    );
}

#[test]
fn two_destinations_hash_differently() {
    let now = Instant::now();
    let (a, b) = (fresh(now), fresh(now));
    let one = event("/s", "1");
    assert_ne!(a.look(&one, now), b.look(&one, now));
}

/// The memory as one would write it without a thought for its size.
struct Naive {
    max: usize,
    entries: Vec<(u128, u64)>,
}

impl Naive {
    fn contains(&self, identity: u128, oldest: u64) -> bool {
        let last = self.entries.iter().rev().find(|(known, _)| *known == identity);
        last.is_some_and(|(_, at)| *at > oldest)
    }

    fn record(&mut self, identity: u128, at: u64, oldest: u64) -> u64 {
        for _ in 0..EXPIRED_PER_RECORD {
            if self.entries.first().is_some_and(|(_, at)| *at <= oldest) {
                self.entries.remove(0);
            }
        }
        let mut evicted = 0;
        if self.entries.len() >= self.max {
            let (first, at) = self.entries.remove(0);
            let newest = !self.entries.iter().any(|(known, _)| *known == first);
            evicted = u64::from(at > oldest && newest);
        }
        self.entries.push((identity, at));
        evicted
    }
}

#[derive(Clone, Debug)]
enum Act {
    Record(u8),
    Pass(u64),
    Resize(usize),
}

proptest! {
    /// Identities share their low bits, so that they crowd in the index.
    #[test]
    fn the_compact_memory_is_the_naive_one(
        max in 1usize..90,
        wrapped: bool,
        acts in proptest::collection::vec(prop_oneof![
            12 => any::<u8>().prop_map(Act::Record),
            2 => (1u64..60).prop_map(Act::Pass),
            1 => (1usize..90).prop_map(Act::Resize),
        ], 0..600),
    ) {
        let mut memory = Memory::new(max);
        if wrapped {
            memory.start_at(u32::MAX - 20);
        }
        let mut naive = Naive { max, entries: Vec::new() };
        let identity = |n: u8| (u128::from(n) << 64) | (u128::from(n % 7) * 61);
        let mut now = 100u64;
        for act in acts {
            let oldest = now - 100;
            match act {
                Act::Record(n) => {
                    let evicted = memory.record(identity(n), now, oldest);
                    prop_assert_eq!(evicted, naive.record(identity(n), now, oldest));
                }
                Act::Pass(time) => now += time,
                Act::Resize(max) => {
                    memory.resize(max);
                    naive.max = max;
                    let surplus = naive.entries.len().saturating_sub(max);
                    naive.entries.drain(..surplus);
                }
            }
            prop_assert_eq!(memory.len(), naive.entries.len());
            for n in (0..=u8::MAX).step_by(5) {
                let oldest = now - 100;
                prop_assert_eq!(memory.contains(identity(n), oldest), naive.contains(identity(n), oldest), "{}", n);
            }
        }
    }
}
