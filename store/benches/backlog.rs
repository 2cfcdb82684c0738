//! What a start costs with a large backlog (C28), and then reading it, and acknowledging all of it.
//!
//! `cargo bench -p weft-store --bench backlog -- [DIR [MIB]]`. A process of its own fills the store and is killed; the
//! memory of the machine is told to forget the files. Figures: `docs/benchmarks.md`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_store::disk::{Disk, Real};
use weft_store::{Claim, Keeper, Log, LogSettings, Most, Refused, Settings, Store, Sync};

const EVENT: usize = 1024;

struct Nobody;

impl Keeper<()> for Nobody {
    fn stored(&self, _log: &Arc<Log<()>>, _first: u64, _tokens: Vec<()>) {}

    fn failed(&self, _log: &Arc<Log<()>>, _tokens: Vec<()>, why: &Arc<str>) {
        panic!("{why}");
    }
}

fn open(dir: &Path) -> (Store<()>, Arc<Log<()>>) {
    let settings = Settings {
        path: dir.to_owned(),
        max_bytes: 8 << 30,
        reserve: 0,
        keep_free: 0,
        sync: Sync::Always,
    };
    let bounds = LogSettings {
        max_bytes: 8 << 30,
        own_space: false,
        max_age: None,
        retain: None,
        window: 4096,
        parts: 16,
    };
    let names = [("log".to_owned(), bounds.clone())];
    let store = Store::open(Arc::new(Real), settings, &names, Arc::new(Nobody)).unwrap();
    let log = store.log("log", bounds).unwrap();
    (store, log)
}

/// Fills the store, and dies.
fn fill(dir: &Path, mib: usize) -> ! {
    let (_store, log) = open(dir);
    let event = [7; EVENT];
    for _ in 0..mib << 20 >> 10 {
        while let Err((_, why)) = log.append(&[&event], ((), Claim::New), 0, |()| true) {
            assert_eq!(why, Refused::Full);
            std::thread::yield_now();
        }
    }
    while log.holding().unsynced > 0 {
        std::thread::yield_now();
    }
    std::process::abort()
}

/// Bytes that were resident at the most.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forget(&path);
        } else {
            Real.open(&path).unwrap().forget();
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|text| !text.starts_with("--"))
        .collect();
    let mib = arguments.get(1).map_or(1024, |text| text.parse().unwrap());
    let dir = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    if arguments.get(2).is_some_and(|text| text == "fill") {
        fill(&dir, mib);
    }
    let dir = dir.join(format!("weft-store-backlog-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let filler = Command::new(std::env::current_exe().unwrap())
        .arg(&dir)
        .args([&mib.to_string(), "fill"])
        .status()
        .unwrap();
    assert!(!filler.success(), "it was to die");
    forget(&dir);
    measure(&dir);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn measure(dir: &Path) {
    let said = |what: &str, began: Instant, before: u64| {
        let (seconds, peak) = (began.elapsed().as_secs_f64(), peak_kib());
        println!(
            "{what}: {seconds:.3} s; peak {} KiB, {} more than before",
            peak,
            peak - before
        );
    };
    let (began, before) = (Instant::now(), peak_kib());
    let (store, log) = open(dir);
    println!("{} records, {:?}", log.open(), log.holding());
    said("open", began, before);

    let (began, before) = (Instant::now(), peak_kib());
    let mut reader = store.reader(&log, true);
    let most = Most {
        records: usize::MAX,
        bytes: 256 << 10,
    };
    let (mut records, mut count) = (Vec::new(), 0);
    loop {
        records.clear();
        reader.read(most, &mut records).unwrap();
        if records.is_empty() {
            break;
        }
        count += records.len() as u64;
    }
    assert_eq!((count, reader.damaged()), (log.open(), 0));
    said("read", began, before);

    let (began, before) = (Instant::now(), peak_kib());
    log.acknowledge(0..u64::MAX);
    while log.unwritten() > 0 {
        std::thread::yield_now();
    }
    said("acknowledge all, durably", began, before);
    while std::fs::read_dir(dir.join("logs/log")).unwrap().count() > 0 {
        std::thread::yield_now();
    }
    said("and the segments are gone", began, before);
    assert!(store.close(Duration::from_secs(10)));
}
