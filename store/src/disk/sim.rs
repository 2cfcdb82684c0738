//! A disk in memory whose power can be cut: what was not synced survives in any part, by sectors or by pages; a sync that
//! failed leaves in memory what the disk has not; names survive apart from what they name.
//!
//! Everything is chosen by a seed, so that a failure replays.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

/// What is written as a whole, or not at all.
pub(crate) const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// What goes wrong, and when: at the call with this number, counted from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The power goes: this call and all after it fail.
    PowerCut,
    /// A write fails with EIO, and has written nothing.
    Write,
    /// A sync fails with EIO: what was dirty is clean now, stays in memory, and never reaches the disk.
    Sync,
    /// A read fails with EIO, once.
    Read,
}

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Sim(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    dirs: BTreeMap<PathBuf, Names>,
    files: Vec<Content>,
    /// Bytes that all files together may have.
    capacity: Option<u64>,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    off: bool,
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
}

impl Sim {
    /// A fault at a call from now on, 0 being the next.
    pub(crate) fn arm(&self, calls: u64, fault: Fault) {
        let mut world = self.world();
        let at = world.calls + calls;
        world.faults.insert(at, fault);
    }

    /// No fault is due any more.
    pub(crate) fn disarm(&self) {
        self.world().faults.clear();
    }

    /// So many bytes fit from now on, all files together.
    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.world().capacity = bytes;
    }

    /// What is on the disk when the power comes back.
    pub(crate) fn after_power_cut(&self, random: &mut fastrand::Rng) -> Sim {
        let world = self.world();
        let grain = if random.bool() { SECTOR } else { PAGE };
        let mut after = World::default();
        for content in &world.files {
            let bytes = content.survivor(grain, random);
            after.files.push(Content {
                seen: bytes.clone(),
                durable: bytes,
                dirty: BTreeSet::new(),
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
    pub(crate) fn after_kill(&self) -> Sim {
        let world = self.world();
        let after = World {
            dirs: world.dirs.clone(),
            files: world.files.clone(),
            capacity: world.capacity,
            ..World::default()
        };
        Sim(Arc::new(Mutex::new(after)))
    }

    /// Flips one bit, on the disk and in memory.
    pub(crate) fn flip(&self, path: &Path, byte: usize, bit: u8) {
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
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let world = self.world();
        let file = world.find(path).expect("the file is there");
        world.files[file].seen.clone()
    }

    /// Cuts a file, on the disk and in memory.
    pub(crate) fn cut(&self, path: &Path, length: usize) {
        let mut world = self.world();
        let file = world.find(path).expect("the file is there");
        world.files[file].seen.truncate(length);
        world.files[file].durable.truncate(length);
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

impl Disk for Sim {
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut world = self.world();
        world.call()?;
        let (dir, name) = split(path).ok_or_else(missing)?;
        let file = world.files.len();
        world.files.push(Content::default());
        let names = world.dirs.get_mut(dir).ok_or_else(missing)?;
        names.seen.entry(name.to_owned()).or_insert(file);
        Ok(Box::new(()))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        for path in path.ancestors() {
            if world.dirs.contains_key(path) {
                break;
            }
            world.dirs.insert(path.to_path_buf(), Names::default());
            let Some((parent, name)) = split(path) else { break };
            let (parent, name) = (parent.to_path_buf(), dir_name(name));
            // What is at the top was there before.
            let is_old = !world.dirs.contains_key(&parent) && parent.parent().is_none();
            let names = world.dirs.entry(parent).or_default();
            names.seen.insert(name.clone(), usize::MAX);
            if is_old {
                names.durable.insert(name, usize::MAX);
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut world = self.world();
        world.call()?;
        let names = world.dirs.get(path).ok_or_else(missing)?;
        let name = |name: &String| name.trim_end_matches('/').to_owned();
        Ok(names.seen.keys().map(name).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.call()?;
        if world.find(path).is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let (dir, name) = split(path).ok_or_else(missing)?;
        let file = world.files.len();
        let names = world.dirs.get_mut(dir).ok_or_else(missing)?;
        names.seen.insert(name.to_owned(), file);
        world.files.push(Content::default());
        Ok(Box::new(SimFile {
            sim: self.clone(),
            file,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.call()?;
        let file = world.find(path).ok_or_else(missing)?;
        Ok(Box::new(SimFile {
            sim: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        let file = world.find(from).ok_or_else(missing)?;
        let (dir, name) = split(from).ok_or_else(missing)?;
        let (_, other) = split(to).ok_or_else(missing)?;
        let names = world.dirs.get_mut(dir).ok_or_else(missing)?;
        names.seen.remove(name);
        names.seen.insert(other.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        if let Some((dir, name)) = split(path)
            && let Some(names) = world.dirs.get_mut(dir)
        {
            names.seen.remove(name);
        }
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call()?;
        if let Some((dir, name)) = split(path)
            && let Some(names) = world.dirs.get_mut(dir)
        {
            names.seen.remove(&dir_name(name));
        }
        world.dirs.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.call()? == Some(Fault::Sync) {
            return Err(eio());
        }
        let names = world.dirs.get_mut(path).ok_or_else(missing)?;
        names.durable = names.seen.clone();
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let mut world = self.world();
        world.call()?;
        Ok(world
            .capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(world.used())))
    }
}

struct SimFile {
    sim: Sim,
    file: usize,
}

impl DiskFile for SimFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut world = self.sim.world();
        if world.call()? == Some(Fault::Read) {
            return Err(eio());
        }
        let seen = &world.files[self.file].seen;
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(seen.len());
        let count = into.len().min(seen.len() - from);
        into[..count].copy_from_slice(&seen[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.sim.world();
        if world.call()? == Some(Fault::Write) {
            return Err(eio());
        }
        let at = usize::try_from(at).expect("a test's file is small");
        let grows = (at + bytes.len()).saturating_sub(world.files[self.file].seen.len()) as u64;
        if world
            .capacity
            .is_some_and(|capacity| grows > 0 && world.used() + grows > capacity)
        {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let content = &mut world.files[self.file];
        if content.seen.len() < at + bytes.len() {
            content.seen.resize(at + bytes.len(), 0);
        }
        content.seen[at..at + bytes.len()].copy_from_slice(bytes);
        content
            .dirty
            .extend(at / SECTOR..(at + bytes.len()).div_ceil(SECTOR));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.sim.world();
        let fault = world.call()?;
        let content = &mut world.files[self.file];
        let dirty = std::mem::take(&mut content.dirty);
        if fault == Some(Fault::Sync) {
            return Err(eio());
        }
        content.durable.resize(content.seen.len(), 0);
        for sector in dirty {
            let from = (sector * SECTOR).min(content.seen.len());
            let to = ((sector + 1) * SECTOR).min(content.seen.len());
            content.durable[from..to].copy_from_slice(&content.seen[from..to]);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut world = self.sim.world();
        world.call()?;
        Ok(world.files[self.file].seen.len() as u64)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut world = self.sim.world();
        world.call()?;
        let length = usize::try_from(length).expect("a test's file is small");
        world.files[self.file].seen.resize(length, 0);
        Ok(())
    }

    fn forget(&self) {
        // What a failed sync left in memory only is what the disk never got.
        let mut world = self.sim.world();
        let content = &mut world.files[self.file];
        if content.dirty.is_empty() && content.seen.len() == content.durable.len() {
            content.seen = content.durable.clone();
        }
    }
}
