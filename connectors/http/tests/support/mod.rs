//! What the integration tests share: a scripted router behind the ingress, configuration from JSON, a raw client.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod client;
pub mod queue;
pub mod receiver;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use weft_api::config::Node;
use weft_api::connector::{Connector, EgressBuilder, EgressSettings, IngressSettings};
use weft_api::ingress::{
    Credit, Incoming, IngressContext, IngressError, LaneEvent, LaneId, LaneSpec, Lanes, LanesBackend,
    RequestLaneBackend, RequestLanes, RequestLanesBackend, Verdict, VerdictFuture,
};
use weft_api::mapping::Accept;
use weft_api::outcome::{Outcome, Reason};
use weft_api::status::{Health, Report};
use weft_api::stop::{Phase, Stop, StopHandle};
use weft_conformance::section;
use weft_http::Http;

/// How long a test waits for what must happen.
pub const SOON: Duration = Duration::from_secs(20);

/// Waits for what must happen.
pub async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(SOON, what)
        .await
        .expect("it did not happen in time")
}

/// A configuration section.
pub fn node(json: Json) -> Node {
    section("section", &json)
}

pub fn ingress_settings() -> IngressSettings {
    IngressSettings {
        name: "app".into(),
        node: "n1".into(),
        cluster: "paris".into(),
        accept: None,
        event: None,
        window: None,
        event_max: 64 * 1024,
        client_memory: 1024 * 1024,
        log: false,
    }
}

pub fn egress_settings() -> EgressSettings {
    EgressSettings {
        name: "crm".into(),
        node: "n1".into(),
        cluster: "paris".into(),
        event_max: 1024 * 1024,
        client_memory: 1024 * 1024,
        lossy: false,
        log: false,
    }
}

/// A destination as the file would say it.
pub fn egress(section: Json) -> Box<dyn EgressBuilder> {
    Http.egress(&node(section), &egress_settings()).unwrap().unwrap()
}

/// What the router answers to an event; it may take its time.
pub type Script = Box<dyn Fn(&Incoming) -> Reply + Send + Sync>;

pub enum Reply {
    Now(Verdict),
    /// When the sender says so; never, if it is dropped.
    Later(oneshot::Receiver<Verdict>),
}

pub fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        outcome,
        matched: 1,
        stored: false,
        retry_after: None,
    }
}

pub fn accepted() -> Reply {
    Reply::Now(verdict(Outcome::Accepted))
}

/// What was submitted, by which lane and thread.
#[derive(Clone)]
pub struct Seen {
    pub lane: Arc<str>,
    pub thread: std::thread::ThreadId,
    pub incoming: Incoming,
    pub deadline: Duration,
}

/// The router as the ingress sees it.
pub struct Router {
    script: Script,
    pub seen: Mutex<Vec<Seen>>,
    pub room: AtomicBool,
    pub abandoned: Arc<Mutex<usize>>,
}

