//! A disk in memory whose power can be cut: what was not synced survives in any part, by sectors or by pages; a sync that
//! failed leaves in memory what the disk has not; names survive apart from what they name.
//!
//! Everything is chosen by a seed, so that a failure replays.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod calls;

/// What is written as a whole, or not at all.
pub const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// What goes wrong, and when: at the call with this number, counted from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The power goes: this call and all after it fail.
    PowerCut,
    /// A write fails with EIO, and has written nothing.
    Write,
    /// A sync fails with EIO: what was dirty is clean now, stays in memory, and never reaches the disk.
    Sync,
    /// The same, and the error says that there is no room.
    SyncFull,
    /// A read fails with EIO, once.
    Read,
    /// A file keeps its name: EIO.
    Rename,
}

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub struct Sim(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    dirs: BTreeMap<PathBuf, Names>,
    files: Vec<Content>,
    /// Bytes that all files together may have.
    capacity: Option<u64>,
    calls: u64,
    /// A wall clock of its own, in milliseconds since 1970.
    wall: Option<fn() -> u64>,
    /// Both clocks when it was set.
    started: Option<(Instant, u64)>,
    /// How far the wall clock has stepped since then.
    stepped: Duration,
    faults: BTreeMap<u64, Fault>,
    off: bool,
    no_files: bool,
}

#[derive(Clone, Default)]
struct Names {
    seen: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
}

#[derive(Clone, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// Sectors that cannot be read.
    bad: BTreeSet<usize>,
}

impl Sim {
    /// A fault at a call from now on, 0 being the next.
    pub fn arm(&self, calls: u64, fault: Fault) {
        let mut world = self.world();
        let at = world.calls + calls;
        world.faults.insert(at, fault);
    }

    /// No fault is due any more.
    pub fn disarm(&self) {
        self.world().faults.clear();
    }

