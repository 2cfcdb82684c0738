//! The router's side of the contract, small enough to see through: lanes and batches that tests settle by hand.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tokio::sync::mpsc;
use weft_api::config::Node;
use weft_api::connector::{Connector, EgressSettings, IngressSettings};
use weft_api::egress::{Batch, BatchQueue, BatchSink, Egress, EgressContext};
use weft_api::event::{Event, EventBuilder};
use weft_api::ingress::{
    Credit, Incoming, Ingress, IngressContext, IngressError, LaneEvent, LaneId, LaneSpec, Lanes,
    LanesBackend, RequestLaneBackend, RequestLanes, RequestLanesBackend, Window,
};
use weft_api::outcome::{Outcome, SendError};
use weft_api::status::{Health, Report};
use weft_api::stop::{Phase, StopHandle};
use weft_conformance::section;
use weft_kafka::Kafka;

/// How long anything may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A section as the router would hand it over.
pub fn node(json: &Json) -> Node {
    section("ingress.test.kafka", json)
}

pub fn ingress_settings(window: u32) -> IngressSettings {
    IngressSettings {
        name: Arc::from("test"),
        node: Arc::from("node"),
        cluster: Arc::from("paris"),
        accept: None,
        event: None,
        window: Some(Window {
            events: window,
            bytes: 1 << 30,
        }),
        event_max: 1 << 20,
        client_memory: 8 << 20,
        log: false,
    }
}

pub fn egress_settings() -> EgressSettings {
    EgressSettings {
        name: Arc::from("test"),
        node: Arc::from("node"),
        cluster: Arc::from("paris"),
        event_max: 1 << 20,
        client_memory: 8 << 20,
        lossy: false,
        log: false,
    }
}

pub fn ingress(section: &Json, settings: &IngressSettings) -> Box<dyn Ingress> {
    Kafka
        .ingress(&node(section), settings)
        .unwrap()
        .map_err(|f| format!("{f:?}"))
        .unwrap()
        .build()
        .unwrap()
}

pub fn egress(section: &Json) -> Box<dyn Egress> {
    egress_with(section, &egress_settings())
}

pub fn egress_with(section: &Json, settings: &EgressSettings) -> Box<dyn Egress> {
    Kafka
        .egress(&node(section), settings)
        .unwrap()
        .map_err(|f| format!("{f:?}"))
        .unwrap()
        .build()
        .unwrap()
}

/// Remembers what a connector reported.
#[derive(Default)]
pub struct Heard {
    pub said: Mutex<Vec<String>>,
    pub lag: Mutex<Option<u64>>,
}

impl Heard {
    pub fn any(&self, part: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(part))
    }
}

impl Report for Heard {
    fn health(&self, health: Health) {
        self.said.lock().unwrap().push(format!("{health:?}"));
    }
    fn lag(&self, events: Option<u64>) {
        *self.lag.lock().unwrap() = events;
    }
    fn dropped(&self, what: &'static str, count: u64) {
        self.said.lock().unwrap().push(format!("dropped {count} {what}"));
    }
    fn warn(&self, line: String) {
        self.said.lock().unwrap().push(line);
    }
}

/// Waits for something that a connector does by itself.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One delivery into a lane.
#[derive(Clone)]
pub struct Delivered {
    pub lane: String,
    pub sequence: u64,
    pub event: Event,
    pub malformed: bool,
}

struct Lane {
    name: String,
    id: LaneId,
    window: u32,
    next: u64,
    settled: u64,
    open: bool,
}

#[derive(Default)]
struct Ledger {
    lanes: Vec<Lane>,
    delivered: Vec<Delivered>,
    said: VecDeque<(LaneId, LaneEvent)>,
    waker: Option<Waker>,
    /// Settle at once whatever comes.
    auto: bool,
}

/// The router's ledger, and the test's hand on it.
#[derive(Clone, Default)]
pub struct Router(Arc<Mutex<Ledger>>);

impl Router {
    /// Accepts everything at once.
    pub fn accepting() -> Router {
        let router = Router::default();
        router.0.lock().unwrap().auto = true;
        router
    }

    pub fn delivered(&self) -> Vec<Delivered> {
        self.0.lock().unwrap().delivered.clone()
    }

    pub fn data(&self) -> Vec<String> {
        let text = |d: &Delivered| {
            String::from_utf8(d.event.data().map(|d| d.to_vec()).unwrap_or_default()).unwrap()
        };
        self.delivered().iter().map(text).collect()
    }

    pub fn open_lanes(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .lanes
            .iter()
            .filter(|lane| lane.open)
            .map(|lane| lane.name.clone())
            .collect()
    }

