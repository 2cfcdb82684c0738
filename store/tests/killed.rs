//! A process that is killed in the middle of its work (C24, C25, C28): what it was told is there, each life goes on behind the
//! one before, and nothing that was acknowledged durably comes again.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use common::{Dir, bounds, close, open, tokens};
use weft_store::disk::Real;
use weft_store::{Claim, Keeper, Log, Settings, Store, Sync};

const MAX: u64 = 4 << 20;
const LIVES: u64 = 6;
/// What is appended and not durable, of each log.
const AHEAD: u64 = 200;
/// Tokens of one life.
const LIFE: u64 = 1_000_000;

/// Says on its output what it is told.
struct Says(Mutex<std::io::Stdout>);

impl Keeper<u64> for Says {
    fn stored(&self, log: &Arc<Log<u64>>, _first: u64, tokens: Vec<u64>) {
        if &*log.name == "a" {
            let lines: String = tokens.iter().map(|token| format!("told {token}\n")).collect();
            self.0.lock().unwrap().write_all(lines.as_bytes()).unwrap();
        }
    }

    fn failed(&self, _log: &Arc<Log<u64>>, _tokens: Vec<u64>, why: &Arc<str>) {
        panic!("{why}");
    }
}

/// The process that is killed: appends to both logs, and acknowledges all of `b`, for ever.
fn live(path: &Path, life: u64) {
    let settings = Settings {
        path: path.to_owned(),
        max_bytes: 4 * MAX,
        reserve: 0,
        keep_free: 0,
        sync: Sync::Always,
    };
    let names = ["a", "b"].map(|name| (name.to_owned(), bounds(MAX)));
    let keeper = Arc::new(Says(Mutex::new(std::io::stdout())));
    let store = Store::open(Arc::new(Real), settings, &names, keeper).unwrap();
    let (a, b) = (
        store.log("a", bounds(MAX)).unwrap(),
        store.log("b", bounds(MAX)).unwrap(),
    );
    let (mut token, mut appended) = (life * LIFE, 0);
    let append = |log: &Arc<Log<u64>>, token: u64| {
        let payload = vec![7; (token as usize * 37) % 300];
        log.append(&[&token.to_le_bytes(), &payload], (token, Claim::New), 7, |_| {
            true
        })
        .ok()
    };
    loop {
        while a.holding().unsynced >= AHEAD {
            std::thread::yield_now();
        }
        token += u64::from(append(&a, token).is_some());
        if let Some(sequence) = append(&b, token) {
            appended = sequence + 1;
        }
        b.acknowledge(0..appended - b.holding().unsynced.min(appended));
        if a.is_full() {
            // The elder half goes, and is said to.
            let open = tokens(&store, &a).0;
            let half = open[open.len() / 2];
            println!("below {half}");
            let mut reader = store.reader(&a, true);
            let mut records = Vec::new();
            let most = weft_store::Most {
                records: open.len() / 2,
                bytes: u64::MAX,
            };
            reader.read(most, &mut records).unwrap();
            a.acknowledge(0..records.last().unwrap().sequence + 1);
        }
    }
}

#[test]
fn what_a_killed_process_was_told_is_there() {
    if let Ok(path) = std::env::var("WEFT_STORE_LIVE") {
        let life = std::env::var("WEFT_STORE_LIFE").unwrap().parse().unwrap();
        live(Path::new(&path), life);
    }
    let dir = Dir::new("killed");
    let mut told = BTreeSet::new();
    for life in 0..LIVES {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "what_a_killed_process_was_told_is_there",
                "--nocapture",
            ])
            .env("WEFT_STORE_LIVE", &dir.0)
            .env("WEFT_STORE_LIFE", life.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut below, mut count) = (0, 0);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The harness begins a line of its own before the first.
            if let Some((_, token)) = line.split_once("told ") {
                told.insert(token.parse::<u64>().unwrap());
                count += 1;
            } else if let Some(token) = line.strip_prefix("below ") {
                below = token.parse().unwrap();
            }
            if count == 500 * (life + 1) {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(count >= 500 * (life + 1), "it ended by itself");
        told = told.split_off(&below);
        let (store, _) = open(&dir.0, MAX).unwrap();
        let (found, damaged) = tokens(&store, &store.log("a", bounds(MAX)).unwrap());
        assert!(found.is_sorted(), "in their order");
        assert_eq!(damaged, 0);
        let found: BTreeSet<u64> = found.into_iter().collect();
        let lost: Vec<_> = told.difference(&found).collect();
        assert!(lost.is_empty(), "life {life}: {lost:?} of {} lost", told.len());
        // Of `b`: what was not durable, what became so in the round that was killed, and a window.
        let open_b = store.log("b", bounds(MAX)).unwrap().open();
        assert!(open_b <= 3 * AHEAD + 64, "{open_b} of b come again");
        close(&store);
    }
}
