//! Where records of each log go: its last segment, and the next one when that is full.
//!
//! Owns: the segments that are written to. Invariants
//! - A segment is sealed, and the seal durable, before the next one has a record; so that a start has to look through one
//!   segment only.
//! - A seal is written once what is before it is durable: it says so.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::commit::is_full;
use crate::disk::{Disk, DiskFile};
use crate::log::{Batch, Held, Log, LogSettings};
use crate::record::{self, Kind, Payload, Salt};
use crate::room::Room;
use crate::segment::{RECORDS_AT, Seal, Segment, Title};
use crate::space::Space;
use crate::spares::{self, Spares};
use crate::stats::Counters;

/// The smallest and the largest segment.
const SEGMENT_MIN: u64 = 256 << 10;
const SEGMENT_MAX: u64 = 64 << 20;
/// Zeros are written ahead in steps of as much as the segment has, within these.
const STEP_MIN: u64 = 64 << 10;
const STEP_MAX: u64 = 1 << 20;

/// See the module.
pub(crate) struct Writer {
    pub(crate) spares: Spares,
    /// The space that logs share; all spaces have its file system.
    pub(crate) space: Arc<Space>,
    pub(crate) path: PathBuf,
    /// What the file system must have left.
    pub(crate) keep_free: u64,
    /// What is kept of it.
    pub(crate) room: Arc<Room>,
    pub(crate) active: BTreeMap<u64, Active>,
    pub(crate) counters: Arc<Counters>,
}

/// The segment that a log writes to.
pub(crate) struct Active {
    file: Arc<dyn DiskFile>,
    end: u64,
    /// Up to here it is written already, with zeros.
    ready: u64,
    size: u64,
}

/// Where a batch was written to, and its end there.
pub(crate) type Place = (Arc<dyn DiskFile>, u64);

impl Writer {
    /// Writes a batch, whose last sequence is the one before `next`, and does not sync it.
    pub(crate) fn write<T>(
        &mut self,
        disk: &dyn Disk,
        log: &Log<T>,
        batch: &Batch<T>,
        next: u64,
    ) -> io::Result<Place> {
        let bytes = batch.bytes.len() as u64;
        let fits = |active: &Active| active.end == RECORDS_AT || active.end + bytes <= active.size;
        if !self.active.get(&log.id).is_some_and(fits) {
            self.seal(log)?;
            let active = self.begin(disk, log, next - batch.tokens.len() as u64)?;
            self.active.insert(log.id, active);
        }
        let Some(active) = self.active.get_mut(&log.id) else {
            return Err(io::Error::other("a log without a segment"));
        };
        active.file.write_at(active.end, &batch.bytes)?;
        active.end += bytes;
        active.write_ahead()?;
        self.counters.wrote(bytes);
        if active.end > active.size / 2 && !self.space.is_low() {
            let size = segment_size(&log.lock().settings);
            self.spares.wish(log.id, log.dir.clone(), size);
        }
        Ok((Arc::clone(&active.file), active.end))
    }

    /// Notes, and syncs, that all which is durable is known to be. Returns where the records end now; `None` where nothing
    /// is written to.
    pub(crate) fn mark<T>(&mut self, log: &Log<T>) -> io::Result<Option<u64>> {
        let Some(active) = self.active.get_mut(&log.id) else {
            return Ok(None);
        };
        let synced = log.lock().synced;
        let mut bytes = Vec::new();
        record::write(
            &mut bytes,
            Kind::Mark,
            (synced, synced),
            Salt::new(log.id),
            Payload::new(&[]),
        );
        active.file.write_at(active.end, &bytes)?;
        self.counters.sync(&*active.file)?;
        self.counters.wrote(bytes.len() as u64);
        active.end += bytes.len() as u64;
        Ok(Some(active.end))
    }

    /// Ends the segment that is written to, if there is one.
    pub(crate) fn seal<T>(&mut self, log: &Log<T>) -> io::Result<()> {
        let Some(active) = self.active.get(&log.id) else {
            return Ok(());
        };
        let (next, newest, synced) = {
            let state = log.lock();
            let last = state.segments.back();
            let (next, newest) = last.map_or((state.synced, 0), |held| (held.next, held.newest));
            (next, newest, state.synced)
        };
        if synced < next {
            self.counters.sync(&*active.file)?;
            log.lock().synced = next;
        }
        let place = (&*active.file, &*self.counters);
        let end = write_seal(place, log.id, active.end, Seal { next, newest })?;
        self.active.remove(&log.id);
        let mut state = log.lock();
        if let Some(held) = state.segments.back_mut() {
            let more = end - std::mem::replace(&mut held.end, end);
            held.sealed = true;
            state.charge(more);
        }
        Ok(())
    }

