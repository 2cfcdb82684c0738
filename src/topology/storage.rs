//! The store of a router: its logs, and the task of each.
//!
//! Owns: the directory while the process lives, what is open in it, and in which wiring each log delivers. Invariants
//! - A log is open before anything can come to it, and everything that was acknowledged is on the disk before the process
//!   ends (C24, C28).
//! - A log that no file asks for any more goes on until it is empty; nothing that it holds is forgotten.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use weft_api::outcome::Reason;
use weft_store::{Log, OpenError, Settings, Store};

use super::StartError;
use super::build::{KEPT, kept};
use super::desk::Desk;
use super::spec::{LogSpec, Spec, StoreSpec, WhenFull};
use crate::delivery::breaker::backoff;
use crate::delivery::destination::Destination;
use crate::delivery::leg::Leg;
use crate::delivery::origin::Port;
use crate::delivery::stored::clock::WallClock;
use crate::delivery::stored::lane::{LogLane, Order, Window};
use crate::delivery::stored::{Clerk, DurableQueue, Kind, LogRules, letters};
use crate::delivery::wiring::Wiring;
use crate::metrics::Metrics;
use asked::{asked, places, rules, settings};
use ground::Driving;
pub use ground::{DiskWork, Ground};
pub use view::StoreView;

mod asked;
mod ground;
mod orphans;
#[cfg(feature = "crash-points")]
mod points;
mod view;

/// How many records a log's lane may have under way: what a crash repeats at most.
const WINDOW: u64 = 2048;
/// What the events of all lanes of logs together may take beside the budget, as a part of it; and of one at least and most.
const BUDGET_PART: u64 = 8;
const WINDOW_BYTES: std::ops::RangeInclusive<u64> = 256 * 1024..=8 * 1024 * 1024;
/// What legs that a log holds may take beyond all bounds, so that logs give way to each other.
const RESERVE: u64 = 64 * 1024 * 1024;
/// How long the disk may take at the end of the process.
const CLOSE_MAX: Duration = Duration::from_secs(10);
/// How long a lane whose task panicked rests, the first time and at most: each time it repeats what was under way.
const AFTER_PANIC: Duration = Duration::from_secs(1);
const AFTER_PANIC_MAX: Duration = Duration::from_secs(60);
/// How the logs of destinations and groups are called on the disk, those of ingresses, and that of the dead letters.
const OF_DESTINATION: &str = "d.";
const OF_INGRESS: &str = "i.";
const DEAD: &str = "dead";

/// See the module.
pub(crate) struct Storage {
    store: Arc<Store<Leg>>,
    work: DiskWork,
    /// Takes the rounds of a store without threads.
    driving: Option<Driving>,
    spec: StoreSpec,
    clerk: Arc<Clerk>,
    clock: Arc<WallClock>,
    metrics: Arc<Metrics>,
    logs: BTreeMap<Arc<str>, Open>,
    /// The destinations and groups of the file in force.
    places: HashSet<Arc<str>>,
    desk: Arc<Desk>,
    /// Directories and logs that are nobody's, and of which an operator has heard.
    strangers: HashSet<String>,
}

struct Open {
    queue: Arc<DurableQueue>,
    /// Once it is in a wiring.
    running: Option<Running>,
}

struct Running {
    orders: watch::Sender<Order>,
    wiring: Arc<ArcSwap<Wiring>>,
    task: JoinHandle<()>,
}

/// A log whose place goes.
pub(crate) struct Parting {
    pub(crate) name: Arc<str>,
    pub(crate) pending: u64,
    /// It goes now.
    pub(crate) is_news: bool,
}

/// A log and the wiring through which it delivers.
pub(crate) struct Delivering {
    queue: Arc<DurableQueue>,
    wiring: Arc<ArcSwap<Wiring>>,
}

impl Delivering {
    /// Whether what is in the log may still come to this destination: below the log, around it in the plan that led there,
    /// or as a dead letter of any route. All of these are in the wiring, and few that are not.
    pub(crate) fn may_come_to(&self, destination: &Arc<Destination>) -> bool {
        let wiring = self.wiring.load();
        let mut known = wiring.destinations.iter();
        self.queue.pending() > 0 && known.any(|known| Arc::ptr_eq(known, destination))
    }
}