impl Router {
    pub fn new(script: impl Fn(&Incoming) -> Reply + Send + Sync + 'static) -> Arc<Router> {
        Arc::new(Router {
            script: Box::new(script),
            seen: Mutex::default(),
            room: AtomicBool::new(true),
            abandoned: Arc::default(),
        })
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

struct Opener(Arc<Router>);

impl RequestLanesBackend for Opener {
    fn open(&self, spec: LaneSpec) -> Arc<dyn RequestLaneBackend> {
        Arc::new(Lane {
            router: self.0.clone(),
            name: spec.name,
        })
    }
}

struct Lane {
    router: Arc<Router>,
    name: Arc<str>,
}

impl RequestLaneBackend for Lane {
    fn submit(self: Arc<Self>, incoming: Incoming, deadline: Duration) -> VerdictFuture {
        // Lazily, as a future may be: order must come from the order of polling.
        Box::pin(async move {
            let reply = (self.router.script)(&incoming);
            let thread = std::thread::current().id();
            self.router.seen.lock().unwrap().push(Seen {
                lane: self.name.clone(),
                thread,
                incoming,
                deadline,
            });
            match reply {
                Reply::Now(verdict) => verdict,
                Reply::Later(verdict) => match tokio::time::timeout(deadline, verdict).await {
                    Ok(Ok(verdict)) => verdict,
                    Ok(Err(_)) => std::future::pending().await,
                    Err(_) => verdict_of(Outcome::Unknown(Reason::Deadline)),
                },
            }
        })
    }

    fn has_room(&self, _: u64) -> bool {
        self.router.room.load(Ordering::SeqCst)
    }
}

fn verdict_of(outcome: Outcome) -> Verdict {
    verdict(outcome)
}

/// HTTP opens no stream lane.
pub struct NoLanes;

impl LanesBackend for NoLanes {
    fn open(&mut self, _: LaneSpec) -> LaneId {
        unreachable!("HTTP opens no stream lane")
    }
    fn credit(&self, _: LaneId) -> Credit {
        Credit { events: 0, bytes: 0 }
    }
    fn deliver(&mut self, _: LaneId, _: &mut Vec<Incoming>) -> u64 {
        unreachable!("HTTP opens no stream lane")
    }
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<(LaneId, LaneEvent)> {
        Poll::Pending
    }
    fn unsettled(&self) -> u64 {
        0
    }
    fn close(&mut self, _: LaneId) {}
}

/// Keeps the last health, so that a test can wait for one.
pub struct Health1(pub watch::Sender<Health>, pub Mutex<Vec<String>>);

impl Health1 {
    pub fn new() -> (Arc<Health1>, watch::Receiver<Health>) {
        let (sender, receiver) = watch::channel(Health::Starting);
        (Arc::new(Health1(sender, Mutex::default())), receiver)
    }
}

impl Report for Health1 {
    fn health(&self, health: Health) {
        self.0.send_replace(health);
    }
    fn lag(&self, _: Option<u64>) {}
    fn dropped(&self, _: &'static str, _: u64) {}
    fn warn(&self, line: String) {
        self.1.lock().unwrap().push(line);
    }
}

/// A running ingress.
pub struct Server {
    pub address: String,
    pub router: Arc<Router>,
    pub health: watch::Receiver<Health>,
    pub report: Arc<Health1>,
    pub running: JoinHandle<Result<(), IngressError>>,
    stop: StopHandle,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// How a test wants its ingress.
pub struct Setup {
    pub section: Json,
    pub accept: Option<Accept>,
    pub event: Option<Json>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            section: serde_json::json!({}),
            accept: None,
            event: None,
        }
    }
}

impl Server {
    /// Starts one and waits until it listens.
    pub async fn start(section: Json, router: Arc<Router>) -> Server {
        Server::with(
            Setup {
                section,
                ..Setup::default()
            },
            router,
        )
        .await
    }

    pub async fn with(setup: Setup, router: Arc<Router>) -> Server {
        let mut server = Server::unready(setup, router);
        soon(server.health.wait_for(|health| *health == Health::Ready))
            .await
            .unwrap();
        server
    }

    pub fn unready(setup: Setup, router: Arc<Router>) -> Server {
        let mut section = setup.section;
        let address = format!("127.0.0.1:{}", free_port());
        let keys = section.as_object_mut().unwrap();
        keys.entry("listen").or_insert_with(|| address.clone().into());
        keys.entry("workers").or_insert(1.into());
        let address = keys["listen"].as_str().unwrap().to_owned();
        let settings = IngressSettings {
            accept: setup.accept,
            event: setup.event.map(node),
            ..ingress_settings()
        };
        let builder = Http.ingress(&node(section), &settings).unwrap().unwrap();
        let ingress = builder.build().unwrap();
        let (stop, stopping) = StopHandle::new();
        let (report, health) = Health1::new();
        let cx = context(&router, stopping, report.clone());
        let running = tokio::spawn(ingress.run(cx));
        Server {
            address,
            router,
            health,
            report,
            running,
            stop,
        }
    }

    pub fn advance(&self, phase: Phase) {
        self.stop.advance(phase);
    }

    /// Stops it and waits until it has.
    pub async fn stop(self) {
        self.stop.advance(Phase::Stopped);
        soon(self.running).await.unwrap().unwrap();
    }
}

fn context(router: &Arc<Router>, stop: Stop, report: Arc<Health1>) -> IngressContext {
    IngressContext {
        name: "app".into(),
        lanes: Lanes::new(Box::new(NoLanes)),
        requests: RequestLanes::new(Arc::new(Opener(router.clone()))),
        stop,
        report,
    }
}