    fn begin<T>(&mut self, disk: &dyn Disk, log: &Log<T>, first: u64) -> io::Result<Active> {
        let (number, size) = {
            let state = log.lock();
            (state.number, segment_size(&state.settings))
        };
        let title = Title {
            log: log.id,
            number,
            first,
            created: disk.wall_ms(),
        };
        let path = log.dir.join(Title::name(number));
        let made = self.make(disk, log, &title, &path);
        let (file, ready) = match made {
            Ok(made) => made,
            Err(error) => {
                // Nobody has written to it: the next try has the name for itself.
                let _ = disk.remove(&path);
                return Err(error);
            }
        };
        let file: Arc<dyn DiskFile> = Arc::from(file);
        let held = Held {
            segment: Segment {
                title,
                path,
                file: Arc::clone(&file),
            },
            end: RECORDS_AT,
            next: first,
            newest: 0,
            sealed: false,
            retained: false,
        };
        let mut state = log.lock();
        state.number = number + 1;
        state.charge(RECORDS_AT);
        state.segments.push_back(held);
        Ok(Active {
            file,
            end: RECORDS_AT,
            ready,
            size: ready.max(size),
        })
    }

    /// A segment's file with its head, and up to where it is written.
    fn make<T>(
        &mut self,
        disk: &dyn Disk,
        log: &Log<T>,
        title: &Title,
        path: &Path,
    ) -> io::Result<(Box<dyn DiskFile>, u64)> {
        let (file, ready) = match self.spares.take(log.id) {
            Some((file, size)) => {
                file.write_at(0, &title.to_bytes())?;
                self.counters.sync(&*file)?;
                disk.rename(&log.dir.join(spares::NAME), path)?;
                (file, size)
            }
            None => {
                let file = disk.create(path)?;
                file.write_at(0, &title.to_bytes())?;
                self.counters.sync(&*file)?;
                (file, RECORDS_AT)
            }
        };
        disk.sync_dir(&log.dir)?;
        Ok((file, ready))
    }

    /// Whether the file system is short of space, and by how much.
    pub(crate) fn look_at_space(&mut self, disk: &dyn Disk) -> u64 {
        let free = disk.free_bytes(&self.path).unwrap_or(u64::MAX);
        self.set_low(
            free < self.keep_free,
            &format!("{free} bytes are left on its disk"),
        );
        self.room.keep(disk, self.keep_free);
        let short = self.keep_free.saturating_sub(free);
        if short > 0 {
            self.spares.give_back(disk);
        }
        short
    }

    /// A write found no room on the disk.
    pub(crate) fn found_no_room<T>(&mut self, log: &Log<T>, error: &io::Error) {
        self.set_low(true, &format!("writing {}: {error}", log.name));
    }

    pub(crate) fn is_low(&self) -> bool {
        self.space.is_low()
    }

    fn set_low(&self, low: bool, why: &str) {
        let news = self.space.set_low(low);
        if news && low {
            tracing::warn!(path = %self.path.display(), why, "the store's disk is full: it takes nothing more before there is room");
        } else if news {
            tracing::info!(path = %self.path.display(), "the store's disk has room again");
        }
    }
}

impl Active {
    /// Writes zeros where there are none ahead of the next record, so that a sync seldom has a length and extents to write.
    fn write_ahead(&mut self) -> io::Result<()> {
        if self.end <= self.ready {
            return Ok(());
        }
        let to = (self.end + self.end.clamp(STEP_MIN, STEP_MAX)).min(self.size.max(self.end));
        let zeros = vec![0; usize::try_from(to - self.end).unwrap_or(0)];
        match self.file.write_at(self.end, &zeros) {
            Ok(()) => self.ready = to,
            // Without them it goes as well, a little slower.
            Err(error) if is_full(&error) => self.ready = self.end,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Writes a seal at `at`, cuts the file behind it, and syncs both. Returns the file's length.
pub(crate) fn write_seal(
    (file, counters): (&dyn DiskFile, &Counters),
    log: u64,
    at: u64,
    seal: Seal,
) -> io::Result<u64> {
    let mut bytes = Vec::new();
    let payload = seal.to_bytes();
    record::write(
        &mut bytes,
        Kind::Seal,
        (seal.next, seal.next),
        Salt::new(log),
        Payload::new(&[&payload]),
    );
    file.write_at(at, &bytes)?;
    let end = at + bytes.len() as u64;
    file.set_len(end)?;
    counters.sync(file)?;
    counters.wrote(bytes.len() as u64);
    Ok(end)
}

fn segment_size(settings: &LogSettings) -> u64 {
    (settings.max_bytes / settings.parts.max(1)).clamp(SEGMENT_MIN, SEGMENT_MAX)
}
