//! What the unit tests share: events, a wiring from a few words, and a remote end that is driven by hand.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use weft_api::connector::EgressBuilder;
use weft_api::egress::{Batch, BatchQueue, Egress, EgressProfile};
use weft_api::event::{Event, EventBuilder};
use weft_api::ingress::{LaneSpec, Lanes, RequestLane, RequestLanes, Settle, Window};
use weft_api::outcome::{Reason, SendError};
use weft_store::disk::{Disk, Real};

use crate::delivery::batch::Outlet;
use crate::delivery::budget::Budget;
use crate::delivery::destination::Destination;
use crate::delivery::origin::Port;
use crate::delivery::settings::Settings;
use crate::delivery::stored::DurableQueue;
use crate::delivery::wiring::Wiring;
use crate::lane::admit::{CurrentGate, Gate};
use crate::lane::books::Pulse;
use crate::lane::request::RequestLaneSet;
use crate::lane::stream::StreamLanes;
use crate::metrics::Metrics;
use crate::routing::filter::Predicate;
use crate::topology::build::{Built, Living, build};
use crate::topology::desk::Desk;
use crate::topology::spec::{
    DestinationSpec, EndpointSpec, IngressSpec, LOCAL, LogSpec, MalformedSpec, PlanSpec, RouteSpec,
    SharedSpec, Spec, StoreSpec, UnmatchedSpec, WhenFull,
};
use crate::topology::storage::{DiskWork, Ground, Storage};

/// An event with this id.
pub(crate) fn event(id: &str) -> Event {
    EventBuilder::new()
        .id(id)
        .source("/test")
        .ty("test")
        .build()
        .unwrap()
}

/// One with a key.
pub(crate) fn keyed(id: &str, key: &str) -> Event {
    event(id).with_key(Some(Bytes::copy_from_slice(key.as_bytes())))
}

/// A plan that is one destination or group.
pub(crate) fn to(name: &str) -> PlanSpec {
    PlanSpec::To(name.into())
}

pub(crate) fn all(names: &[&str]) -> PlanSpec {
    PlanSpec::All(names.iter().map(|name| to(name)).collect())
}

pub(crate) fn first(members: Vec<PlanSpec>) -> PlanSpec {
    PlanSpec::First {
        members,
        on: crate::routing::plan::FallbackOn::default(),
    }
}

pub(crate) fn any(names: &[&str]) -> PlanSpec {
    PlanSpec::Any {
        members: names.iter().map(|name| (to(name), 1)).collect(),
        policy: crate::routing::plan::Policy::RoundRobin,
        wait: false,
        key: crate::routing::plan::KeyRule::Key,
    }
}

pub(crate) fn down() -> SendError {
    SendError::destination(Reason::Unavailable, "connection refused")
}

pub(crate) fn refused() -> SendError {
    SendError::event(Reason::Refused, "422")
}

pub(crate) fn failed() -> SendError {
    SendError::attempt(Reason::Failed, "500")
}

/// What a world is to be.
pub(crate) struct Draft {
    pub(crate) spec: Spec,
    pub(crate) budget: u64,
    pub(crate) disk: Option<Arc<dyn Disk>>,
}

/// Nobody builds an egress here; the test is the egress.
struct ByHand;

impl EgressBuilder for ByHand {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Err("driven by hand".to_owned())
    }

    fn address(&self) -> String {
        String::new()
    }
}

struct NoIngress;

impl weft_api::connector::IngressBuilder for NoIngress {
    fn build(&self) -> Result<Box<dyn weft_api::ingress::Ingress>, String> {
        Err("driven by hand".to_owned())
    }

    fn address(&self) -> String {
        String::new()
    }

    fn explain(&self, _: &weft_api::connector::RawMessage) -> Result<Event, String> {
        Err("driven by hand".to_owned())
    }
}

impl Draft {
    /// Endpoints with default settings but for a wide-open queue, and one ingress called `in`.
    pub(crate) fn new(endpoints: &[&str]) -> Draft {
        let endpoint = |name: &&str| {
            DestinationSpec::Endpoint(EndpointSpec {
                name: (*name).into(),
                builder: Arc::new(ByHand),
                fingerprint: String::new(),
                settings: Settings::default(),
                store: None,
                shared: None,
            })
        };
        let ingress = IngressSpec {
            name: "in".into(),
            builder: Arc::new(NoIngress),
            fingerprint: String::new(),
            drop_rejected: false,
            unmatched: UnmatchedSpec::Discard,
            malformed: MalformedSpec::Reject,
            log: None,
            retain: None,
        };
        let spec = Spec {
            budget: 0,
            ingresses: vec![ingress],
            destinations: endpoints.iter().map(endpoint).collect(),
            routes: Vec::new(),
            store: None,
        };
        Draft {
            spec,
            budget: u64::MAX / 2,
            disk: None,
        }
    }