impl Storage {
    /// Opens the store that `spec` asks for, with its logs; they have recovered when this returns. Waits for the disk.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(crate) fn open_on(
        ground: Ground,
        spec: &Spec,
        metrics: &Arc<Metrics>,
        desk: &Arc<Desk>,
    ) -> Result<Option<Storage>, StartError> {
        let Some(store) = &spec.store else { return Ok(None) };
        let settings = Settings {
            path: store.path.clone(),
            max_bytes: store.max_bytes,
            reserve: RESERVE,
            keep_free: store.keep_free,
            sync: store.sync,
        };
        let clerk = Arc::new(Clerk::default());
        let keeper = Arc::clone(&clerk) as Arc<dyn weft_store::Keeper<Leg>>;
        let Ground { disk, work } = ground;
        let clock = Arc::new(WallClock::of(Arc::clone(&disk)));
        let (machine, began) = (Arc::clone(&disk), disk.now());
        let opened = match work {
            DiskWork::Threads => Store::open(disk, settings, &[], keeper).map(|store| (store, None)),
            DiskWork::Tasks { round } => Store::open_driven(disk, settings, &[], keeper)
                .map(|(store, driver)| (store, Some(Driving::start(driver, round)))),
        };
        let (opened, driving) = opened.map_err(|error| not_opened(&error))?;
        let opened = Arc::new(opened);
        desk.opened(&opened);
        let mut storage = Storage {
            desk: Arc::clone(desk),
            store: opened,
            work,
            driving,
            spec: store.clone(),
            clerk,
            clock,
            metrics: Arc::clone(metrics),
            logs: BTreeMap::new(),
            strangers: HashSet::new(),
            places: HashSet::new(),
        };
        storage.prepare(spec).map_err(|error| not_opened(&error))?;
        storage.tell_what_was_found(machine.now().saturating_duration_since(began));
        Ok(Some(storage))
    }

    /// Opens the logs that `spec` asks for and that are not open, and those that are left of what is still in the file.
    /// Changes nothing of those that are open. Waits for the disk.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(crate) fn prepare(&mut self, spec: &Spec) -> Result<(), OpenError> {
        for (name, kind, log) in asked(spec) {
            if !self.logs.contains_key(&name) {
                self.open_log(&name, kind, &log)?;
            }
        }
        for file in self.store.unopened()? {
            if let Some(ingress) = file.strip_prefix(OF_INGRESS) {
                self.open_log(&kept(ingress), Kind::Kept, &self.ending())?;
                continue;
            }
            let name = file.strip_prefix(OF_DESTINATION).unwrap_or(&file);
            match places(spec).find(|known| ***known == *name) {
                Some(name) => self.open_log(name, Kind::Backlog, &self.ending())?,
                // What is left of one that was drained.
                None if self.store.is_empty(&file).unwrap_or(false) => {}
                None => self.open_orphan(&file)?,
            }
        }
        Ok(())
    }

    /// From now on the logs are what `spec` says of them; those that it does not ask for only until they are empty.
    fn configure(&self, spec: &Spec) {
        let asked: HashMap<_, _> = asked(spec)
            .into_iter()
            .map(|(name, _, log)| (name, log))
            .collect();
        let there: HashSet<_> = places(spec).collect();
        for (name, open) in &self.logs {
            // Whoever was delivered from goes on until nothing is left.
            let is_orphan =
                open.queue.kind == Kind::Backlog && open.running.is_none() && !there.contains(name);
            open.queue.set_orphan(is_orphan);
            if is_orphan {
                continue;
            }
            let log = asked.get(name).cloned().unwrap_or_else(|| self.ending());
            open.queue.configure(rules(&log));
            open.queue.log.configure(settings(open.queue.kind, &log));
        }
    }

    fn open_log(&mut self, name: &Arc<str>, kind: Kind, spec: &LogSpec) -> Result<(), OpenError> {
        let file = match kind {
            Kind::Backlog => format!("{OF_DESTINATION}{name}"),
            Kind::Kept => format!("{OF_INGRESS}{}", name.trim_start_matches(KEPT)),
            Kind::DeadLetters => DEAD.to_owned(),
        };
        let log = self.store.log(&file, settings(kind, spec))?;
        self.add(name, kind, log, rules(spec));
        Ok(())
    }

    fn add(&mut self, name: &Arc<str>, kind: Kind, log: Arc<Log<Leg>>, rules: LogRules) {
        let metrics = self.metrics.log(name);
        let queue = DurableQueue::new(
            Arc::clone(name),
            kind,
            log,
            rules,
            metrics,
            (Arc::clone(&self.clock), self.work),
        );
        self.clerk.add(&queue);
        self.desk.add(&queue);
        self.logs.insert(Arc::clone(name), Open { queue, running: None });
    }

    /// What holds for a log that the file does not ask for: it keeps what it has until that is delivered.
    fn ending(&self) -> LogSpec {
        LogSpec {
            max_bytes: self.spec.max_bytes,
            max_age: None,
            retain: None,
            when_full: WhenFull::Block,
        }
    }

    /// Whether a reload to `spec` can be, with `storage` open now.
    ///
    /// # Errors
    /// One line for an operator.
    pub(crate) fn check(storage: Option<&Storage>, spec: &Spec) -> Result<(), String> {
        let fixed = |spec: &StoreSpec| (spec.path.clone(), spec.max_bytes, spec.keep_free, spec.sync);
        let now = storage.map(|storage| fixed(&storage.spec));
        if now == spec.store.as_ref().map(fixed) {
            return Ok(());
        }
        let what = "store: its path, max_bytes, keep_free and sync, and whether there is one, change at a restart only";
        Err(what.to_owned())
    }

    /// The logs, by the names of their places.
    pub(crate) fn living(&self) -> HashMap<Arc<str>, Arc<DurableQueue>> {
        let logs = self.logs.iter();
        logs.map(|(name, open)| (Arc::clone(name), Arc::clone(&open.queue)))
            .collect()
    }

    /// The log of a destination or group.
    pub(crate) fn queue(&self, name: &str) -> Option<&Arc<DurableQueue>> {
        self.logs.get(name).map(|open| &open.queue)
    }

    /// Reads a log from its front. `open_only`: without what is settled and still there.
    #[cfg(test)]
    pub(crate) fn reader(&self, queue: &Arc<DurableQueue>, open_only: bool) -> weft_store::Reader<Leg> {
        self.store.reader(&queue.log, open_only)
    }

    /// All of them.
    pub(crate) fn queues(&self) -> Vec<Arc<DurableQueue>> {
        self.logs.values().map(|open| Arc::clone(&open.queue)).collect()
    }

    /// From now on logs are as `spec` says, and deliver through `wiring`; one that it does not have goes on through the one
    /// before.
    pub(crate) fn adopt(&mut self, wiring: &Arc<Wiring>, spec: &Spec) {
        self.configure(spec);
        self.places = places(spec).cloned().collect();
        let each = spec.budget / BUDGET_PART / self.logs.len().max(1) as u64;
        let window = Window {
            records: WINDOW,
            bytes: each.clamp(*WINDOW_BYTES.start(), *WINDOW_BYTES.end()),
        };
        for open in self.logs.values_mut() {
            if wiring.log_of(&open.queue).is_none() {
                continue;
            }
            match &open.running {
                Some(running) => {
                    running.wiring.store(Arc::clone(wiring));
                    running.orders.send_replace(Order::Run);
                }
                None => {
                    let current = Arc::new(ArcSwap::from(Arc::clone(wiring)));
                    let (orders, heard) = watch::channel(Order::Run);
                    let queue = Arc::clone(&open.queue);
                    let task = match queue.kind {
                        Kind::Backlog => {
                            let port = Port::of_log(Arc::clone(&queue.name), Arc::clone(&queue.metrics.lane));
                            let lane = Lane {
                                store: Arc::clone(&self.store),
                                queue,
                                port: Arc::new(port),
                                wiring: Arc::clone(&current),
                                window,
                            };
                            tokio::spawn(lane.run(heard))
                        }
                        Kind::DeadLetters | Kind::Kept => {
                            let reader = self.store.reader(&queue.log, true);
                            tokio::spawn(letters::keep(queue, reader, heard))
                        }
                    };
                    open.running = Some(Running {
                        orders,
                        wiring: current,
                        task,
                    });
                }
            }
        }
    }

    /// Logs with something in them whose places `spec` does not have, how much that is, and whether their places are in the file
    /// in force: of the others it was said before what shall become of them.
    pub(crate) fn leaving(&self, spec: &Spec) -> Vec<Parting> {
        let there: HashSet<_> = places(spec).collect();
        let gone = self
            .logs
            .iter()
            .filter(|(name, open)| open.queue.kind == Kind::Backlog && !there.contains(name))
            .filter(|(_, open)| !open.queue.is_orphan());
        let leaving = gone.map(|(name, open)| Parting {
            name: Arc::clone(name),
            pending: open.queue.pending(),
            is_news: self.places.contains(name),
        });
        leaving.filter(|log| log.pending > 0).collect()
    }

    /// Drops and counts what is in a log.
    pub(crate) fn purge(&self, name: &str) {
        if let Some(running) = self.logs.get(name).and_then(|open| open.running.as_ref()) {
            running.orders.send_replace(Order::Purge);
        }
    }

    /// The logs, each with the wiring through which it delivers.
    pub(crate) fn delivering(&self) -> Vec<Delivering> {
        let running = self.logs.values().filter_map(|open| {
            let running = open.running.as_ref()?;
            Some(Delivering {
                queue: Arc::clone(&open.queue),
                wiring: Arc::clone(&running.wiring),
            })
        });
        running.collect()
    }

    /// Reads nothing more out of the logs, and gives back what waits for room in them.
    pub(crate) fn drain(&self) {
        for open in self.logs.values() {
            if let Some(running) = &open.running {
                running.orders.send_replace(Order::Drain);
            }
            open.queue.give_back(Reason::Stopping);
        }
    }

    /// Ends everything: what came back is acknowledged, and all of it on the disk when this returns, unless the disk does
    /// not answer.
    pub(crate) async fn stop(self) {
        for open in self.logs.into_values() {
            open.queue.give_back(Reason::Stopping);
            if let Some(mut running) = open.running {
                running.orders.send_replace(Order::Stop);
                // A lane that panicked has said so itself.
                let _ = (&mut running.task).await;
            }
        }
        let store = self.store;
        let closed = self.work.run(move || store.close(CLOSE_MAX)).await;
        if let Some(mut driving) = self.driving {
            // Told to close, it takes its last turn. A panic of it is told where it happens.
            let _ = (&mut driving.0).await;
        }
        if !matches!(closed, Ok(true)) {
            tracing::error!("the store did not close in time: the next start looks through it");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whose turn it is where a store is not opened.
fn not_opened(error: &OpenError) -> StartError {
    let line = error.to_string();
    match error {
        OpenError::Locked(_) => StartError::Taken(line),
        error if error.is_of_path() => StartError::Wrong(line),
        _ => StartError::Failed(line),
    }
}

/// What the lane of a log is made of; made anew when it panics.
struct Lane {
    store: Arc<Store<Leg>>,
    queue: Arc<DurableQueue>,
    port: Arc<Port>,
    wiring: Arc<ArcSwap<Wiring>>,
    window: Window,
}

impl Lane {
    async fn run(self, orders: watch::Receiver<Order>) {
        for panics in 0.. {
            let reader = self.store.reader(&self.queue.log, true);
            let (queue, wiring) = (Arc::clone(&self.queue), Arc::clone(&self.wiring));
            let lane = LogLane::new(queue, &self.port, reader, wiring, self.window);
            // Ends with this task.
            let mut task = JoinSet::new();
            task.spawn(lane.run(orders.clone()));
            let ended = task.join_next().await;
            // What it had under way is nobody's now.
            for destination in &self.wiring.load().destinations {
                destination.sweep_stale();
            }
            if matches!(ended, None | Some(Ok(()))) {
                return;
            }
            tracing::error!(log = %self.queue.name, "the lane of a log panicked, which is a fault of Weft: it starts again");
            tokio::time::sleep(backoff(AFTER_PANIC, AFTER_PANIC_MAX, panics, 1.0)).await;
        }
    }
}
