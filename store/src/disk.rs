//! The file calls of the store, behind a trait: the machine's own ([`Real`]), and in tests one that tears, fails and
//! forgets.
//!
//! Owns: what is asked of a machine: its file system, and its clocks. Knows nothing of logs and records.

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[cfg(any(test, feature = "sim"))]
pub mod sim;

/// A file system, as far as the store needs one. Paths are absolute, or relative to the process.
pub trait Disk: Send + Sync {
    /// Makes a file, if it is not there, and locks it against every other process. Dropping what is returned unlocks it.
    ///
    /// # Errors
    /// Somebody else has it ([`io::ErrorKind::WouldBlock`]), or as the system has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;
    /// Makes a directory and those above it; one that exists is fine. Durable after [`Disk::sync_dir`] of each parent.
    ///
    /// # Errors
    /// As the system has it.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no particular order. Names that are no UTF-8 are left out: none of ours is.
    ///
    /// # Errors
    /// As the system has it.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes an empty file that did not exist.
    ///
    /// # Errors
    /// As the system has it; it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that exists.
    ///
    /// # Errors
    /// As the system has it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name in its directory; what had that name is gone.
    ///
    /// # Errors
    /// As the system has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; one that is gone is fine.
    ///
    /// # Errors
    /// As the system has it.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory; one that is gone is fine.
    ///
    /// # Errors
    /// As the system has it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the system has it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that this process may still fill on the file system of `path`.
    ///
    /// # Errors
    /// As the system has it.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// The time by which work is due. A machine that is simulated has its own.
    fn now(&self) -> Instant {
        Instant::now()
    }
    /// The wall clock, in milliseconds since 1970; 0 before. The same.
    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Reads at an offset; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// As the system has it.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes all of it at an offset. Durable after [`DiskFile::sync`].
    ///
    /// # Errors
    /// As the system has it; part of it may have been written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`). After an error nothing is known of what was written since the
    /// last success, and another call says nothing of it either.
    ///
    /// # Errors
    /// As the system has it.
    fn sync(&self) -> io::Result<()>;
    /// Its length in bytes.
    ///
    /// # Errors
    /// As the system has it.
    fn length(&self) -> io::Result<u64>;
    /// Cuts it, or lengthens it with zeros.
    ///
    /// # Errors
    /// As the system has it.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Lets the system forget what it holds of the file in memory, so that the next read comes from the disk. Advice
    /// only: what was written and not synced stays.
    fn forget(&self);
}

/// The machine's file system.
#[derive(Debug, Default)]
pub struct Real;

impl Disk for Real {
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.try_lock().map_err(io::Error::from)?;
        Ok(Box::new(file))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        gone_is_fine(fs::remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        gone_is_fine(fs::remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

impl DiskFile for File {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match FileExt::read_at(self, &mut into[done..], at + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn forget(&self) {
        // Advice; where it is not taken, the read shows what memory holds.
        let _ = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::DontNeed);
    }
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
