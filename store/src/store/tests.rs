//! The store on a disk that loses its power, against a plain list of what was promised.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::disk::sim::{Fault, Sim};
use crate::reader::{Most, Record};
use crate::{Claim, Refused};

mod bits;
mod crashes;
mod ends;
mod failures;
mod garbage;
mod model;
mod retained;
mod room;
mod sectors;
mod short;
mod starts;

/// How many seeds each test takes; `WEFT_STORE_SEEDS` for more.
const SEEDS: u64 = 80;
const EVERYTHING: Most = Most {
    records: usize::MAX,
    bytes: u64::MAX,
};

/// What was told.
#[derive(Default)]
struct Told {
    stored: Mutex<Vec<(String, u64)>>,
    failed: Mutex<Vec<u64>>,
}

impl Keeper<u64> for Told {
    fn stored(&self, log: &Arc<Log<u64>>, _first: u64, tokens: Vec<u64>) {
        let told = tokens.into_iter().map(|token| (log.name.to_string(), token));
        self.stored.lock().unwrap().extend(told);
    }

    fn failed(&self, _log: &Arc<Log<u64>>, tokens: Vec<u64>, _why: &Arc<str>) {
        self.failed.lock().unwrap().extend(tokens);
    }
}

/// A log by its promises.
#[derive(Default, Clone)]
struct Model {
    /// The log's number: a log that was empty at a start begins anew.
    id: u64,
    /// Tokens by sequence.
    appended: BTreeMap<u64, u64>,
    told: BTreeSet<u64>,
    acknowledged: BTreeSet<u64>,
    /// Acknowledged, and durably so.
    settled: BTreeSet<u64>,
}

struct World {
    sim: Sim,
    random: fastrand::Rng,
    models: BTreeMap<String, Model>,
    tokens: u64,
    /// Tokens are told before the sync.
    interval: bool,
}

struct Running {
    store: Store<u64>,
    committer: Committer<u64>,
    told: Arc<Told>,
}

fn bounds() -> LogSettings {
    LogSettings {
        max_bytes: 4 << 20,
        own_space: false,
        max_age: None,
        retain: None,
        window: 4096,
        parts: 16,
    }
}

fn settings() -> Settings {
    Settings {
        path: PathBuf::from("/store"),
        max_bytes: 64 << 20,
        reserve: 1 << 20,
        keep_free: 0,
        sync: Sync::Always,
    }
}

fn start(sim: &Sim) -> Result<Running, OpenError> {
    start_with(sim, settings(), &bounds())
}

fn start_with(sim: &Sim, settings: Settings, bounds: &LogSettings) -> Result<Running, OpenError> {
    let names = ["a", "b"].map(|name| (name.to_owned(), bounds.clone()));
    let told = Arc::new(Told::default());
    let keeper: Arc<dyn Keeper<u64>> = told.clone();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let (store, committer) = Store::assemble(disk, settings, &names, keeper, Spares::none())?;
    Ok(Running {
        store,
        committer,
        told,
    })
}

impl Running {
    fn round(&mut self, all: bool) {
        let (logs, _) = self.committer.bell.wait(Some(Instant::now()));
        self.committer.round(logs, all);
    }

    fn log(&self, name: &str) -> Arc<Log<u64>> {
        Arc::clone(&self.store.logs.lock().unwrap()[name])
    }

    /// Appends a record of so many bytes.
    fn append(&self, name: &str, token: u64, bytes: usize, at_ms: u64) -> Result<u64, Refused> {
        let (token_bytes, rest) = (token.to_le_bytes(), vec![7; bytes.saturating_sub(8)]);
        let appended = self
            .log(name)
            .append(&[&token_bytes, &rest], (token, Claim::New), at_ms, |_| true);
        appended.map_err(|(_, why)| why)
    }

    fn tokens(&self, name: &str) -> Vec<u64> {
        self.all(name).unwrap().0.iter().map(token_of).collect()
    }

    /// The accounts are right: what is charged is there, and what is open.
    fn audit(&self) {
        let mut used = 0;
        for name in ["a", "b"] {
            let log = self.log(name);
            let state = log.lock();
            let ends = |retained| {
                state
                    .segments
                    .iter()
                    .filter(move |held| held.retained == retained)
                    .map(|held| held.end)
            };
            assert_eq!(
                state.charged(),
                ends(false).sum::<u64>() + state.batch.bytes.len() as u64,
                "{name}"
            );
            assert_eq!(state.retained(), ends(true).sum::<u64>(), "{name}");
            assert_eq!(
                log.open(),
                state.next - state.acked.count(0..state.next),
                "{name}"
            );
            used += if state.settings.own_space {
                0
            } else {
                state.charged()
            };
        }
        assert_eq!(self.store.used(), used);
    }

    fn all(&self, name: &str) -> io::Result<(Vec<Record>, u64)> {
        let mut reader = self.store.reader(&self.log(name), true);
        let mut records = Vec::new();
        reader.read(EVERYTHING, &mut records)?;
        Ok((records, reader.damaged()))
    }
}

fn payload(token: u64, random: &mut fastrand::Rng) -> Vec<u8> {
    let length = match random.u8(..10) {
        0 => 0,
        1 => random.usize(..40_000),
        _ => random.usize(..400),
    };
    let mut bytes = token.to_le_bytes().to_vec();
    bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
    bytes
}

fn token_of(record: &Record) -> u64 {
    crate::record::u64_at(&record.payload, 0)
}

