//! The directory of a store: its lock, its format, its logs, and the thread behind them.
//!
//! ```text
//! lock         held while the store is open
//! format       "weft store 1"
//! room         what a start may use on a full disk
//! acks/        the journal of acknowledgements
//! quarantine/  copies of what was damaged
//! logs/NAME/   one directory a log
//! ```

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::commit::Committer;
use crate::disk::Disk;
use crate::driver::Driver;
use crate::journal::{Journal, Known};
use crate::log::{Log, LogSettings};
use crate::reader::Reader;
use crate::recover;
use crate::retain::Retainer;
use crate::room::Room;
use crate::settle::Settler;
use crate::space::Space;
use crate::spares::Spares;
use crate::stats::{Counters, Stats};
use crate::write::Writer;
use crate::{Keeper, Sync};

mod directory;
mod survey;
#[cfg(test)]
mod tests;

use directory::{is_name, prepare};
pub use survey::{Survey, survey};

/// What the file says of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its directory.
    pub path: PathBuf,
    /// Bytes for all logs that have no bound of their own space.
    pub max_bytes: u64,
    /// Bytes beyond, for what one log gives to another.
    pub reserve: u64,
    /// What the file system must have left.
    pub keep_free: u64,
    /// When tokens are told.
    pub sync: Sync,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("another process has the store at {0}: one process a directory")]
    Locked(PathBuf),
    /// It was written by another version.
    #[error(
        "the store at {path} has the format {found:?}, and this version reads \"weft store 1\": use the version that wrote it, or another path"
    )]
    Format {
        /// Its directory.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A file stands where its directory should be, or one above it.
    #[error("the store at {path}: {file} is a file: name a directory")]
    File {
        /// Its directory.
        path: PathBuf,
        /// What is no directory.
        file: PathBuf,
    },
    /// A name that no log can have.
    #[error(
        "{0:?} cannot name a log: 1 to 200 bytes of letters, digits, '.', '_', '-' and '%', not beginning with '.'"
    )]
    Name(String),
    /// The system refused something.
    #[error("the store at {path}: {doing}: {error}")]
    Io {
        /// Its directory.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        error: io::Error,
    },
}

impl OpenError {
    /// Whether the same again fails again until somebody names another path, or mends this one or its permissions.
    #[must_use]
    pub fn is_of_path(&self) -> bool {
        match self {
            OpenError::File { .. } | OpenError::Format { .. } | OpenError::Name(_) => true,
            OpenError::Io { error, doing, .. } => match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => true,
                // Where nothing can be made, not even a directory.
                io::ErrorKind::NotFound | io::ErrorKind::Unsupported => *doing == directory::MAKING,
                _ => false,
            },
            OpenError::Locked(_) => false,
        }
    }
}

/// What keeps others out of the directory.
pub(crate) type DirectoryLock = Arc<dyn Any + Send + std::marker::Sync>;

/// See the module. `T` is what is told once a record is durable.
pub struct Store<T> {
    disk: Arc<dyn Disk>,
    settings: Settings,
    bell: Arc<Bell<T>>,
    space: Arc<Space>,
    counters: Arc<Counters>,
    /// What was known at the start: of logs that are not open, it still is.
    known: Arc<Mutex<Known>>,
    logs: Mutex<BTreeMap<String, Arc<Log<T>>>>,
    room: Arc<Room>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Held by the thread, too: it may write for longer than this lives.
    _lock: DirectoryLock,
}

