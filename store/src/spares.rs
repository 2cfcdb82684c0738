//! Segments made ahead: files full of zeros that are on the disk, so that a sync has neither length nor extents to write.
//!
//! A thread of its own fills them, off the way of any acknowledgement, and rests as long as it works: the disk is for the
//! records. Where none is ready the writer lets its file grow,
//! which is slower and as safe. A spare has the name of no segment; one that is found at a start is removed. It is charged to
//! nobody: a log may have that much more on the disk than its bound. Where the disk is short of room, they all go.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::disk::{Disk, DiskFile};

/// What a spare's file is called.
pub(crate) const NAME: &str = "spare";
/// What is written and synced in one go.
const PIECE: usize = 4 << 20;

/// The spares of all logs.
pub(crate) struct Spares {
    wishes: Option<Sender<Wish>>,
    ready: Arc<Mutex<BTreeMap<u64, State>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Wish {
    log: u64,
    dir: PathBuf,
    bytes: u64,
}

enum State {
    Wished,
    Ready(Box<dyn DiskFile>, u64, PathBuf),
}

impl Spares {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(disk: Arc<dyn Disk>) -> io::Result<Spares> {
        let (wishes, wished) = channel();
        let ready = Arc::new(Mutex::new(BTreeMap::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&ready), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("store-ahead".to_owned())
            .spawn(move || fill_all(&*disk, &wished, &shared, &stopped))?;
        Ok(Spares {
            wishes: Some(wishes),
            ready,
            stop,
            thread: Some(thread),
        })
    }

    /// None are made.
    pub(crate) fn none() -> Spares {
        Spares {
            wishes: None,
            ready: Arc::default(),
            stop: Arc::default(),
            thread: None,
        }
    }

    /// Makes one now, as the thread would.
    #[cfg(test)]
    pub(crate) fn make(&self, disk: &dyn Disk, log: u64, dir: PathBuf, bytes: u64) -> io::Result<()> {
        let path = dir.join(NAME);
        let file = fill(disk, &Wish { log, dir, bytes }, &self.stop)?;
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.insert(log, State::Ready(file, bytes, path));
        Ok(())
    }

    /// Has a spare made for this log, unless there is one, or one is being made.
    pub(crate) fn wish(&self, log: u64, dir: PathBuf, bytes: u64) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wishes) = &self.wishes
            && !ready.contains_key(&log)
            && wishes.send(Wish { log, dir, bytes }).is_ok()
        {
            ready.insert(log, State::Wished);
        }
    }

    /// The spare of this log and its length, if it is ready: it is the caller's to name.
    pub(crate) fn take(&self, log: u64) -> Option<(Box<dyn DiskFile>, u64)> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        match ready.remove(&log) {
            Some(State::Ready(file, bytes, _)) => Some((file, bytes)),
            Some(State::Wished) => {
                ready.insert(log, State::Wished);
                None
            }
            None => None,
        }
    }

    /// Those that are ready go: the disk is short of room, and a log lets its file grow instead.
    pub(crate) fn give_back(&self, disk: &dyn Disk) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|_, state| match state {
            State::Wished => true,
            State::Ready(_, _, path) => {
                if let Err(error) = disk.remove(path) {
                    tracing::warn!(path = %path.display(), %error, "removing a segment that was made ahead");
                }
                false
            }
        });
    }

    /// Waits for the thread's end.
    pub(crate) fn close(&mut self) {
        self.wishes = None;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there leaves no spare, which is no harm.
            let _ = thread.join();
        }
    }
}

fn fill_all(
    disk: &dyn Disk,
    wished: &Receiver<Wish>,
    ready: &Mutex<BTreeMap<u64, State>>,
    stop: &AtomicBool,
) {
    for wish in wished {
        let made = fill(disk, &wish, stop);
        let mut ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
        match made {
            Ok(file) => {
                let path = wish.dir.join(NAME);
                ready.insert(wish.log, State::Ready(file, wish.bytes, path))
            }
            Err(error) => {
                tracing::debug!(dir = %wish.dir.display(), %error, "no segment is made ahead");
                ready.remove(&wish.log)
            }
        };
    }
}

fn fill(disk: &dyn Disk, wish: &Wish, stop: &AtomicBool) -> io::Result<Box<dyn DiskFile>> {
    let path = wish.dir.join(NAME);
    disk.remove(&path)?;
    let file = disk.create(&path)?;
    if let Err(error) = write_zeros(&*file, wish.bytes, stop) {
        // What there is of it takes room that records may need.
        disk.remove(&path)?;
        return Err(error);
    }
    Ok(file)
}

fn write_zeros(file: &dyn DiskFile, bytes: u64, stop: &AtomicBool) -> io::Result<()> {
    let zeros = vec![0; PIECE];
    let mut at = 0;
    while at < bytes {
        let began = Instant::now();
        let count = (bytes - at).min(PIECE as u64);
        file.write_at(at, &zeros[..usize::try_from(count).unwrap_or(PIECE)])?;
        file.sync()?;
        at += count;
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the store is being closed"));
        }
        if at < bytes {
            std::thread::sleep(began.elapsed());
        }
    }
    Ok(())
}