    /// Waits for this many deliveries in all.
    pub async fn wait(&self, count: usize) -> Vec<Delivered> {
        until(&format!("{count} deliveries"), || {
            Some(self.delivered()).filter(|d| d.len() >= count)
        })
        .await
    }

    /// Accepts everything of a lane up to sequence `last`.
    pub fn settle(&self, lane: &str, last: u64) {
        let mut ledger = self.0.lock().unwrap();
        let lane = ledger
            .lanes
            .iter_mut()
            .find(|l| l.name == lane && l.open)
            .unwrap();
        let first = std::mem::replace(&mut lane.settled, last + 1);
        let id = lane.id;
        ledger.say(
            id,
            LaneEvent::Settled {
                first,
                last,
                outcome: Outcome::Accepted,
            },
        );
    }

    /// Starts a lane again at its watermark.
    pub fn rewind(&self, lane: &str) {
        let mut ledger = self.0.lock().unwrap();
        let lane = ledger
            .lanes
            .iter_mut()
            .find(|l| l.name == lane && l.open)
            .unwrap();
        lane.id.epoch += 1;
        lane.next = lane.settled;
        let (id, from) = (lane.id, lane.settled);
        ledger.say(id, LaneEvent::Rewind { from });
    }
}

impl Ledger {
    fn say(&mut self, lane: LaneId, event: LaneEvent) {
        self.said.push_back((lane, event));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl LanesBackend for Router {
    fn open(&mut self, spec: LaneSpec) -> LaneId {
        let mut ledger = self.0.lock().unwrap();
        let id = LaneId {
            index: u32::try_from(ledger.lanes.len()).unwrap(),
            epoch: 0,
        };
        let lane = Lane {
            name: spec.name.to_string(),
            id,
            window: spec.window.events,
            next: 0,
            settled: 0,
            open: true,
        };
        ledger.lanes.push(lane);
        id
    }

    fn credit(&self, id: LaneId) -> Credit {
        let ledger = self.0.lock().unwrap();
        let lane = &ledger.lanes[id.index as usize];
        let unsettled = u32::try_from(lane.next - lane.settled).unwrap();
        let events = if lane.open && lane.id == id {
            lane.window.saturating_sub(unsettled)
        } else {
            0
        };
        Credit {
            events,
            bytes: 1 << 30,
        }
    }

    fn deliver(&mut self, id: LaneId, batch: &mut Vec<Incoming>) -> u64 {
        let mut ledger = self.0.lock().unwrap();
        let auto = ledger.auto;
        let lane = &mut ledger.lanes[id.index as usize];
        assert_eq!(lane.id, id, "delivered under an old id");
        let (first, name) = (lane.next, lane.name.clone());
        lane.next += batch.len() as u64;
        assert!(
            lane.next - lane.settled <= u64::from(lane.window),
            "delivered past the credit"
        );
        let last = lane.next - 1;
        for (sequence, incoming) in (first..).zip(batch.drain(..)) {
            let Incoming { event, malformed } = incoming;
            ledger.delivered.push(Delivered {
                lane: name.clone(),
                sequence,
                event,
                malformed,
            });
        }
        if auto {
            ledger.lanes[id.index as usize].settled = last + 1;
            ledger.say(
                id,
                LaneEvent::Settled {
                    first,
                    last,
                    outcome: Outcome::Accepted,
                },
            );
        }
        first
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(LaneId, LaneEvent)> {
        let mut ledger = self.0.lock().unwrap();
        while let Some((id, event)) = ledger.said.pop_front() {
            let lane = &ledger.lanes[id.index as usize];
            if lane.open && lane.id == id {
                return Poll::Ready((id, event));
            }
        }
        ledger.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn unsettled(&self) -> u64 {
        self.0
            .lock()
            .unwrap()
            .lanes
            .iter()
            .filter(|l| l.open)
            .map(|l| l.next - l.settled)
            .sum()
    }

    fn close(&mut self, id: LaneId) {
        self.0.lock().unwrap().lanes[id.index as usize].open = false;
    }
}

struct NoRequests;

impl RequestLanesBackend for NoRequests {
    fn open(&self, _: LaneSpec) -> Arc<dyn RequestLaneBackend> {
        unreachable!("Kafka has no requests")
    }
}

/// A running ingress.
pub struct Running {
    pub router: Router,
    pub heard: Arc<Heard>,
    stop: StopHandle,
    task: tokio::task::JoinHandle<Result<(), IngressError>>,
}

impl Running {
    pub fn start(section: &Json, settings: &IngressSettings, router: Router) -> Running {
        let heard = Arc::new(Heard::default());
        let (handle, stop) = StopHandle::new();
        let cx = IngressContext {
            name: Arc::from("test"),
            lanes: Lanes::new(Box::new(router.clone())),
            requests: RequestLanes::new(Arc::new(NoRequests)),
            stop,
            report: heard.clone(),
        };
        let task = tokio::spawn(ingress(section, settings).run(cx));
        Running {
            router,
            heard,
            stop: handle,
            task,
        }
    }

    /// Says that nothing more is to be taken in.
    pub fn drain(&self) {
        self.stop.advance(Phase::Draining);
    }

    /// Stops it as the router does, and waits for its end.
    pub async fn stop(self) {
        self.stop.advance(Phase::Draining);
        self.stop.advance(Phase::Stopped);
        self.task.await.unwrap().unwrap();
    }
}

/// What became of one event.
#[derive(Clone, Debug)]
pub struct Settled {
    pub batch: usize,
    pub index: u32,
    pub error: Option<SendError>,
}

struct Sink {
    batch: usize,
    settled: Vec<bool>,
    to: mpsc::UnboundedSender<Settled>,
}

impl BatchSink for Sink {
    fn accept(&mut self, indices: &[u32]) -> usize {
        indices.iter().filter(|index| self.settle(**index, None)).count()
    }
    fn accept_rest(&mut self) {
        (0..u32::try_from(self.settled.len()).unwrap()).for_each(|index| _ = self.settle(index, None));
    }
    fn fail(&mut self, index: u32, _: &[Event], error: SendError) -> usize {
        usize::from(self.settle(index, Some(error)))
    }
    fn abandon(&mut self, _: &[Event]) {}
}

impl Sink {
    fn settle(&mut self, index: u32, error: Option<SendError>) -> bool {
        if std::mem::replace(&mut self.settled[index as usize], true) {
            return false;
        }
        let _ = self.to.send(Settled {
            batch: self.batch,
            index,
            error,
        });
        true
    }
}

struct Queue(mpsc::UnboundedReceiver<Batch>);

impl BatchQueue for Queue {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        self.0.poll_recv(cx)
    }
}

/// A running egress.
pub struct Sending {
    pub heard: Arc<Heard>,
    batches: Option<mpsc::UnboundedSender<Batch>>,
    settled: mpsc::UnboundedReceiver<Settled>,
    to: mpsc::UnboundedSender<Settled>,
    next: usize,
    _stop: StopHandle,
    task: tokio::task::JoinHandle<()>,
}

impl Sending {
    pub fn start(section: &Json) -> Sending {
        let heard = Arc::new(Heard::default());
        let (stop_handle, stop) = StopHandle::new();
        let (batches, queue) = mpsc::unbounded_channel();
        let (to, settled) = mpsc::unbounded_channel();
        let cx = EgressContext::new(Arc::from("test"), stop, heard.clone(), Box::new(Queue(queue)));
        let egress = egress(section);
        let task = tokio::spawn(async move { egress.run(cx).await.unwrap() });
        Sending {
            heard,
            batches: Some(batches),
            settled,
            to,
            next: 0,
            _stop: stop_handle,
            task,
        }
    }

    /// Gives a batch. Returns its number.
    pub fn give(&mut self, events: Vec<Event>) -> usize {
        let batch = self.next;
        self.next += 1;
        let sink = Sink {
            batch,
            settled: vec![false; events.len()],
            to: self.to.clone(),
        };
        self.batches
            .as_ref()
            .unwrap()
            .send(Batch::new(events, Box::new(sink)))
            .unwrap();
        batch
    }

    pub async fn settled(&mut self) -> Settled {
        tokio::time::timeout(LIMIT, self.settled.recv())
            .await
            .expect("waited in vain for a settlement")
            .unwrap()
    }

    /// Gives one event and waits for what becomes of it.
    pub async fn send(&mut self, event: Event) -> Result<(), SendError> {
        self.give(vec![event]);
        self.settled().await.error.map_or(Ok(()), Err)
    }

    /// Ends it as the router does when nothing is left.
    pub async fn finish(mut self) {
        self.batches = None;
        tokio::time::timeout(LIMIT, self.task)
            .await
            .expect("the egress does not end")
            .unwrap();
    }
}

/// An event with an id, a key and some data.
pub fn event(id: &str, key: &str, data: &str) -> Event {
    let mut builder = EventBuilder::new();
    builder
        .id(id)
        .source("/test")
        .ty("com.acme.test")
        .data(bytes::Bytes::copy_from_slice(data.as_bytes()));
    builder.key(bytes::Bytes::copy_from_slice(key.as_bytes()));
    builder.build().unwrap()
}
