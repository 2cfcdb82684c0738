//! The machine under a router with a store: the simulated disk, and clocks that show the runtime's own time.

use std::any::Any;
use std::io;
use std::path::Path;

use tokio::time::Instant;
use weft_store::disk::sim::Sim;
use weft_store::disk::{Disk, DiskFile};

/// What the wall clock shows at the beginning, in milliseconds since 1970.
const BEGINNING_MS: u64 = 1_780_000_000_000;

/// See the module. Clones are the same machine.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) disk: Sim,
    started: Instant,
}

impl Machine {
    pub(super) fn new() -> Machine {
        Machine {
            disk: Sim::default(),
            started: Instant::now(),
        }
    }

    /// What the next process finds: all that was written, or what a power cut left of it.
    pub(super) fn after(&self, power_cut: Option<&mut fastrand::Rng>) -> Machine {
        Machine {
            disk: match power_cut {
                Some(random) => self.disk.after_power_cut(random),
                None => self.disk.after_kill(),
            },
            started: self.started,
        }
    }

    /// Turns a bit somewhere in the segments of the logs.
    pub(super) fn damage(&self, logs: &Path, choice: u64) {
        let mut random = fastrand::Rng::with_seed(choice);
        let mut files = self.disk.files(logs);
        files.retain(|(path, length)| path.extension().is_some_and(|ending| ending == "seg") && *length > 0);
        if files.is_empty() {
            return;
        }
        let (path, length) = &files[random.usize(0..files.len())];
        self.disk.flip(path, random.usize(0..*length), random.u8(0..8));
    }
}

impl Disk for Machine {
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.disk.lock(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.make_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_bytes(path)
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    fn wall_ms(&self) -> u64 {
        let passed = self.started.elapsed().as_millis();
        BEGINNING_MS + u64::try_from(passed).unwrap_or(u64::MAX / 2)
    }
}
