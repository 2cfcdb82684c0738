#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use weft_api::connector::{EgressBuilder, IngressBuilder, RawMessage};
use weft_api::egress::{Egress, EgressContext, EgressError, EgressProfile};
use weft_api::event::Event;
use weft_api::ingress::{Ingress, IngressContext, IngressError, LaneEvent, Settle};
use weft_api::outcome::{Outcome, SendError};

use super::Topology;
use super::reload::Removal;
use super::spec::{DestinationSpec, Spec};
use crate::metrics::Metrics;
use crate::testing::{Draft, event, spec, to};

mod shared;
mod stored;

/// An ingress that delivers what the test sends and tells what became of it.
struct Tap {
    events: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>,
    settled: mpsc::UnboundedSender<Outcome>,
    opened: Arc<AtomicU32>,
    lag: watch::Receiver<u64>,
}

#[async_trait]
impl Ingress for Tap {
    async fn run(mut self: Box<Self>, mut cx: IngressContext) -> Result<(), IngressError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let events = Arc::clone(&self.events);
        let mut events = events.lock().await;
        let lane = cx.lanes.open(spec(Settle::Individual, 100));
        let mut running = true;
        loop {
            tokio::select! {
                biased;
                () = cx.stop.stopped() => return Ok(()),
                () = cx.stop.draining(), if running => running = false,
                (_, said) = cx.lanes.next() => {
                    if let LaneEvent::Settled { first, last, outcome } = said {
                        for _ in first..=last {
                            self.settled.send(outcome).ok();
                        }
                    }
                }
                Some(event) = events.recv(), if running => {
                    cx.lanes.deliver(lane, &mut vec![event.into()]);
                }
                Ok(()) = self.lag.changed() => cx.report.lag(Some(*self.lag.borrow_and_update())),
            }
        }
    }

    async fn probe(&self) -> Result<(), IngressError> {
        Ok(())
    }
}

/// An egress that confirms everything while its gate is open, and may be told to die.
struct Sink {
    got: Arc<Mutex<Vec<String>>>,
    open: watch::Receiver<bool>,
    panics: Arc<AtomicU32>,
}

#[async_trait]
impl Egress for Sink {
    fn profile(&self) -> EgressProfile {
        EgressProfile {
            batch_events: 10,
            batch_bytes: u64::MAX,
            in_flight: 100,
            keeps_order_or_fails: false,
        }
    }

    async fn run(mut self: Box<Self>, mut cx: EgressContext) -> Result<(), EgressError> {
        let stop = cx.stop.clone();
        while let Some(batch) = cx.next_batch().await {
            if self.panics.load(Ordering::SeqCst) > 0 {
                self.panics.fetch_sub(1, Ordering::SeqCst);
                panic!("as the test asked");
            }
            tokio::select! {
                _ = self.open.wait_for(|open| *open) => {}
                () = stop.stopped() => return Ok(()),
            }
            self.got
                .lock()
                .unwrap()
                .extend(batch.events().iter().map(|event| event.id().to_owned()));
            batch.accept_all();
        }
        Ok(())
    }

    async fn probe(&self) -> Result<(), SendError> {
        Ok(())
    }
}

/// Both ends of a topology of one ingress and one destination.
struct Ends {
    send: mpsc::UnboundedSender<Event>,
    settled: mpsc::UnboundedReceiver<Outcome>,
    tap: Arc<TapBuilder>,
    sink: Arc<SinkBuilder>,
    open: watch::Sender<bool>,
    /// What the ingress says that the remote still holds.
    lag: watch::Sender<u64>,
}

struct TapBuilder {
    events: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>>,
    settled: mpsc::UnboundedSender<Outcome>,
    opened: Arc<AtomicU32>,
    lag: watch::Receiver<u64>,
}

struct SinkBuilder {
    got: Arc<Mutex<Vec<String>>>,
    open: watch::Receiver<bool>,
    panics: Arc<AtomicU32>,
}

impl IngressBuilder for TapBuilder {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        let (events, settled) = (Arc::clone(&self.events), self.settled.clone());
        Ok(Box::new(Tap {
            events,
            settled,
            opened: Arc::clone(&self.opened),
            lag: self.lag.clone(),
        }))
    }

    fn address(&self) -> String {
        "test:tap".to_owned()
    }

    fn explain(&self, _: &RawMessage) -> Result<Event, String> {
        Err("a tap has no raw messages".to_owned())
    }
}

