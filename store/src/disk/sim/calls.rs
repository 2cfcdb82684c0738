//! The calls of the simulated disk.

use std::any::Any;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Content, Fault, Names, SECTOR, Sim, dir_name, eio, missing, split};
use crate::disk::{Disk, DiskFile, Real};

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
        world.call_with_file()?;
        let names = world.dirs.get(path).ok_or_else(missing)?;
        let name = |name: &String| name.trim_end_matches('/').to_owned();
        Ok(names.seen.keys().map(name).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        world.call_with_file()?;
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
        world.call_with_file()?;
        let file = world.find(path).ok_or_else(missing)?;
        Ok(Box::new(SimFile {
            sim: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.call()? == Some(Fault::Rename) {
            return Err(eio());
        }
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
        if world.call_with_file()? == Some(Fault::Sync) {
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

    fn now(&self) -> Instant {
        let world = self.world();
        match (world.wall, world.started) {
            (Some(wall), Some((at, then))) => {
                let passed = Duration::from_millis(wall().saturating_sub(then));
                at + passed.saturating_sub(world.stepped)
            }
            _ => Instant::now(),
        }
    }

    fn wall_ms(&self) -> u64 {
        let wall = self.world().wall;
        wall.map_or_else(|| Real.wall_ms(), |wall| wall())
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
        let Content { seen, bad, .. } = &world.files[self.file];
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(seen.len());
        let count = into.len().min(seen.len() - from);
        if bad
            .range(from / SECTOR..(from + count).div_ceil(SECTOR))
            .next()
            .is_some()
        {
            return Err(eio());
        }
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
        match fault {
            Some(Fault::Sync) => return Err(eio()),
            Some(Fault::SyncFull) => return Err(io::Error::from(io::ErrorKind::StorageFull)),
            _ => {}
        }
        content.durable.resize(content.seen.len(), 0);
        for sector in dirty {
            let from = (sector * SECTOR).min(content.seen.len());
            let to = ((sector + 1) * SECTOR).min(content.seen.len());
            content.durable[from..to].copy_from_slice(&content.seen[from..to]);
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
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
