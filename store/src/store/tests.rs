#![allow(clippy::unwrap_used)]
//! The store on a disk that loses its power, against a plain list of what was promised.

use std::collections::BTreeSet;

use super::*;
use crate::disk::sim::{Fault, Sim};
use crate::reader::{Most, Record};
use crate::{Claim, Refused};

/// How many seeds each test takes; `WEFT_STORE_SEEDS` for more.
const SEEDS: u64 = 300;
const EVERYTHING: Most = Most {
    records: usize::MAX,
    bytes: u64::MAX,
};

/// What was told.
#[derive(Default)]
struct Told {
    stored: Mutex<Vec<(String, u64)>>,
}

impl Keeper<u64> for Told {
    fn stored(&self, log: &Arc<Log<u64>>, tokens: Vec<u64>) {
        let told = tokens.into_iter().map(|token| (log.name.to_string(), token));
        self.stored.lock().unwrap().extend(told);
    }

    fn failed(&self, _log: &Arc<Log<u64>>, _tokens: Vec<u64>, _why: &Arc<str>) {}
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
}

struct Running {
    store: Store<u64>,
    committer: Committer<u64>,
    told: Arc<Told>,
}

fn bounds() -> LogSettings {
    LogSettings {
        max_bytes: 16 << 20,
        max_age: None,
        retain: None,
    }
}