impl World {
    fn new(seed: u64) -> World {
        World {
            sim: Sim::default(),
            random: fastrand::Rng::with_seed(seed),
            models: ["a", "b"].map(|name| (name.to_owned(), Model::default())).into(),
            tokens: 0,
            interval: false,
        }
    }

    /// One random thing.
    fn act(&mut self, running: &mut Running) {
        let name = if self.random.bool() { "a" } else { "b" };
        match self.random.u8(..10) {
            0..5 => self.append(running, name),
            5..7 => running.round(self.random.u8(..4) == 0),
            _ => self.acknowledge(running, name),
        }
        self.learn(running);
    }

    fn append(&mut self, running: &Running, name: &str) {
        let log = running.log(name);
        for _ in 0..self.random.usize(1..20) {
            let token = self.tokens;
            self.tokens += 1;
            let payload = payload(token, &mut self.random);
            let (left, right) = payload.split_at(self.random.usize(..payload.len()));
            match log.append(&[left, right], (token, Claim::New), 7, |_| true) {
                Ok(sequence) => {
                    let model = self.models.get_mut(name).unwrap();
                    assert_eq!(model.appended.insert(sequence, token), None, "a sequence twice");
                }
                Err((_, Refused::Failed(_) | Refused::Full)) => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn acknowledge(&mut self, running: &Running, name: &str) {
        let model = self.models.get_mut(name).unwrap();
        let Ok((records, _)) = running.all(name) else {
            return;
        };
        for record in records {
            assert!(!model.acknowledged.contains(&record.sequence));
            if self.random.bool() {
                running
                    .log(name)
                    .acknowledge(record.sequence..record.sequence + 1);
                model.acknowledged.insert(record.sequence);
            }
        }
    }

    fn acknowledge_all(&mut self, running: &Running, name: &str) {
        let Ok((records, _)) = running.all(name) else {
            return;
        };
        for record in records {
            running
                .log(name)
                .acknowledge(record.sequence..record.sequence + 1);
            self.models
                .get_mut(name)
                .unwrap()
                .acknowledged
                .insert(record.sequence);
        }
    }

    /// Notes what was told.
    fn learn(&mut self, running: &Running) {
        running.audit();
        for (name, token) in std::mem::take(&mut *running.told.stored.lock().unwrap()) {
            self.models.get_mut(&name).unwrap().told.insert(token);
        }
        for (name, model) in &mut self.models {
            if running.log(name).unwritten() == 0 {
                model.settled = model.acknowledged.clone();
            }
        }
    }

    /// What a start finds keeps every promise. `damage`: bits were flipped.
    fn check(&mut self, running: &Running, damage: bool) {
        for (name, model) in &mut self.models {
            let (records, damaged) = running.all(name).unwrap();
            let found: BTreeMap<u64, u64> = records.iter().map(|r| (r.sequence, token_of(r))).collect();
            assert!(records.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
            for (sequence, token) in &found {
                assert_eq!(model.appended.get(sequence), Some(token), "{name}: a stranger");
                assert!(
                    !model.settled.contains(sequence),
                    "{name}: {sequence} was acknowledged"
                );
            }
            let lost = model.appended.iter().filter(|(sequence, token)| {
                model.told.contains(token)
                    && !model.acknowledged.contains(sequence)
                    && !found.contains_key(sequence)
            });
            let lost: Vec<u64> = lost.map(|(sequence, _)| *sequence).collect();
            if damage {
                assert!(
                    lost.len() as u64 <= damaged,
                    "{name}: {lost:?} lost, {damaged} damaged"
                );
            } else {
                assert!(lost.is_empty(), "{name}: {lost:?} lost");
                assert_eq!(damaged, 0, "{name}");
                let mut copies = running.store.disk.list(Path::new("/store/quarantine")).unwrap();
                // A writer may have been at work at the end of a file.
                copies.retain(|name| !name.ends_with(".torn"));
                assert!(copies.is_empty(), "{name}: {copies:?}");
            }
            let (next, id) = (running.log(name).lock().next, running.log(name).id);
            let is_new = |sequence: &u64| id != model.id || *sequence < next;
            assert!(
                model.settled.last().is_none_or(is_new),
                "{name}: a sequence would be given again"
            );
            if self.interval {
                // What was lost before it was durable, and its acknowledgement with it, leaves its place.
                model.acknowledged.retain(|sequence| *sequence < next);
            }
            // What is there again is open again; what is not there never was.
            model
                .acknowledged
                .retain(|sequence| !found.contains_key(sequence));
            let known =
                |sequence: &u64| found.contains_key(sequence) || model.acknowledged.contains(sequence);
            let (kept, gone): (BTreeMap<u64, u64>, BTreeMap<u64, u64>) = std::mem::take(&mut model.appended)
                .into_iter()
                .partition(|(sequence, _)| known(sequence));
            model.appended = kept;
            model
                .told
                .retain(|token| !gone.values().any(|known| known == token));
            if id != model.id {
                *model = Model {
                    id,
                    ..Model::default()
                };
            }
        }
    }
}

fn each_seed(test: impl Fn(World)) {
    /// Says which seed failed.
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("seed {}", self.0);
            }
        }
    }
    let only = std::env::var("WEFT_STORE_SEED").map(|text| text.parse().unwrap());
    let count = std::env::var("WEFT_STORE_SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    let seeds = only.map_or(0..count, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let _said = Seed(seed);
        test(World::new(seed));
    }
}