impl EgressBuilder for SinkBuilder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        let (got, panics) = (Arc::clone(&self.got), Arc::clone(&self.panics));
        Ok(Box::new(Sink {
            got,
            open: self.open.clone(),
            panics,
        }))
    }

    fn address(&self) -> String {
        "test:sink".to_owned()
    }
}

impl Ends {
    fn new() -> Ends {
        let (send, events) = mpsc::unbounded_channel();
        let (told, settled) = mpsc::unbounded_channel();
        let (open, gate) = watch::channel(true);
        let (lag, hears) = watch::channel(0);
        let events = Arc::new(tokio::sync::Mutex::new(events));
        let tap = Arc::new(TapBuilder {
            events,
            settled: told,
            opened: Arc::default(),
            lag: hears,
        });
        let sink = Arc::new(SinkBuilder {
            got: Arc::default(),
            open: gate,
            panics: Arc::default(),
        });
        Ends {
            send,
            settled,
            tap,
            sink,
            open,
            lag,
        }
    }

    /// A spec whose destinations `a` and `b` are both this sink.
    fn spec(&self, destinations: &[&str], route: &str) -> Spec {
        let mut spec = Draft::new(destinations).route(to(route)).spec;
        spec.budget = 1 << 30;
        spec.ingresses[0].builder = Arc::clone(&self.tap) as Arc<dyn IngressBuilder>;
        for destination in &mut spec.destinations {
            if let DestinationSpec::Endpoint(endpoint) = destination {
                endpoint.builder = Arc::clone(&self.sink) as Arc<dyn EgressBuilder>;
            }
        }
        spec
    }

    fn start(&self, spec: Spec) -> Topology {
        Topology::start(spec, Metrics::new(), 1).unwrap()
    }

    async fn deliver(&mut self, id: &str) -> Outcome {
        self.send.send(event(id)).unwrap();
        self.settled.recv().await.unwrap()
    }

