//! A job: what shall be done with which letters, how far it has come, and its end.
//!
//! Shared by who does it and who watches it. Bounded: of the letters that stay only the first few are told one by one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use weft_api::browse::Browse;

use super::way::Way;
use crate::delivery::stored::replay::letter::Selection;

/// How many letters that stay are told one by one.
const STAYS_MAX: usize = 20;

/// What is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Work {
    /// Dead letters are sent again, and leave where they lie once that has ended.
    Replay(Way),
    /// What a log kept is sent again, and stays there.
    Again(Way),
    /// They leave.
    Purge,
}

impl Work {
    /// What it is called where jobs are told of.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Work::Replay(_) => "replay",
            Work::Again(_) => "replay_kept",
            Work::Purge => "purge",
        }
    }
}

/// What an operator asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// What is done.
    pub work: Work,
    /// With which letters.
    pub selection: Selection,
    /// With how many of them at most.
    pub limit: Option<u64>,
    /// How long after one the next is sent at the earliest.
    pub every: Option<Duration>,
}

/// How a job stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// At work.
    #[default]
    Running,
    /// Nothing is left to do.
    Done,
    /// Somebody asked for its end, or the router stopped.
    Cancelled,
    /// It could not go on, for this reason.
    Failed(String),
}

/// How far it has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// How it stands.
    pub state: State,
    /// Records or messages looked at.
    pub looked: u64,
    /// Letters that were meant.
    pub selected: u64,
    /// Letters that were sent, each with all its legs.
    pub sent: u64,
    /// Letters that were sent and have not ended.
    pub under_way: u64,
    /// Letters of which all legs ended well: they left the dead letters.
    pub ended: u64,
    /// Of those: delivered, as dead letters anew, in the log of a destination, expired or dropped by a rule.
    pub kinds: [u64; 4],
    /// Letters that were purged.
    pub purged: u64,
    /// Letters that stay.
    pub stayed: u64,
    /// The first of them, and why.
    pub stays: Vec<(u64, String)>,
    /// Records that only a later version can read.
    pub unreadable: u64,
    /// What was asked for by its number, and was not there.
    pub missing: Vec<u64>,
}

/// What holds letters where that is no log of this router.
#[derive(Clone)]
pub struct Elsewhere(pub Arc<dyn Browse>);

impl fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.address())
    }
}

/// See the module.
#[derive(Debug)]
pub struct Job {
    /// Its number in the life of the process.
    pub id: u64,
    /// The log, or the destination that holds the letters.
    pub log: Arc<str>,
    /// What that destination delivers to.
    pub elsewhere: Option<Elsewhere>,
    /// What was asked for.
    pub order: Order,
    progress: Mutex<Progress>,
    cancelled: watch::Sender<bool>,
}

impl Job {
    /// One that has done nothing yet.
    #[must_use]
    pub fn new(id: u64, log: Arc<str>, elsewhere: Option<Elsewhere>, order: Order) -> Arc<Job> {
        Arc::new(Job {
            id,
            log,
            elsewhere,
            order,
            progress: Mutex::default(),
            cancelled: watch::channel(false).0,
        })
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Whether it is at work.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.lock().state == State::Running
    }

    /// Asks for its end: nothing more is sent.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    pub(super) fn cancelled(&self) -> watch::Receiver<bool> {
        self.cancelled.subscribe()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
    }

    /// It is over, unless it was before.
    pub fn end(&self, state: State) {
        let mut progress = self.lock();
        if progress.state == State::Running {
            progress.state = state;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    pub(super) fn stays(&mut self, id: u64, why: String) {
        self.stayed += 1;
        if self.stays.len() < STAYS_MAX {
            self.stays.push((id, why));
        }
    }
}
