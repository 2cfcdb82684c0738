//! The living whole: ingresses, destinations and the wiring between them.
//!
//! Owns: every task of the router but the listeners of `admin`. First start and reload take the same path: a
//! [`spec::Spec`] is built into a wiring (pure), what is new is spawned, what is unchanged is left alone.
//! Invariants
//! - An ingress that did not change is never reopened; a destination that did not change keeps its client.
//! - A lane belongs to its ingress: a route that goes ends none (DESIGN section 4, Reload).
//!
//! Does not know: YAML, HTTP endpoints, signals.

mod adopt;
pub mod build;
pub mod desk;
mod leaving;
pub mod rehearse;
pub mod reload;
pub mod report;
pub mod spec;
mod start_error;
pub(crate) mod storage;
pub mod supervise;

// What the topology's own surface speaks of: `app` knows the topology, not what it is made of.
pub use crate::delivery::{breaker, budget, dedupe, pace, rate, retry_budget, settings};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use weft_api::crash;
use weft_api::outcome::Reason;

use crate::delivery::budget::Budget;
use crate::delivery::destination::Destination;
use crate::delivery::origin::Port;
use crate::delivery::stored::clock::WallClock;
use crate::delivery::sweep::Leftover;
use crate::lane::admit::{CurrentGate, Gate};
use crate::lane::books::Pulse;
use crate::metrics::Metrics;
use build::{Built, Living};
use desk::Desk;
use leaving::Leaving;
use report::{Board, Post};
use spec::{SharedSpec, Spec};
pub use start_error::StartError;
use storage::Storage;
pub use storage::{DiskWork, Ground};
use supervise::{RunningEgress, RunningIngress};

#[cfg(test)]
mod tests;

/// How often every destination is looked over for what has expired or has somewhere better to go.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// How often a drain looks whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long a drain waits for what a log has, once nothing else is left: its destination may be down for days.
const HELD_DRAIN: Duration = Duration::from_secs(2);
/// How long stopped connectors may take to return before their tasks are cancelled.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// See the module.
pub struct Topology {
    metrics: Arc<Metrics>,
    budget: Arc<Budget>,
    board: Arc<Board>,
    ingresses: BTreeMap<Arc<str>, Ingress>,
    destinations: BTreeMap<Arc<str>, Egress>,
    storage: Option<Storage>,
    desk: Arc<Desk>,
    /// Tells the age of what comes out of logs that routers share.
    clock: Arc<WallClock>,
    /// What the sweep goes over; shared with the task that does it.
    swept: Arc<ArcSwap<Vec<Arc<Destination>>>>,
    janitor: tokio::task::JoinHandle<()>,
    /// Destinations that a reload took away, until they are gone.
    retiring: Vec<tokio::task::JoinHandle<()>>,
    /// Readers of shared logs that a reload took away, until their logs are empty.
    leaving: Vec<Leaving>,
    seed: u64,
}

struct Ingress {
    number: u16,
    port: Arc<Port>,
    gate: CurrentGate,
    pulse: Arc<Pulse>,
    post: Arc<Post>,
    fingerprint: String,
    /// The log that it reads.
    log: Option<SharedSpec>,
    running: RunningIngress,
}

struct Egress {
    destination: Arc<Destination>,
    fingerprint: String,
    running: RunningEgress,
}

impl Ingress {
    fn unsettled(&self) -> u64 {
        self.pulse.unsettled.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// What a reader leaves behind that reads another log from now on, for an operator; `None`: it reads the same.
    fn left_behind(&self, next: Option<&SharedSpec>) -> Option<String> {
        let before = &self.log.as_ref()?.place;
        let next = next.filter(|next| next.place != *before)?;
        let left = match self.post.lag_now() {
            Some(lag) => format!("{} events", lag.max(self.unsettled())),
            None => "nobody knows how many events".to_owned(),
        };
        Some(format!(
            "a store is {} from now on, and was {before}: what this router had left there ({left}) is delivered by other \
             routers that read it, or when the file names it again",
            next.place
        ))
    }
}

impl Topology {
    /// Builds and starts everything in `spec`. Must be called within a tokio runtime. `seed` makes jitter repeatable.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(spec: Spec, metrics: Arc<Metrics>, seed: u64) -> Result<Topology, StartError> {
        Topology::start_on(Ground::default(), spec, metrics, seed)
    }

    /// The same, with a store on ground of the caller's.
    ///
    /// # Errors
    /// The same.
    pub fn start_on(
        ground: Ground,
        spec: Spec,
        metrics: Arc<Metrics>,
        seed: u64,
    ) -> Result<Topology, StartError> {
        let clock = Arc::new(WallClock::of(Arc::clone(&ground.disk)));
        let desk = Desk::new(Arc::clone(&metrics));
        let storage = Storage::open_on(ground, &spec, &metrics, &desk)?;
        let swept = Arc::new(ArcSwap::from_pointee(Vec::new()));
        let mut topology = Topology {
            budget: Budget::new(spec.budget),
            board: Arc::new(Board::new(&desk, storage.as_ref().map(Storage::view))),
            ingresses: BTreeMap::new(),
            destinations: BTreeMap::new(),
            storage,
            desk,
            janitor: tokio::spawn(sweep_for_ever(Arc::clone(&swept), Arc::clone(&clock))),
            clock,
            retiring: Vec::new(),
            leaving: Vec::new(),
            swept,
            metrics,
            seed,
        };
        topology.apply(spec).map_err(StartError::Failed)?;
        Ok(topology)
    }

