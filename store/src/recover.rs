//! What a start makes of a log's directory.
//!
//! Owns: the judgement of the last segment. Everything that ends with a seal is taken as it is, and looked at when it is
//! read. The last one, of a process that was killed or lost its power, is looked through:
//! - up to the highest mark all was durable: what is no record there is damage, and left for the reader to find;
//! - behind it, bytes that a sector of zeros is part of were never written as a whole: the log ends there. Whoever appended
//!   that was told nothing (C25);
//! - what is whole behind the mark may be in memory only: it is copied into a segment of its own, which is durable before
//!   anybody reads it.
//!
//! The segment is then cut, and sealed.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::acked::Acked;
use crate::disk::Disk;
use crate::journal::Known;
use crate::log::Held;
use crate::reader::copy;
use crate::record::{HEAD, Kind};
use crate::segment::{RECORDS_AT, Seal, Segment, Span, Step, Title, Walked};
use crate::stats::Counters;
use crate::write::write_seal;

mod listed;

use listed::Listed;
pub(crate) use listed::id;

/// What the copy of a tail is called until it is durable.
const MENDED: &str = "mended";

/// What a start found in a directory.
pub(crate) struct Found {
    pub(crate) id: u64,
    pub(crate) segments: VecDeque<Held>,
    pub(crate) acked: Acked,
    /// No sequence from here on was ever given.
    pub(crate) next: u64,
    /// Nor any segment's number.
    pub(crate) number: u64,
}

/// Reads a log's directory, and mends it. An empty one gets a number of its own.
///
/// # Errors
/// As the disk has it. Nothing is lost by trying again.
pub(crate) fn open(disk: &dyn Disk, dir: &Path, quarantine: &Path, known: &Known) -> io::Result<Found> {
    let Listed {
        mut segments,
        aside,
        mut number,
    } = listed::segments(disk, dir)?;
    // What is gone stays gone: a segment that came back later would stand beside newer ones.
    disk.sync_dir(dir)?;
    let Some(last) = segments.pop() else {
        return Ok(Found {
            id: fastrand::u64(1..),
            segments: VecDeque::new(),
            acked: Acked::default(),
            next: 0,
            number,
        });
    };
    let id = last.title.log;
    let mut held = VecDeque::new();
    for (index, segment) in segments.iter().enumerate() {
        let next = segments.get(index + 1).unwrap_or(&last);
        held.push_back(sealed(disk, segment, next.title)?);
    }
    let mut acked = known.get(&id).cloned().unwrap_or_default();
    let mut next = acked.next();
    match last.seal()? {
        Some((seal, at)) => held.push_back(whole(&last, seal, at)),
        None => next = next.max(mend(disk, (&last, number), quarantine, &mut held)?),
    }
    for one in &aside {
        let title = Title {
            number: *one,
            first: held.back().map_or(next, |last| last.next),
            ..last.title
        };
        let seen = listed::next_of(disk, dir, title)?;
        next = next.max(seen);
        if let Some(last) = held.back_mut() {
            // Whoever reads to its end misses these records, and says so.
            last.next = seen;
        }
    }
    for one in &held {
        next = next.max(one.next);
        number = number.max(one.segment.title.number + 1);
    }
    // Between segments there is nothing to wait for: what stood there is acknowledged and gone, or was cut off.
    let mut from = 0;
    for range in held.iter().map(Held::range) {
        acked.add(from..range.start);
        from = range.end;
    }
    acked.add(from..next);
    Ok(Found {
        id,
        segments: held,
        acked,
        next,
        number,
    })
}

fn whole(segment: &Segment, seal: Seal, at: u64) -> Held {
    Held {
        segment: segment.clone(),
        end: at,
        next: seal.next,
        newest: seal.newest,
        sealed: true,
        retained: false,
    }
}

