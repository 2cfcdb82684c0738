//! Durable appends beside what the disk can do at all: a file full of zeros, written and synced in place. The two take turns,
//! batch by batch, so that what else the machine does meets both.
//!
//! `cargo bench -p weft-store --bench durable -- [DIR]`; the directory should lie on the disk in question.
//! Figures and what they are of: `docs/benchmarks.md`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use weft_store::disk::Real;
use weft_store::{Claim, Keeper, Log, LogSettings, Settings, Store, Sync};

const EVENT: usize = 256;
/// What a batch is, of those appended in one go.
const BATCH: usize = 256;
/// How many senders there are that wait for each record.
const SENDERS: [usize; 4] = [1, 16, 64, 256];
const TURNS: usize = 600;
const ROUNDS: usize = 3;

struct Tell(Mutex<Sender<usize>>);

impl Keeper<()> for Tell {
    fn stored(&self, _log: &Arc<Log<()>>, _first: u64, tokens: Vec<()>) {
        let _ = self.0.lock().unwrap().send(tokens.len());
    }

    fn failed(&self, _log: &Arc<Log<()>>, _tokens: Vec<()>, why: &Arc<str>) {
        panic!("{why}");
    }
}

/// A store with one log.
struct Stored {
    store: Store<()>,
    log: Arc<Log<()>>,
    told: Receiver<usize>,
}

impl Stored {
    fn open(path: &Path) -> Stored {
        let (tell, told) = channel();
        let settings = Settings {
            path: path.to_owned(),
            max_bytes: 4 << 30,
            reserve: 0,
            keep_free: 0,
            sync: Sync::Always,
        };
        let bounds = LogSettings {
            max_bytes: 4 << 30,
            own_space: false,
            max_age: None,
            retain: None,
            window: 4096,
            parts: 16,
        };
        let names = [("log".to_owned(), bounds.clone())];
        let store = Store::open(Arc::new(Real), settings, &names, Arc::new(Tell(Mutex::new(tell)))).unwrap();
        let log = store.log("log", bounds).unwrap();
        Stored { store, log, told }
    }

    fn append(&self, count: usize) {
        let event = [7; EVENT];
        for _ in 0..count {
            self.log
                .append(&[&event], ((), Claim::New), 0, |()| true)
                .map_err(|(_, why)| why)
                .unwrap();
        }
    }

    /// A batch, from the first append to the last word.
    fn batch(&self) -> Duration {
        let began = Instant::now();
        self.append(BATCH);
        let mut left = BATCH;
        while left > 0 {
            left -= self.told.recv().unwrap();
        }
        began.elapsed()
    }

    /// Senders that append again as soon as they hear: how long `count` records take.
    fn closed_loop(&self, senders: usize, count: usize) -> Duration {
        let began = Instant::now();
        self.append(senders);
        let (mut appended, mut heard) = (senders, 0);
        while heard < count {
            let told = self.told.recv().unwrap();
            heard += told;
            let more = told.min(count - appended);
            self.append(more);
            appended += more;
        }
        began.elapsed()
    }

    fn close(self) {
        assert!(self.store.close(Duration::from_secs(10)));
    }
}

/// A file of zeros that is on the disk.
struct Raw {
    file: File,
    at: u64,
}

impl Raw {
    fn new(path: &Path, bytes: usize) -> Raw {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .unwrap();
        let zeros = vec![0; 1 << 20];
        for at in (0..bytes).step_by(zeros.len()) {
            file.write_all_at(&zeros, at as u64).unwrap();
        }
        file.sync_all().unwrap();
        Raw { file, at: 0 }
    }

    fn batch(&mut self, events: usize) -> Duration {
        let batch = vec![7; events * EVENT];
        let began = Instant::now();
        self.file.write_all_at(&batch, self.at).unwrap();
        self.file.sync_data().unwrap();
        self.at += batch.len() as u64;
        began.elapsed()
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
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
        batches(&dir, round);
    }
    for senders in SENDERS {
        one_by_one(&dir, senders);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

fn batches(dir: &Path, round: usize) {
    let stored = Stored::open(&dir.join(format!("batches-{round}")));
    let mut raw = Raw::new(&dir.join("raw"), (TURNS + 1) * BATCH * EVENT);
    let (mut raws, mut stores) = (Vec::new(), Vec::new());
    let before = stored.store.stats();
    for _ in 0..TURNS {
        raws.push(raw.batch(BATCH));
        stores.push(stored.batch());
    }
    let after = stored.store.stats();
    let (raw, store) = (median(raws), median(stores));
    println!(
        "{BATCH} at once, {EVENT} B each: raw {raw:.3} ms ({:.0} syncs/s), store {store:.3} ms, ratio {:.2}; {:.2} syncs a batch, of {:.3} ms",
        1e3 / raw,
        store / raw,
        (after.syncs - before.syncs) as f64 / TURNS as f64,
        (after.sync_time - before.sync_time).as_secs_f64() * 1e3 / (after.syncs - before.syncs) as f64,
    );
    stored.close();
}

fn one_by_one(dir: &Path, senders: usize) {
    let stored = Stored::open(&dir.join(format!("senders-{senders}")));
    let mut raw = Raw::new(&dir.join("raw"), (TURNS + 1) * senders * EVENT);
    let (mut raws, mut stores) = (Vec::new(), Vec::new());
    let each = 10;
    for _ in 0..TURNS / each {
        let began = Instant::now();
        for _ in 0..each {
            raw.batch(senders);
        }
        raws.push(began.elapsed());
        stores.push(stored.closed_loop(senders, each * senders));
    }
    let rate = |ms: f64| (each * senders) as f64 / ms * 1e3;
    let (raw, store) = (rate(median(raws)), rate(median(stores)));
    println!(
        "{senders} senders, one each: raw {raw:.0} events/s, store {store:.0} events/s, ratio {:.2}",
        raw / store
    );
    stored.close();
}
