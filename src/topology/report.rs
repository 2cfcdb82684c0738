//! What connectors say of themselves, and the board on which admin reads it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use weft_api::status::{Health, Report};

use super::desk::Desk;
use crate::delivery::destination::{Destination, Standing};
use crate::delivery::stored::DurableQueue;
use crate::lane::books::Pulse;
use crate::metrics::IngressMetrics;

/// A line is not repeated within this time.
const REPEAT_AFTER: Duration = Duration::from_secs(30);
/// How many lines are remembered for that.
const LINES_REMEMBERED: usize = 32;

/// One connector's post box: what it said last.
pub struct Post {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Where it takes from or delivers to.
    pub address: String,
    /// It listens: readiness waits for it.
    pub listens: bool,
    role: &'static str,
    metrics: Option<Arc<IngressMetrics>>,
    state: Mutex<Said>,
}

struct Said {
    health: Health,
    last_error: Option<(Instant, String)>,
    lag: Option<(u64, Instant)>,
    lines: VecDeque<(Instant, String)>,
}

impl Post {
    /// For an ingress.
    #[must_use]
    pub fn ingress(
        name: &Arc<str>,
        address: String,
        listens: bool,
        metrics: &Arc<IngressMetrics>,
    ) -> Arc<Post> {
        Post::new("ingress", name, address, listens, Some(Arc::clone(metrics)))
    }

    /// For a destination.
    #[must_use]
    pub fn destination(name: &Arc<str>, address: String) -> Arc<Post> {
        Post::new("destination", name, address, false, None)
    }

    fn new(
        role: &'static str,
        name: &Arc<str>,
        address: String,
        listens: bool,
        metrics: Option<Arc<IngressMetrics>>,
    ) -> Arc<Post> {
        let said = Said {
            health: Health::Starting,
            last_error: None,
            lag: None,
            lines: VecDeque::new(),
        };
        Arc::new(Post {
            name: Arc::clone(name),
            address,
            listens,
            role,
            metrics,
            state: Mutex::new(said),
        })
    }

    /// Where it stands.
    #[must_use]
    pub fn health_now(&self) -> Health {
        self.lock().health.clone()
    }

    /// What went wrong last, and how long ago.
    #[must_use]
    pub fn last_error(&self) -> Option<(String, Duration)> {
        self.lock()
            .last_error
            .as_ref()
            .map(|(at, line)| (line.clone(), at.elapsed()))
    }

    /// How much the remote still holds.
    #[must_use]
    pub fn lag_now(&self) -> Option<u64> {
        self.lag_told().map(|(lag, _)| lag)
    }

    /// The same, and when it was told.
    #[must_use]
    pub fn lag_told(&self) -> Option<(u64, Instant)> {
        self.lock().lag
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report for Post {
    fn health(&self, health: Health) {
        let mut said = self.lock();
        if said.health == health {
            return;
        }
        match &health {
            Health::Starting => {}
            Health::Ready => {
                tracing::info!(role = self.role, name = %self.name, address = self.address, "ready");
            }
            Health::Waiting(what) => {
                tracing::warn!(role = self.role, name = %self.name, address = self.address, "waiting: {what}");
                said.last_error = Some((Instant::now(), what.clone()));
            }
        }
        said.health = health;
    }

    fn lag(&self, events: Option<u64>) {
        self.lock().lag = events.map(|events| (events, Instant::now()));
        if let Some(metrics) = &self.metrics {
            metrics.lag.set(events);
        }
    }

    fn dropped(&self, what: &'static str, count: u64) {
        if let Some(metrics) = &self.metrics {
            metrics.dropped_by_rule(what).inc_by(count);
        }
    }

    fn warn(&self, line: String) {
        let now = Instant::now();
        let mut said = self.lock();
        said.lines
            .retain(|(at, _)| now.duration_since(*at) < REPEAT_AFTER);
        if said.lines.iter().any(|(_, known)| *known == line) {
            return;
        }
        tracing::warn!(role = self.role, name = %self.name, "{line}");
        said.last_error = Some((now, line.clone()));
        said.lines.push_back((now, line));
        if said.lines.len() > LINES_REMEMBERED {
            said.lines.pop_front();
        }
    }
}

/// Everything that admin may look at; outlives reloads.
pub struct Board {
    ingresses: RwLock<Vec<IngressView>>,
    destinations: RwLock<Vec<DestinationView>>,
    logs: RwLock<Vec<Arc<DurableQueue>>>,
    store: Option<StoreView>,
    desk: Arc<Desk>,
}

pub use super::storage::StoreView;

/// A log on the board.
pub use crate::delivery::stored::DurableQueue as LogView;

/// An ingress on the board.
#[derive(Clone)]
pub struct IngressView {
    /// What it said.
    pub post: Arc<Post>,
    /// Unsettled events.
    pub pulse: Arc<Pulse>,
    /// Its counters.
    pub metrics: Arc<IngressMetrics>,
}

/// A destination on the board.
#[derive(Clone)]
pub struct DestinationView {
    /// What it said.
    pub post: Arc<Post>,
    /// Itself.
    pub destination: Arc<Destination>,
}

impl DestinationView {
    /// Where it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.destination.standing()
    }
}

impl Board {
    pub(super) fn new(desk: &Arc<Desk>, store: Option<StoreView>) -> Board {
        Board {
            ingresses: RwLock::default(),
            destinations: RwLock::default(),
            logs: RwLock::default(),
            store,
            desk: Arc::clone(desk),
        }
    }

    /// The ingresses, in the order in which they were added.
    #[must_use]
    pub fn ingresses(&self) -> Vec<IngressView> {
        self.ingresses
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The destinations, in the order in which they were added.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationView> {
        self.destinations
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The logs of the store, by name.
    #[must_use]
    pub fn logs(&self) -> Vec<Arc<DurableQueue>> {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The store as a whole, if there is one.
    #[must_use]
    pub fn store(&self) -> Option<&StoreView> {
        self.store.as_ref()
    }

    /// Where operators look through dead letters, and through the logs.
    #[must_use]
    pub fn desk(&self) -> Arc<Desk> {
        Arc::clone(&self.desk)
    }

    /// Recovered and listening: every ingress that listens does.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let ready = |view: &IngressView| !view.post.listens || view.post.health_now() == Health::Ready;
        self.ingresses().iter().all(ready)
    }

    pub(super) fn add_ingress(&self, post: Arc<Post>, pulse: Arc<Pulse>, metrics: Arc<IngressMetrics>) {
        let view = IngressView { post, pulse, metrics };
        self.ingresses
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(view);
    }

    pub(super) fn add_destination(&self, post: Arc<Post>, destination: Arc<Destination>) {
        let view = DestinationView { post, destination };
        self.destinations
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(view);
    }

    pub(super) fn set_logs(&self, logs: Vec<Arc<DurableQueue>>) {
        *self.logs.write().unwrap_or_else(PoisonError::into_inner) = logs;
    }

    /// Returns whether none of the same name is left.
    pub(super) fn remove_ingress(&self, gone: &Arc<Post>) -> bool {
        let mut views = self.ingresses.write().unwrap_or_else(PoisonError::into_inner);
        views.retain(|view| !Arc::ptr_eq(&view.post, gone));
        views.iter().all(|view| view.post.name != gone.name)
    }

    /// Returns whether none of the same name is left.
    pub(super) fn remove_destination(&self, gone: &Arc<Destination>) -> bool {
        let mut views = self.destinations.write().unwrap_or_else(PoisonError::into_inner);
        views.retain(|view| !Arc::ptr_eq(&view.destination, gone));
        views.iter().all(|view| view.destination.name != gone.name)
    }
}
