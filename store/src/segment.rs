//! A segment: a file of records that is written once, from its front to its seal.
//!
//! ```text
//!    0 head   4096 the same head again   8192 records, the last of them the seal
//! ```
//! Ahead of the writer the file is full of zeros that are on the disk already, so that a sync has no length or extent to
//! write. Each head has a CRC of its own, and one that is damaged is read from the other place.
//!
//! Owns: the layout of a file, the walk over it, and what is a tear and what is damage in it. Does not know: which
//! segments a log has, what is acknowledged.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::record::{self, ALIGN, HEAD, Head, Kind, Salt, u32_at, u64_at};
use crate::window::{Window, read_at};

/// Where records begin.
pub(crate) const RECORDS_AT: u64 = 8192;
/// Where the second head stands.
const AGAIN_AT: u64 = 4096;
const TITLE: usize = 56;
const MAGIC: [u8; 8] = *b"weftseg1";
/// What a disk writes as a whole, or not at all.
const SECTOR: u64 = 512;
/// A seal's payload.
const SEAL: usize = 16;

/// What a segment's head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Title {
    /// The log's own number, which no other log ever has.
    pub(crate) log: u64,
    /// The segment's place in the log.
    pub(crate) number: u64,
    /// No record in it has a lower sequence.
    pub(crate) first: u64,
    /// When it was made, in milliseconds since 1970.
    pub(crate) created: u64,
}

/// What is known of a segment that takes no more records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seal {
    /// One more than the highest sequence in it.
    pub(crate) next: u64,
    /// When the last record was appended, in milliseconds since 1970.
    pub(crate) newest: u64,
}

/// A segment's file.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) title: Title,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// What stands at a place of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A record whose payload is as it was.
    Record {
        /// Its head.
        head: Head,
    },
    /// Bytes that are no record, or no longer one.
    Bad {
        /// Where the next record begins, or the zeros behind the last.
        to: u64,
        /// What the head says, where that is whole.
        head: Option<Head>,
    },
    /// Zeros, or the end of the file.
    End,
}

/// What a walk over a whole segment found.
#[derive(Debug)]
pub(crate) struct Walked {
    /// What stands in it, from the front.
    pub(crate) spans: Vec<Span>,
    /// The highest mark of all.
    pub(crate) mark: u64,
    /// The seal, if its last record is one.
    pub(crate) seal: Option<Seal>,
}

/// A part of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// Where it begins.
    pub(crate) from: u64,
    /// Where it ends.
    pub(crate) to: u64,
    /// Sequences below this stand before it.
    pub(crate) first: u64,
    /// One more than the highest sequence in it.
    pub(crate) next: u64,
    /// Whether it is one record after the other, or none.
    pub(crate) good: bool,
    /// Whether its length is known.
    pub(crate) whole: bool,
}

impl Title {
    /// The name of its file.
    pub(crate) fn name(number: u64) -> String {
        format!("{number:016x}.seg")
    }

    /// The number that a file's name says.
    pub(crate) fn number_of(name: &str) -> Option<u64> {
        let number = u64::from_str_radix(name.strip_suffix(".seg")?, 16).ok()?;
        // A number may be spelt in several ways, and no log gets so far: what has such a name is nobody's.
        (number < 1 << 60 && name == Title::name(number)).then_some(number)
    }