fn start(sim: &Sim) -> Result<Running, OpenError> {
    let settings = Settings {
        path: PathBuf::from("/store"),
        max_bytes: 64 << 20,
        reserve: 1 << 20,
        keep_free: 0,
        sync: Sync::Always,
    };
    let names = ["a", "b"].map(|name| (name.to_owned(), bounds()));
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
        self.store.log(name, bounds()).unwrap()
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

    /// Notes what was told.
    fn learn(&mut self, running: &Running) {
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
            let id = running.log(name).id;
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

#[test]
fn what_was_told_survives_any_power_cut() {
    each_seed(|mut world| {
        for _ in 0..4 {
            let mut running = start(&world.sim).unwrap();
            world.check(&running, false);
            let calls = world.random.u64(1..200);
            world.sim.arm(calls, Fault::PowerCut);
            for _ in 0..60 {
                world.act(&mut running);
            }
            if world.random.u8(..4) == 0 {
                running.committer.close();
            }
            world.learn(&running);
            world.sim = world.sim.after_power_cut(&mut world.random);
            // A start may lose its power, too.
            while world.random.bool() {
                let calls = world.random.u64(1..40);
                world.sim.arm(calls, Fault::PowerCut);
                drop(start(&world.sim));
                world.sim = world.sim.after_power_cut(&mut world.random);
            }
        }
    });
}

#[test]
fn what_was_told_survives_any_kill() {
    each_seed(|mut world| {
        for _ in 0..4 {
            let mut running = start(&world.sim).unwrap();
            world.check(&running, false);
            for _ in 0..world.random.usize(..40) {
                world.act(&mut running);
            }
            world.sim = world.sim.after_kill();
        }
    });
}

#[test]
fn after_a_failed_write_or_sync_nothing_told_is_lost() {
    each_seed(|mut world| {
        for _ in 0..4 {
            let mut running = start(&world.sim).unwrap();
            world.check(&running, false);
            let fault = if world.random.bool() {
                Fault::Sync
            } else {
                Fault::Write
            };
            let calls = world.random.u64(1..100);
            world.sim.arm(calls, fault);
            for _ in 0..60 {
                world.act(&mut running);
            }
            world.sim.disarm();
            world.sim = if world.random.bool() {
                world.sim.after_kill()
            } else {
                world.sim.after_power_cut(&mut world.random)
            };
        }
    });
}

#[test]
fn one_flipped_bit_costs_one_record_and_is_told() {
    each_seed(|mut world| {
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        for _ in 0..30 {
            world.append(&running, "a");
            running.round(world.random.u8(..4) == 0);
        }
        running.round(true);
        world.learn(&running);
        if world.random.bool() {
            running.committer.close();
        }
        world.sim = world.sim.after_kill();
        let dir = Path::new("/store/logs/a");
        let mut names = world.sim.list(dir).unwrap();
        names.sort_unstable();
        let name = &names[world.random.usize(..names.len())];
        let length = world.sim.bytes(&dir.join(name)).len();
        let (byte, bit) = (world.random.usize(..length), world.random.u8(..8));
        world.sim.flip(&dir.join(name), byte, bit);
        let running = start(&world.sim).unwrap();
        let (_, damaged) = running.all("a").unwrap();
        assert!(damaged <= 1, "{damaged} damaged by one bit");
        drop(running);
        let running = start(&world.sim.after_kill()).unwrap();
        world.models.values_mut().for_each(|model| {
            // What was found damaged was told, and need not be told again.
            if damaged == 1 {
                let found: BTreeSet<u64> = running.all("a").unwrap().0.iter().map(token_of).collect();
                model.told.retain(|token| found.contains(token));
            }
        });
        world.check(&running, true);
    });
}

#[test]
fn a_torn_end_at_every_byte_leaves_what_was_before() {
    let mut world = World::new(1);
    let mut running = start(&world.sim).unwrap();
    world.append(&running, "a");
    running.round(false);
    world.learn(&running);
    let (first, _) = running.all("a").unwrap();
    let path = Path::new("/store/logs/a").join(crate::segment::Title::name(1));
    let before = world.sim.bytes(&path).len();
    world.append(&running, "a");
    running.round(false);
    let after = world.sim.bytes(&path).len();
    let (both, _) = running.all("a").unwrap();
    drop(running);
    for length in (before..after).rev().take(4_000) {
        let sim = world.sim.after_kill();
        sim.cut(&path, length);
        let running = start(&sim).unwrap();
        let (found, damaged) = running.all("a").unwrap();
        assert_eq!(damaged, 0);
        assert!(
            found.len() >= first.len() && both.starts_with(&found),
            "cut at {length}"
        );
    }
}

#[test]
fn what_a_failed_sync_left_in_memory_only_is_not_built_upon() {
    let mut seen = 0;
    for calls in 0..40 {
        let mut world = World::new(7);
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        world.append(&running, "a");
        running.round(true);
        world.learn(&running);
        world.append(&running, "a");
        world.sim.arm(calls, Fault::Sync);
        running.round(false);
        world.sim.disarm();
        world.learn(&running);
        seen += u64::from(running.log("a").failure().is_some());
        drop(running);
        // The process ends, and memory still shows all of it.
        world.sim = world.sim.after_kill();
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        world.append(&running, "a");
        running.round(true);
        world.learn(&running);
        drop(running);
        for _ in 0..10 {
            let mut world = World {
                sim: world.sim.after_power_cut(&mut world.random),
                random: world.random.clone(),
                models: world.models.clone(),
                tokens: world.tokens,
            };
            let running = start(&world.sim).unwrap();
            world.check(&running, false);
        }
    }
    assert!(seen > 0, "no sync failed");
}

#[test]
fn a_full_disk_is_no_failure_and_nothing_told_is_lost() {
    each_seed(|mut world| {
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        for capacity in [200_000, 400_000, 100_000, 2_000_000] {
            world.sim.set_capacity(Some(capacity));
            for _ in 0..20 {
                world.act(&mut running);
            }
            for name in ["a", "b"] {
                assert_eq!(running.log(name).failure(), None);
            }
        }
        world.sim.set_capacity(None);
        running.round(true);
        running.round(true);
        world.learn(&running);
        for (name, model) in &world.models {
            // What waited for room has found it, in its order.
            assert_eq!(running.log(name).holding().unsynced, 0, "{name}");
            assert_eq!(model.told.len(), model.appended.len(), "{name}");
        }
        world.sim = world.sim.after_power_cut(&mut world.random);
        let running = start(&world.sim).unwrap();
        world.check(&running, false);
    });
}