    /// A store in this directory, and a log for each of these endpoints.
    pub(crate) fn store(mut self, path: &Path, logs: &[&str]) -> Draft {
        let log = LogSpec {
            max_bytes: 16 << 20,
            max_age: None,
            retain: None,
            when_full: WhenFull::Block,
        };
        self.spec.store = Some(StoreSpec {
            path: path.to_owned(),
            max_bytes: 64 << 20,
            keep_free: 0,
            sync: weft_store::Sync::Always,
            dead_letters: log.clone(),
        });
        for destination in &mut self.spec.destinations {
            if let DestinationSpec::Endpoint(endpoint) = destination
                && logs.contains(&&*endpoint.name)
            {
                endpoint.store = Some(log.clone());
            }
        }
        self
    }

    /// A log that routers share in front of a destination: `NAME.log` writes into it, and [`World::reader`] reads it.
    pub(crate) fn shared(mut self, name: &str) -> Draft {
        let log: Arc<str> = format!("{name}.log").into();
        for destination in &mut self.spec.destinations {
            match destination {
                DestinationSpec::Endpoint(endpoint) if *endpoint.name == *name => {
                    endpoint.shared = Some(Arc::clone(&log));
                }
                DestinationSpec::Group {
                    name: group, shared, ..
                } if **group == *name => *shared = Some(Arc::clone(&log)),
                _ => {}
            }
        }
        self.spec
            .destinations
            .push(DestinationSpec::Endpoint(EndpointSpec {
                name: Arc::clone(&log),
                builder: Arc::new(ByHand),
                fingerprint: String::new(),
                settings: Settings {
                    shared_log: Some(name.into()),
                    ..Settings::default()
                },
                store: None,
                shared: None,
            }));
        self.spec.ingresses.push(IngressSpec {
            name: log,
            builder: Arc::new(NoIngress),
            fingerprint: String::new(),
            drop_rejected: false,
            unmatched: UnmatchedSpec::Reject,
            malformed: MalformedSpec::Reject,
            retain: None,
            log: Some(SharedSpec {
                of: name.into(),
                max_age: None,
                place: String::new(),
            }),
        });
        self
    }

    /// A group with a log.
    pub(crate) fn stored_group(mut self, name: &str, plan: PlanSpec) -> Draft {
        let store = self.spec.store.as_ref().map(|store| store.dead_letters.clone());
        self.spec.destinations.push(DestinationSpec::Group {
            name: name.into(),
            plan,
            store,
            shared: None,
        });
        self
    }

    /// An endpoint that this builder makes, for what else it can do.
    pub(crate) fn builder(mut self, name: &str, builder: Arc<dyn EgressBuilder>) -> Draft {
        for destination in &mut self.spec.destinations {
            if let DestinationSpec::Endpoint(endpoint) = destination
                && *endpoint.name == *name
            {
                endpoint.builder = Arc::clone(&builder);
            }
        }
        self
    }

    /// How old what is in the log of this endpoint, or [`LOCAL`], may be.
    pub(crate) fn max_age(mut self, name: &str, max_age: Duration) -> Draft {
        if name == LOCAL {
            self.spec.store.as_mut().unwrap().dead_letters.max_age = Some(max_age);
        }
        for destination in &mut self.spec.destinations {
            if let DestinationSpec::Endpoint(endpoint) = destination
                && *endpoint.name == *name
            {
                endpoint.store.as_mut().unwrap().max_age = Some(max_age);
            }
        }
        self
    }

    /// The store on another disk than the machine's.
    pub(crate) fn disk(mut self, disk: Arc<dyn Disk>) -> Draft {
        self.disk = Some(disk);
        self
    }

    pub(crate) fn settings(mut self, name: &str, change: impl FnOnce(&mut Settings)) -> Draft {
        let found = self
            .spec
            .destinations
            .iter_mut()
            .find_map(|destination| match destination {
                DestinationSpec::Endpoint(endpoint) if &*endpoint.name == name => {
                    Some(&mut endpoint.settings)
                }
                _ => None,
            });
        change(found.unwrap());
        self
    }

    pub(crate) fn ingress(mut self, change: impl FnOnce(&mut IngressSpec)) -> Draft {
        change(&mut self.spec.ingresses[0]);
        self
    }

    pub(crate) fn budget(mut self, bytes: u64) -> Draft {
        self.budget = bytes;
        self
    }

