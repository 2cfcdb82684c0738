//! Disks that are small or that fail. [`SmallDisk`] is a file system of its own in memory, which root may mount;
//! [`BadDisk`] makes the calls of one process fail below one directory: `disk/disk.c`, preloaded.
//!
//! Mounts carry the process' id, go with the value, and are swept by the next process if this one was killed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::lacking::{Lacking, tool};
use crate::{Dir, cache};

/// A file system of its own.
#[derive(Debug)]
pub struct SmallDisk(Dir);

impl SmallDisk {
    /// An empty one of so many MiB.
    ///
    /// # Errors
    /// Only root may mount, or nobody here.
    pub fn mib(size: u64) -> Result<Self, Lacking> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let dir = Dir::new("disk");
        let path = dir.path().display().to_string();
        let options = format!("size={size}m");
        tool(&["mount", "-t", "tmpfs", "-o", &options, "weft-rig", &path], "")?;
        Ok(Self(dir))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// From now on it can be written to, or only be read.
    ///
    /// # Errors
    /// Some file of it is open for writing.
    pub fn set_writable(&self, writable: bool) -> Result<(), Lacking> {
        let options = if writable { "remount,rw" } else { "remount,ro" };
        let path = self.path().display().to_string();
        tool(&["mount", "-o", options, &path], "").map(|_| ())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.path());
    }
}

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// None.
    Nothing = 0,
    /// `fsync` and `fdatasync`, which sync nothing.
    Syncs = 1,
    /// Writes, which write nothing.
    Writes = 2,
    /// Reads.
    Reads = 4,
}

/// The disk under one process, at first well.
#[derive(Debug)]
pub struct BadDisk {
    library: PathBuf,
    dir: Dir,
    file: File,
}

impl BadDisk {
    /// A disk that no process has yet; see [`WeftBuilder::disk`](crate::WeftBuilder::disk).
    #[must_use]
    pub fn new() -> Self {
        let dir = Dir::new("bad-disk");
        let path = dir.path().join("failing");
        fs::write(&path, [0; 8]).unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
        let file = File::options().write(true).open(&path);
        let file = file.unwrap_or_else(|e| panic!("opening {}: {e}", path.display()));
        Self {
            library: cache::disk(),
            dir,
            file,
        }
    }

    /// From now on these calls fail with EIO.
    pub fn set(&self, failing: Failing) {
        let written = self.file.write_all_at(&(failing as u64).to_ne_bytes(), 0);
        written.unwrap_or_else(|e| panic!("setting a disk: {e}"));
    }

    /// What a process needs in its environment to have this disk below `under`.
    pub(crate) fn variables(&self, under: &Path) -> [(String, String); 3] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("WEFT_RIG_DISK".to_owned(), text(&self.dir.path().join("failing"))),
            ("WEFT_RIG_DISK_UNDER".to_owned(), text(under)),
        ]
    }
}

impl Default for BadDisk {
    fn default() -> Self {
        Self::new()
    }
}

fn unmount(path: &Path) {
    // Lazily: a process that is about to end may still have a file open.
    let _ = tool(&["umount", "-l", &path.display().to_string()], "");
}

/// Takes away what processes that are gone have mounted.
fn sweep() {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let ours = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        (words.next()? == "weft-rig").then(|| words.next())?
    });
    for path in ours.map(Path::new) {
        let name = path.file_name().and_then(|name| name.to_str());
        let owner = name.and_then(|name| name.strip_prefix("weft-rig-")?.split('-').next());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            unmount(path);
        }
    }
}
