//! A living destination: its queue, breaker and counters behind one lock that is taken once a batch.
//!
//! Survives reloads: changed settings and a new egress client take over what is pending. What may be asked without
//! the lock (`is_available`, `is_full`, `pending_events`) is kept in atomics; see [`super::door`] and [`super::room`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::time::Instant;
use weft_api::egress::{DirectFactory, EgressProfile};

use super::breaker::{Breaker, BreakerState};
use super::budget::Budget;
use super::dedupe::UNCLAIMED;
use super::leg::{Leg, NO_LIFE, Parting};
use super::origin::Port;
use super::pace::{HeldBack, Pace};
use super::queue::Queue;
use super::room::Visit;
use super::settings::Settings;
use super::sweep::Leftover;
use crate::metrics::DestinationMetrics;
use crate::routing::anycast;

/// See the module.
pub struct Destination {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Its counters.
    pub metrics: Arc<DestinationMetrics>,
    pub(super) settings: ArcSwap<Settings>,
    pub(super) budget: Arc<Budget>,
    direct: ArcSwapOption<DirectClient>,
    state: Mutex<State>,
    pub(super) born: Instant,
    pub(super) pending_events: AtomicU64,
    pub(super) pending_bytes: AtomicU64,
    /// Legs of requests among what is pending.
    pub(super) requests: AtomicU64,
    pub(super) full: AtomicBool,
    /// 0: closed. `u64::MAX`: probing. Otherwise one more than the milliseconds since `born` when a probe is due.
    pub(super) breaker_due: AtomicU64,
}

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
    pub(super) pace: Pace,
    pub(super) profile: EgressProfile,
    pub(super) in_flight: u32,
    pub(super) consumer: Option<Waker>,
    /// Which egress client may take batches; an older one gets `None`.
    pub(super) client: u64,
    /// When the queue last stopped being empty: what linger counts from.
    pub(super) filled_at: Option<Instant>,
    /// What becomes of legs that still come: the destination was removed.
    pub(super) closed: Option<Leftover>,
    /// Ingresses that wait for room, and those that have to be told that there is some.
    blocked: Vec<Arc<Port>>,
    unblocked: Vec<Arc<Port>>,
    pub(super) rng: fastrand::Rng,
    pub(super) last_error: Option<Arc<str>>,
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
    /// What else keeps it from sending.
    pub held_back: Option<HeldBack>,
    /// The last failure, until the next success after it.
    pub last_error: Option<Arc<str>>,
}

