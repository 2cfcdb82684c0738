//! A piece of a file in memory, moved along as somebody reads.
//!
//! Owns: how much is read at once, and that a sector which cannot be read keeps nobody from its neighbours. Knows nothing of
//! records.

use std::io;
use std::path::Path;

use crate::disk::DiskFile;

/// What is read at once.
const PIECE: usize = 256 << 10;
/// What a disk reads as a whole, or not at all.
const SECTOR: u64 = 512;

/// A view of one file. What it has read it does not read again.
pub(crate) struct Window<'a> {
    path: &'a Path,
    file: &'a dyn DiskFile,
    /// Nothing behind this is read, but where it is asked for.
    limit: u64,
    /// What is read at once: nothing beyond what is asked for, once a read has failed.
    piece: usize,
    from: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Of a file that is of interest up to `limit` only: what is behind may still be written to.
    pub(crate) fn new(path: &'a Path, file: &'a dyn DiskFile, limit: u64) -> Window<'a> {
        Window {
            path,
            file,
            limit,
            piece: PIECE,
            from: 0,
            bytes: Vec::new(),
        }
    }

    /// The bytes from `at` on, `count` of them, fewer only at the end of the file.
    ///
    /// # Errors
    /// As the file has it.
    pub(crate) fn get(&mut self, at: u64, count: usize) -> io::Result<&[u8]> {
        if self.holds(at).is_none_or(|held| held.len() < count) {
            self.fill(at, count)?;
        }
        let held = self.holds(at).unwrap_or_default();
        Ok(&held[..held.len().min(count)])
    }

    /// What there is from `at` on, some of it at least; nothing at the end of the file, or behind what is of interest.
    ///
    /// # Errors
    /// As the file has it.
    pub(crate) fn piece(&mut self, at: u64) -> io::Result<&[u8]> {
        if self.holds(at).is_none_or(<[u8]>::is_empty) {
            self.fill(at, 0)?;
        }
        Ok(self.holds(at).unwrap_or_default())
    }

    /// Reads from `at` on, `least` bytes, or as many as are read at once. Where that fails, `least` bytes, or the rest of a
    /// sector, and from the disk: what is asked for may be well.
    fn fill(&mut self, at: u64, least: usize) -> io::Result<()> {
        let left = usize::try_from(self.limit.saturating_sub(at)).unwrap_or(usize::MAX);
        // Nothing is held should the read fail.
        self.from = u64::MAX;
        let mut read = self.read(at, least.max(self.piece.min(left)));
        if read.is_err() {
            self.file.forget();
            self.piece = 0;
            let rest = usize::try_from(SECTOR - at % SECTOR).unwrap_or(PIECE);
            let least = if least == 0 { rest.min(left) } else { least };
            read = self.read(at, least);
        }
        read.map_err(|error| unreadable(self.path, at, &error))?;
        self.from = at;
        Ok(())
    }

    fn read(&mut self, at: u64, count: usize) -> io::Result<()> {
        self.bytes.resize(count, 0);
        let read = self.file.read_at(at, &mut self.bytes)?;
        self.bytes.truncate(read);
        Ok(())
    }

    /// Holds nothing any more: the next bytes are read.
    pub(crate) fn forget(&mut self) {
        self.from = u64::MAX;
    }

    fn holds(&self, at: u64) -> Option<&[u8]> {
        let skip = usize::try_from(at.checked_sub(self.from)?).ok()?;
        self.bytes.get(skip..)
    }
}

/// Reads at one place. Where that fails, once more, and from the disk.
///
/// # Errors
/// As the file has it, with its name.
pub(crate) fn read_at(path: &Path, file: &dyn DiskFile, at: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut read = file.read_at(at, into);
    if read.is_err() {
        file.forget();
        read = file.read_at(at, into);
    }
    read.map_err(|error| unreadable(path, at, &error))
}

/// Whoever reads this has to find the place.
fn unreadable(path: &Path, at: u64, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} at {at}: {error}", path.display()))
}
