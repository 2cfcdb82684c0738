//! Runs a case through the router's own topology under a paused clock, between feeds and sinks in memory, and writes
//! down what only the one who runs the router knows: which table was in force when, what was built, what a stop left.
//!
//! Must not know: what is right.

mod machine;
mod router;
mod spec;
mod store;
mod tell;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use weft::delivery::destination::Destination;
use weft::metrics::{DestinationMetrics, IngressMetrics};
use weft::topology::budget::Budget;
use weft_api::ingress::Incoming;
use weft_inproc::{Act, Feed, Hub, Policy, Sink, Stamp};

use crate::case::{Case, Fault, HEALED};
use router::Router;
pub(crate) use router::{Installed, Reloaded, Stopped};
pub(crate) use store::{Glimpse, Kept, Killed, Ran};

/// How long after the healing everything must have drained. Long: an event may have waited for a backed-off breaker
/// behind a full queue more than once.
const DRAIN: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(500);
/// Until what a sink was told to answer has been answered.
const LET_GO: Duration = Duration::from_millis(10);

/// What is left of a run.
pub(crate) struct World {
    pub(crate) feeds: Vec<Feed>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) log: Log,
    /// What was wrong with the bounds while the case ran.
    pub(crate) overruns: Vec<String>,
    /// Everything that should have drained and did not.
    pub(crate) stuck: Vec<String>,
}

/// What the one who runs the router wrote down.
#[derive(Default)]
pub(crate) struct Log {
    /// Every table that was in force, from when on.
    pub(crate) tables: Vec<Installed>,
    pub(crate) reloads: Vec<Reloaded>,
    pub(crate) stops: Vec<Stopped>,
    /// When an ingress was built, and for which setup.
    pub(crate) built: Arc<Mutex<Vec<(usize, Stamp)>>>,
    /// When everything was told to heal.
    pub(crate) healed: Option<Stamp>,
    /// Every destination that ever was, with its place.
    pub(crate) destinations: Vec<(usize, Arc<Destination>)>,
    pub(crate) ingress_metrics: Vec<(usize, Arc<IngressMetrics>)>,
    pub(crate) budgets: Vec<Arc<Budget>>,
    pub(crate) kills: Vec<Killed>,
    /// Destinations and ingresses of lives that were killed: what they had is nobody's.
    pub(crate) gone: Vec<(usize, Arc<Destination>)>,
    pub(crate) lost: Vec<(usize, Arc<IngressMetrics>)>,
    /// Every log that ever was.
    pub(crate) kept: Vec<Kept>,
    pub(crate) glimpses: Vec<Glimpse>,
    pub(crate) jobs: Vec<Ran>,
    /// How many calls of a disk were to fail.
    pub(crate) disk_faults: u32,
}

impl Log {
    /// The table in force at this place in the order of things: its place in `tables`.
    pub(crate) fn table_at(&self, order: u64) -> usize {
        let later = self.tables.partition_point(|table| table.since.order <= order);
        later.saturating_sub(1)
    }

    /// Some call of a disk failed by script.
    pub(crate) fn disk_failed(&self) -> bool {
        self.disk_faults > 0
    }

    pub(crate) fn destination_metrics(&self, at: usize) -> Vec<Arc<DestinationMetrics>> {
        let mut found: Vec<Arc<DestinationMetrics>> = Vec::new();
        let all = self.destinations.iter().chain(&self.gone);
        for (_, destination) in all.filter(|(number, _)| *number == at) {
            if !found.iter().any(|known| Arc::ptr_eq(known, &destination.metrics)) {
                found.push(Arc::clone(&destination.metrics));
            }
        }
        found
    }
}

