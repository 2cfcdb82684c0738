//! The in-memory world that feeds and sinks live in.
//!
//! Owns: the names, and one clock and one order of happening for everything in the hub.
//! Invariant: a name always means the same feed or sink; both are made when they are first asked for, so that a test
//! may ask before or after the router does.
//! Must not know: lanes, batches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::feed::Feed;
use crate::sink::Sink;

/// Feeds and sinks by name. Clones are the same hub. Make it inside the runtime whose clock it shall follow.
#[derive(Clone, Debug)]
pub struct Hub {
    clock: Arc<Clock>,
    names: Arc<Mutex<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    feeds: HashMap<String, Feed>,
    sinks: HashMap<String, Sink>,
}

impl Hub {
    /// An empty hub; its clock starts now.
    #[must_use]
    pub fn new() -> Hub {
        Hub {
            clock: Arc::new(Clock {
                start: Instant::now(),
                order: AtomicU64::new(0),
            }),
            names: Arc::default(),
        }
    }

    /// What an ingress takes its messages from.
    #[must_use]
    pub fn feed(&self, name: &str) -> Feed {
        let mut names = locked(&self.names);
        names
            .feeds
            .entry(name.to_owned())
            .or_insert_with(|| Feed::new(Arc::clone(&self.clock)))
            .clone()
    }

    /// This moment, in the order of everything in the hub.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.clock.stamp()
    }

    /// What a destination delivers to.
    #[must_use]
    pub fn sink(&self, name: &str) -> Sink {
        let mut names = locked(&self.names);
        names
            .sinks
            .entry(name.to_owned())
            .or_insert_with(|| Sink::new(Arc::clone(&self.clock)))
            .clone()
    }
}

impl Default for Hub {
    fn default() -> Hub {
        Hub::new()
    }
}

/// When something happened: the time since the hub was made, and its place among everything in the hub.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stamp {
    /// No two things of one hub have the same.
    pub order: u64,
    /// Time since the hub was made; many things happen at one time when the clock is paused.
    pub at: Duration,
}

#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    order: AtomicU64,
}

impl Clock {
    pub(crate) fn stamp(&self) -> Stamp {
        let at = Instant::now().saturating_duration_since(self.start);
        Stamp {
            order: self.order.fetch_add(1, Ordering::Relaxed),
            at,
        }
    }
}

/// A panic in a test's closure must not hide what was recorded before it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
