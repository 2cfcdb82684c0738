//! Where logs say that there is something to do, and where the commit thread hears of it.
//!
//! Owns: the list of logs, the list of those that wait for the thread, and when its round began.

use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::log::Log;

/// What hears that there is something to do.
pub(crate) type Hear = Box<dyn Fn() + Send + Sync>;

/// See the module.
pub(crate) struct Bell<T> {
    work: Mutex<Work<T>>,
    rung: Condvar,
    /// Told, too, where no thread waits.
    told: OnceLock<Hear>,
    started: Instant,
    /// When the round began that is under way, in milliseconds after `started` and one more; 0 between rounds.
    round: AtomicU64,
    /// How many logs are full.
    full: AtomicIsize,
}

struct Work<T> {
    all: Vec<Arc<Log<T>>>,
    listed: Vec<Arc<Log<T>>>,
    stop: bool,
    /// Why the thread has ended without being told to.
    dead: Option<Arc<str>>,
}

impl<T> Bell<T> {
    pub(crate) fn new() -> Arc<Bell<T>> {
        Arc::new(Bell {
            work: Mutex::new(Work {
                all: Vec::new(),
                listed: Vec::new(),
                stop: false,
                dead: None,
            }),
            rung: Condvar::new(),
            told: OnceLock::new(),
            started: Instant::now(),
            round: AtomicU64::new(0),
            full: AtomicIsize::new(0),
        })
    }

    /// There is something to do for this log.
    pub(crate) fn ring(&self, log: Arc<Log<T>>) {
        self.work().listed.push(log);
        self.tell();
    }

    /// The thread ends after what is listed.
    pub(crate) fn stop(&self) {
        self.work().stop = true;
        self.tell();
    }

    fn tell(&self) {
        self.rung.notify_one();
        if let Some(told) = self.told.get() {
            told();
        }
    }

    /// From now on it is told to this one that there is something to do; only once.
    pub(crate) fn on_ring(&self, told: Hear) {
        let _ = self.told.set(told);
    }

    /// What is to be done now, and whether the end has come.
    pub(crate) fn look(&self) -> (Vec<Arc<Log<T>>>, bool) {
        let mut work = self.work();
        (std::mem::take(&mut work.listed), work.stop)
    }

    /// So many logs more are full.
    pub(crate) fn count_full(&self, more: isize) {
        self.full.fetch_add(more, Ordering::AcqRel);
    }

    /// Whether any log is full.
    pub(crate) fn is_any_full(&self) -> bool {
        self.full.load(Ordering::Acquire) > 0
    }

    pub(crate) fn add(&self, log: Arc<Log<T>>) {
        self.work().all.push(log);
    }

    /// Nobody listens any more.
    pub(crate) fn set_dead(&self, why: &Arc<str>) {
        self.work().dead = Some(Arc::clone(why));
    }

    /// Why nobody listens any more.
    pub(crate) fn dead(&self) -> Option<Arc<str>> {
        self.work().dead.clone()
    }

    /// Every log.
    pub(crate) fn logs(&self) -> Vec<Arc<Log<T>>> {
        self.work().all.clone()
    }

    /// Waits for something to do, until `due` at the latest. Says whether the thread shall end.
    pub(crate) fn wait(&self, due: Option<Instant>) -> (Vec<Arc<Log<T>>>, bool) {
        let mut work = self.work();
        while work.listed.is_empty() && !work.stop {
            let Some(due) = due else {
                work = self.rung.wait(work).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.rung.wait_timeout(work, left);
            work = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        (std::mem::take(&mut work.listed), work.stop)
    }

    /// What was listed since the last [`Bell::wait`].
    pub(crate) fn take(&self) -> Vec<Arc<Log<T>>> {
        std::mem::take(&mut self.work().listed)
    }

    /// A round begins or ends.
    pub(crate) fn mark_round(&self, begins: bool) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        self.round.store(if begins { now } else { 0 }, Ordering::Relaxed);
    }

    /// For how long the round has been going on that is under way: a disk that hangs.
    pub(crate) fn in_round(&self) -> Option<Duration> {
        let began = self.round.load(Ordering::Relaxed).checked_sub(1)?;
        Some(
            self.started
                .elapsed()
                .saturating_sub(Duration::from_millis(began)),
        )
    }

    fn work(&self) -> MutexGuard<'_, Work<T>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
