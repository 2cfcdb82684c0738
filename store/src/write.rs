//! Where records of each log go: its last segment, and the next one when that is full.
//!
//! Owns: the segments that are written to. Invariant: a segment is sealed, and the seal durable, before the next one has a
//! record; so that a start has to look through one segment only.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::{Disk, DiskFile};
use crate::log::{Batch, Held, Log};
use crate::record::{self, Kind, Salt};
use crate::segment::{RECORDS_AT, Seal, Segment, Title};
use crate::space::Space;
use crate::spares::{self, Spares};

/// The smallest and the largest segment.
const SEGMENT_MIN: u64 = 256 << 10;
const SEGMENT_MAX: u64 = 64 << 20;
/// Into how many segments a log's bound is divided, so that space comes back in parts of it.
const PARTS: u64 = 16;

/// See the module.
pub(crate) struct Writer {
    pub(crate) spares: Spares,
    /// The spaces that logs share.
    pub(crate) spaces: Vec<Arc<Space>>,
    pub(crate) path: PathBuf,
    /// What the file system must have left.
    pub(crate) keep_free: u64,
    pub(crate) active: BTreeMap<u64, Active>,
}

/// The segment that a log writes to.
pub(crate) struct Active {
    file: Arc<dyn DiskFile>,
    end: u64,
    size: u64,
}

impl Writer {
    /// Writes a batch, whose last sequence is the one before `next`, and does not sync it. Returns the file and where the
    /// batch ends in it.
    pub(crate) fn write<T>(
        &mut self,
        disk: &dyn Disk,
        log: &Log<T>,
        batch: &Batch<T>,
        next: u64,
    ) -> io::Result<(Arc<dyn DiskFile>, u64)> {
        let bytes = batch.bytes.len() as u64;
        let fits = |active: &Active| active.end == RECORDS_AT || active.end + bytes <= active.size;
        if !self.active.get(&log.id).is_some_and(fits) {
            if self.active.contains_key(&log.id) {
                self.seal(log)?;
            }
            let active = self.begin(disk, log, next - batch.tokens.len() as u64)?;
            self.active.insert(log.id, active);
        }
        let Some(active) = self.active.get_mut(&log.id) else {
            return Err(io::Error::other("a log without a segment"));
        };
        active.file.write_at(active.end, &batch.bytes)?;
        active.end += bytes;
        if active.end > active.size / 2 {
            let size = segment_size(log.lock().settings.max_bytes);
            self.spares.wish(log.id, log.dir.clone(), size);
        }
        Ok((Arc::clone(&active.file), active.end))
    }

    /// Notes, and syncs, that all which is durable is known to be. Returns where the records end now.
    pub(crate) fn mark<T>(&mut self, log: &Log<T>) -> io::Result<u64> {
        let Some(active) = self.active.get_mut(&log.id) else {
            return Err(io::Error::other("a log without a segment"));
        };
        let synced = log.lock().synced;
        let mut bytes = Vec::new();
        record::write(&mut bytes, Kind::Mark, (synced, synced), Salt::new(log.id), &[]);
        active.file.write_at(active.end, &bytes)?;
        active.file.sync()?;
        active.end += bytes.len() as u64;
        Ok(active.end)
    }

    /// Ends the segment that is written to, if there is one.
    pub(crate) fn seal<T>(&mut self, log: &Log<T>) -> io::Result<()> {
        let Some(active) = self.active.remove(&log.id) else {
            return Ok(());
        };
        let (next, newest) = {
            let state = log.lock();
            let last = state.segments.back();
            last.map_or((state.synced, 0), |held| (held.next, held.newest))
        };
        let end = write_seal(&*active.file, log.id, active.end, Seal { next, newest })?;
        let mut state = log.lock();
        if let Some(held) = state.segments.back_mut() {
            log.space.take(end - held.end);
            held.end = end;
            held.sealed = true;
        }
        Ok(())
    }

    fn begin<T>(&mut self, disk: &dyn Disk, log: &Log<T>, first: u64) -> io::Result<Active> {
        let (number, max_bytes) = {
            let state = log.lock();
            let last = state.segments.back();
            (
                last.map_or(1, |held| held.segment.title.number + 1),
                state.settings.max_bytes,
            )
        };
        let title = Title {
            log: log.id,
            number,
            first,
            created: now_ms(),
        };
        let path = log.dir.join(Title::name(number));
        let made = self.make(disk, log, &title, &path);
        let (file, size) = match made {
            Ok((file, size)) => (file, size.max(segment_size(max_bytes))),
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
        };
        log.space.take(RECORDS_AT);
        log.lock().segments.push_back(held);
        Ok(Active {
            file,
            end: RECORDS_AT,
            size,
        })
    }

    fn make<T>(
        &mut self,
        disk: &dyn Disk,
        log: &Log<T>,
        title: &Title,
        path: &PathBuf,
    ) -> io::Result<(Box<dyn DiskFile>, u64)> {
        let (file, size) = match self.spares.take(log.id) {
            Some((file, size)) => {
                file.write_at(0, &title.to_bytes())?;
                file.sync()?;
                disk.rename(&log.dir.join(spares::NAME), path)?;
                (file, size)
            }
            None => {
                let file = disk.create(path)?;
                file.write_at(0, &title.to_bytes())?;
                file.sync()?;
                (file, 0)
            }
        };
        disk.sync_dir(&log.dir)?;
        Ok((file, size))
    }

    /// Looks at what the file system has left, and whether logs have room again.
    pub(crate) fn look_at_space<T>(&mut self, disk: &dyn Disk, logs: &[Arc<Log<T>>]) {
        let free = disk.free_bytes(&self.path).unwrap_or(u64::MAX);
        self.set_low(
            free < self.keep_free,
            &format!("{free} bytes are left on its disk"),
        );
        for log in logs {
            log.note_room(&mut log.lock());
        }
    }

    /// A write found no room on the disk.
    pub(crate) fn found_no_room<T>(&mut self, log: &Log<T>, error: &io::Error) {
        self.set_low(true, &format!("writing {}: {error}", log.name));
    }

    pub(crate) fn is_low(&self) -> bool {
        self.spaces.iter().any(|space| space.is_low())
    }

    fn set_low(&self, low: bool, why: &str) {
        let mut news = false;
        for space in &self.spaces {
            news |= space.set_low(low);
        }
        if news && low {
            tracing::warn!(path = %self.path.display(), why, "the store's disk is full: it takes nothing more before there is room");
        } else if news {
            tracing::info!(path = %self.path.display(), "the store's disk has room again");
        }
    }
}

/// Writes a seal at `at`, cuts the file behind it, and syncs both. Returns the file's length.
pub(crate) fn write_seal(file: &dyn DiskFile, log: u64, at: u64, seal: Seal) -> io::Result<u64> {
    let mut bytes = Vec::new();
    record::write(
        &mut bytes,
        Kind::Seal,
        (seal.next, seal.next),
        Salt::new(log),
        &[&seal.to_bytes()],
    );
    file.write_at(at, &bytes)?;
    let end = at + bytes.len() as u64;
    file.set_len(end)?;
    file.sync()?;
    Ok(end)
}

fn segment_size(max_bytes: u64) -> u64 {
    (max_bytes / PARTS).clamp(SEGMENT_MIN, SEGMENT_MAX)
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
