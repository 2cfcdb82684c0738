//! What the disk was asked to do, for operators: counts that anybody may read, and the one way to sync a file.
//!
//! Invariant: a sync that finds no room is a failure like any other (C26): only a write that does may be tried again.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::disk::DiskFile;

/// What the store has done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Rounds of the commit thread.
    pub rounds: u64,
    /// Syncs of files, failed ones too.
    pub syncs: u64,
    /// Bytes written for records and acknowledgements; without the zeros ahead of them.
    pub bytes_written: u64,
    /// How long all syncs took, added up.
    pub sync_time: Duration,
    /// How long the longest took.
    pub longest_sync: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    rounds: AtomicU64,
    syncs: AtomicU64,
    written: AtomicU64,
    sync_us: AtomicU64,
    longest_us: AtomicU64,
}

impl Counters {
    pub(crate) fn round(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Syncs a file.
    ///
    /// # Errors
    /// Never one that says that there is no room; see the module.
    pub(crate) fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        let began = Instant::now();
        let result = file.sync();
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_us.fetch_add(took, Ordering::Relaxed);
        self.longest_us.fetch_max(took, Ordering::Relaxed);
        result.map_err(|error| io::Error::other(format!("syncing: {error}")))
    }

    pub(crate) fn read(&self) -> Stats {
        let us = |count: &AtomicU64| Duration::from_micros(count.load(Ordering::Relaxed));
        Stats {
            rounds: self.rounds.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            bytes_written: self.written.load(Ordering::Relaxed),
            sync_time: us(&self.sync_us),
            longest_sync: us(&self.longest_us),
        }
    }
}