/// A segment that another one follows: it was sealed, whatever its seal looks like now.
fn sealed(disk: &dyn Disk, segment: &Segment, follower: Title) -> io::Result<Held> {
    if let Some((seal, at)) = segment.seal()? {
        return Ok(whole(segment, seal, at));
    }
    let below = follower.first;
    let walked = segment.walk(below)?;
    let mut seal = Seal {
        next: walked.next(segment.title.first).min(below),
        newest: walked.seal.map_or(disk.wall_ms(), |seal| seal.newest),
    };
    // Where nothing is missing, what stands behind the last record has been copied into the next segment.
    let complete = seal.next == below;
    let is_its = |span: &&Span| span.good || !complete || span.first < below;
    let at = walked
        .spans
        .iter()
        .rfind(is_its)
        .map_or(RECORDS_AT, |span| span.to);
    if complete {
        // That segment goes once it is acknowledged, and this one would seem to have it again.
        write_seal(
            (&*segment.file, &Counters::default()),
            segment.title.log,
            at,
            seal,
        )?;
    } else if follower.number == segment.title.number + 1 {
        // Nothing was ever between the two: whoever reads to the end of this one misses the rest, and says so.
        seal.next = below;
    } else {
        let path = segment.path.display();
        tracing::warn!(%path, at, "the seal is damaged: should records be gone with it, nobody can count them");
    }
    Ok(whole(segment, seal, at))
}

/// Mends the last segment; `number` is nobody's so far. Returns one more than the highest sequence that was ever seen in it.
fn mend(
    disk: &dyn Disk,
    (last, number): (&Segment, u64),
    quarantine: &Path,
    held: &mut VecDeque<Held>,
) -> io::Result<u64> {
    let walked = last.walk(u64::MAX)?;
    let seen = walked.next(last.title.first);
    let end = cut(last, &walked)?;
    let seen = seen + torn(disk, last, quarantine, &walked, end)?;
    let Some(tail) = tail(last, walked.mark, end)? else {
        if end.next > last.title.first {
            let seal = Seal {
                next: end.next,
                newest: disk.wall_ms(),
            };
            write_seal((&*last.file, &Counters::default()), last.title.log, end.at, seal)?;
            held.push_back(whole(last, seal, end.at));
        } else {
            disk.remove(&last.path)?;
        }
        return Ok(seen);
    };
    held.extend(mend_tail(disk, (last, number), quarantine, &walked, (tail, end))?);
    Ok(seen)
}

/// A place between two records.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    /// The sequence that is next there.
    next: u64,
}

/// Where the log ends: before the first tear.
fn cut(last: &Segment, walked: &Walked) -> io::Result<Place> {
    let mut end = Place {
        at: RECORDS_AT,
        next: last.title.first,
    };
    for span in &walked.spans {
        let torn = !span.good && span.first >= walked.mark && last.is_torn(span)?;
        if torn {
            break;
        }
        end = Place {
            at: span.to,
            next: span.next,
        };
    }
    Ok(end)
}

/// What is cut off is told of. Where it reaches to the very end of the file, nobody can tell a file that was growing from one
/// that was closed and is damaged: a copy stays, and no sequence that it may have had is given again. Returns how many those
/// are.
fn torn(disk: &dyn Disk, last: &Segment, quarantine: &Path, walked: &Walked, end: Place) -> io::Result<u64> {
    let Some(span) = walked.spans.last().filter(|span| span.to > end.at) else {
        return Ok(0);
    };
    let (length, path) = (last.file.length()?, last.path.display());
    if span.to < length {
        tracing::warn!(%path, at = end.at, bytes = span.to - end.at, "this was never written as a whole: it is cut off");
        return Ok(0);
    }
    let name = format!(
        "{:016x}-{:016x}-{:x}.torn",
        last.title.log, last.title.number, end.at
    );
    let bytes = length - end.at;
    tracing::warn!(%path, at = end.at, bytes, name, "the end of this file is no record: it is set aside and cut off");
    copy(disk, last, end.at..length, quarantine, &name)?;
    Ok(bytes / HEAD as u64)
}