    /// Sends an event that stays with the sink, whose gate is closed.
    async fn hang(&mut self, topology: &Topology, id: &str) {
        self.open.send_replace(false);
        self.send.send(event(id)).unwrap();
        while topology.unsettled() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn got(&self) -> Vec<String> {
        self.sink.got.lock().unwrap().clone()
    }
}

fn words(words: &[(&str, Removal)]) -> BTreeMap<String, Removal> {
    words
        .iter()
        .map(|(name, how)| ((*name).to_owned(), *how))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_event_goes_through_and_a_drain_waits_for_it() {
    let mut ends = Ends::new();
    let topology = ends.start(ends.spec(&["a"], "a"));
    assert_eq!(ends.deliver("1").await, Outcome::Accepted);
    ends.hang(&topology, "2").await;
    let short = Instant::now() + Duration::from_secs(1);
    assert_eq!(
        topology.drain(short, |_| {}).await,
        1,
        "it gives up at its deadline"
    );
    ends.open.send_replace(true);
    assert_eq!(
        topology
            .drain(Instant::now() + Duration::from_secs(30), |_| {})
            .await,
        0
    );
    assert_eq!(ends.settled.recv().await, Some(Outcome::Accepted));
    topology.stop().await;
    assert_eq!(ends.got(), ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_drained_ingress_takes_nothing_more_in() {
    let ends = Ends::new();
    let topology = ends.start(ends.spec(&["a"], "a"));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(
        topology
            .drain(Instant::now() + Duration::from_secs(1), |_| {})
            .await,
        0
    );
    tokio::time::sleep(Duration::from_millis(10)).await;
    ends.send.send(event("late")).unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    topology.stop().await;
    assert_eq!(ends.got(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_back_what_is_pending_and_leaves_nothing_behind() {
    let mut ends = Ends::new();
    let topology = ends.start(ends.spec(&["a"], "a"));
    ends.hang(&topology, "1").await;
    let (budget, destination) = (
        Arc::clone(topology.budget()),
        Arc::clone(topology.destination("a").unwrap()),
    );
    topology.stop().await;
    assert_eq!((budget.used(), destination.standing().pending_events), (0, 0));
    let weak = Arc::downgrade(&destination);
    drop(destination);
    drop(ends);
    tokio::task::yield_now().await;
    assert!(weak.upgrade().is_none(), "a destination outlived its topology");
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_panics_starts_again_and_loses_nothing() {
    let mut ends = Ends::new();
    ends.sink.panics.store(2, Ordering::SeqCst);
    let topology = ends.start(ends.spec(&["a"], "a"));
    assert_eq!(ends.deliver("1").await, Outcome::Accepted);
    assert_eq!(
        (ends.got(), ends.sink.panics.load(Ordering::SeqCst)),
        (vec!["1".to_owned()], 0)
    );
    topology.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_ingress_is_not_reopened_and_sees_the_new_routes() {
    let mut ends = Ends::new();
    let mut topology = ends.start(ends.spec(&["a"], "a"));
    ends.deliver("1").await;
    let report = topology
        .reload(ends.spec(&["a", "b"], "b"), &words(&[]))
        .await
        .unwrap();
    assert_eq!(report.destinations.added, ["b"]);
    assert_eq!(ends.deliver("2").await, Outcome::Accepted);
    assert_eq!(topology.destination("b").unwrap().metrics.delivered.get(), 1);
    assert_eq!(ends.tap.opened.load(Ordering::SeqCst), 1);
    topology.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_ingress_is_drained_and_opened_again() {
    let mut ends = Ends::new();
    let mut topology = ends.start(ends.spec(&["a"], "a"));
    ends.deliver("1").await;
    let mut changed = ends.spec(&["a"], "a");
    changed.ingresses[0].fingerprint = "other".to_owned();
    let report = topology.reload(changed, &words(&[])).await.unwrap();
    assert_eq!(report.ingresses.changed, ["in"]);
    assert_eq!(ends.deliver("2").await, Outcome::Accepted);
    assert_eq!(ends.tap.opened.load(Ordering::SeqCst), 2);
    topology.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_goes_through_a_destinations_new_client() {
    let mut ends = Ends::new();
    let mut topology = ends.start(ends.spec(&["a"], "a"));
    ends.hang(&topology, "1").await;
    let mut changed = ends.spec(&["a"], "a");
    if let DestinationSpec::Endpoint(endpoint) = &mut changed.destinations[0] {
        endpoint.fingerprint = "other".to_owned();
    }
    topology.reload(changed, &words(&[])).await.unwrap();
    // The old client hangs in its send; it is stopped after a while, and its batch comes back.
    tokio::time::sleep(Duration::from_secs(20)).await;
    ends.open.send_replace(true);
    assert_eq!(ends.settled.recv().await, Some(Outcome::Accepted));
    topology.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_destination_with_legs_pending_goes_only_with_a_word() {
    let mut ends = Ends::new();
    let mut topology = ends.start(ends.spec(&["a", "b"], "a"));
    ends.hang(&topology, "1").await;
    let refusal = topology
        .reload(ends.spec(&["b"], "b"), &words(&[]))
        .await
        .unwrap_err();
    assert!(refusal.contains("removed: { a:"), "{refusal}");
    assert!(topology.destination("a").is_some(), "nothing changed");
    topology
        .reload(ends.spec(&["b"], "b"), &words(&[("a", Removal::Drain)]))
        .await
        .unwrap();
    ends.open.send_replace(true);
    assert_eq!(ends.settled.recv().await, Some(Outcome::Accepted));
    topology.stop().await;
    assert_eq!(ends.got(), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_purged_destination_drops_what_waits_and_counts_it() {
    let mut ends = Ends::new();
    let mut topology = ends.start(ends.spec(&["a", "b"], "a"));
    ends.hang(&topology, "1").await;
    topology
        .reload(ends.spec(&["b"], "b"), &words(&[("a", Removal::Purge)]))
        .await
        .unwrap();
    assert_eq!(ends.settled.recv().await, Some(Outcome::Accepted));
    assert_eq!(ends.got(), [""; 0]);
    topology.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topology_that_is_dropped_takes_its_tasks_with_it() {
    let ends = Ends::new();
    let topology = ends.start(ends.spec(&["a"], "a"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(topology);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(
        ends.tap.opened.load(Ordering::SeqCst),
        1,
        "nobody started it again"
    );
    let handle = tokio::runtime::Handle::current();
    assert_eq!(handle.metrics().num_alive_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_spec_that_cannot_be_built_changes_nothing() {
    let mut ends = Ends::new();
    let mut topology = ends.start(ends.spec(&["a"], "a"));
    let error = topology
        .reload(ends.spec(&["a", "b"], "nowhere"), &words(&[]))
        .await
        .unwrap_err();
    assert!(error.contains("nowhere"), "{error}");
    assert!(topology.destination("b").is_none());
    assert_eq!(ends.deliver("1").await, Outcome::Accepted);
    topology.stop().await;
}
