//! The desk at which operators look through dead letters and through what logs kept, and have them sent again.
//!
//! Owns: the one job that may run, and how many may look at once. Looking takes nothing out and holds nobody up; a job does
//! not outlive the process, the letters do. Letters lie in a log of this router's store, or at a destination that holds
//! what it was sent ([`In`]); the desk is there with a store and without.
//!
//! Does not know: HTTP, what an operator types.

mod places;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use weft_api::browse::Browse;
use weft_store::Store;

use super::spec::{LOCAL, Spec};
use crate::delivery::leg::Leg;
use crate::delivery::origin::Port;
use crate::delivery::stored::replay::Replay;
use crate::delivery::stored::replay::hunt;
pub use crate::delivery::stored::replay::job::{Elsewhere, Job, Order, Progress, State, Work};
pub use crate::delivery::stored::replay::letter::{FOREIGN, Letter, Selection};
use crate::delivery::stored::replay::pile::Pile;
pub use crate::delivery::stored::replay::scan::{Found, Look, Scan};
pub use crate::delivery::stored::replay::way::Way;
use crate::delivery::stored::replay::way::{destination, owed, place};
use crate::delivery::stored::{DurableQueue, Kind};
use crate::delivery::wiring::Wiring;
use crate::metrics::Metrics;
use places::Places;

/// How many may look at the same time; others wait.
const LOOKS_MAX: usize = 2;
/// How long one look at what a destination holds may take, its turn included.
const LOOK_TIME: Duration = Duration::from_secs(30);
/// How long a job may take to end at the end of the process.
const STOP_MAX: Duration = Duration::from_secs(10);
/// In whose books the ends are counted of what was sent again and lies in no log from which it could leave: what a log kept,
/// and what a destination holds. No ingress can have this name.
pub const REPLAY: &str = "weft:replay";

/// Where letters lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum In<'a> {
    /// In a log of this router's store.
    Log(&'a str),
    /// At this destination.
    Destination(&'a str),
}

/// Why the desk does not do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// What was asked for cannot be: what to write instead.
    Wrong(String),
    /// There is no such thing.
    Unknown(String),
    /// Another job is at work, or the router stops: later.
    Busy(String),
    /// The disk, or the remote.
    Failed(String),
}