impl Destination {
    /// A destination without a client yet: legs wait.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        settings: Settings,
        metrics: Arc<DestinationMetrics>,
        budget: Arc<Budget>,
        seed: u64,
    ) -> Arc<Destination> {
        let state = State {
            queue: Queue::default(),
            breaker: Breaker::new(settings.breaker),
            pace: Pace::new(&settings, Instant::now()),
            profile: EgressProfile {
                batch_events: 1,
                batch_bytes: u64::MAX,
                in_flight: 0,
                keeps_order_or_fails: false,
            },
            in_flight: 0,
            consumer: None,
            client: 0,
            filled_at: None,
            closed: None,
            blocked: Vec::new(),
            unblocked: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            last_error: None,
        };
        Arc::new(Destination {
            name,
            metrics,
            settings: ArcSwap::from_pointee(settings),
            budget,
            direct: ArcSwapOption::empty(),
            state: Mutex::new(state),
            born: Instant::now(),
            pending_events: AtomicU64::new(0),
            pending_bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
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
        if state
            .pace
            .configure(&self.settings.load(), &settings, Instant::now())
        {
            state.queue.claims_void();
        }
        self.settings.store(Arc::new(settings));
        self.note_fullness(&mut state);
        unlock_and_wake(state);
    }

    /// Installs a new egress client and ends the one before: that one's next `next_batch` gives `None`. Returns the
    /// number under which the new one takes batches.
    pub fn install(&self, profile: EgressProfile, direct: Option<Arc<dyn DirectFactory>>) -> u64 {
        let mut state = self.lock();
        state.client += 1;
        state.profile = profile;
        state.queue.set_pipelined(profile.keeps_order_or_fails);
        let life = state.client;
        self.direct
            .store(direct.map(|factory| Arc::new(DirectClient { factory, life })));
        unlock_and_wake(state);
        life
    }

    /// Ends the client that takes batches now, if `client` is the one; legs wait for the next.
    pub fn uninstall(&self, client: u64) {
        let mut state = self.lock();
        if state.client == client {
            state.client += 1;
            self.direct.store(None);
            unlock_and_wake(state);
        }
    }

    /// How direct senders are made, if its egress has any.
    #[must_use]
    pub fn direct(&self) -> Option<Arc<DirectClient>> {
        self.direct.load_full()
    }

    /// Waiting or in flight.
    #[must_use]
    pub fn pending_events(&self) -> u64 {
        self.pending_events.load(Ordering::Relaxed)
    }

    /// Queues legs, in order; empties `legs`. Returns whether the queue has reached its bounds: then `port` is nudged
    /// once there is room again.
    pub fn push(self: &Arc<Self>, legs: &mut Vec<Leg>, port: Option<&Arc<Port>>) -> bool {
        !legs.is_empty() && self.enqueue(legs.drain(..), port, (0, 0))
    }

    /// Queues one leg.
    pub fn push_one(self: &Arc<Self>, leg: Leg) {
        self.enqueue([leg], None, (0, 0));
    }

    /// Queues legs, for which so many events and bytes are charged already.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        legs: impl IntoIterator<Item = Leg>,
        port: Option<&Arc<Port>>,
        charged: (u64, u64),
    ) -> bool {
        let settings = self.settings.load();
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(leftover) = state.closed {
            self.discharge(&mut state, charged.0, charged.1);
            unlock(state);
            leftover.apply(self, legs);
            return false;
        }
        state.filled_at = state.filled_at.or(Some(now));
        let (mut events, mut bytes) = (0, 0);
        for mut leg in legs {
            events += 1;
            bytes += leg.bytes();
            leg.duty.arrived = now;
            leg.duty.failed_life = if leg.duty.round {
                state.breaker.life()
            } else {
                NO_LIFE
            };
            leg.duty.visit = leg.duty.is_request().then(|| Visit::new(self));
            let key = settings.order_by.of(&leg.event).map(anycast::hash);
            state.queue.push(leg, key);
        }
        self.metrics.enqueued.inc_by(events);
        // Wraps where more was reserved than is needed; adding it wraps back.
        self.charge(events.wrapping_sub(charged.0), bytes.wrapping_sub(charged.1));
        self.note_fullness(&mut state);
        let full = self.is_full();
        if full && let Some(port) = port {
            state.block(port);
        }
        unlock_and_wake(state);
        full
    }

    /// Legs that were in flight are gone from here. `confirmed`: the remote has them, and answers as it should, which
    /// closes the breaker.
    pub(super) fn let_go(&self, legs: impl IntoIterator<Item = Parting>, confirmed: bool) {
        let mut state = self.lock();
        let mut now = None;
        let (mut events, mut bytes) = (0, 0);
        for leg in legs {
            events += 1;
            bytes += leg.bytes;
            state.in_flight -= 1;
            state.queue.came_back(leg.shard, false);
            if leg.claim < UNCLAIMED {
                let at = confirmed.then(|| *now.get_or_insert_with(Instant::now));
                state.end_claim(self, leg.claim, at);
            }
        }
        if confirmed {
            state.breaker.succeeded();
            state.last_error = None;
            self.publish_breaker(&state);
        }
        self.publish_in_flight(&state);
        self.discharge(&mut state, events, bytes);
        if state.queue.is_empty() {
            // Room, a free shard and a closed breaker matter only to legs that wait: a direct send crosses no thread.
            unlock(state);
        } else {
            unlock_and_wake(state);
        }
    }

    /// Takes no more legs: what waits, and what still comes, goes the way that `leftover` says.
    pub fn close(self: &Arc<Self>, leftover: Leftover) {
        let mut state = self.lock();
        state.closed = Some(leftover);
        // Nothing comes any more that it could be a copy of; claims end with their legs.
        state.pace.forget();
        self.publish_breaker(&state);
        unlock(state);
        self.clear(leftover);
    }

    /// Takes out every waiting leg that `goes` picks, for the caller to end. Claims end with them.
    pub(super) fn extract(&self, goes: impl FnMut(&Leg) -> bool) -> Vec<Leg> {
        let mut gone = self.extract_with_claims(goes);
        gone.iter_mut().for_each(|leg| self.disclaim(leg));
        gone
    }

    /// The same, for the caller to move, or to [`Destination::restore`].
    pub(super) fn extract_with_claims(&self, goes: impl FnMut(&Leg) -> bool) -> Vec<Leg> {
        let mut state = self.lock();
        let gone = state.queue.extract(goes);
        let bytes = gone.iter().map(Leg::bytes).sum();
        self.discharge(&mut state, gone.len() as u64, bytes);
        if gone.is_empty() {
            unlock(state);
        } else {
            // What stood behind one of them may leave now.
            unlock_and_wake(state);
        }
        gone
    }

    /// Wakes whoever takes batches, to look at its orders again.
    pub fn nudge(&self) {
        unlock_and_wake(self.lock());
    }

    /// What `weft status` shows.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut state = self.lock();
        let held_back = state.held_back(Instant::now());
        Standing {
            pending_events: self.pending_events.load(Ordering::Relaxed),
            pending_bytes: self.pending_bytes.load(Ordering::Relaxed),
            in_flight: state.in_flight,
            oldest: state.queue.oldest().map(|since| since.elapsed()),
            breaker: state.breaker.state(),
            held_back,
            last_error: state.last_error.clone(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish_in_flight(&self, state: &State) {
        self.metrics.in_flight.set(i64::from(state.in_flight));
    }
}

impl State {
    pub(super) fn last_error(&self) -> Arc<str> {
        self.last_error
            .clone()
            .unwrap_or_else(|| Arc::from("unavailable"))
    }

    /// `port` waits for room.
    pub(super) fn block(&mut self, port: &Arc<Port>) {
        if !self.blocked.iter().any(|known| Arc::ptr_eq(known, port)) {
            self.blocked.push(Arc::clone(port));
        }
    }

    /// There is room; whoever waits for it is told at [`unlock`].
    pub(super) fn unblock(&mut self) {
        self.unblocked.append(&mut self.blocked);
    }
}

/// Lets go of the lock, and only then tells those who waited for room.
pub(super) fn unlock(mut state: MutexGuard<'_, State>) {
    let unblocked = std::mem::take(&mut state.unblocked);
    drop(state);
    for port in unblocked {
        port.mailbox.nudge();
    }
}

/// The same, and wakes whoever takes batches.
pub(super) fn unlock_and_wake(mut state: MutexGuard<'_, State>) {
    let waker = state.consumer.take();
    unlock(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
