//! A living destination: its queue, breaker and counters behind one lock that is taken once a batch.
//!
//! Survives reloads: changed settings and a new egress client take over what is pending. What may be asked without
//! the lock (`is_available`, `is_full`, `pending_events`) is kept in atomics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::time::Instant;
use weft_api::egress::{DirectFactory, EgressProfile};
use weft_api::outcome::{Fault, Reason, SendError};

use super::breaker::{Breaker, BreakerState};
use super::leg::Leg;
use super::origin::Port;
use super::queue::Queue;
use super::settings::Settings;
use crate::metrics::DestinationMetrics;
use crate::routing::anycast;

/// See the module.
pub struct Destination {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Its counters.
    pub metrics: Arc<DestinationMetrics>,
    settings: ArcSwap<Settings>,
    direct: ArcSwapOption<DirectClient>,
    state: Mutex<State>,
    born: Instant,
    pending_events: AtomicU64,
    pending_bytes: AtomicU64,
    full: AtomicBool,
    /// 0: closed. [`PROBING`]: probing. Otherwise one more than the milliseconds since `born` when a probe is due.
    breaker_due: AtomicU64,
}

const PROBING: u64 = u64::MAX;

/// How a destination's direct senders are made, and which of its egress clients they belong to.
pub struct DirectClient {
    /// Makes senders.
    pub factory: Arc<dyn DirectFactory>,
    /// Differs for each client that the destination has had.
    pub life: u64,
}

pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) breaker: Breaker,
    pub(super) profile: EgressProfile,
    pub(super) in_flight: u32,
    pub(super) consumer: Option<Waker>,
    /// Which egress client may take batches; an older one gets `None`.
    pub(super) client: u64,
    /// When the queue last stopped being empty: what linger counts from.
    pub(super) filled_at: Option<Instant>,
    blocked: Vec<Arc<Port>>,
    rng: fastrand::Rng,
    last_error: Option<Arc<str>>,
}

/// What a failure did to the destination.
pub(super) struct Recorded {
    pub(super) open: bool,
    pub(super) opened_now: bool,
    pub(super) life: u32,
    pub(super) opened_at: Option<Instant>,
    pub(super) jitter: f64,
}

/// What `weft status` shows of a destination.
pub struct Standing {
    /// Waiting or in flight.
    pub pending_events: u64,
    /// The same in bytes.
    pub pending_bytes: u64,
    /// Handed to the egress and not settled.
    pub in_flight: u32,
    /// How long the oldest waiting event has been in the router.
    pub oldest: Option<Duration>,
    /// The breaker.
    pub breaker: BreakerState,
    /// The last failure, until the next success after it.
    pub last_error: Option<Arc<str>>,
}

impl Destination {
    /// A destination without a client yet: legs wait.
    #[must_use]
    pub fn new(name: Arc<str>, settings: Settings, metrics: Arc<DestinationMetrics>, seed: u64) -> Arc<Destination> {
        let state = State {
            queue: Queue::default(),
            breaker: Breaker::new(settings.breaker),
            profile: EgressProfile { batch_events: 1, batch_bytes: u64::MAX, in_flight: 0, keeps_order_or_fails: false },
            in_flight: 0,
            consumer: None,
            client: 0,
            filled_at: None,
            blocked: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            last_error: None,
        };
        Arc::new(Destination {
            name,
            metrics,
            settings: ArcSwap::from_pointee(settings),
            direct: ArcSwapOption::empty(),
            state: Mutex::new(state),
            born: Instant::now(),
            pending_events: AtomicU64::new(0),
            pending_bytes: AtomicU64::new(0),
            full: AtomicBool::new(false),
            breaker_due: AtomicU64::new(0),
        })
    }

    /// Its settings now.
    #[must_use]
    pub fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Changes the settings; what is pending stays and follows the new ones. Keyed events that wait keep the shard
    /// that they had.
    pub fn configure(&self, settings: Settings) {
        let mut state = self.lock();
        state.breaker.configure(settings.breaker);
        self.settings.store(Arc::new(settings));
        self.note_fullness(&mut state);
        wake(state.consumer.take());
    }

    /// Installs a new egress client and ends the one before: that one's next `next_batch` gives `None`. Returns the
    /// number under which the new one takes batches.
    pub fn install(&self, profile: EgressProfile, direct: Option<Arc<dyn DirectFactory>>) -> u64 {
        let mut state = self.lock();
        state.client += 1;
        state.profile = profile;
        state.queue.set_pipelined(profile.keeps_order_or_fails);
        let life = state.client;
        self.direct.store(direct.map(|factory| Arc::new(DirectClient { factory, life })));
        wake(state.consumer.take());
        life
    }

