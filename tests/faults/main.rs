//! Faults with real parts: the real binary under load between real brokers, with a ledger outside of it. Nothing that
//! was acknowledged to a sender may be lost (C1), nothing may be changed on the way (C2), and what comes twice stays
//! within the bounds of C4; `docs/faults.md` has the table.
//!
//! The tests of this binary run the rows that are marked [`Set::Always`], once, each with a new seed. The long set is a
//! command: `make faults RUNS=20`.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout)]
// What the rows of the table take of the harness differs.
#![allow(dead_code)]

#[path = "../support/mod.rs"]
mod support;

mod arena;
mod arrive;
mod ballast;
mod brokers;
mod churn;
mod clock;
mod crash;
mod destination;
mod event;
mod flow;
mod kills;
mod ledger;
mod links;
mod load;
mod poison;
mod process;
mod report;
mod resources;
mod run;
mod runtime;
mod scenario;
mod stalled;
mod stored;

use std::env;

use report::Report;
use scenario::{Scenario, Set};
use weft_rig::Lacking;

/// Every row of the table.
fn table() -> Vec<Scenario> {
    let or_skip = |rows: Result<Vec<Scenario>, Lacking>, what| {
        rows.unwrap_or_else(|why| {
            why.skip(what);
            Vec::new()
        })
    };
    [
        process::scenarios(),
        crash::scenarios(),
        brokers::scenarios(),
        churn::scenarios(),
        poison::scenarios(),
        destination::scenarios(),
        or_skip(links::scenarios(), "faults of the network"),
        clock::scenarios(),
        resources::scenarios(),
        stalled::scenarios(),
        stored::scenarios(),
        or_skip(resources::memory(), "a memory limit"),
    ]
    .concat()
}

/// The seed of `WEFT_FAULTS_SEED`, or a new one.
fn seed() -> u64 {
    let given = env::var("WEFT_FAULTS_SEED").ok();
    given.map_or_else(
        || fastrand::u64(..1_000_000),
        |text| text.parse().expect("WEFT_FAULTS_SEED is a number"),
    )
}

/// Runs the rows of one group that run always; panics where one fails.
#[track_caller]
fn always(rows: Vec<Scenario>) {
    let mut report = Report::default();
    let mut rows: Vec<_> = rows.into_iter().filter(|row| row.set == Set::Always).collect();
    assert!(!rows.is_empty(), "no row to run");
    rows.retain(|row| !report.run(row, seed()));
    let failed: Vec<String> = rows.iter().map(Scenario::name).collect();
    assert!(failed.is_empty(), "failed, as said above: {failed:?}");
}

#[test]
fn nothing_is_lost_when_the_process_is_hurt() {
    always(process::scenarios());
}

#[test]
fn nothing_is_lost_when_a_destination_misbehaves() {
    always(destination::scenarios());
}

#[test]
fn nothing_is_lost_over_links_that_fail() {
    match links::scenarios() {
        Ok(rows) => always(rows),
        Err(why) => why.skip("faults of the network"),
    }
}

#[test]
fn nothing_is_lost_when_the_clock_jumps() {
    always(clock::scenarios());
}

#[test]
fn nothing_is_lost_when_it_crashes_between_two_steps() {
    always(crash::scenarios());
}

#[test]
fn nothing_is_lost_when_a_broker_is_hurt() {
    always(brokers::scenarios());
}

#[test]
fn nothing_is_lost_when_members_come_and_go_and_files_change() {
    always(churn::scenarios());
}

#[test]
fn poison_ends_in_the_dead_letter_and_stops_nothing() {
    always(poison::scenarios());
}

#[test]
fn nothing_is_lost_when_files_run_out() {
    always(resources::scenarios());
}

#[test]
fn nothing_is_lost_and_nobody_killed_when_memory_is_short() {
    match resources::memory() {
        Ok(rows) => always(rows),
        Err(why) => why.skip("a memory limit"),
    }
}

#[test]
fn nothing_is_lost_and_the_others_go_on_when_one_destination_is_stalled() {
    always(stalled::scenarios());
}

#[test]
fn nothing_that_a_store_holds_is_lost_whatever_ends_the_process() {
    always(stored::scenarios());
}

/// `make kills`: `WEFT_KILLS` of them.
#[test]
#[ignore = "a second each; make kills runs it"]
fn nothing_that_a_store_holds_is_lost_however_often_it_is_killed() {
    let count = env::var("WEFT_KILLS").map_or(20, |text| text.parse().expect("a number of kills"));
    kills::run(count, seed());
}

/// `make faults`: `WEFT_FAULTS_RUNS` runs of each row whose name has `WEFT_FAULTS_ONLY` in it, in rounds; with
/// `WEFT_FAULTS_SET=always` only those that run always.
#[test]
#[ignore = "hours; make faults runs it"]
fn the_long_set() {
    let runs: usize = env::var("WEFT_FAULTS_RUNS").map_or(1, |text| text.parse().expect("a number of runs"));
    let only = env::var("WEFT_FAULTS_ONLY").unwrap_or_default();
    let is_short = env::var("WEFT_FAULTS_SET").is_ok_and(|set| set == "always");
    let mut rows = table();
    rows.retain(|row| row.name().contains(&only) && (!is_short || row.set == Set::Always));
    assert!(!rows.is_empty(), "no row has {only:?} in its name");
    let (mut report, mut failed) = (Report::default(), 0);
    for round in 0..runs {
        eprintln!("round {} of {runs}", round + 1);
        failed += rows.iter().filter(|row| !report.run(row, seed())).count();
    }
    println!("{}", report.table());
    assert_eq!(failed, 0, "runs failed");
}
