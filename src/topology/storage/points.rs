//! The store's disk in a build for tests: a crash point before each call that changes it.
//!
//! Owns: the names of these points; what each shows stands in `docs/faults.md`. Does not know: what the store does, and
//! why. A point `torn` ends the process with half of a write done, up to a sector's end.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use weft_api::crash;
use weft_store::disk::{Disk, DiskFile};

/// What a disk writes as a whole, or not at all.
const SECTOR: u64 = 512;

/// See the module.
pub(super) struct Points<D>(pub(super) D);

/// What a file is to the store, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Segment,
    /// A segment that has no name yet.
    Spare,
    Acks,
    Quarantine,
    Format,
    Other,
}

struct Pointed {
    file: Box<dyn DiskFile>,
    kind: Kind,
    /// A spare is a segment once its zeros are on the disk.
    filled: AtomicBool,
}

impl Kind {
    fn of(path: &Path) -> Kind {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        match name.rsplit_once('.').map_or(name, |(_, ending)| ending) {
            "seg" | "mended" => Kind::Segment,
            "spare" => Kind::Spare,
            "acks" => Kind::Acks,
            "bad" => Kind::Quarantine,
            "format" => Kind::Format,
            _ => Kind::Other,
        }
    }
}

impl<D: Disk> Disk for Points<D> {
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        self.0.lock(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.0.make_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let kind = Kind::of(path);
        match kind {
            Kind::Segment => crash::point("store.segment.made"),
            Kind::Acks => crash::point("store.acks.made"),
            Kind::Quarantine => crash::point("store.quarantine.made"),
            Kind::Spare | Kind::Format | Kind::Other => {}
        }
        Ok(pointed(self.0.create(path)?, kind))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(pointed(self.0.open(path)?, Kind::of(path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        crash::point("store.segment.named");
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match Kind::of(path) {
            Kind::Segment => crash::point("store.segment.removed"),
            Kind::Acks => crash::point("store.acks.removed"),
            Kind::Spare | Kind::Quarantine | Kind::Format | Kind::Other => {}
        }
        self.0.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        crash::point("store.directory.synced");
        self.0.sync_dir(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.0.free_bytes(path)
    }
}

impl Pointed {
    fn kind(&self) -> Kind {
        match self.kind {
            Kind::Spare if self.filled.load(Ordering::Relaxed) => Kind::Segment,
            kind => kind,
        }
    }

    /// Writes half, where the point behind it is to end the process.
    fn tear(&self, at: u64, bytes: &[u8], name: &str) -> io::Result<()> {
        if crash::is_armed(name) {
            let end = (at + bytes.len() as u64 / 2) / SECTOR * SECTOR;
            let half = usize::try_from(end.saturating_sub(at)).unwrap_or(0);
            self.file.write_at(at, &bytes[..half])?;
        }
        Ok(())
    }
}

impl DiskFile for Pointed {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self.kind() {
            Kind::Segment => {
                crash::point("store.segment.written");
                self.tear(at, bytes, "store.segment.torn")?;
                crash::point("store.segment.torn");
            }
            Kind::Acks => {
                crash::point("store.acks.written");
                self.tear(at, bytes, "store.acks.torn")?;
                crash::point("store.acks.torn");
            }
            Kind::Spare => crash::point("store.spare.written"),
            Kind::Quarantine => crash::point("store.quarantine.written"),
            Kind::Format => crash::point("store.format.written"),
            Kind::Other => {}
        }
        self.file.write_at(at, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        match self.kind() {
            Kind::Segment => crash::point("store.segment.synced"),
            Kind::Acks => crash::point("store.acks.synced"),
            Kind::Spare => crash::point("store.spare.synced"),
            Kind::Quarantine => crash::point("store.quarantine.synced"),
            Kind::Format => crash::point("store.format.synced"),
            Kind::Other => {}
        }
        self.file.sync()?;
        self.filled.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        crash::point("store.segment.cut");
        self.file.set_len(length)
    }

    fn forget(&self) {
        self.file.forget();
    }
}

fn pointed(file: Box<dyn DiskFile>, kind: Kind) -> Box<dyn DiskFile> {
    Box::new(Pointed {
        file,
        kind,
        filled: AtomicBool::new(false),
    })
}
