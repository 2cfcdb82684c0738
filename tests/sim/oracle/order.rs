//! C20: first deliveries of one key to one destination follow the order of an in-order lane.

use std::collections::{HashMap, HashSet};

use weft_inproc::{Settling, Stamp};

use super::Found;
use super::facts::Facts;
use super::obligations::{expired, given_up, may_lapse};
use crate::case::{Load, event_of};

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for number in (0..facts.sinks.len()).filter(|number| keeps_order(facts, *number)) {
        let mut last: HashMap<(usize, u32, Vec<u8>), (&Load, Stamp)> = HashMap::new();
        for load in ordered(facts, number) {
            let Some(key) = load.event.key() else { continue };
            let got = facts.sinks[number].delivered.get(&load.key);
            let Some(first) = got.and_then(|got| got.first()) else {
                continue;
            };
            let line = (load.ingress, load.lane, key.to_vec());
            let Some((before, earlier)) = last.insert(line, (load, first.stamp)) else {
                continue;
            };
            if earlier.order > first.stamp.order && !let_pass(facts, number, before) {
                found.push(format!(
                    "C20: d{number} got {} before {}, which has the same key",
                    load.key, before.key
                ));
            }
        }
    }
}

/// Exempt are destinations that a re-pick or a fallback may lead to, those that some setup lets take their events in
/// any order, and those that were not there all the time.
fn keeps_order(facts: &Facts<'_>, number: usize) -> bool {
    let grouped = facts.case.setups.iter().any(|setup| setup.in_a_group(number));
    !grouped && facts.always_there(number) && facts.case.destination(number).all(|it| it.keyed)
}

/// Exempt are events that did not come through an in-order lane, those that did not owe this destination in each of
/// their lives (a reload may have brought the obligation after others had passed), and those that were sent twice to a
/// destination that dedupes: what arrived of the one stands for the other, until it is forgotten.
fn ordered<'a>(facts: &'a Facts<'_>, number: usize) -> impl Iterator<Item = &'a Load> {
    let dedupes = facts.case.destination(number).any(|it| it.pace.dedupe.is_some());
    let copies = facts
        .case
        .load
        .iter()
        .filter(|load| event_of(&load.key) != load.key);
    let twice: HashSet<&str> = copies.map(|load| event_of(&load.key)).collect();
    facts.case.load.iter().filter(move |load| {
        // What was dead and is sent again comes when it comes.
        if facts.dead.contains(load.key.as_str()) {
            return false;
        }
        if dedupes && twice.contains(event_of(&load.key)) {
            return false;
        }
        let in_order = facts.case.kind(load.ingress).settle == Settling::InOrder;
        let owes = |table: usize| {
            let setup = facts.setup(table);
            let owed = facts.owed(setup, load);
            owed.iter().any(|owed| setup.places(&owed.part).contains(&number))
        };
        in_order && facts.lives(&load.key).iter().all(|life| owes(life.table))
    })
}

/// Exempt is an event that the remote refused, that was given up here, or that may have expired: those behind it pass. It
/// is held, or went to the dead letter, and comes late if its lane starts again before that has it.
fn let_pass(facts: &Facts<'_>, number: usize, before: &Load) -> bool {
    let aged = facts.lives(&before.key).iter().any(|life| {
        let setup = facts.setup(life.table);
        let owed = facts.owed(setup, before);
        let mut here = owed
            .iter()
            .filter(|owed| setup.places(&owed.part).contains(&number));
        // What a log has of a life that ended grows older.
        here.any(|owed| expired(life, owed) || facts.may_be_kept(owed) && may_lapse(facts, owed, &before.key))
    });
    aged || given_up(facts, number, &before.key)
}
