//! The simulator: the router's own topology under a paused clock, between ingresses and egresses in memory that fail by
//! seed, reloaded and stopped while it works, with an oracle that knows each obligation. docs/simulator.md tells all of it.
//!
//! `WEFT_SIM_SEEDS=N` runs N seeds in place of 200, from `WEFT_SIM_FIRST` on; `WEFT_SIM_SEED=x` runs that one, and
//! prints its case or, with `WEFT_SIM_EVENT=id`, what happened to one event.

#![allow(clippy::print_stderr)]

mod case;
mod oracle;
mod slot;
mod world;

use std::env;
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use case::Case;

const SEEDS: u64 = 200;
/// With a store.
const STORED_SEEDS: u64 = 400;
const SLOTS: &str = include_str!("../../docs/slot.md");
/// How many findings of one seed are printed.
const FINDINGS: usize = 4;

#[test]
fn every_obligation_is_met_whatever_fails() {
    whatever_fails(Case::new, SEEDS);
}

#[test]
fn every_event_in_a_log_is_accounted_for_whatever_fails() {
    whatever_fails(Case::stored, STORED_SEEDS);
}

fn whatever_fails(new: fn(u64) -> Case, seeds: u64) {
    quiet_scripted_panics();
    if let Some(seed) = number("WEFT_SIM_SEED") {
        let case = new(seed);
        let world = simulate(&case);
        match env::var("WEFT_SIM_EVENT") {
            Ok(key) => world.tell(&case, &key),
            Err(_) => eprintln!("{case:#?}"),
        }
        return assert_eq!(judge(&case, &world), [""; 0], "seed {seed}");
    }
    let seeds = number("WEFT_SIM_SEEDS").unwrap_or(seeds);
    let first = number("WEFT_SIM_FIRST").unwrap_or(0);
    let mut failed = run_all(new, first, seeds);
    failed.sort_unstable();
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed, the first by WEFT_SIM_SEED={}: {failed:?}",
        failed.len(),
        failed[0]
    );
}

/// Every seed on whatever thread is free: no run knows of another. With `WEFT_SIM_STOP` no seed is begun after one
/// that failed.
fn run_all(new: fn(u64) -> Case, first: u64, seeds: u64) -> Vec<u64> {
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let stop = env::var_os("WEFT_SIM_STOP").is_some();
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds || stop && !failed.lock().expect("no run panics with it").is_empty() {
                return;
            }
            // A run that panics (a guard of the router's own) is a finding like any other.
            let found = panic::catch_unwind(|| run(&new(seed)))
                .unwrap_or_else(|_| vec!["the run panicked".to_owned()]);
            if !found.is_empty() {
                // Printed at once: a later seed may never end.
                let some = found[..found.len().min(FINDINGS)].join("\n    ");
                eprintln!("WEFT_SIM_SEED={seed}: {} findings\n    {some}", found.len());
                failed.lock().expect("no run panics with it").push(seed);
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(worker)));
    });
    failed.into_inner().expect("no run panics with it")
}

/// The same seed gives the same run, down to the order of everything, so that a failure can be looked at again.
#[test]
fn a_seed_is_a_run() {
    quiet_scripted_panics();
    let cases = (0..12).map(|seed| (Case::new as fn(u64) -> Case, seed));
    let stored = (0..12).map(|seed| (Case::stored as fn(u64) -> Case, seed));
    for (new, seed) in cases.chain(stored) {
        let trace = || simulate(&new(seed)).trace();
        let (one, other) = (trace(), trace());
        let first = one.iter().zip(&other).find(|(one, other)| one != other);
        assert_eq!(first, None, "seed {seed}");
        assert_eq!(one.len(), other.len(), "seed {seed}");
    }
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
            "settled",
            "storing"
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
    // A log sends what its sender has long heard of.
    if case.store.is_none() {
        found.extend(slot::Machine::read(SLOTS).check(case, world));
    }
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