impl<T: Send + 'static> Store<T> {
    /// Opens a store, or makes one. `names`: the logs to open, each with its settings; they have recovered when this
    /// returns.
    ///
    /// # Errors
    /// See [`OpenError`]. Nothing that was kept is harmed by any of them.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: Settings,
        names: &[(String, LogSettings)],
        keeper: Arc<dyn Keeper<T>>,
    ) -> Result<Store<T>, OpenError> {
        let path = settings.path.clone();
        let failed = |error| OpenError::Io {
            path,
            doing: "starting a thread",
            error,
        };
        let spares = match Spares::start(Arc::clone(&disk)) {
            Ok(spares) => spares,
            Err(error) => return Err(failed(error)),
        };
        let (mut store, committer) = Store::assemble(disk, settings, names, keeper, spares)?;
        let thread = std::thread::Builder::new()
            .name("store-commit".to_owned())
            .spawn(move || committer.run())
            .map_err(failed)?;
        *store.thread.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(store)
    }

    /// The same without threads: nothing is written but by [`Driver::turn`].
    ///
    /// # Errors
    /// The same.
    pub fn open_driven(
        disk: Arc<dyn Disk>,
        settings: Settings,
        names: &[(String, LogSettings)],
        keeper: Arc<dyn Keeper<T>>,
    ) -> Result<(Store<T>, Driver<T>), OpenError> {
        let (store, mut committer) = Store::assemble(disk, settings, names, keeper, Spares::none())?;
        committer.alone = true;
        Ok((store, Driver::new(committer)))
    }

    /// The same without the thread, which is the caller's to run.
    pub(crate) fn assemble(
        disk: Arc<dyn Disk>,
        settings: Settings,
        names: &[(String, LogSettings)],
        keeper: Arc<dyn Keeper<T>>,
        spares: Spares,
    ) -> Result<(Store<T>, Committer<T>), OpenError> {
        let path = settings.path.clone();
        let io = |doing: &'static str| {
            let path = path.clone();
            move |error: io::Error| OpenError::Io { path, doing, error }
        };
        let lock: DirectoryLock = Arc::from(prepare(&*disk, &path)?);
        let acks = path.join("acks");
        let known = Journal::read(&*disk, &acks).map_err(io("reading acknowledgements"))?;
        let bell = Bell::new();
        let space = Arc::new(Space::default());
        space.configure(settings.max_bytes, settings.reserve);
        let counters = Arc::new(Counters::default());
        let store = Store {
            disk: Arc::clone(&disk),
            bell: Arc::clone(&bell),
            space: Arc::clone(&space),
            counters: Arc::clone(&counters),
            known: Arc::new(Mutex::new(known)),
            logs: Mutex::default(),
            room: Arc::new(Room::new(&settings.path)),
            thread: Mutex::new(None),
            _lock: Arc::clone(&lock),
            settings,
        };
        for (name, settings) in names {
            store.log(name, settings.clone())?;
        }
        let known = store.forget_what_is_gone();
        let begin = || Journal::begin(Arc::clone(&disk), Arc::clone(&counters), acks.clone(), &known);
        let room = Arc::clone(&store.room);
        let journal = room.with(&*disk, begin).map_err(io("writing acknowledgements"))?;
        room.keep(&*disk, store.settings.keep_free);
        let mut committer = Committer {
            bell: Arc::clone(&bell),
            disk: Arc::clone(&disk),
            keeper,
            writer: Writer {
                spares,
                space,
                path,
                keep_free: store.settings.keep_free,
                room: Arc::clone(&room),
                active: BTreeMap::new(),
                counters: Arc::clone(&counters),
            },
            settler: Settler::new(bell, Arc::clone(&disk), Arc::clone(&store.known), journal, room),
            retainer: Retainer::new(Arc::clone(&disk)),
            counters,
            interval: match store.settings.sync {
                Sync::Always => None,
                Sync::Interval(interval) => Some(interval),
            },
            resting: BTreeMap::new(),
            stuck: Vec::new(),
            short: BTreeSet::new(),
            flying: VecDeque::new(),
            unsynced: BTreeMap::new(),
            looked: disk.now(),
            synced: disk.now(),
            usual_sync: Duration::ZERO,
            alone: false,
            _lock: lock,
        };
        // Before anything is taken: nothing else looks as long as there is room for it.
        committer.writer.look_at_space(&*store.disk);
        Ok((store, committer))
    }

    /// A log of this name: the one that is open, or one that is opened, or made, now.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn log(&self, name: &str, settings: LogSettings) -> Result<Arc<Log<T>>, OpenError> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = logs.get(name) {
            let log = Arc::clone(log);
            log.configure(settings);
            return Ok(log);
        }
        if !is_name(name) {
            return Err(OpenError::Name(name.to_owned()));
        }
        let (path, all) = (&self.settings.path, self.settings.path.join("logs"));
        let dir = all.join(name);
        let io = |doing: &'static str| {
            move |error: io::Error| OpenError::Io {
                path: path.clone(),
                doing,
                error,
            }
        };
        self.disk
            .make_dir(&dir)
            .map_err(io("making the directory of a log"))?;
        self.disk
            .sync_dir(&all)
            .map_err(io("making the directory of a log"))?;
        // A copy: a checkpoint, for which all logs wait, finds this log there until it is listed.
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let quarantine = path.join("quarantine");
        let open = || recover::open(&*self.disk, &dir, &quarantine, &known);
        let found = self.room.with(&*self.disk, open).map_err(io("reading a log"))?;
        if let Some(other) = logs.values().find(|other| other.id == found.id) {
            let text = format!(
                "logs/{} is a copy of it, or it of that: move one of them away",
                other.name
            );
            return Err(io("reading a log")(io::Error::new(
                io::ErrorKind::InvalidData,
                text,
            )));
        }
        let log = Arc::new(Log::new(
            (Arc::from(name), dir, found.id),
            settings,
            found,
            Arc::clone(&self.space),
            Arc::downgrade(&self.bell),
        ));
        self.bell.add(Arc::clone(&log));
        if let Some(why) = self.bell.dead() {
            log.fail(&why, 0);
        }
        // What was acknowledged before and is still there is looked at.
        log.list(log.lock());
        logs.insert(name.to_owned(), Arc::clone(&log));
        Ok(log)
    }

    /// Directories of logs that nobody has opened: what is left of places that are no longer in the file.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn unopened(&self) -> Result<Vec<String>, OpenError> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.settings.path.join("logs");
        let mut names = self.disk.list(&all).map_err(|error| OpenError::Io {
            path: self.settings.path.clone(),
            doing: "looking for logs",
            error,
        })?;
        names.retain(|name| !logs.contains_key(name));
        names.sort_unstable();
        Ok(names)
    }

    /// Whether everything is acknowledged in a log that nobody has opened; looks through it as an opening would.
    ///
    /// # Errors
    /// As the disk has it.
    pub fn is_empty(&self, name: &str) -> io::Result<bool> {
        let path = &self.settings.path;
        let (dir, quarantine) = (path.join("logs").join(name), path.join("quarantine"));
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let open = || recover::open(&*self.disk, &dir, &quarantine, &known);
        let found = self.room.with(&*self.disk, open)?;
        Ok(found.acked.count(0..found.next) == found.next)
    }

    /// Reads a log from its front. `open_only`: without what is acknowledged.
    #[must_use]
    pub fn reader(&self, log: &Arc<Log<T>>, open_only: bool) -> Reader<T> {
        let quarantine = self.settings.path.join("quarantine");
        Reader::new(Arc::clone(log), Arc::clone(&self.disk), quarantine, open_only)
    }

    /// Bytes of the logs that share the space; see [`crate::Holding::bytes`].
    #[must_use]
    pub fn used(&self) -> u64 {
        self.space.used()
    }

    /// Bytes that those logs may still take of the space.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.space.max().saturating_sub(self.space.used())
    }

    /// Bytes of the file system that may still be used before it has less left than it should. Asks the disk.
    ///
    /// # Errors
    /// As the disk has it.
    pub fn disk_left(&self) -> io::Result<u64> {
        let free = self.disk.free_bytes(&self.settings.path)?;
        Ok(free.saturating_sub(self.settings.keep_free))
    }

    /// What it has done since it was opened.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// For how long the disk has not answered.
    #[must_use]
    pub fn hangs(&self) -> Option<Duration> {
        self.bell.in_round()
    }

    /// Writes what was appended and acknowledged, seals every log, and ends the thread. Appending is refused from now on.
    /// Returns whether that was done within `limit`: a disk that hangs must not keep a process from its end. A store without
    /// threads is only told: the last turn of its [`Driver`] does it.
    pub fn close(&self, limit: Duration) -> bool {
        for log in self.bell.logs() {
            log.lock().closed = true;
        }
        self.bell.stop();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return true };
        let end = Instant::now() + limit;
        while !thread.is_finished() {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        thread.join().is_ok()
    }

    /// What is known of acknowledgements, without those of logs that are gone with all their segments.
    fn forget_what_is_gone(&self) -> Known {
        let logs = self.bell.logs();
        let mut there: BTreeSet<u64> = logs.iter().map(|log| log.id).collect();
        let mut look = || {
            for name in self.unopened().map_err(io::Error::other)? {
                let dir = self.settings.path.join("logs").join(name);
                there.extend(recover::id(&*self.disk, &dir)?);
                // Or what is gone might come back, and be told again.
                self.disk.sync_dir(&dir)?;
            }
            io::Result::Ok(())
        };
        let looked = look();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match looked {
            Ok(()) => known.retain(|id, _| there.contains(id)),
            // Something strange lies there. It costs a few bytes to remember too much.
            Err(error) => tracing::warn!(%error, "looking for logs that nobody has opened"),
        }
        let mut all = known.clone();
        all.extend(logs.iter().map(|log| (log.id, log.lock().acked.clone())));
        all
    }
}

impl<T> Drop for Store<T> {
    fn drop(&mut self) {
        for log in self.bell.logs() {
            log.lock().closed = true;
        }
        self.bell.stop();
    }
}
