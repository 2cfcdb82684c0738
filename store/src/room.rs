//! Room for a start on a full disk: a part of what the disk is to have left is held by a file.
//!
//! A start has to write before it can free anything: the copy of a tail, a seal, a journal of acknowledgements. On a disk
//! without any room it would not come to deliver what would make some. So it cuts off as much of the file `room` as it
//! needs, and takes back what it can before anybody appends.
//!
//! While it runs, it needs another journal now and then: without one nothing more is acknowledged, and so nothing is freed. That
//! room may be used for it, too.
//!
//! Owns: that file. Policy: acknowledgements could go on in the journal that is there, but nobody knows whether what it
//! shows is on the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::commit::is_full;
use crate::disk::{Disk, DiskFile};

/// What the file is called.
const NAME: &str = "room";
/// Twice what a log may have written and not marked, or all that is to be kept free.
const BYTES: u64 = 8 << 20;
/// What is cut off and written in one go.
const STEP: u64 = 256 << 10;

/// See the module; shared by all who may need it.
pub(crate) struct Room {
    path: PathBuf,
    /// Whether it has its length.
    is_whole: AtomicBool,
}

impl Room {
    /// The one in this store's directory.
    pub(crate) fn new(path: &Path) -> Room {
        Room {
            path: path.to_owned(),
            is_whole: AtomicBool::new(false),
        }
    }

    /// Tries, and where there is no room tries again with a little more, as long as there is any.
    ///
    /// # Errors
    /// As the disk has it; no room even so.
    pub(crate) fn with<R>(
        &self,
        disk: &dyn Disk,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let error = match attempt() {
                Err(error) if is_full(&error) => error,
                done => return done,
            };
            let Some((file, length)) = open(disk, &self.path).filter(|(_, length)| *length > 0) else {
                return Err(error);
            };
            let left = length.saturating_sub(STEP);
            self.is_whole.store(false, Ordering::Release);
            file.set_len(left)?;
            tracing::warn!(path = %self.path.display(), %error, left, "the store's disk is full: it uses the room that it kept");
        }
    }

    /// Takes what the file lacks of its length, as far as the disk has it.
    pub(crate) fn keep(&self, disk: &dyn Disk, keep_free: u64) {
        if self.is_whole.load(Ordering::Acquire) {
            return;
        }
        let bytes = keep_free.min(BYTES);
        let mut length = open(disk, &self.path).map_or(0, |(_, length)| length);
        let free = disk.free_bytes(&self.path).unwrap_or(0);
        let lacks = bytes.saturating_sub(length).min(free / STEP * STEP);
        if lacks > 0 {
            match fill(disk, &self.path, length, length + lacks) {
                Ok(()) => length += lacks,
                Err(error) => {
                    tracing::debug!(path = %self.path.display(), %error, "no room is kept");
                }
            }
        }
        self.is_whole.store(length >= bytes, Ordering::Release);
    }
}

fn open(disk: &dyn Disk, path: &Path) -> Option<(Box<dyn DiskFile>, u64)> {
    let file = disk.open(&path.join(NAME)).ok()?;
    let length = file.length().ok()?;
    Some((file, length))
}

fn fill(disk: &dyn Disk, path: &Path, from: u64, to: u64) -> io::Result<()> {
    let file = match open(disk, path) {
        Some((file, _)) => file,
        None => disk.create(&path.join(NAME))?,
    };
    let zeros = vec![0; usize::try_from(STEP).unwrap_or(0)];
    for at in (from..to).step_by(zeros.len()) {
        let count = (to - at).min(STEP);
        file.write_at(at, &zeros[..usize::try_from(count).unwrap_or(0)])?;
    }
    file.sync()
}
