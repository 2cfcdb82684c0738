//! The journal of acknowledgements: one for all logs of a store.
//!
//! ```text
//! acks/0000000000000003.acks   title, then entries of 32 bytes:
//!  0 kind u32   4 CRC u32 (of what follows, seeded with the kind)   8 log u64   16 from u64   24 to u64
//! ```
//! A file begins with a checkpoint, which says all that was known when it was made, and goes on with what was acknowledged
//! since. The file before it stays until the next, so that one that is damaged costs repetitions at most where both are.
//! An entry that is damaged is passed over: acknowledgements only ever add up, and sequences are never used again.
//!
//! Owns: these files. Does not know: segments, what an acknowledgement is of.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::acked::Acked;
use crate::disk::{Disk, DiskFile};
use crate::record::{u32_at, u64_at};
use crate::stats::Counters;
use crate::window::read_at;

const ENTRY: usize = 32;
/// A run of acknowledged sequences.
const RUN: u32 = 0x4e55_5257;
/// A file that has grown past its checkpoint by so much is replaced.
const GROWN: u64 = 4 << 20;
/// Zeros that are written ahead, as segments do.
const STEP: u64 = 64 << 10;

/// See the module.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    counters: Arc<Counters>,
    dir: PathBuf,
    file: Box<dyn DiskFile>,
    at: u64,
    /// Where the zeros end that are written ahead.
    ready: u64,
    checkpoint: u64,
    buffer: Vec<u8>,
}

/// What a journal says, by log.
pub(crate) type Known = BTreeMap<u64, Acked>;

impl Journal {
    /// Reads what the files in `dir` say.
    ///
    /// # Errors
    /// As the disk has it.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Known> {
        let mut known = Known::new();
        for number in numbers(disk, dir)? {
            let path = path(dir, number);
            let file = disk.open(&path)?;
            let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or(usize::MAX)];
            let read = read_at(&path, &*file, 0, &mut bytes)?;
            for entry in bytes[..read].chunks_exact(ENTRY) {
                if let Some((log, run)) = run(entry) {
                    known.entry(log).or_default().add(run);
                }
            }
        }
        Ok(known)
    }

    /// Begins a file with what is known now. Older files but the last go.
    ///
    /// # Errors
    /// As the disk has it: nothing has changed then.
    pub(crate) fn begin(
        disk: Arc<dyn Disk>,
        counters: Arc<Counters>,
        dir: PathBuf,
        known: &Known,
    ) -> io::Result<Journal> {
        let old = numbers(&*disk, &dir)?;
        let number = old.last().map_or(1, |last| last + 1);
        let mut bytes = Vec::new();
        for (log, acked) in known {
            for run in acked.runs() {
                entry(&mut bytes, *log, run);
            }
        }
        let at = bytes.len() as u64;
        let ready = at.next_multiple_of(STEP) + STEP;
        bytes.resize(usize::try_from(ready).unwrap_or(usize::MAX), 0);
        let path = path(&dir, number);
        let file = disk.create(&path)?;
        let written = file
            .write_at(0, &bytes)
            .and_then(|()| counters.sync(&*file))
            .and_then(|()| disk.sync_dir(&dir));
        if let Err(error) = written {
            // Nothing is built on it: the next try has another number.
            let _ = disk.remove(&path);
            return Err(error);
        }
        counters.wrote(at);
        let journal = Journal {
            disk,
            counters,
            dir,
            file,
            at,
            ready,
            checkpoint: at,
            buffer: Vec::new(),
        };
        journal.remove_before(&old);
        Ok(journal)
    }

    /// Notes a run, to be written with the next [`Journal::write`].
    pub(crate) fn note(&mut self, log: u64, run: Range<u64>) {
        entry(&mut self.buffer, log, run);
    }

    /// Writes what was noted, and syncs it.
    ///
    /// # Errors
    /// As the file has it: what was noted is not durable, and the journal must not be used again.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.buffer);
        if bytes.is_empty() {
            return Ok(());
        }
        let end = self.at + bytes.len() as u64;
        if end > self.ready {
            let ready = end.next_multiple_of(STEP) + STEP;
            let zeros = vec![0; usize::try_from(ready - self.ready).unwrap_or(usize::MAX)];
            self.file.write_at(self.ready, &zeros)?;
            self.ready = ready;
        }
        self.file.write_at(self.at, &bytes)?;
        self.counters.sync(&*self.file)?;
        self.counters.wrote(bytes.len() as u64);
        self.at = end;
        Ok(())
    }

    /// Whether the file has grown so much that another should begin.
    pub(crate) fn is_grown(&self) -> bool {
        self.at - self.checkpoint > GROWN
    }

    /// Begins another file in place of this one: what is noted and not written is in `known`.
    ///
    /// # Errors
    /// As the disk has it: this one goes on.
    pub(crate) fn replace(&mut self, known: &Known) -> io::Result<()> {
        self.buffer.clear();
        let (disk, counters) = (Arc::clone(&self.disk), Arc::clone(&self.counters));
        *self = Journal::begin(disk, counters, self.dir.clone(), known)?;
        Ok(())
    }

    /// The last of the old files stays; one that cannot be removed is tried again with the next checkpoint.
    fn remove_before(&self, old: &[u64]) {
        for number in old.iter().rev().skip(1) {
            let path = path(&self.dir, *number);
            if let Err(error) = self.disk.remove(&path) {
                tracing::warn!(path = %path.display(), %error, "removing an old journal of acknowledgements");
            }
        }
    }
}

fn name(number: u64) -> String {
    format!("{number:016x}.acks")
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(name(number))
}

fn numbers(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<u64>> {
    // A number may be spelt in several ways, and no store gets so far: what has such a name is nobody's.
    let number = |found: &String| {
        let number = u64::from_str_radix(found.strip_suffix(".acks")?, 16).ok()?;
        (number < 1 << 60 && *found == name(number)).then_some(number)
    };
    let mut numbers: Vec<u64> = disk.list(dir)?.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn entry(bytes: &mut Vec<u8>, log: u64, run: Range<u64>) {
    let mut said = [0; ENTRY - 8];
    said[..8].copy_from_slice(&log.to_le_bytes());
    said[8..16].copy_from_slice(&run.start.to_le_bytes());
    said[16..].copy_from_slice(&run.end.to_le_bytes());
    bytes.extend_from_slice(&RUN.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c_append(RUN, &said).to_le_bytes());
    bytes.extend_from_slice(&said);
}

fn run(entry: &[u8]) -> Option<(u64, Range<u64>)> {
    let kind = u32_at(entry, 0);
    let whole = kind == RUN && crc32c::crc32c_append(kind, &entry[8..]) == u32_at(entry, 4);
    whole.then(|| (u64_at(entry, 8), u64_at(entry, 16)..u64_at(entry, 24)))
}
