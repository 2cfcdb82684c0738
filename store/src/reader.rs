//! Reading a log from its front, past what is acknowledged and around what is damaged.
//!
//! Owns: a place in the log. A log may have several readers; one that delivers acknowledges, and skips what is
//! acknowledged; one that looks shows that, too, as long as its segment is there.
//! Invariants: records come in the order of their sequences; what is damaged is passed over only once a copy of it is
//! durable in the quarantine; a read that fails passes over nothing.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::Disk;
use crate::log::{Held, Log};
use crate::record::{HEAD, Kind};
use crate::segment::{RECORDS_AT, Segment, Step};
use crate::window::Window;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its sequence in the log.
    pub sequence: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// What is read in one go at most.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Records.
    pub records: usize,
    /// Bytes of payloads; one record of any size fits.
    pub bytes: u64,
}

/// See the module.
pub struct Reader<T> {
    log: Arc<Log<T>>,
    disk: Arc<dyn Disk>,
    quarantine: PathBuf,
    /// Whether acknowledged records are passed over.
    open_only: bool,
    /// Segment, place in it, and the next sequence.
    number: u64,
    at: u64,
    expected: u64,
    damaged: u64,
}

impl<T: Send + 'static> Reader<T> {
    pub(crate) fn new(
        log: Arc<Log<T>>,
        disk: Arc<dyn Disk>,
        quarantine: PathBuf,
        open_only: bool,
    ) -> Reader<T> {
        Reader {
            log,
            disk,
            quarantine,
            open_only,
            number: 0,
            at: RECORDS_AT,
            expected: 0,
            damaged: 0,
        }
    }

    /// How many records were found damaged so far.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Goes back to the front.
    pub fn rewind(&mut self) {
        (self.number, self.at, self.expected) = (0, RECORDS_AT, 0);
    }

    /// Goes to the segment that has `sequence`, or what comes after it: at most one segment is read before it comes.
    pub fn seek(&mut self, sequence: u64) {
        self.rewind();
        let state = self.log.lock();
        if let Some(held) = state.segments.iter().find(|held| held.next > sequence) {
            self.number = held.segment.title.number;
            self.expected = held.segment.title.first;
        }
    }

    /// Adds to `records` what comes next; nothing where there is nothing more now. Waits for the disk, not for records.
    ///
    /// # Errors
    /// A read failed, or the quarantine cannot be written. Nothing is passed over: try again later.
    pub fn read(&mut self, most: Most, records: &mut Vec<Record>) -> io::Result<()> {
        let (mut left, mut bytes) = (most.records, 0);
        while left > 0 && bytes < most.bytes {
            let Some(held) = self.segment() else { return Ok(()) };
            let mut window = held.segment.window(held.end);
            while self.at < held.end && left > 0 {
                let before = records.len();
                if !self.step(&held, &mut window, (bytes, most.bytes), records)? {
                    return Ok(());
                }
                left -= records.len() - before;
                bytes += records[before..]
                    .iter()
                    .map(|record| record.payload.len() as u64)
                    .sum::<u64>();
            }
            if self.at < held.end {
                return Ok(());
            }
            self.missing(held.next);
            self.expected = self.expected.max(held.next);
            if !held.sealed {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The segment to go on in.
    fn segment(&mut self) -> Option<Held> {
        let state = self.log.lock();
        // Gigabytes may be retained: what is acknowledged as a whole is not even looked at.
        let is_passed = |held: &Held| self.open_only && held.sealed && state.open_in(held.range()) == 0;
        let next = |held: &&Held| {
            let here = held.segment.title.number == self.number;
            !(here && held.sealed && self.at >= held.end || is_passed(held))
        };
        let from = state
            .segments
            .partition_point(|held| held.segment.title.number < self.number);
        let held = state.segments.range(from..).find(next)?.clone();
        drop(state);
        if held.segment.title.number > self.number {
            self.number = held.segment.title.number;
            self.at = RECORDS_AT;
            self.expected = held.segment.title.first;
        }
        Some(held)
    }

    /// Takes one step; `false` where the next record does not fit.
    fn step(
        &mut self,
        held: &Held,
        window: &mut Window<'_>,
        (bytes, most): (u64, u64),
        records: &mut Vec<Record>,
    ) -> io::Result<bool> {
        let bounds = (self.expected, held.next);
        match held.segment.step(window, self.at, bounds)? {
            Step::Record { head } => {
                if head.kind == Kind::Data {
                    self.missing(head.sequence);
                    if !(self.open_only && self.is_acked(head.sequence)) {
                        let length = u64::from(head.length);
                        if bytes > 0 && bytes + length > most {
                            return Ok(false);
                        }
                        let payload = window.get(self.at + HEAD as u64, head.length as usize)?;
                        records.push(Record {
                            sequence: head.sequence,
                            payload: payload.to_vec(),
                        });
                    }
                    self.expected = head.sequence + 1;
                }
                self.at += head.span();
            }
            step => {
                // Memory may hold what the disk does not; the disk has the word.
                held.segment.file.forget();
                let mut again = held.segment.window(held.end);
                if held.segment.step(&mut again, self.at, bounds)? != step {
                    window.forget();
                    return self.step(held, window, (bytes, most), records);
                }
                let to = match step {
                    Step::Bad { to, .. } => to.min(held.end),
                    _ => held.end,
                };
                self.quarantine(held, self.at..to)?;
                self.at = to;
            }
        }
        Ok(true)
    }

    fn is_acked(&self, sequence: u64) -> bool {
        self.log.lock().acked.has(sequence)
    }

    /// The sequences before this one that did not come are in the quarantine.
    fn missing(&mut self, next: u64) {
        let gone = self.expected..next;
        if gone.is_empty() {
            return;
        }
        let count = (gone.end - gone.start) - self.log.lock().acked.count(gone.clone());
        if count > 0 {
            self.damaged += count;
            tracing::error!(
                log = %self.log.name,
                count,
                first = gone.start,
                quarantine = %self.quarantine.display(),
                "damaged records: a copy of what is left of them is in the quarantine"
            );
            self.log.acknowledge(gone);
        }
    }

    fn quarantine(&self, held: &Held, place: Range<u64>) -> io::Result<()> {
        let name = format!(
            "{}-{:016x}-{:x}.bad",
            self.log.name, held.segment.title.number, place.start
        );
        copy(&*self.disk, &held.segment, place, &self.quarantine, &name)
    }
}

/// Copies a part of a segment into the quarantine; durable when it returns. One that is there already is made anew.
pub(crate) fn copy(
    disk: &dyn Disk,
    from: &Segment,
    place: Range<u64>,
    quarantine: &std::path::Path,
    name: &str,
) -> io::Result<()> {
    let path = quarantine.join(name);
    disk.remove(&path)?;
    let file = disk.create(&path)?;
    let mut window = from.window(u64::MAX);
    let mut at = place.start;
    while at < place.end {
        let piece = window.piece(at)?;
        let count = piece
            .len()
            .min(usize::try_from(place.end - at).unwrap_or(usize::MAX));
        if count == 0 {
            break;
        }
        file.write_at(at - place.start, &piece[..count])?;
        at += count as u64;
    }
    file.sync()?;
    disk.sync_dir(quarantine)
}