    /// What admin shows; stays valid through reloads.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// The byte budget.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// A destination by name.
    #[must_use]
    pub fn destination(&self, name: &str) -> Option<&Arc<Destination>> {
        self.destinations.get(name).map(|egress| &egress.destination)
    }

    /// Events that came in and are not settled.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.ingresses.values().map(Ingress::unsettled).sum()
    }

    /// Those among them that somebody sent, rather than a log that has them.
    fn unsettled_of_senders(&self) -> u64 {
        let sent = self.ingresses.values().filter(|ingress| !ingress.port.is_log);
        sent.map(Ingress::unsettled).sum()
    }

    /// Takes nothing more in and waits until everything is settled, at most until `deadline` (C29); what came out of a log
    /// that has it is waited for a little only. `tell` hears now and then how many events are waited for. Returns what is
    /// left.
    pub async fn drain(&self, deadline: Instant, mut tell: impl FnMut(u64)) -> u64 {
        for ingress in self.ingresses.values() {
            ingress.running.drain();
        }
        self.desk.drain();
        for reader in &self.leaving {
            reader.hurry();
        }
        if let Some(storage) = &self.storage {
            storage.drain();
        }
        let mut told = None;
        let mut held_since = None;
        loop {
            let left = self.unsettled();
            held_since = match self.unsettled_of_senders() {
                0 => held_since.or(Some(Instant::now())),
                _ => None,
            };
            let held = held_since.is_some_and(|since: Instant| since.elapsed() >= HELD_DRAIN);
            if left == 0 || held || Instant::now() >= deadline {
                return left;
            }
            if told.is_none_or(|at: Instant| at.elapsed() >= Duration::from_secs(1)) {
                told = Some(Instant::now());
                tell(left);
            }
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Ends everything: ingresses first, so that what is unsettled is released to its senders; the store last, so that
    /// what was delivered is not delivered again.
    pub async fn stop(mut self) {
        let ingresses = std::mem::take(&mut self.ingresses);
        let ends = ingresses
            .into_values()
            .map(|ingress| ingress.running.stop(STOP_GRACE));
        join_all(ends).await;
        let leaving = std::mem::take(&mut self.leaving);
        join_all(leaving.into_iter().map(Leaving::end)).await;
        let destinations = std::mem::take(&mut self.destinations);
        let ends = destinations.into_values().map(|egress| async move {
            egress.running.stop(STOP_GRACE).await;
            egress.destination.close(Leftover::GiveBack(Reason::Stopping));
        });
        join_all(ends).await;
        self.desk.stop().await;
        if let Some(storage) = self.storage.take() {
            storage.stop().await;
        }
    }

    /// Brings what runs into line with `spec`. Everything that can fail happens before anything is touched.
    fn apply(&mut self, spec: Spec) -> Result<(), String> {
        let numbers = self.numbers(&spec);
        if let Some(storage) = &mut self.storage {
            storage.prepare(&spec).map_err(|error| error.to_string())?;
        }
        let destinations = self.destinations.iter();
        let living = Living {
            destinations: destinations
                .map(|(name, e)| (Arc::clone(name), Arc::clone(&e.destination)))
                .collect(),
            logs: Some(self.storage.as_ref().map(Storage::living).unwrap_or_default()),
            clock: Arc::clone(&self.clock),
        };
        let Built { wiring, policies } =
            build::build(&spec, &numbers, &living, &self.budget, &self.metrics, self.seed)?;
        self.budget.set_max(spec.budget);
        self.metrics
            .process()
            .budget_bytes
            .set(i64::try_from(spec.budget).unwrap_or(i64::MAX));
        let wiring = Arc::new(wiring);
        crash::point("reload.built");
        self.adopt_destinations(&spec, &wiring);
        if let Some(storage) = &mut self.storage {
            storage.adopt(&wiring, &spec);
            self.board.set_logs(storage.queues());
        }
        self.desk.adopt(&wiring, &spec, &numbers);
        crash::point("reload.destinations");
        let mut policies = policies.into_iter();
        for ingress in spec.ingresses {
            let Some(policy) = policies.next() else { break };
            let gate = Gate {
                wiring: Arc::clone(&wiring),
                policy,
            };
            self.adopt_ingress(ingress, gate);
        }
        self.swept.store(Arc::new(
            self.destinations
                .values()
                .map(|e| Arc::clone(&e.destination))
                .collect(),
        ));
        Ok(())
    }

    /// Numbers for the index: an ingress keeps its own for life.
    fn numbers(&self, spec: &Spec) -> BTreeMap<Arc<str>, u16> {
        let mut taken: Vec<u16> = self.ingresses.values().map(|ingress| ingress.number).collect();
        let mut numbers = BTreeMap::new();
        for ingress in &spec.ingresses {
            let number = match self.ingresses.get(&ingress.name) {
                Some(known) => known.number,
                None => (0..u16::MAX).find(|n| !taken.contains(n)).unwrap_or(u16::MAX),
            };
            taken.push(number);
            numbers.insert(Arc::clone(&ingress.name), number);
        }
        numbers
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        self.janitor.abort();
        for task in &self.retiring {
            task.abort();
        }
    }
}

async fn sweep_for_ever(destinations: Arc<ArcSwap<Vec<Arc<Destination>>>>, wall: Arc<WallClock>) {
    let mut clock = tokio::time::interval(SWEEP_EVERY);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        wall.look();
        for destination in destinations.load().iter() {
            destination.sweep();
        }
    }
}

/// Waits for all of them, side by side.
async fn join_all<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut open: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        open.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if open.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
