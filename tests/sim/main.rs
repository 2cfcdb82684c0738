//! The simulator: the router's own lanes, plans and delivery under a paused clock, between an ingress and an egress in
//! memory that fail by seed, with an oracle that knows each obligation.
//!
//! `WEFT_SIM_SEEDS=N` runs N seeds in place of 30, from `WEFT_SIM_FIRST` on; `WEFT_SIM_SEED=x` runs that one, and prints its case
//! or, with `WEFT_SIM_EVENT=id`, what happened to one event.

#![allow(clippy::print_stderr)]

mod case;
mod oracle;
mod slot;
mod world;

use std::env;

use case::Case;

const SEEDS: u64 = 30;
const SLOTS: &str = include_str!("../../docs/slot.md");

#[test]
fn every_obligation_is_met_whatever_fails() {
    quiet_scripted_panics();
    if let Some(seed) = number("WEFT_SIM_SEED") {
        let case = Case::new(seed);
        let world = simulate(&case);
        match env::var("WEFT_SIM_EVENT") {
            Ok(id) => world.tell(&id),
            Err(_) => eprintln!("{case:#?}"),
        }
        return assert_eq!(judge(&case, &world), [""; 0], "seed {seed}");
    }
    let seeds = number("WEFT_SIM_SEEDS").unwrap_or(SEEDS);
    let first = number("WEFT_SIM_FIRST").unwrap_or(0);
    let mut failed = Vec::new();
    for seed in first..first + seeds {
        let found = run(&Case::new(seed));
        if !found.is_empty() {
            // Printed at once: a later seed may never end.
            eprintln!(
                "WEFT_SIM_SEED={seed}: {} findings\n    {}",
                found.len(),
                found[..found.len().min(4)].join("\n    ")
            );
            failed.push(seed);
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed: {failed:?}",
        failed.len()
    );
}

/// The same seed gives the same run, so that a failure can be looked at again.
#[test]
fn a_seed_is_a_run() {
    quiet_scripted_panics();
    let trace = |seed| {
        let world = simulate(&Case::new(seed));
        let sinks = world.sinks.iter().map(|sink| sink.ids()).collect::<Vec<_>>();
        let feeds = world
            .feeds
            .iter()
            .map(|feed| feed.history().len())
            .collect::<Vec<_>>();
        (sinks, feeds)
    };
    assert_eq!(trace(1), trace(1));
}

/// The table that runs are held against is the one that people read, and it knows every state of the design.
#[test]
fn the_table_of_slots_is_whole() {
    let machine = slot::Machine::read(SLOTS);
    let states: Vec<_> = machine.states().into_iter().collect();
    assert_eq!(
        states,
        [
            "admitted",
            "held",
            "in flight",
            "matched",
            "none",
            "queued",
            "revoked",
            "rewound",
            "settled"
        ]
    );
    assert!(machine.leads("admitted", "in flight") && machine.leads("in flight", "in flight"));
    assert!(!machine.leads("none", "in flight") && !machine.leads("none", "settled"));
    assert!(!machine.leads("settled", "in flight") && !machine.leads("rewound", "settled"));
}

fn run(case: &Case) -> Vec<String> {
    judge(case, &simulate(case))
}

fn judge(case: &Case, world: &world::World) -> Vec<String> {
    let mut found = oracle::judge(case, world);
    found.extend(slot::Machine::read(SLOTS).check(world));
    found
}

fn simulate(case: &Case) -> world::World {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime without I/O").block_on(world::run(case))
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

/// Panics by script are part of the case; every other one is printed as ever.
fn quiet_scripted_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let scripted = info
            .payload()
            .downcast_ref::<&str>()
            .is_some_and(|text| text.starts_with("inproc: the script"));
        if !scripted {
            usual(info);
        }
    }));
}