    /// Whether a fault is still due.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        !self.world().faults.is_empty()
    }

    /// So many bytes fit from now on, all files together.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// Takes away all room that is left.
    pub fn fill_up(&self) {
        let used = self.world().used();
        self.set_capacity(Some(used));
    }

    /// What is on the disk when the power comes back.
    #[must_use]
    pub fn after_power_cut(&self, random: &mut fastrand::Rng) -> Sim {
        let world = self.world();
        let grain = if random.bool() { SECTOR } else { PAGE };
        let mut after = World {
            wall: world.wall,
            started: world.started,
            stepped: world.stepped,
            ..World::default()
        };
        for content in &world.files {
            let bytes = content.survivor(grain, random);
            after.files.push(Content {
                seen: bytes.clone(),
                durable: bytes,
                dirty: BTreeSet::new(),
                bad: content.bad.clone(),
            });
        }
        for (path, names) in &world.dirs {
            let names = names.survivor(random);
            after.dirs.insert(
                path.clone(),
                Names {
                    seen: names.clone(),
                    durable: names,
                },
            );
        }
        // A directory whose own name did not survive is gone with all that is in it.
        let paths: Vec<PathBuf> = after.dirs.keys().cloned().collect();
        for path in paths {
            let lost = path.parent().is_some_and(|parent| {
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                world.dirs.contains_key(parent)
                    && after
                        .dirs
                        .get(parent)
                        .is_none_or(|names| !names.seen.contains_key(&dir_name(name)))
            });
            if lost {
                after.dirs.remove(&path);
            }
        }
        Sim(Arc::new(Mutex::new(after)))
    }

    /// What another process finds after `kill -9`: all that was written.
    #[must_use]
    pub fn after_kill(&self) -> Sim {
        let world = self.world();
        let after = World {
            dirs: world.dirs.clone(),
            files: world.files.clone(),
            capacity: world.capacity,
            wall: world.wall,
            started: world.started,
            stepped: world.stepped,
            ..World::default()
        };
        Sim(Arc::new(Mutex::new(after)))
    }

    /// Flips one bit, on the disk and in memory.
    pub fn flip(&self, path: &Path, byte: usize, bit: u8) {
        let mut world = self.world();
        let file = world.find(path).expect("the file is there");
        let content = &mut world.files[file];
        for bytes in [&mut content.seen, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << bit;
            }
        }
    }

    /// The content of a file, as memory shows it.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Vec<u8> {
        let world = self.world();
        let file = world.find(path).expect("the file is there");
        world.files[file].seen.clone()
    }

    /// Whether the power is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.world().off
    }

    /// From now on the wall clock shows this, and the other clock goes with it.
    pub fn set_wall(&self, wall: fn() -> u64) {
        let mut world = self.world();
        world.wall = Some(wall);
        world.started = Some((Instant::now(), wall()));
        world.stepped = Duration::ZERO;
    }

    /// So much of what has passed by the wall clock was a step of it.
    pub fn wall_has_stepped(&self, by: Duration) {
        self.world().stepped += by;
    }

    /// Whether no file can be made or opened: EMFILE.
    pub fn set_no_files(&self, none: bool) {
        self.world().no_files = none;
    }

    /// Everything fails from now on, as after a power cut.
    pub fn switch_off(&self) {
        self.world().off = true;
    }

    /// The files below a directory, and how long each is.
    #[must_use]
    pub fn files(&self, below: &Path) -> Vec<(PathBuf, usize)> {
        let world = self.world();
        let dirs = world.dirs.iter().filter(|(dir, _)| dir.starts_with(below));
        let files = dirs.flat_map(|(dir, names)| {
            let files = names.seen.iter().filter(|(_, file)| **file != usize::MAX);
            files.map(|(name, file)| (dir.join(name), world.files[*file].seen.len()))
        });
        files.collect()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes_used(&self) -> u64 {
        self.world().used()
    }

    /// Cuts a file, on the disk and in memory.
    pub fn cut(&self, path: &Path, length: usize) {
        let mut world = self.world();
        let file = world.find(path).expect("the file is there");
        world.files[file].seen.truncate(length);
        world.files[file].durable.truncate(length);
    }

    /// Writes over a part of a file, on the disk and in memory; behind its end nothing.
    pub fn overwrite(&self, path: &Path, at: usize, bytes: &[u8]) {
        let mut world = self.world();
        let file = world.find(path).expect("the file is there");
        let content = &mut world.files[file];
        for old in [&mut content.seen, &mut content.durable] {
            let from = at.min(old.len());
            let count = bytes.len().min(old.len() - from);
            old[from..from + count].copy_from_slice(&bytes[..count]);
        }
    }

    /// The sector with this byte cannot be read any more: EIO.
    pub fn spoil(&self, path: &Path, byte: usize) {
        let mut world = self.world();
        let file = world.find(path).expect("the file is there");
        world.files[file].bad.insert(byte / SECTOR);
    }

    /// Puts a copy in place of a file, as people make them: zeros where it cannot be read.
    pub fn rescue(&self, path: &Path) {
        let mut world = self.world();
        let file = world.find(path).expect("the file is there");
        let bad = std::mem::take(&mut world.files[file].bad);
        drop(world);
        for sector in bad {
            self.overwrite(path, sector * SECTOR, &[0; SECTOR]);
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Directories stand among the names of their parent as this.
fn dir_name(name: &str) -> String {
    format!("{name}/")
}

impl World {
    /// Counts a call, and says what goes wrong with it.
    fn call(&mut self) -> io::Result<Option<Fault>> {
        let fault = self.faults.remove(&self.calls);
        self.calls += 1;
        self.off |= fault == Some(Fault::PowerCut);
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        Ok(fault)
    }

    /// The same for a call that needs a file of the process.
    fn call_with_file(&mut self) -> io::Result<Option<Fault>> {
        let fault = self.call()?;
        match self.no_files {
            true => Err(io::Error::from_raw_os_error(
                rustix::io::Errno::MFILE.raw_os_error(),
            )),
            false => Ok(fault),
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let (dir, name) = split(path)?;
        self.dirs.get(dir)?.seen.get(name).copied()
    }

    fn used(&self) -> u64 {
        let named: BTreeSet<usize> = self
            .dirs
            .values()
            .flat_map(|names| names.seen.values().copied())
            .filter(|file| *file != usize::MAX)
            .collect();
        named.iter().map(|file| self.files[*file].seen.len() as u64).sum()
    }
}

fn split(path: &Path) -> Option<(&Path, &str)> {
    Some((path.parent()?, path.file_name()?.to_str()?))
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Content {
    fn survivor(&self, grain: usize, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let lengthened = self.seen.len() > bytes.len() && random.bool();
        if lengthened || (self.seen.len() < bytes.len() && random.bool()) {
            bytes.resize(self.seen.len(), 0);
        }
        let grains: BTreeSet<usize> = self.dirty.iter().map(|sector| sector * SECTOR / grain).collect();
        for at in grains {
            if random.bool() {
                continue;
            }
            for byte in at * grain..((at + 1) * grain).min(bytes.len()) {
                if let Some(seen) = self.seen.get(byte) {
                    bytes[byte] = *seen;
                }
            }
        }
        bytes
    }
}

impl Names {
    fn survivor(&self, random: &mut fastrand::Rng) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        let all: BTreeSet<&String> = self.seen.keys().chain(self.durable.keys()).collect();
        for name in all {
            if self.seen.get(name) == self.durable.get(name) || random.bool() {
                continue;
            }
            match self.seen.get(name) {
                Some(file) => names.insert(name.clone(), *file),
                None => names.remove(name),
            };
        }
        names
    }
}
