//! Judges a case that has run: what was promised, by a naive reading of the setups, against what feeds and sinks saw.
//!
//! One file a group of clauses; `facts` gathers what they all look at. Knows nothing of the router's state but its
//! counters, which have to balance with what happened outside. What no run of the simulator can show stands in
//! docs/simulator.md.

mod books;
mod breaker;
mod dead_letters;
mod duplicates;
mod facts;
mod kept;
mod lanes;
mod life;
mod obligations;
mod order;
mod pace;
mod plans;
mod progress;
mod reload;
mod retries;
mod store;
mod verdicts;

use crate::case::Case;
use crate::world::World;
use facts::Facts;

/// What a check has found, in words.
pub(crate) type Found = Vec<String>;

/// Every promise that was broken, in words; empty for a correct router.
pub(crate) fn judge(case: &Case, world: &World) -> Found {
    let facts = Facts::gather(case, world);
    let mut found = Found::new();
    found.extend(world.overruns.iter().map(|line| format!("C21: {line}")));
    found.extend(world.stuck.iter().map(|line| format!("liveness: {line}")));
    contracts(world, &mut found);
    obligations::check(&facts, &mut found);
    verdicts::check(&facts, &mut found);
    lanes::check(&facts, &mut found);
    duplicates::check(&facts, &mut found);
    plans::check(&facts, &mut found);
    progress::check(&facts, &mut found);
    order::check(&facts, &mut found);
    retries::check(&facts, &mut found);
    breaker::check(&facts, &mut found);
    pace::check(&facts, &mut found);
    dead_letters::check(&facts, &mut found);
    life::check(&facts, &mut found);
    reload::check(&facts, &mut found);
    books::check(&facts, &mut found);
    if case.store.is_some() {
        store::check(&facts, &mut found);
        forgive_damage(world, &mut found);
    }
    found
}

/// C25: as many records as were found damaged may be missing.
fn forgive_damage(world: &World, found: &mut Found) {
    let mut damaged: u64 = world
        .log
        .kept
        .iter()
        .map(|kept| kept.log.metrics.damaged.get())
        .sum();
    found.retain(|line| {
        let forgiven = line.starts_with("C24") && damaged > 0;
        damaged -= u64::from(forgiven);
        !forgiven
    });
}

/// What feeds and sinks saw at once: a slot settles once, a prefix is contiguous, batches keep to the profile (C5, C20,
/// C21).
fn contracts(world: &World, found: &mut Found) {
    for (number, feed) in world.feeds.iter().enumerate() {
        let lines = feed.violations().into_iter();
        found.extend(lines.map(|line| format!("C5: ingress i{number}: {line}")));
    }
    for (number, sink) in world.sinks.iter().enumerate() {
        let lines = sink.violations().into_iter();
        found.extend(lines.map(|line| format!("C20: destination d{number}: {line}")));
    }
}
