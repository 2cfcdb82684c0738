//! The desk at which operators look through the logs, and have letters sent again.
//!
//! Owns: the one job that may run, and how many may look at once. Looking takes nothing out of a log and holds nobody up;
//! a job does not outlive the process, the letters do.
//!
//! Does not know: HTTP, what an operator types.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use weft_store::Store;

use crate::delivery::leg::Leg;
use crate::delivery::origin::Port;
use crate::delivery::stored::replay::Replay;
pub use crate::delivery::stored::replay::job::{Job, Order, Progress, State, Work};
pub use crate::delivery::stored::replay::letter::{Letter, Selection};
pub use crate::delivery::stored::replay::scan::{Found, Look, Scan};
pub use crate::delivery::stored::replay::way::Way;
use crate::delivery::stored::replay::way::{destination, owed, place};
use crate::delivery::stored::{DurableQueue, Kind};
use crate::delivery::wiring::Wiring;
use crate::metrics::Metrics;

/// How many may look through logs at the same time; others wait.
const LOOKS_MAX: usize = 2;
/// How long a job may take to end at the end of the process.
const STOP_MAX: Duration = Duration::from_secs(10);
/// In whose books the ends of what a log kept, and is sent again, are counted. No ingress can have this name.
pub const REPLAY: &str = "weft:replay";

/// Why the desk does not do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// What was asked for cannot be: what to write instead.
    Wrong(String),
    /// There is no such thing.
    Unknown(String),
    /// Another job is at work, or the router stops: later.
    Busy(String),
    /// The disk.
    Failed(String),
}

/// See the module.
pub struct Desk {
    store: Arc<Store<Leg>>,
    metrics: Arc<Metrics>,
    queues: RwLock<BTreeMap<Arc<str>, Arc<DurableQueue>>>,
    wiring: Arc<ArcSwapOption<Wiring>>,
    ingresses: RwLock<BTreeMap<Arc<str>, u16>>,
    looks: Arc<Semaphore>,
    jobs: Mutex<Jobs>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Jobs {
    count: u64,
    last: Option<Arc<Job>>,
    task: Option<JoinHandle<()>>,
}

impl Desk {
    pub(super) fn new(store: Arc<Store<Leg>>, metrics: Arc<Metrics>) -> Arc<Desk> {
        Arc::new(Desk {
            store,
            metrics,
            queues: RwLock::default(),
            wiring: Arc::new(ArcSwapOption::empty()),
            ingresses: RwLock::default(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            jobs: Mutex::default(),
            stop: watch::channel(false).0,
        })
    }

    pub(super) fn add(&self, queue: &Arc<DurableQueue>) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.insert(Arc::clone(&queue.name), Arc::clone(queue));
    }

    /// From now on letters go through this wiring.
    pub(super) fn adopt(&self, wiring: &Arc<Wiring>) {
        self.wiring.store(Some(Arc::clone(wiring)));
    }