/// Runs the case to its end.
pub(crate) async fn run(case: &Case) -> World {
    // What the store numbers its logs by.
    fastrand::seed(case.seed);
    let hub = Hub::new();
    let feeds: Vec<Feed> = (0..case.setups[0].ingresses.len())
        .map(|number| hub.feed(&format!("i{number}")))
        .collect();
    let sinks: Vec<Sink> = (0..case.sinks.len())
        .map(|number| hub.sink(&format!("d{number}")))
        .collect();
    for (number, sink) in sinks.iter().enumerate() {
        sink.answer_with(Policy::seeded(case.seed ^ number as u64, case.sinks[number]));
        if case.destination(number).any(|it| !it.keyed) {
            sink.without_order();
        }
    }
    let overruns = Arc::new(Mutex::new(BTreeMap::new()));
    let mut router = Router::start(case, hub.clone());
    let watch = watch::watch(case, router.seen(), Arc::clone(&overruns));
    let start = Instant::now();
    let load = feed_all(case, &feeds, start);
    let ((), ()) = tokio::join!(load, befall_all(case, &feeds, &sinks, &mut router, start));
    sleep_until(start + HEALED).await;
    router.mend(&sinks, &feeds).await;
    let mut stuck = drain(case, &feeds, &router).await;
    if case.store.is_some() {
        router.last_order().await;
        stuck.extend(drain(case, &feeds, &router).await);
        router.glimpse().await;
    }
    let log = router.end(&sinks).await;
    watch.abort();
    let overruns = overruns.lock().expect("nobody panics with it");
    let overruns = overruns.values().cloned().collect();
    World {
        feeds,
        sinks,
        log,
        overruns,
        stuck,
    }
}

async fn feed_all(case: &Case, feeds: &[Feed], start: Instant) {
    for load in &case.load {
        sleep_until(start + load.at).await;
        let incoming = Incoming {
            event: load.event.clone(),
            malformed: load.malformed,
        };
        feeds[load.ingress].push(load.lane, incoming);
    }
}

async fn befall_all(case: &Case, feeds: &[Feed], sinks: &[Sink], router: &mut Router<'_>, start: Instant) {
    for trouble in &case.trouble {
        sleep_until(start + trouble.at).await;
        match &trouble.fault {
            Fault::Revoke(ingress, lane) => feeds[*ingress].revoke(*lane),
            Fault::Assign(ingress, lane) => feeds[*ingress].assign(*lane),
            Fault::RevokeAll(ingress) => {
                (0..case.kind(*ingress).lanes).for_each(|lane| feeds[*ingress].revoke(lane));
            }
            Fault::AssignSome(ingress, lanes) => lanes.iter().for_each(|lane| feeds[*ingress].assign(*lane)),
            Fault::CrashIngress(ingress, how) => feeds[*ingress].crash(*how),
            Fault::HangUps(ingress, patience) => feeds[*ingress].hang_up_after(*patience),
            Fault::LoseAcks(ingress, lose) => feeds[*ingress].lose_acks(*lose),
            Fault::Outage(sink, answer) => sinks[*sink].answer_with(Policy::always(*answer)),
            Fault::Recover(sink) => {
                sinks[*sink].answer_with(Policy::seeded(case.seed ^ 77, case.sinks[*sink]));
                sinks[*sink].let_go(Act::Accept);
            }
            Fault::Reload(reload) => router.reload(reload).await,
            Fault::Restart { drain, pause } => router.restart(*drain, *pause).await,
            Fault::Kill { .. } | Fault::Disk(..) | Fault::FullDisk(_) | Fault::Damage(_) | Fault::Desk(_) => {
                router.befall(&trouble.fault).await;
            }
        }
    }
}

/// Waits for every feed and every queue.
async fn drain(case: &Case, feeds: &[Feed], router: &Router<'_>) -> Vec<String> {
    let settled = async {
        for feed in feeds {
            feed.settled().await;
        }
        while router.pending() + router.stored() > 0 {
            sleep(POLL).await;
        }
    };
    match timeout(DRAIN, settled).await {
        Ok(()) => Vec::new(),
        Err(_) => tell::what_is_stuck(case, feeds, router),
    }
}