    /// A route that takes everything.
    pub(crate) fn route(mut self, plan: PlanSpec) -> Draft {
        self.spec.routes.push(RouteSpec {
            name: format!("r{}", self.spec.routes.len()).into(),
            from: None,
            predicate: Arc::new(Predicate::compile_all(&[]).unwrap()),
            to: plan,
            add: Vec::new(),
            dead_letter: None,
            max_age: None,
        });
        self
    }

    pub(crate) fn last_route(mut self, change: impl FnOnce(&mut RouteSpec)) -> Draft {
        change(self.spec.routes.last_mut().unwrap());
        self
    }

    pub(crate) fn dead_letter(self, name: &str) -> Draft {
        self.last_route(|route| route.dead_letter = Some(name.into()))
    }

    pub(crate) fn build(self) -> World {
        let metrics = Metrics::new();
        let budget = Budget::new(self.budget);
        let numbers = BTreeMap::from([(Arc::from("in"), 0)]);
        let disk = self.disk.unwrap_or_else(|| Arc::new(Real));
        let desk = Desk::new(Arc::clone(&metrics));
        let ground = Ground {
            disk,
            work: DiskWork::Threads,
        };
        let mut storage = Storage::open_on(ground, &self.spec, &metrics, &desk).unwrap();
        let living = Living {
            logs: Some(storage.as_ref().map(Storage::living).unwrap_or_default()),
            ..Living::default()
        };
        let Built { wiring, mut policies } =
            build(&self.spec, &numbers, &living, &budget, &metrics, 1).unwrap();
        let ingress = &self.spec.ingresses[0];
        let port = Port::new("in".into(), metrics.ingress("in"), ingress.drop_rejected);
        let wiring = Arc::new(wiring);
        if let Some(storage) = &mut storage {
            storage.adopt(&wiring, &self.spec);
        }
        desk.adopt(&wiring, &self.spec, &numbers);
        let gate = Gate {
            wiring: Arc::clone(&wiring),
            policy: policies.remove(0),
        };
        let reader = policies.pop().map(|policy| {
            let name: Arc<str> = Arc::clone(&self.spec.ingresses[1].name);
            let gate = Gate {
                wiring: Arc::clone(&wiring),
                policy,
            };
            let port = Port::of_log(Arc::clone(&name), metrics.ingress(&name));
            Reader {
                port: Arc::new(port),
                gate: Arc::new(ArcSwap::from_pointee(gate)),
            }
        });
        World {
            reader,
            wiring,
            port: Arc::new(port),
            gate: Arc::new(ArcSwap::from_pointee(gate)),
            budget,
            pulse: Arc::new(Pulse::default()),
            metrics,
            storage,
            desk,
        }
    }
}

/// A wiring and what an ingress needs.
pub(crate) struct World {
    pub(crate) wiring: Arc<Wiring>,
    pub(crate) port: Arc<Port>,
    pub(crate) gate: CurrentGate,
    pub(crate) budget: Arc<Budget>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) storage: Option<Storage>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) reader: Option<Reader>,
}

/// What reads a log that routers share.
pub(crate) struct Reader {
    pub(crate) port: Arc<Port>,
    pub(crate) gate: CurrentGate,
}

impl World {
    pub(crate) fn destination(&self, name: &str) -> &Arc<Destination> {
        self.wiring
            .destinations
            .iter()
            .find(|destination| &*destination.name == name)
            .unwrap()
    }

    /// The log of a destination, or `local`.
    pub(crate) fn log(&self, name: &str) -> Arc<DurableQueue> {
        let storage = self.storage.as_ref().unwrap();
        Arc::clone(storage.queue(name).unwrap())
    }

    /// Ends the store as the router does.
    pub(crate) async fn stop(mut self) {
        let storage = self.storage.take().unwrap();
        self.desk.drain();
        storage.drain();
        self.desk.stop().await;
        storage.stop().await;
    }

    /// A remote that takes batches of up to 100 events, 1,000 in flight.
    pub(crate) fn remote(&self, name: &str) -> Remote {
        let profile = EgressProfile {
            batch_events: 100,
            batch_bytes: u64::MAX,
            in_flight: 1000,
            keeps_order_or_fails: false,
        };
        self.remote_with(name, profile)
    }

    pub(crate) fn remote_with(&self, name: &str, profile: EgressProfile) -> Remote {
        let destination = Arc::clone(self.destination(name));
        let client = destination.install(profile, None);
        Remote {
            outlet: Outlet::new(destination, client),
        }
    }