/// Where what is not known to be durable begins, if there is any before `end`.
fn tail(last: &Segment, mark: u64, end: Place) -> io::Result<Option<Place>> {
    let mut window = last.window(u64::MAX);
    let mut place = Place {
        at: RECORDS_AT,
        next: last.title.first,
    };
    // Bytes of which nobody knows what they were go with what stands behind them.
    let mut unknown = None;
    while place.at < end.at {
        match last.step(&mut window, place.at, (place.next, u64::MAX))? {
            Step::Record { head } if head.kind == Kind::Data => {
                if head.sequence >= mark {
                    return Ok(Some(unknown.unwrap_or(place)));
                }
                unknown = None;
                place = Place {
                    at: place.at + head.span(),
                    next: head.sequence + 1,
                };
            }
            Step::Record { head } => place.at += head.span(),
            // Damage that reaches over the mark is of both: it goes with the tail.
            Step::Bad { to, head } => {
                if place.next >= mark {
                    return Ok(Some(place));
                }
                unknown = head.is_none().then_some(place);
                place = Place {
                    at: to,
                    next: head.map_or(place.next, |head| place.next.max(head.sequence + 1)),
                };
            }
            Step::End => break,
        }
    }
    Ok(None)
}

/// Copies the tail into a segment of its own, and cuts it off the one where it was.
fn mend_tail(
    disk: &dyn Disk,
    (last, number): (&Segment, u64),
    quarantine: &Path,
    walked: &Walked,
    (tail, end): (Place, Place),
) -> io::Result<Vec<Held>> {
    let seal = Seal {
        next: end.next,
        newest: disk.wall_ms(),
    };
    let title = Title {
        number,
        first: tail.next,
        created: disk.wall_ms(),
        ..last.title
    };
    let dir = last.path.parent().unwrap_or(Path::new(""));
    let (path, made): (PathBuf, PathBuf) = (dir.join(Title::name(title.number)), dir.join(MENDED));
    let file = disk.create(&made)?;
    file.write_at(0, &title.to_bytes())?;
    let mut at = RECORDS_AT;
    for span in walked
        .spans
        .iter()
        .filter(|span| span.to > tail.at && span.from < end.at)
    {
        let from = span.from.max(tail.at);
        if span.good {
            at = copy_records(last, &*file, (from, span.to), at)?;
        } else {
            quarantine_span(disk, last, quarantine, span)?;
        }
    }
    write_seal((&*file, &Counters::default()), title.log, at, seal)?;
    // It has its name only now that it has its records: with the name it is believed over the segment before it.
    disk.rename(&made, &path)?;
    disk.sync_dir(dir)?;
    let mut held = Vec::new();
    if tail.next > last.title.first {
        let seal = Seal {
            next: tail.next,
            ..seal
        };
        write_seal((&*last.file, &Counters::default()), last.title.log, tail.at, seal)?;
        held.push(whole(last, seal, tail.at));
    } else {
        disk.remove(&last.path)?;
    }
    let segment = Segment {
        title,
        path,
        file: Arc::from(file),
    };
    held.push(whole(&segment, seal, at));
    Ok(held)
}

fn copy_records(
    last: &Segment,
    to: &dyn crate::disk::DiskFile,
    place: (u64, u64),
    at: u64,
) -> io::Result<u64> {
    let mut window = last.window(u64::MAX);
    let (mut from, mut at) = (place.0, at);
    while from < place.1 {
        let piece = window.piece(from)?;
        let count = piece
            .len()
            .min(usize::try_from(place.1 - from).unwrap_or(usize::MAX));
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        to.write_at(at, &piece[..count])?;
        from += count as u64;
        at += count as u64;
    }
    Ok(at)
}

fn quarantine_span(disk: &dyn Disk, last: &Segment, quarantine: &Path, span: &Span) -> io::Result<()> {
    let name = format!(
        "{:016x}-{:016x}-{:x}.bad",
        last.title.log, last.title.number, span.from
    );
    tracing::error!(path = %last.path.display(), at = span.from, name, "damaged records are set aside");
    copy(disk, last, span.from..span.to, quarantine, &name)
}