    /// The ingresses of the file, with their numbers.
    pub(super) fn know(&self, ingresses: &BTreeMap<Arc<str>, u16>) {
        ingresses.clone_into(&mut self.ingresses.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks through a log for what is meant, from the sequence `from` on.
    ///
    /// # Errors
    /// There is no such log, or the disk does not answer.
    pub async fn look(
        &self,
        log: &str,
        selection: Selection,
        from: u64,
        look: Look,
    ) -> Result<Found, Refused> {
        self.each(log, selection, from, move |scan| scan.next(look)).await
    }

    /// The same with a scan in hand, which may be asked more than once. `each` may wait for the disk.
    ///
    /// # Errors
    /// The same.
    pub async fn each<T: Send + 'static>(
        &self,
        log: &str,
        selection: Selection,
        from: u64,
        each: impl FnOnce(&mut Scan) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Refused> {
        let mut scan = self.scan(log, selection, from)?;
        let turn = Arc::clone(&self.looks).acquire_owned().await;
        let work = self.queue(log)?.work;
        let looked = work.run(move || {
            let result = each(&mut scan);
            drop(turn);
            result
        });
        match looked.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(Refused::Failed(format!("reading the log: {error}"))),
            Err(_) => Err(Refused::Failed(
                "looking through the log panicked, which is a fault of Weft".to_owned(),
            )),
        }
    }

    /// Where a letter would go now, by names.
    ///
    /// # Errors
    /// It would stay: why, and what to do.
    pub fn would(&self, letter: &Letter, way: &Way) -> Result<Vec<String>, String> {
        let wiring = self
            .wiring
            .load_full()
            .ok_or_else(|| "the router starts".to_owned())?;
        let legs = owed(letter, way, &wiring, Instant::now())?;
        Ok(legs.iter().map(|leg| place(&wiring, leg.node)).collect())
    }

    /// The way to this destination or group.
    ///
    /// # Errors
    /// There is none.
    pub fn destination(&self, name: &str) -> Result<Box<str>, Refused> {
        let wiring = self.wiring.load_full();
        match wiring.and_then(|wiring| destination(&wiring.table, name)) {
            Some(_) => Ok(name.into()),
            None => Err(Refused::Wrong(format!(
                "no destination is named {name:?} in the file"
            ))),
        }
    }

    /// The way of all routes, as from this ingress; it need not be named where there is one only.
    ///
    /// # Errors
    /// There is no such ingress, or several.
    pub fn all_routes(&self, ingress: Option<&str>) -> Result<Way, Refused> {
        let known = self.ingresses.read().unwrap_or_else(PoisonError::into_inner);
        let names = || known.keys().map(|name| &**name).collect::<Vec<_>>().join(" ");
        match ingress {
            Some(name) => match known.get(name) {
                Some(number) => Ok(Way::AllRoutes(*number)),
                None => Err(Refused::Wrong(format!(
                    "no ingress is named {name:?}; here are: {}",
                    names()
                ))),
            },
            None => match known.values().next() {
                Some(only) if known.len() == 1 => Ok(Way::AllRoutes(*only)),
                _ => Err(Refused::Wrong(format!(
                    "routes look at the ingress, and a letter does not say which it came by: name one of {}",
                    names()
                ))),
            },
        }
    }

    /// Starts a job.
    ///
    /// # Errors
    /// There is no such log, another job is at work, or the router stops.
    pub fn start(&self, log: &str, order: Order) -> Result<Arc<Job>, Refused> {
        let mut jobs = self.jobs();
        if *self.stop.borrow() {
            return Err(Refused::Busy("the router stops".to_owned()));
        }
        let at_work = |task: &JoinHandle<()>| !task.is_finished();
        if jobs.task.as_ref().is_some_and(at_work) {
            return Err(Refused::Busy(format!(
                "job {} is at work: wait for its end, or cancel it",
                jobs.count
            )));
        }
        let scan = self.scan(log, order.selection.clone(), 0)?;
        let queue = self.queue(log)?;
        let metrics = match order.work {
            Work::Again(_) => self.metrics.ingress(REPLAY),
            Work::Replay(_) | Work::Purge => Arc::clone(&queue.metrics.lane),
        };
        jobs.count += 1;
        let job = Job::new(jobs.count, Arc::clone(&queue.name), order);
        tracing::info!(job = job.id, log, order = ?job.order, "job begins");
        let port = Arc::new(Port::of_replay(Arc::clone(&queue.name), metrics));
        let replay = Replay::new(Arc::clone(&job), queue, scan, &port, Arc::clone(&self.wiring));
        let (told, stop) = (Arc::clone(&job), self.stop.subscribe());
        jobs.task = Some(tokio::spawn(async move {
            replay.run(stop).await;
            tracing::info!(job = told.id, progress = ?told.progress(), "job ended");
        }));
        jobs.last = Some(Arc::clone(&job));
        Ok(job)
    }

    /// The job that runs, else the last one.
    #[must_use]
    pub fn job(&self) -> Option<Arc<Job>> {
        self.jobs().last.clone()
    }

    /// Nothing more is begun, and nothing more is sent.
    pub(super) fn drain(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the job has ended.
    pub(super) async fn stop(&self) {
        self.drain();
        let task = self.jobs().task.take();
        if let Some(mut task) = task
            && tokio::time::timeout(STOP_MAX, &mut task).await.is_err()
        {
            task.abort();
        }
    }

    fn scan(&self, log: &str, selection: Selection, from: u64) -> Result<Scan, Refused> {
        let queue = self.queue(log)?;
        // What is acknowledged is of interest only where it is kept on purpose.
        let reader = self.store.reader(&queue.log, queue.kind == Kind::DeadLetters);
        Ok(Scan::new(queue, reader, selection, from))
    }

    fn queue(&self, log: &str) -> Result<Arc<DurableQueue>, Refused> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(log).cloned().ok_or_else(|| {
            let names: Vec<&str> = queues.keys().map(|name| &**name).collect();
            Refused::Unknown(format!("no log is named {log:?}; here are: {}", names.join(" ")))
        })
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