    pub(crate) fn lanes(&self) -> Lanes {
        let (port, gate) = (Arc::clone(&self.port), Arc::clone(&self.gate));
        let lanes = StreamLanes::new(port, gate, Arc::clone(&self.budget), Arc::clone(&self.pulse), 7);
        Lanes::new(Box::new(lanes))
    }

    /// Lanes of what reads the shared log.
    pub(crate) fn lanes_of_log(&self) -> Lanes {
        let reader = self.reader.as_ref().unwrap();
        let (port, gate) = (Arc::clone(&reader.port), Arc::clone(&reader.gate));
        let pulse = Arc::new(Pulse::default());
        Lanes::new(Box::new(StreamLanes::new(
            port,
            gate,
            Arc::clone(&self.budget),
            pulse,
            9,
        )))
    }

    /// Lanes of another ingress that the same routes feed from.
    pub(crate) fn lanes_of_another(&self) -> Lanes {
        let port = Arc::new(Port::new("other".into(), Metrics::new().ingress("other"), false));
        let (gate, pulse) = (Arc::clone(&self.gate), Arc::new(Pulse::default()));
        Lanes::new(Box::new(StreamLanes::new(
            port,
            gate,
            Arc::clone(&self.budget),
            pulse,
            8,
        )))
    }

    pub(crate) fn requests(&self, window: u32) -> RequestLane {
        let (port, gate) = (Arc::clone(&self.port), Arc::clone(&self.gate));
        let set = RequestLaneSet::new(port, gate, Arc::clone(&self.budget), Arc::clone(&self.pulse));
        RequestLanes::new(Arc::new(set)).open(spec(Settle::Individual, window))
    }

    pub(crate) fn unsettled(&self) -> u64 {
        self.pulse.unsettled.load(Ordering::Relaxed)
    }

    /// C32, with nothing pending: obligations = delivered + dead-lettered + dropped + expired + returned; and nothing
    /// is charged anywhere.
    pub(crate) fn assert_at_rest(&self) {
        let m = &self.port.metrics;
        let ends = [
            &m.books.delivered,
            &m.books.dead_lettered,
            &m.books.stored,
            &m.books.dropped,
            &m.books.expired,
            &m.books.returned,
        ]
        .map(|counter| counter.get());
        assert_eq!(m.obligations.get(), ends.iter().sum::<u64>(), "ends: {ends:?}");
        assert_eq!(
            (m.books.pending.get(), self.budget.used(), self.unsettled()),
            (0, 0, 0)
        );
        assert_eq!(m.books.held_lanes.get(), 0);
        self.assert_nothing_pending();
    }

    pub(crate) fn assert_nothing_pending(&self) {
        for destination in &self.wiring.destinations {
            let standing = destination.standing();
            assert_eq!(
                (
                    standing.pending_events,
                    standing.pending_bytes,
                    standing.in_flight
                ),
                (0, 0, 0)
            );
        }
    }
}

/// A lane's specification with a window of `events` and as many bytes as anybody could want.
pub(crate) fn spec(settle: Settle, events: u32) -> LaneSpec {
    LaneSpec {
        name: "lane".into(),
        window: Window {
            events,
            bytes: 1 << 40,
        },
        settle,
    }
}

/// The egress of a destination, in the test's hands.
pub(crate) struct Remote {
    outlet: Outlet,
}

impl Remote {
    /// The next batch; `None` when there is none now.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        match self.outlet.poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(batch)) => Some(batch),
            Poll::Ready(None) => panic!("the client was replaced"),
            Poll::Pending => None,
        }
    }

    /// Waits for the next batch as an egress does.
    pub(crate) async fn next(&mut self) -> Batch {
        std::future::poll_fn(|cx| self.outlet.poll_next(cx))
            .await
            .expect("the client was not replaced")
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(
            self.outlet.poll_next(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(None)
        )
    }

    /// Takes whatever there is until there is nothing more, and confirms it; returns the ids.
    pub(crate) fn accept_all(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        while let Some(batch) = self.take() {
            ids.extend(batch.events().iter().map(|event| event.id().to_owned()));
            batch.accept_all();
        }
        ids
    }

    /// Takes one batch and fails all of it; returns the ids.
    pub(crate) fn fail(&mut self, error: &SendError) -> Vec<String> {
        let batch = self.take().expect("a batch");
        let ids = ids(&batch);
        batch.fail_rest(error);
        ids
    }
}

pub(crate) fn ids(batch: &Batch) -> Vec<String> {
    batch.events().iter().map(|event| event.id().to_owned()).collect()
}

/// Lets paused time pass, and whatever became due with it.
pub(crate) async fn pass(time: Duration) {
    tokio::time::advance(time).await;
    tokio::task::yield_now().await;
}