/// See the module.
pub struct Desk {
    /// Empty where there is none.
    store: OnceLock<Arc<Store<Leg>>>,
    metrics: Arc<Metrics>,
    queues: RwLock<BTreeMap<Arc<str>, Arc<DurableQueue>>>,
    places: RwLock<Places>,
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
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Desk> {
        Arc::new(Desk {
            store: OnceLock::new(),
            metrics,
            queues: RwLock::default(),
            places: RwLock::default(),
            wiring: Arc::new(ArcSwapOption::empty()),
            ingresses: RwLock::default(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
            jobs: Mutex::default(),
            stop: watch::channel(false).0,
        })
    }

    /// The store is open; once in the life of the process.
    pub(super) fn opened(&self, store: &Arc<Store<Leg>>) {
        self.store.get_or_init(|| Arc::clone(store));
    }

    pub(super) fn add(&self, queue: &Arc<DurableQueue>) {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.insert(Arc::clone(&queue.name), Arc::clone(queue));
    }

    /// From now on letters go through this wiring, and lie at the destinations of `spec`. A job at work goes on where it
    /// began. `numbers`: the ingresses of the file.
    pub(crate) fn adopt(&self, wiring: &Arc<Wiring>, spec: &Spec, numbers: &BTreeMap<Arc<str>, u16>) {
        self.wiring.store(Some(Arc::clone(wiring)));
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = Places::of(spec);
        numbers.clone_into(&mut self.ingresses.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks for what is meant, from the sequence or place `from` on. At a destination for a bounded time: what was found
    /// until then is given.
    ///
    /// # Errors
    /// There is no such log or destination, nothing waits there, or the disk or the remote does not answer.
    pub async fn look(
        &self,
        at: In<'_>,
        selection: Selection,
        from: u64,
        look: Look,
    ) -> Result<Found, Refused> {
        match at {
            In::Log(log) => {
                self.read(log, (selection, from), move |scan| scan.next(look))
                    .await
            }
            In::Destination(name) => self.hunt(name, (selection, from, look), None).await,
        }
    }

    /// The same for many letters: `each` puts one after another into `into`, and nothing else is left of them. The look's
    /// bounds of letters and bytes are those of what is in memory at a time.
    ///
    /// # Errors
    /// The same.
    pub async fn each<T: Send + 'static>(
        &self,
        at: In<'_>,
        selection: Selection,
        look: (u64, Look),
        (mut into, each): (T, fn(&mut T, &Letter)),
    ) -> Result<(T, Found), Refused> {
        let (from, look) = look;
        match at {
            In::Log(log) => {
                let read = self.read(log, (selection, from), move |scan| {
                    let mut all = Found::default();
                    loop {
                        let found = scan.next(look)?;
                        found.letters.iter().for_each(|letter| each(&mut into, letter));
                        all.looked += found.looked;
                        all.unreadable += found.unreadable;
                        all.read += found.read;
                        all.next = found.next;
                        if all.next.is_none() || all.is_long(look) {
                            return Ok((into, all));
                        }
                    }
                });
                read.await
            }
            In::Destination(name) => {
                let mut each = |letter: &Letter| each(&mut into, letter);
                let found = self.hunt(name, (selection, from, look), Some(&mut each)).await?;
                Ok((into, found))
            }
        }
    }

    /// What a person wrote for places at a destination, as numbers.
    ///
    /// # Errors
    /// There is no such destination, or it has no such places: what to write instead.
    pub fn read_places(&self, destination: &str, places: &[String]) -> Result<Vec<u64>, Refused> {
        let browse = self.browse(destination)?;
        let read = places.iter().map(|place| browse.read_place(place));
        read.collect::<Result<_, _>>().map_err(Refused::Wrong)
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
    /// There is no such log or destination, nothing waits there, another job is at work, or the router stops.
    pub fn start(&self, at: In<'_>, order: Order) -> Result<Arc<Job>, Refused> {
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
        let (pile, name, elsewhere, metrics) = match at {
            In::Log(log) => {
                let queue = self.queue(log)?;
                let scan = self.scan(log, order.selection.clone(), 0)?;
                let metrics = match order.work {
                    Work::Again(_) => self.metrics.ingress(REPLAY),
                    Work::Replay(_) | Work::Purge => Arc::clone(&queue.metrics.lane),
                };
                let name = Arc::clone(&queue.name);
                (Pile::here(queue, scan), name, None, metrics)
            }
            In::Destination(name) => {
                let browse = self.browse(name)?;
                let pile = Pile::there(Arc::clone(&browse), order.selection.clone());
                let metrics = self.metrics.ingress(REPLAY);
                (pile, Arc::from(name), Some(Elsewhere(browse)), metrics)
            }
        };
        jobs.count += 1;
        let job = Job::new(jobs.count, Arc::clone(&name), elsewhere, order);
        tracing::info!(job = job.id, log = %name, what = job.order.work.name(), "job begins");
        let port = Arc::new(Port::of_replay(name, metrics));
        let replay = Replay::new(Arc::clone(&job), pile, &port, Arc::clone(&self.wiring));
        let (told, stop) = (Arc::clone(&job), self.stop.subscribe());
        jobs.task = Some(tokio::spawn(async move {
            replay.run(stop).await;
            tell(&told);
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
    pub(crate) fn drain(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the job has ended.
    pub(crate) async fn stop(&self) {
        self.drain();
        let task = self.jobs().task.take();
        if let Some(mut task) = task
            && tokio::time::timeout(STOP_MAX, &mut task).await.is_err()
        {
            task.abort();
        }
    }

    /// Reads a log where that may wait for the disk, once it is its turn.
    async fn read<T: Send + 'static>(
        &self,
        log: &str,
        (selection, from): (Selection, u64),
        read: impl FnOnce(&mut Scan) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Refused> {
        let mut scan = self.scan(log, selection, from)?;
        let work = self.queue(log)?.work;
        let turn = Arc::clone(&self.looks).acquire_owned().await;
        let looked = work.run(move || {
            let result = read(&mut scan);
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

    async fn hunt(
        &self,
        destination: &str,
        (selection, from, look): (Selection, u64, Look),
        each: Option<hunt::Each<'_>>,
    ) -> Result<Found, Refused> {
        let browse = self.browse(destination)?;
        let deadline = Instant::now() + LOOK_TIME;
        let turn = timeout_at(deadline, self.looks.acquire()).await;
        let _turn = turn.map_err(|_| Refused::Busy("others look through it: try again".to_owned()))?;
        let found = hunt::look(browse, selection, (from, look, deadline), each).await;
        found.map_err(Refused::Failed)
    }

    fn scan(&self, log: &str, selection: Selection, from: u64) -> Result<Scan, Refused> {
        let queue = self.queue(log)?;
        let store = self.store()?;
        // What is acknowledged is of interest only where it is kept on purpose.
        let reader = store.reader(&queue.log, queue.kind == Kind::DeadLetters);
        Ok(Scan::new(queue, reader, selection, from))
    }

    fn queue(&self, log: &str) -> Result<Arc<DurableQueue>, Refused> {
        self.store()?;
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(log).cloned().ok_or_else(|| {
            let names: Vec<&str> = queues.keys().map(|name| &**name).collect();
            Refused::Wrong(format!("no log is named {log:?}; here are: {}", names.join(" ")))
        })
    }

    fn store(&self) -> Result<&Arc<Store<Leg>>, Refused> {
        self.store.get().ok_or_else(|| {
            Refused::Unknown(format!(
                "this router has no store: set `store:` in its file, and `dead_letter: {LOCAL}` on routes; dead letters in a \
                 topic or queue are asked for by their destination (--in DESTINATION, ?in=DESTINATION)"
            ))
        })
    }

    fn browse(&self, destination: &str) -> Result<Arc<dyn Browse>, Refused> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.browse(destination)
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a job, for the log.
fn tell(job: &Job) {
    let progress = job.progress();
    let [delivered, dead_lettered, stored, _] = progress.kinds;
    let (log, what) = (&job.log, job.order.work.name());
    let (selected, stayed, purged) = (progress.selected, progress.stayed, progress.purged);
    match progress.state {
        State::Failed(error) => tracing::error!(
            job = job.id, %log, what, selected, delivered, dead_lettered, stored, purged, stayed, error, "job failed"
        ),
        state => tracing::info!(
            job = job.id, %log, what, selected, delivered, dead_lettered, stored, purged, stayed,
            cancelled = state == State::Cancelled, "job ended"
        ),
    }
}