    /// Both heads and what lies between, up to the records.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut title = Vec::with_capacity(TITLE);
        title.extend_from_slice(&MAGIC);
        for number in [self.log, self.number, self.first, self.created] {
            title.extend_from_slice(&number.to_le_bytes());
        }
        title.resize(TITLE - 4, 0);
        let crc = crc32c::crc32c(&title);
        title.extend_from_slice(&crc.to_le_bytes());
        let mut bytes = vec![0; RECORDS_AT as usize];
        for at in [0, AGAIN_AT as usize] {
            bytes[at..at + TITLE].copy_from_slice(&title);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Title> {
        let bytes = bytes.get(..TITLE)?;
        let whole = bytes[..8] == MAGIC && crc32c::crc32c(&bytes[..TITLE - 4]) == u32_at(bytes, TITLE - 4);
        whole.then(|| Title {
            log: u64_at(bytes, 8),
            number: u64_at(bytes, 16),
            first: u64_at(bytes, 24),
            created: u64_at(bytes, 32),
        })
    }

    pub(crate) fn salt(&self) -> Salt {
        Salt::new(self.log)
    }
}

impl Seal {
    pub(crate) fn to_bytes(self) -> [u8; SEAL] {
        let mut bytes = [0; SEAL];
        bytes[..8].copy_from_slice(&self.next.to_le_bytes());
        bytes[8..].copy_from_slice(&self.newest.to_le_bytes());
        bytes
    }

