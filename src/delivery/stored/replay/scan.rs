//! Looking through a log for the letters that are meant. Waits for the disk: never on a worker of the runtime.
//!
//! Owns: a reader of its own. It takes nothing out, holds nobody up, and has one piece of the log in memory.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use weft_api::event::EventBuilder;
use weft_store::{Most, Reader};

use super::letter::{Letter, Selection};
use crate::delivery::leg::Leg;
use crate::delivery::stored::DurableQueue;

/// What is read in one go.
const PIECE: Most = Most {
    records: 512,
    bytes: 256 * 1024,
};

/// See the module.
pub struct Scan {
    queue: Arc<DurableQueue>,
    reader: Reader<Leg>,
    selection: Selection,
    builder: EventBuilder,
    read: VecDeque<weft_store::Record>,
    /// The next record of interest.
    from: u64,
    /// Nothing from here on is.
    to: u64,
    damaged: u64,
}

/// How much one look may find, and look through.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Letters.
    pub letters: usize,
    /// Bytes of their events; one of any size fits.
    pub bytes: u64,
    /// Records that are passed over or found.
    pub records: u64,
    /// Bytes of those.
    pub read: u64,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Found {
    /// The letters, in the order of the log.
    pub letters: Vec<Letter>,
    /// Where the next look begins; `None` where nothing is left.
    pub next: Option<u64>,
    /// How many records it looked at.
    pub looked: u64,
    /// Records that only a later version can read.
    pub unreadable: u64,
    /// Bytes of the letters' events.
    pub bytes: u64,
    /// Bytes of what it looked at.
    pub read: u64,
}

impl Found {
    /// Whether a look has all that it may have.
    #[must_use]
    pub fn fills(&self, look: Look) -> bool {
        self.letters.len() >= look.letters || self.bytes >= look.bytes || self.is_long(look)
    }

    /// Whether it has looked at all that it may.
    #[must_use]
    pub fn is_long(&self, look: Look) -> bool {
        self.looked >= look.records || self.read >= look.read
    }
}

impl Scan {
    /// Looks for `selection` from the sequence `from` on, at what is in the log now.
    #[must_use]
    pub fn new(queue: Arc<DurableQueue>, mut reader: Reader<Leg>, selection: Selection, from: u64) -> Scan {
        let (first, end) = selection.bounds();
        let from = from.max(first);
        reader.seek(from);
        Scan {
            to: end.min(queue.log.durable()),
            queue,
            reader,
            selection,
            builder: EventBuilder::new(),
            read: VecDeque::new(),
            from,
            damaged: 0,
        }
    }

    /// Looks on.
    ///
    /// # Errors
    /// A read failed; nothing was passed over.
    pub fn next(&mut self, look: Look) -> io::Result<Found> {
        let mut found = Found::default();
        while self.from < self.to {
            if found.fills(look) {
                found.next = Some(self.from);
                return Ok(found);
            }
            let Some(record) = self.record()? else {
                self.from = self.to;
                break;
            };
            if record.sequence < self.from {
                continue;
            }
            if record.sequence >= self.to {
                self.from = self.to;
                break;
            }
            self.from = record.sequence + 1;
            found.looked += 1;
            found.read += record.payload.len() as u64;
            match Letter::read(record, &mut self.builder) {
                Some(letter) if self.selection.takes(&letter) => {
                    found.bytes += letter.event.size();
                    found.letters.push(letter);
                }
                Some(_) => {}
                None => found.unreadable += 1,
            }
        }
        Ok(found)
    }

    fn record(&mut self) -> io::Result<Option<weft_store::Record>> {
        if self.read.is_empty() {
            let mut piece = Vec::new();
            let result = self.reader.read(PIECE, &mut piece);
            // Whoever finds damage counts it: it is acknowledged, and no other reader meets it.
            let damaged = self.reader.damaged();
            self.queue.metrics.damaged.inc_by(damaged - self.damaged);
            self.damaged = damaged;
            self.read.extend(piece);
            if self.read.is_empty() {
                result?;
            }
        }
        Ok(self.read.pop_front())
    }
}
