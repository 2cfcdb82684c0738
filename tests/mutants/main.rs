//! Undoes the guards of the router, one at a time, and sees the simulator fail: an oracle that finds nothing shows nothing.
//!
//! `guards.txt` is the list. The cheap tests keep it from rotting; the long one (`make mutants`) works in a copy of the
//! sources, builds there, and runs 1,000 seeds or as many as it takes. `WEFT_MUTANT=text` undoes only the guards whose name
//! has that text, and takes it that the simulator passes with all of them.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod guards;
mod scratch;

use std::collections::BTreeSet;
use std::env;
use std::path::Path;

use guards::Guard;
use scratch::{Ran, Scratch};

const LIST: &str = include_str!("guards.txt");
/// How many guards must be there to be undone.
const GUARDS_MIN: usize = 12;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn each_guard_stands_exactly_once_where_the_list_says() {
    let guards = guards::read(LIST);
    assert!(guards.len() >= GUARDS_MIN, "{} guards", guards.len());
    for Guard {
        name, file, from, to, ..
    } in &guards
    {
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        assert_eq!(
            text.matches(from.as_str()).count(),
            1,
            "{name}: in {file}:\n{from}"
        );
        assert_ne!(from, to, "{name}");
    }
}

#[test]
fn the_docs_name_each_guard_with_its_seed() {
    let docs = std::fs::read_to_string(root().join("docs/simulator.md")).unwrap_or_default();
    let mut names = BTreeSet::new();
    for Guard {
        name, clause, seed, ..
    } in guards::read(LIST)
    {
        let row = format!("| {name} | {clause} | {seed} |");
        assert!(docs.contains(&row), "docs/simulator.md lacks the row: {row}");
        assert!(seed.parse::<u64>().is_ok(), "{name} was never undone");
        assert!(names.insert(name.clone()), "two guards are called {name}");
    }
}

/// Undoing any one of them makes the simulator fail within 1,000 seeds.
#[test]
#[ignore = "builds the router once a guard: make mutants"]
fn undoing_any_guard_fails_the_simulator() {
    let scratch = Scratch::new(root());
    let wanted = env::var("WEFT_MUTANT").unwrap_or_default();
    if wanted.is_empty() {
        for stored in [false, true] {
            let whole = scratch.run(stored);
            assert_eq!(
                whole,
                Ran::Passed,
                "the simulator fails before anything is undone"
            );
        }
    }
    let mut survivors = Vec::new();
    for guard in guards::read(LIST).iter().filter(|it| it.name.contains(&wanted)) {
        match scratch.without(guard) {
            Ran::Failed { seed, finding } => {
                println!("| {} | {} | {seed} | {finding} |", guard.name, guard.clause);
            }
            other => {
                println!("| {} | {} | {other:?} |", guard.name, guard.clause);
                survivors.push(guard.name.clone());
            }
        }
    }
    assert!(survivors.is_empty(), "undone, and nothing failed: {survivors:#?}");
}
