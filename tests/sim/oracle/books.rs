//! C21, C32: at rest nothing is charged, nothing is pending, and what came in is what went out. Every end that can be
//! seen from outside stands in a counter.

use weft_api::outcome::Outcome;
use weft_inproc::Happening;

use super::Found;
use super::facts::Facts;
use super::obligations::{delivered, expired};

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    let log = &facts.world.log;
    for (life, budget) in log.budgets.iter().enumerate() {
        if budget.used() != 0 {
            found.push(format!(
                "C21: {} bytes are still charged of life {life}",
                budget.used()
            ));
        }
    }
    for (number, destination) in &log.destinations {
        let standing = destination.standing();
        let rest = (
            standing.pending_events,
            standing.pending_bytes,
            standing.in_flight,
        );
        if rest != (0, 0, 0) {
            found.push(format!(
                "C21: d{number} still has {rest:?} events, bytes, in flight"
            ));
        }
    }
    for (number, metrics) in &log.ingress_metrics {
        let ends = [
            &metrics.books.delivered,
            &metrics.books.dead_lettered,
            &metrics.books.dropped,
            &metrics.books.expired,
            &metrics.books.returned,
            &metrics.books.stored,
        ];
        let ends: Vec<u64> = ends.into_iter().map(|counter| counter.get()).collect();
        let (owed, pending) = (metrics.obligations.get(), metrics.books.pending.get());
        if owed != ends.iter().sum::<u64>() || pending != 0 {
            found.push(format!(
                "C32: i{number}: {owed} obligations, ends {ends:?}, {pending} pending"
            ));
        }
        if metrics.overdelivered.get() != 0 {
            let over = metrics.overdelivered.get();
            found.push(format!(
                "C21: i{number}: {over} events were taken past the credit"
            ));
        }
        if metrics.books.held_lanes.get() != 0 {
            let held = metrics.books.held_lanes.get();
            found.push(format!("C32: i{number}: {held} lanes are still held"));
        }
    }
    for number in 0..facts.world.feeds.len() {
        events(facts, number, found);
        ends(facts, number, found);
    }
}

/// Every event that came in, and every word that was heard, is counted.
fn events(facts: &Facts<'_>, number: usize, found: &mut Found) {
    let (mut came, mut heard) = (0, [0; 4]);
    for entry in facts.world.feeds[number].history() {
        match entry.what {
            Happening::Delivered { .. } => came += 1,
            Happening::Settled { outcome, .. } => heard[place(outcome)] += 1,
            _ => {}
        }
    }
    let metrics = || {
        let all = facts
            .world
            .log
            .ingress_metrics
            .iter()
            .chain(&facts.world.log.lost);
        all.filter(|(at, _)| *at == number).map(|(_, metrics)| metrics)
    };
    let counted: u64 = metrics().map(|it| it.events.get()).sum();
    if counted != came {
        found.push(format!(
            "C32: i{number} took {came} events, and {counted} are counted"
        ));
    }
    for (at, heard) in heard.into_iter().enumerate() {
        // More were told than heard: a lane may be closed with words on their way.
        let told: u64 = metrics().map(|it| it.settled[at].get()).sum();
        if told < heard {
            found.push(format!(
                "C32: i{number} heard {heard} words of kind {at}, and {told} are counted"
            ));
        }
    }
}

fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Accepted => 0,
        Outcome::Rejected(_) => 1,
        Outcome::Released(_) => 2,
        Outcome::Unknown(_) => 3,
    }
}

/// Obligations of accepted events that no sink met were dropped or had expired, and stand there.
fn ends(facts: &Facts<'_>, number: usize, found: &mut Found) {
    // What expires in a log stands in its books.
    if facts.case.store.is_some() {
        return;
    }
    let mut seen = 0;
    for load in facts.case.load.iter().filter(|load| load.ingress == number) {
        for life in facts.lives(&load.key) {
            if life.outcome() != Some(Outcome::Accepted) || life.waits {
                continue;
            }
            let setup = facts.setup(life.table);
            let owed = facts.owed(setup, load);
            let unmet = owed.iter().filter(|owed| {
                let dead = |at: usize| {
                    let letters = facts.sinks[at].dead_letters.get(&load.key);
                    letters.is_some_and(|all| all.iter().any(|(stamp, _)| life.spans(*stamp)))
                };
                expired(life, owed)
                    && !delivered(facts, setup, &load.key, life, &owed.part, false)
                    && !owed.dead_letter().is_some_and(dead)
            });
            // One that had expired before it came in is counted once, whatever it would have owed.
            let unmet = unmet.count() as u64;
            seen += if load.expired { unmet.min(1) } else { unmet };
        }
    }
    let metrics = facts.world.log.ingress_metrics.iter();
    let counted: u64 = metrics
        .filter(|(at, _)| *at == number)
        .map(|(_, it)| it.books.expired.get() + it.books.dropped.get())
        .sum();
    if counted < seen {
        found.push(format!(
            "C19, C32: i{number}: {seen} obligations expired, and {counted} are counted"
        ));
    }
}