    fn read(payload: &[u8]) -> Option<Seal> {
        (payload.len() == SEAL).then(|| Seal {
            next: u64_at(payload, 0),
            newest: u64_at(payload, 8),
        })
    }
}

impl Segment {
    /// Reads the head of a segment that exists; `None` where both are damaged.
    ///
    /// # Errors
    /// As the file has it, and there is no other head.
    pub(crate) fn open(path: PathBuf, file: Box<dyn DiskFile>) -> io::Result<Option<Segment>> {
        let mut failed = None;
        for at in [0, AGAIN_AT] {
            let mut bytes = [0; TITLE];
            match read_at(&path, &*file, at, &mut bytes) {
                Ok(read) => {
                    if let Some(title) = Title::read(&bytes[..read]) {
                        return Ok(Some(Segment {
                            title,
                            path,
                            file: file.into(),
                        }));
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// A view of it, of interest up to `limit`.
    pub(crate) fn window(&self, limit: u64) -> Window<'_> {
        Window::new(&self.path, &*self.file, limit)
    }

    /// The seal, where the file ends with it, as every segment does that was sealed and cut.
    ///
    /// # Errors
    /// As the file has it.
    pub(crate) fn seal(&self) -> io::Result<Option<(Seal, u64)>> {
        let length = self.file.length()?;
        let Some(at) = length
            .checked_sub(record::span(SEAL))
            .filter(|at| *at >= RECORDS_AT)
        else {
            return Ok(None);
        };
        let mut bytes = [0; HEAD + SEAL];
        read_at(&self.path, &*self.file, at, &mut bytes)?;
        let head = Head::read(&bytes, self.title.salt());
        let sealed = head.filter(|head| head.kind == Kind::Seal && head.fits(&bytes[HEAD..]));
        Ok(sealed
            .and_then(|_| Seal::read(&bytes[HEAD..]))
            .map(|seal| (seal, at)))
    }

    /// What stands at `at`. Sequences are taken from `expected` up to, and without, `below`.
    ///
    /// # Errors
    /// As the file has it: that is no damage, and may be over with the next read.
    pub(crate) fn step(
        &self,
        window: &mut Window<'_>,
        at: u64,
        (expected, below): (u64, u64),
    ) -> io::Result<Step> {
        if let Some(head) = self.head_at(window, at, (expected, below))? {
            let payload = window.get(at + HEAD as u64, head.length as usize)?;
            return Ok(if head.fits(payload) {
                Step::Record { head }
            } else {
                Step::Bad {
                    to: at + head.span(),
                    head: Some(head),
                }
            });
        }
        let Some(to) = self.search(window, at, (expected, below))? else {
            return Ok(Step::End);
        };
        Ok(Step::Bad { to, head: None })
    }

    /// A whole head at `at`, of a record that ends within the file.
    fn head_at(
        &self,
        window: &mut Window<'_>,
        at: u64,
        (expected, below): (u64, u64),
    ) -> io::Result<Option<Head>> {
        let head = Head::read(window.get(at, HEAD)?, self.title.salt());
        let Some(head) =
            head.filter(|head| (expected..below).contains(&head.sequence) || head.kind != Kind::Data)
        else {
            return Ok(None);
        };
        Ok((at + head.span() <= self.file.length()?).then_some(head))
    }

    /// Where the bytes end that begin at `at` and are no record: at the next head, or at the zeros behind the last byte
    /// that is none. `None`: there are zeros only.
    fn search(
        &self,
        window: &mut Window<'_>,
        at: u64,
        (expected, below): (u64, u64),
    ) -> io::Result<Option<u64>> {
        let (mut place, mut filled) = (at, None);
        loop {
            let piece = window.piece(place)?;
            if piece.is_empty() {
                return Ok(filled);
            }
            // Zeros are passed in one go: there are megabytes of them ahead of a writer.
            let zeros = piece.iter().position(|byte| *byte != 0).unwrap_or(piece.len());
            if zeros == piece.len() {
                place += zeros as u64;
                continue;
            }
            place += (zeros / ALIGN * ALIGN) as u64;
            if place > at && self.head_at(window, place, (expected, below))?.is_some() {
                return Ok(Some(place));
            }
            place += ALIGN as u64;
            filled = Some(place);
        }
    }

    /// Walks over all of it.
    ///
    /// # Errors
    /// As the file has it.
    pub(crate) fn walk(&self, below: u64) -> io::Result<Walked> {
        let mut window = self.window(u64::MAX);
        let mut walked = Walked {
            spans: Vec::new(),
            mark: 0,
            seal: None,
        };
        let (mut at, mut expected) = (RECORDS_AT, self.title.first);
        loop {
            let step = self.step(&mut window, at, (expected, below))?;
            let (to, head, good) = match step {
                Step::End => return Ok(walked),
                Step::Record { head } => (at + head.span(), Some(head), true),
                Step::Bad { to, head } => (to, head, false),
            };
            let first = expected;
            if let Some(head) = head {
                walked.mark = walked.mark.max(head.mark);
                expected = expected.max(head.sequence + u64::from(head.kind == Kind::Data));
                if good && head.kind == Kind::Seal {
                    walked.seal = Seal::read(window.get(at + HEAD as u64, head.length as usize)?);
                }
            }
            walked.add(Span {
                from: at,
                to,
                first,
                next: expected,
                good,
                whole: head.is_some(),
            });
            at = to;
        }
    }

    /// Whether bytes that are no record were never written as a whole: a sector of them still reads as the zeros that
    /// stood there before, or the file ends with them, or before them. What was written and changed since has no such sector, but where
    /// a payload is such zeros.
    ///
    /// # Errors
    /// As the file has it.
    pub(crate) fn is_torn(&self, span: &Span) -> io::Result<bool> {
        let mut window = self.window(u64::MAX);
        if !span.whole {
            let length = self.file.length()?;
            let head = Head::read(window.get(span.from, HEAD)?, self.title.salt());
            if span.to >= length || head.is_some_and(|head| span.from + head.span() > length) {
                return Ok(true);
            }
        }
        // A head is part of every record, and what is missing of it was to be written, too.
        let (mut from, end) = (span.from, span.to.max(span.from + HEAD as u64));
        while from < end {
            let to = ((from / SECTOR + 1) * SECTOR).min(end);
            let bytes = window.get(from, (to - from) as usize)?;
            if bytes.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            from = to;
        }
        Ok(false)
    }
}

impl Walked {
    fn add(&mut self, span: Span) {
        match self.spans.last_mut() {
            Some(last) if last.good && span.good => {
                last.to = span.to;
                last.next = span.next;
            }
            _ => self.spans.push(span),
        }
    }

    /// One more than the highest sequence seen, or what it began with.
    pub(crate) fn next(&self, first: u64) -> u64 {
        self.spans.last().map_or(first, |span| span.next)
    }
}
