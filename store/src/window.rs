//! A piece of a file in memory, moved along as somebody reads.
//!
//! Owns: how much is read at once. Knows nothing of records.

use std::io;

use crate::disk::DiskFile;

/// What is read at once.
const PIECE: usize = 256 << 10;

/// A view of one file. What it has read it does not read again.
pub(crate) struct Window<'a> {
    file: &'a dyn DiskFile,
    /// Nothing behind this is read, but where it is asked for.
    limit: u64,
    from: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile) -> Window<'a> {
        Window::up_to(file, u64::MAX)
    }

    /// Of a file that is of interest up to here only: what is behind may still be written to.
    pub(crate) fn up_to(file: &'a dyn DiskFile, limit: u64) -> Window<'a> {
        Window {
            file,
            limit,
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

    /// Reads from `at` on, `least` bytes, or as many as are read at once.
    fn fill(&mut self, at: u64, least: usize) -> io::Result<()> {
        let left = usize::try_from(self.limit.saturating_sub(at)).unwrap_or(usize::MAX);
        self.bytes.resize(least.max(PIECE.min(left)), 0);
        // Nothing is held should the read fail.
        self.from = u64::MAX;
        let read = self.file.read_at(at, &mut self.bytes)?;
        self.bytes.truncate(read);
        self.from = at;
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
