//! What the tests on a real disk share: a keeper that notes, a directory that goes, a log read to its end.
#![allow(dead_code, reason = "no test uses all of it")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft_store::disk::Real;
use weft_store::{Keeper, Log, LogSettings, Most, OpenError, Settings, Store, Sync};

/// What was told, by log.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) stored: Mutex<Vec<(String, u64)>>,
    pub(crate) failed: Mutex<Vec<(String, u64)>>,
    pub(crate) heard: std::sync::Condvar,
}

impl Told {
    fn note(&self, list: &Mutex<Vec<(String, u64)>>, log: &Log<u64>, tokens: Vec<u64>) {
        let tokens = tokens.into_iter().map(|token| (log.name.to_string(), token));
        list.lock().unwrap().extend(tokens);
        self.heard.notify_all();
    }

    /// Waits until so many are told, of all logs.
    pub(crate) fn wait(&self, count: usize) {
        let mut stored = self.stored.lock().unwrap();
        while stored.len() < count {
            stored = self.heard.wait(stored).unwrap();
        }
    }
}

impl Keeper<u64> for Told {
    fn stored(&self, log: &Arc<Log<u64>>, _first: u64, tokens: Vec<u64>) {
        self.note(&self.stored, log, tokens);
    }

    fn failed(&self, log: &Arc<Log<u64>>, tokens: Vec<u64>, _why: &Arc<str>) {
        self.note(&self.failed, log, tokens);
    }
}

/// A directory for one test; it goes with this.
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Dir {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn bounds(max_bytes: u64) -> LogSettings {
    LogSettings {
        max_bytes,
        own_space: false,
        max_age: None,
        retain: None,
        window: 64,
        parts: 16,
    }
}

/// Opens the logs `a` and `b`.
pub(crate) fn open(path: &Path, max_bytes: u64) -> Result<(Store<u64>, Arc<Told>), OpenError> {
    let settings = Settings {
        path: path.to_owned(),
        max_bytes: 4 * max_bytes,
        reserve: 0,
        keep_free: 0,
        sync: Sync::Always,
    };
    let names = ["a", "b"].map(|name| (name.to_owned(), bounds(max_bytes)));
    let told = Arc::new(Told::default());
    let keeper: Arc<Told> = Arc::clone(&told);
    Ok((Store::open(Arc::new(Real), settings, &names, keeper)?, told))
}

/// Tokens that are open, in their order, and how many records were damaged.
pub(crate) fn tokens(store: &Store<u64>, log: &Arc<Log<u64>>) -> (Vec<u64>, u64) {
    let mut reader = store.reader(log, true);
    let mut records = Vec::new();
    let most = Most {
        records: usize::MAX,
        bytes: u64::MAX,
    };
    reader.read(most, &mut records).unwrap();
    let token = |payload: &[u8]| u64::from_le_bytes(*payload.first_chunk().unwrap());
    (
        records.iter().map(|record| token(&record.payload)).collect(),
        reader.damaged(),
    )
}

pub(crate) fn close(store: &Store<u64>) {
    assert!(store.close(Duration::from_secs(60)));
}
