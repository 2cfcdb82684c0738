//! Durable appends, batch by batch, beside what the disk can do at all: a file full of zeros, written and synced in place.
//!
//! `cargo bench -p weft-store --bench durable -- [DIR]`; the directory should lie on the disk in question.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use weft_store::disk::Real;
use weft_store::{Claim, Keeper, Log, LogSettings, Settings, Store, Sync};

const BATCH: usize = 256;
const EVENT: usize = 256;
const BATCHES: usize = 400;
const ROUNDS: usize = 5;

struct Count(Mutex<Sender<usize>>);

impl Keeper<()> for Count {
    fn stored(&self, _log: &Arc<Log<()>>, _first: u64, tokens: Vec<()>) {
        let _ = self.0.lock().unwrap().send(tokens.len());
    }

    fn failed(&self, _log: &Arc<Log<()>>, _tokens: Vec<()>, why: &Arc<str>) {
        panic!("{why}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|text| !text.starts_with("--"))
        .collect();
    let dir = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("weft-store-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for round in 0..ROUNDS {
        let raw = raw(&dir.join("raw"));
        let store = store(&dir.join(format!("store-{round}")));
        println!(
            "round {round}: raw {raw:.3} ms, store {store:.3} ms a batch of {BATCH} x {EVENT} B: {:.2}",
            store / raw
        );
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Milliseconds a batch.
fn raw(path: &Path) -> f64 {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .unwrap();
    let zeros = vec![0; 1 << 20];
    let whole = BATCH * EVENT * (BATCHES + 1);
    for at in (0..whole).step_by(zeros.len()) {
        file.write_all_at(&zeros, at as u64).unwrap();
    }
    file.sync_all().unwrap();
    let batch = vec![7; BATCH * EVENT];
    let began = Instant::now();
    for n in 0..BATCHES {
        file.write_all_at(&batch, (n * batch.len()) as u64).unwrap();
        file.sync_data().unwrap();
    }
    began.elapsed().as_secs_f64() * 1e3 / BATCHES as f64
}

fn store(path: &Path) -> f64 {
    let (told, heard) = channel();
    let settings = Settings {
        path: path.to_owned(),
        max_bytes: 1 << 30,
        reserve: 0,
        keep_free: 0,
        sync: Sync::Always,
    };
    let bounds = LogSettings {
        max_bytes: 1 << 30,
        own_space: false,
        max_age: None,
        retain: None,
        window: 4096,
    };
    let names = [("log".to_owned(), bounds.clone())];
    let store = Store::open(
        Arc::new(Real),
        settings,
        &names,
        Arc::new(Count(Mutex::new(told))),
    )
    .unwrap();
    let log = store.log("log", bounds).unwrap();
    let event = vec![7; EVENT];
    let began = Instant::now();
    for _ in 0..BATCHES {
        for _ in 0..BATCH {
            log.append(&[&event], ((), Claim::New), 0, |()| true)
                .map_err(|(_, why)| why)
                .unwrap();
        }
        let mut left = BATCH;
        while left > 0 {
            left -= heard.recv().unwrap();
        }
    }
    let took = began.elapsed().as_secs_f64() * 1e3 / BATCHES as f64;
    assert!(store.close(std::time::Duration::from_secs(10)));
    took
}