    /// Ends the client that takes batches now, if `client` is the one; legs wait for the next.
    pub fn uninstall(&self, client: u64) {
        let mut state = self.lock();
        if state.client == client {
            state.client += 1;
            self.direct.store(None);
            wake(state.consumer.take());
        }
    }

    /// How direct senders are made, if its egress has any.
    #[must_use]
    pub fn direct(&self) -> Option<Arc<DirectClient>> {
        self.direct.load_full()
    }

    /// Whether it would be tried now: the breaker is closed, or a probe is due.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.probe_in().is_zero()
    }

    /// How long until it would be tried; zero when it would be now.
    #[must_use]
    pub fn probe_in(&self) -> Duration {
        match self.breaker_due.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            PROBING => Duration::from_secs(1),
            due => Duration::from_millis(due - 1).saturating_sub(self.born.elapsed()),
        }
    }

    /// Its queue has reached its bounds.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Waiting or in flight.
    #[must_use]
    pub fn pending_events(&self) -> u64 {
        self.pending_events.load(Ordering::Relaxed)
    }

    /// Reserves room for one event of this size within the bounds of the queue; [`Destination::push_reserved`] or a
    /// direct send uses the reservation up.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64) -> bool {
        let bounds = self.settings.load().queue;
        let event = |now: u64| (now < bounds.events).then_some(now + 1);
        if self.pending_events.fetch_update(Ordering::AcqRel, Ordering::Relaxed, event).is_err() {
            return false;
        }
        let size = |now: u64| now.checked_add(bytes).filter(|sum| *sum <= bounds.bytes.max(bytes));
        if self.pending_bytes.fetch_update(Ordering::AcqRel, Ordering::Relaxed, size).is_err() {
            self.pending_events.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        true
    }

    /// Gives a reservation back.
    pub fn unreserve(&self, bytes: u64) {
        self.discharge(&mut self.lock(), 1, bytes);
    }

    /// Queues one leg for which `reserved` bytes are reserved; it may have grown since, into a dead letter.
    pub fn push_reserved(&self, leg: Leg, reserved: u64) {
        self.push(&mut vec![leg], None);
        self.discharge(&mut self.lock(), 1, reserved);
    }

    /// Queues legs, in order; empties `legs`. Returns whether the queue has reached its bounds: then `port` is nudged
    /// once there is room again.
    pub fn push(&self, legs: &mut Vec<Leg>, port: Option<&Arc<Port>>) -> bool {
        if legs.is_empty() {
            return false;
        }
        let settings = self.settings.load();
        let now = Instant::now();
        let mut state = self.lock();
        state.filled_at = state.filled_at.or(Some(now));
        let (mut events, mut bytes) = (0, 0);
        for mut leg in legs.drain(..) {
            events += 1;
            bytes += leg.bytes();
            leg.duty.arrived = now;
            let key = settings.order_by.of(&leg.event).map(anycast::hash);
            state.queue.push(leg, key);
        }
        self.metrics.enqueued.inc_by(events);
        self.charge(events, bytes);
        self.note_fullness(&mut state);
        let full = self.is_full();
        if full && let Some(port) = port {
            state.block(port);
        }
        let waker = state.consumer.take();
        drop(state);
        wake(waker);
        full
    }

    /// Asks for a nudge of `port` once there is room again; `false` when there is. Each nudge has to be asked for anew:
    /// others may have filled the queue before the nudged one looked.
    pub fn wait_for_room(&self, port: &Arc<Port>) -> bool {
        let mut state = self.lock();
        let full = self.is_full();
        if full {
            state.block(port);
        }
        full
    }

    /// Queues one leg.
    pub fn push_one(&self, leg: Leg) {
        self.push(&mut vec![leg], None);
    }

    /// Puts a leg that failed back into its place.
    pub(super) fn put_back(&self, leg: Leg, wait: Duration) {
        let mut state = self.lock();
        let due = (!wait.is_zero()).then(|| Instant::now() + wait);
        let shard = leg.duty.shard;
        state.in_flight -= 1;
        state.filled_at = state.filled_at.or(Some(leg.duty.arrived));
        state.queue.put_back(leg, due);
        state.queue.came_back(shard, true);
        self.publish_in_flight(&state);
        let waker = state.consumer.take();
        drop(state);
        wake(waker);
    }

    /// Legs that were in flight are gone from here: `(shard, bytes)` of each. `answered`: the remote answered as it
    /// should, which closes the breaker.
    pub(super) fn let_go(&self, legs: &[(u16, u64)], answered: bool) {
        let mut state = self.lock();
        state.in_flight -= u32::try_from(legs.len()).unwrap_or(u32::MAX);
        let mut bytes = 0;
        for (shard, size) in legs {
            bytes += size;
            state.queue.came_back(*shard, false);
        }
        if answered {
            state.breaker.succeeded();
            state.last_error = None;
            self.publish_breaker(&state);
        }
        self.publish_in_flight(&state);
        self.discharge(&mut state, legs.len() as u64, bytes);
        let waker = state.consumer.take();
        drop(state);
        wake(waker);
    }

    /// Notes a failure in breaker, counters and log.
    pub(super) fn record(&self, leg: &Leg, error: &SendError) -> Recorded {
        self.metrics.failed(error.fault, error.reason).inc();
        let mut state = self.lock();
        let jitter = state.rng.f64();
        let now = Instant::now();
        state.last_error = Some(Arc::from(&*error.detail));
        let opened_now = match error.fault {
            Fault::Event => {
                state.breaker.succeeded();
                false
            }
            Fault::Attempt => state.breaker.failed(now, Some(leg.duty.order + 1), false, error.retry_after, jitter),
            Fault::Destination => {
                let at_once = matches!(error.reason, Reason::Unauthorised | Reason::Misconfigured);
                state.breaker.failed(now, None, at_once, error.retry_after, jitter)
            }
        };
        self.publish_breaker(&state);
        Recorded {
            open: state.breaker.state() != BreakerState::Closed,
            opened_now,
            life: state.breaker.life(),
            opened_at: state.breaker.opened_at(),
            jitter: state.rng.f64(),
        }
    }

    /// Takes out every waiting leg that `goes` picks, for the caller to end or to move.
    pub(super) fn extract(&self, goes: impl FnMut(&Leg) -> bool) -> Vec<Leg> {
        let mut state = self.lock();
        let gone = state.queue.extract(goes);
        let bytes = gone.iter().map(Leg::bytes).sum();
        self.discharge(&mut state, gone.len() as u64, bytes);
        gone
    }

    /// Puts a leg that was extracted back to its old place.
    pub(super) fn restore(&self, leg: Leg) {
        let mut state = self.lock();
        self.charge(1, leg.bytes());
        state.queue.restore(leg);
        let waker = state.consumer.take();
        drop(state);
        wake(waker);
    }

    /// Wakes whoever takes batches, to look at its orders again.
    pub fn nudge(&self) {
        wake(self.lock().consumer.take());
    }

    /// What `weft status` shows.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.lock();
        Standing {
            pending_events: self.pending_events.load(Ordering::Relaxed),
            pending_bytes: self.pending_bytes.load(Ordering::Relaxed),
            in_flight: state.in_flight,
            oldest: state.queue.oldest().map(|since| since.elapsed()),
            breaker: state.breaker.state(),
            last_error: state.last_error.clone(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn charge(&self, events: u64, bytes: u64) {
        self.pending_events.fetch_add(events, Ordering::Relaxed);
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn discharge(&self, state: &mut State, events: u64, bytes: u64) {
        self.pending_events.fetch_sub(events, Ordering::Relaxed);
        self.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.note_fullness(state);
    }

    pub(super) fn publish_in_flight(&self, state: &State) {
        self.metrics.in_flight.set(i64::from(state.in_flight));
    }

    pub(super) fn publish_breaker(&self, state: &State) {
        let (due, shown) = match state.breaker.state() {
            BreakerState::Closed => (0, 0),
            BreakerState::Probing => (PROBING, 1),
            BreakerState::Open { until } => {
                let due = until.saturating_duration_since(self.born).as_millis();
                (u64::try_from(due).unwrap_or(PROBING - 2) + 1, 2)
            }
        };
        self.breaker_due.store(due, Ordering::Release);
        self.metrics.breaker_state.set(shown);
    }

    /// Full at the bounds; room again at three quarters of them, so that lanes do not stop and go with every event.
    fn note_fullness(&self, state: &mut State) {
        let bounds = self.settings.load().queue;
        let events = self.pending_events.load(Ordering::Relaxed);
        let bytes = self.pending_bytes.load(Ordering::Relaxed);
        if events >= bounds.events || bytes >= bounds.bytes {
            self.full.store(true, Ordering::Release);
        } else if events <= bounds.events / 4 * 3 && bytes <= bounds.bytes / 4 * 3 && self.is_full() {
            self.full.store(false, Ordering::Release);
            for port in state.blocked.drain(..) {
                port.mailbox.nudge();
            }
        }
    }
}

impl State {
    fn block(&mut self, port: &Arc<Port>) {
        if !self.blocked.iter().any(|known| Arc::ptr_eq(known, port)) {
            self.blocked.push(Arc::clone(port));
        }
    }

    pub(super) fn last_error(&self) -> Arc<str> {
        self.last_error.clone().unwrap_or_else(|| Arc::from("unavailable"))
    }
}

pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
