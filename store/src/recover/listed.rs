//! Which files of a log's directory are its segments.
//!
//! Owns: the judgement of heads. What is unfinished goes; a segment whose heads are both damaged, or say that it belongs
//! elsewhere, is set aside, and what it had is missed until a reader has told so.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{MENDED, sealed};
use crate::disk::Disk;
use crate::segment::{RECORDS_AT, Segment, Title};
use crate::spares;

/// What a segment is called that is set aside: it stays where it is.
const UNREADABLE: &str = ".unreadable";

/// The number of the log in this directory, if it has a segment that says so.
///
/// # Errors
/// As the disk has it.
pub(crate) fn id(disk: &dyn Disk, dir: &Path) -> io::Result<Option<u64>> {
    for name in disk
        .list(dir)?
        .iter()
        .filter(|name| Title::number_of(name).is_some())
    {
        let path = dir.join(name);
        if let Some(segment) = Segment::open(path.clone(), disk.open(&path)?)? {
            return Ok(Some(segment.title.log));
        }
    }
    Ok(None)
}

/// What a directory has.
pub(super) struct Listed {
    pub(super) segments: Vec<Segment>,
    /// The numbers of those behind them that were set aside.
    pub(super) aside: Vec<u64>,
    /// The number that the next one has at least.
    pub(super) number: u64,
}

/// Looks through a directory.
pub(super) fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Listed> {
    let names = disk.list(dir)?;
    for unfinished in [spares::NAME, MENDED] {
        if names.iter().any(|name| name == unfinished) {
            disk.remove(&dir.join(unfinished))?;
        }
    }
    // By number; `None` is what was set aside, now or at an earlier start.
    let aside = |name: &String| Title::number_of(&format!("{}.seg", name.strip_suffix(UNREADABLE)?));
    let mut found: BTreeMap<u64, Option<Segment>> = names
        .iter()
        .filter_map(aside)
        .map(|number| (number, None))
        .collect();
    for number in names.iter().filter_map(|name| Title::number_of(name)) {
        let path = dir.join(Title::name(number));
        let segment = Segment::open(path.clone(), disk.open(&path)?)?;
        if segment.is_none() && disk.open(&path)?.length()? <= RECORDS_AT {
            // It was just being made, and has nothing.
            disk.remove(&path)?;
            continue;
        }
        found.insert(number, segment);
    }
    let log = common(found.values().flatten());
    let mut segments: Vec<Segment> = Vec::new();
    let mut holes = Vec::new();
    let number = found.last_key_value().map_or(1, |(last, _)| last + 1);
    for (number, segment) in found {
        let own = |segment: &Segment| (segment.title.number, Some(segment.title.log)) == (number, log);
        let Some(mut segment) = segment.filter(own) else {
            set_aside(disk, &dir.join(Title::name(number)))?;
            holes.push(number);
            continue;
        };
        if !std::mem::take(&mut holes).is_empty() {
            // Whoever reads on from the segment before misses these records, and says so.
            segment.title.first = match segments.last() {
                Some(before) => sealed(disk, before, segment.title)?.next,
                None => 0,
            };
        }
        segments.push(segment);
    }
    Ok(Listed {
        segments,
        aside: holes,
        number,
    })
}

/// One more than the highest sequence from `first` on that a segment has which was set aside: its records have heads of their
/// own, which say of what log they are.
pub(super) fn next_of(disk: &dyn Disk, dir: &Path, title: Title) -> io::Result<u64> {
    let path = dir
        .join(Title::name(title.number))
        .with_extension(&UNREADABLE[1..]);
    let file = disk.open(&path)?.into();
    let segment = Segment { title, path, file };
    Ok(segment.walk(u64::MAX)?.next(title.first))
}

/// The log that most of these are of: the others were put here by somebody.
fn common<'a>(segments: impl Iterator<Item = &'a Segment>) -> Option<u64> {
    let mut counts = BTreeMap::<u64, usize>::new();
    for segment in segments {
        *counts.entry(segment.title.log).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(log, _)| log)
}

/// A segment that says nothing, or says that it belongs elsewhere. One that is aside already has no such file.
fn set_aside(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.rename(path, &path.with_extension(&UNREADABLE[1..])) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            tracing::error!(path = %path.display(), "the heads of this segment are damaged, or another's: it is set aside");
            Ok(())
        }
    }
}
