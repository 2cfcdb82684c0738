//! The machine's disk with switches: syncs fail, reads fail, or nothing is free.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weft_store::disk::{Disk, DiskFile, Real};

/// Clones share the switches.
#[derive(Clone, Default)]
pub(in crate::delivery::stored) struct Switched {
    pub(in crate::delivery::stored) syncs_fail: Arc<AtomicBool>,
    pub(in crate::delivery::stored) reads_fail: Arc<AtomicBool>,
    pub(in crate::delivery::stored) is_full: Arc<AtomicBool>,
    /// Only files with this in their path; all of them, if it is empty.
    only: String,
}

struct File {
    file: Box<dyn DiskFile>,
    disk: Switched,
}

impl Switched {
    /// The same switches for files with this in their path.
    pub(in crate::delivery::stored) fn only(&self, part: &str) -> Switched {
        Switched {
            only: part.to_owned(),
            ..self.clone()
        }
    }

    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        if !path.to_string_lossy().contains(&self.only) {
            return file;
        }
        Box::new(File {
            file,
            disk: self.clone(),
        })
    }
}

impl Disk for Switched {
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        Real.lock(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        Real.make_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Real.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, Real.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, Real.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Real.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Real.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        Real.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        Real.sync_dir(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        if self.is_full.load(Ordering::SeqCst) {
            return Ok(0);
        }
        Real.free_bytes(path)
    }
}

impl DiskFile for File {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        if self.disk.reads_fail.load(Ordering::SeqCst) {
            // EIO
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        if self.disk.is_full.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.file.write_at(at, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.syncs_fail.load(Ordering::SeqCst) {
            // EIO
            return Err(io::Error::from_raw_os_error(5));
        }
        self.file.sync()
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn forget(&self) {
        self.file.forget();
    }
}
