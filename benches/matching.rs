//! What it costs to find the routes of an event, at 10, 1,000 and 10,000 routes.
//!
//! Prints nanoseconds an event and the ratio to 10 routes for several kinds of rules; asserts nothing, since shared
//! machines are noisy. Run with `cargo bench --bench matching`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use weft::routing::filter::{FilterExpr, Predicate};
use weft::routing::index::{Index, Matches, Rule};
use weft_api::event::{AttrKind, AttrValue, Attributes};

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const EVENTS: usize = 64;
/// Enough for a stable mean, short enough for a look.
const ROUNDS: usize = 4_000;
/// The best of several runs is the least disturbed one.
const RUNS: usize = 5;

/// An event of six attributes, looked up by a linear search as in a small inline index.
struct Event([(&'static str, AttrKind, String); 6]);

impl Attributes for Event {
    fn get(&self, name: &str) -> Option<AttrValue<'_>> {
        let (_, kind, text) = self.0.iter().find(|(known, ..)| *known == name)?;
        Some(AttrValue { kind: *kind, text })
    }
}

/// One kind of rules: a filter for each number.
type Filter = fn(usize) -> String;

const KINDS: [(&str, Filter); 7] = [
    ("exact type", |i| {
        format!(r#"{{"exact": {{"type": "com.acme.order.{i}"}}}}"#)
    }),
    ("prefix source", |i| {
        format!(r#"{{"prefix": {{"source": "/plant/{i}/"}}}}"#)
    }),
    ("suffix source", |i| {
        format!(r#"{{"suffix": {{"source": "/{i}/line"}}}}"#)
    }),
    ("one type, exact subject", |i| {
        format!(r#"{{"exact": {{"type": "com.acme.order", "subject": "s{i}"}}}}"#)
    }),
    ("sql type = and n >", |i| {
        format!(r#"{{"sql": "type = 'com.acme.order.{i}' AND n > 2"}}"#)
    }),
    ("any of two types", |i| {
        format!(
            r#"{{"any": [{{"exact": {{"type": "com.acme.order.{i}"}}}}, {{"exact": {{"type": "b{i}"}}}}]}}"#
        )
    }),
    ("mixed", |i| match i % 5 {
        0 => format!(r#"{{"exact": {{"type": "com.acme.order.{i}"}}}}"#),
        1 => format!(r#"{{"prefix": {{"source": "/plant/{i}/"}}}}"#),
        2 => format!(r#"{{"sql": "type IN ('com.acme.order.{i}', 'c{i}') AND EXISTS subject"}}"#),
        3 => format!(r#"{{"exact": {{"source": "/plant/{i}/line"}}}}"#),
        _ => format!(
            r#"{{"all": [{{"exact": {{"subject": "s{i}"}}}}, {{"not": {{"exact": {{"type": "x"}}}}}}]}}"#
        ),
    }),
];

fn main() {
    println!(
        "{:26}{:>8}{:>12}{:>14}{:>10}",
        "rules", "routes", "ns/event", "matches/event", "ratio"
    );
    for (name, filter) in KINDS {
        let mut smallest = None;
        for size in SIZES {
            let (ns, matches) = measure(size, filter);
            let ratio = ns / *smallest.get_or_insert(ns);
            println!("{name:26}{size:>8}{ns:>12.1}{matches:>14.2}{ratio:>9.1}x");
        }
    }
    scan();
}

fn index(size: usize, filter: Filter) -> Index {
    Index::new((0..size).map(|i| Rule {
        route: u32::try_from(i).unwrap(),
        from: None,
        predicate: Arc::new(predicate(&filter(i))),
    }))
}

fn predicate(json: &str) -> Predicate {
    Predicate::compile(&serde_json::from_str::<FilterExpr>(json).unwrap()).unwrap()
}

fn events(size: usize) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut event = || {
        let i = random.usize(..size);
        Event([
            ("id", AttrKind::String, format!("id-{i}")),
            ("source", AttrKind::UriReference, format!("/plant/{i}/line")),
            ("specversion", AttrKind::String, "1.0".into()),
            ("type", AttrKind::String, format!("com.acme.order.{i}")),
            ("subject", AttrKind::String, format!("s{i}")),
            ("n", AttrKind::Integer, (i % 8).to_string()),
        ])
    };
    let mut events: Vec<_> = (0..EVENTS).map(|_| event()).collect();
    // Half of them are of the type that many rules share.
    events
        .iter_mut()
        .step_by(2)
        .for_each(|event| event.0[3].2 = "com.acme.order".into());
    events
}

fn measure(size: usize, filter: Filter) -> (f64, f64) {
    let (index, events) = (index(size, filter), events(size));
    let mut matches = 0;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        matches = 0;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            for event in &events {
                let mut found = Matches::new();
                index.matches(black_box(event), 0, &mut found);
                matches += black_box(&found).len();
            }
        }
        let events = (ROUNDS * EVENTS) as f64;
        best = best.min(start.elapsed().as_nanos() as f64 / events);
    }
    (best, matches as f64 / (ROUNDS * EVENTS) as f64)
}

/// One predicate alone, for scale.
fn scan() {
    println!("\n{:26}{:>12}", "one predicate", "ns/event");
    let events = events(10);
    for json in [
        r#"{"exact": {"type": "com.acme.order.1"}}"#,
        r#"{"sql": "type = 'com.acme.order.1' AND n > 2 AND subject != 's3'"}"#,
        r#"{"sql": "type LIKE 'com.%.order.%' AND n + 1 < 5"}"#,
    ] {
        let predicate = predicate(json);
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                for event in &events {
                    black_box(predicate.matches(black_box(event)));
                }
            }
            best = best.min(start.elapsed().as_nanos() as f64 / (ROUNDS * EVENTS) as f64);
        }
        println!("{json}\n{:26}{best:>12.1}", "");
    }
}
