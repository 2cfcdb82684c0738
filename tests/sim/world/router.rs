//! The router as the one sees it who runs it: started, reloaded, stopped, started again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weft::delivery::destination::Destination;
use weft::metrics::Metrics;
use weft::topology::budget::Budget;
use weft::topology::reload::{Removal, Report};
use weft::topology::{DiskWork, Ground, Topology};
use weft_inproc::{Act, Feed, Hub, Policy, Sink, Stamp};

use super::machine::Machine;
use super::store::Kept;
use super::{LET_GO, Log, spec};
use crate::case::{Case, Reload};

/// A table that came into force.
pub(crate) struct Installed {
    pub(crate) since: Stamp,
    /// The number of its setup.
    pub(crate) setup: usize,
    /// Which life of the router.
    pub(crate) life: usize,
}

/// What a reload did.
pub(crate) struct Reloaded {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) word: Option<Removal>,
    pub(crate) broken: bool,
    pub(crate) began: Stamp,
    pub(crate) ended: Stamp,
    pub(crate) result: Result<Report, String>,
    /// Destinations at which something was pending when it began.
    pub(crate) pending: Vec<usize>,
}

/// How a life of the router ended.
pub(crate) struct Stopped {
    pub(crate) began: Stamp,
    pub(crate) deadline: Duration,
    /// What the drain left.
    pub(crate) left: u64,
    pub(crate) ended: Stamp,
    /// When the next life began; `None` for the last.
    pub(crate) again: Option<Stamp>,
}

/// What is watched while the case runs: the budget in force, and every destination that ever was.
pub(super) type Seen = Arc<Mutex<(Arc<Budget>, Vec<(usize, Arc<Destination>)>)>>;

pub(super) struct Router<'a> {
    pub(super) case: &'a Case,
    pub(super) hub: Hub,
    pub(super) topology: Option<Topology>,
    pub(super) machine: Machine,
    metrics: Arc<Metrics>,
    setup: usize,
    pub(super) life: usize,
    pub(super) log: Log,
    /// Where this life begins among the destinations and ingresses that ever were.
    began: (usize, usize),
    seen: Seen,
}

impl<'a> Router<'a> {
    pub(super) fn start(case: &'a Case, hub: Hub) -> Router<'a> {
        let mut router = Router {
            case,
            hub,
            topology: None,
            machine: Machine::new(),
            metrics: Metrics::new(),
            setup: 0,
            life: 0,
            log: Log::default(),
            began: (0, 0),
            seen: Arc::new(Mutex::new((Budget::new(0), Vec::new()))),
        };
        router.begin();
        router
    }

    pub(super) fn seen(&self) -> Seen {
        Arc::clone(&self.seen)
    }

    /// What waits or is in flight anywhere, at destinations that are gone, too.
    pub(super) fn pending(&self) -> u64 {
        let all = self.log.destinations.iter();
        all.map(|(_, destination)| destination.pending_events()).sum()
    }

    pub(super) fn destinations(&self) -> &[(usize, Arc<Destination>)] {
        &self.log.destinations
    }

    pub(super) fn begin(&mut self) {
        self.metrics = Metrics::new();
        self.began = (self.log.destinations.len(), self.log.ingress_metrics.len());
        self.note_table();
        let topology = self.open().unwrap_or_else(|_| {
            // Nothing but a fault of the disk keeps it from its start, and only once.
            self.machine.disk.disarm();
            self.open().expect("a valid setup starts on a disk that is well")
        });
        self.log.budgets.push(Arc::clone(topology.budget()));
        self.seen.lock().expect("nobody panics with it").0 = Arc::clone(topology.budget());
        self.topology = Some(topology);
        self.note_parts();
    }

    fn open(&self) -> Result<Topology, String> {
        let (spec, metrics) = (self.spec(self.setup, false), Arc::clone(&self.metrics));
        let seed = self.case.seed.wrapping_add(1000 * self.life as u64);
        match &self.case.store {
            None => Topology::start(spec, metrics, seed).map_err(|error| error.to_string()),
            Some(store) => {
                let ground = Ground {
                    disk: Arc::new(self.machine.clone()),
                    work: DiskWork::Tasks { round: store.round },
                };
                Topology::start_on(ground, spec, metrics, seed).map_err(|error| error.to_string())
            }
        }
    }

    fn spec(&self, setup: usize, broken: bool) -> weft::topology::spec::Spec {
        let setup = &self.case.setups[setup];
        spec::of(self.case, setup, &self.hub, &self.log.built, broken)
    }

    fn note_table(&mut self) {
        self.log.tables.push(Installed {
            since: self.hub.stamp(),
            setup: self.setup,
            life: self.life,
        });
    }

    /// Keeps a hold of what a later reload may take away.
    fn note_parts(&mut self) {
        let Some(topology) = &self.topology else { return };
        let setup = &self.case.setups[self.setup];
        for at in setup.present() {
            let Some(destination) = topology.destination(&format!("d{at}")) else {
                continue;
            };
            let known = |(_, known): &(usize, Arc<Destination>)| Arc::ptr_eq(known, destination);
            if !self.log.destinations.iter().any(known) {
                self.log.destinations.push((at, Arc::clone(destination)));
            }
        }
        for (at, _) in setup.ingresses.iter().enumerate().filter(|(_, it)| it.is_some()) {
            let metrics = self.metrics.ingress(&format!("i{at}"));
            if !self
                .log
                .ingress_metrics
                .iter()
                .any(|(_, known)| Arc::ptr_eq(known, &metrics))
            {
                self.log.ingress_metrics.push((at, metrics));
            }
        }
        for log in topology.board().logs() {
            let known = |kept: &Kept| Arc::ptr_eq(&kept.log, &log);
            if !self.log.kept.iter().any(known) {
                self.log.kept.push(Kept {
                    life: self.life,
                    log,
                    failed_at: None,
                });
            }
        }
        self.seen.lock().expect("nobody panics with it").1 = self.log.destinations.clone();
    }

    /// Takes note of logs that have failed.
    pub(super) fn note_failures(&mut self) {
        for kept in self.log.kept.iter_mut().filter(|kept| kept.life == self.life) {
            if kept.log.metrics.failed.get() > 0 {
                let appended = kept.log.metrics.appended.get();
                kept.failed_at.get_or_insert(appended);
            }
        }
    }

    /// This life ends where it stands.
    pub(super) fn drop_all(&mut self) {
        self.note_failures();
        self.topology = None;
        let (destinations, ingresses) = self.began;
        self.log.gone.extend(self.log.destinations.drain(destinations..));
        self.log.lost.extend(self.log.ingress_metrics.drain(ingresses..));
        self.log.budgets.pop();
        self.seen.lock().expect("nobody panics with it").1 = self.log.destinations.clone();
    }

    pub(super) async fn reload(&mut self, reload: &Reload) {
        let spec = self.spec(reload.to, reload.broken);
        let Some(topology) = &mut self.topology else {
            return;
        };
        let from = self.setup;
        let names = (0..self.case.sinks.len()).map(|at| format!("d{at}"));
        let removed: BTreeMap<String, Removal> = match reload.word {
            Some(word) => names.map(|name| (name, word)).collect(),
            None => BTreeMap::new(),
        };
        let pending = |at: &usize| {
            let name = format!("d{at}");
            let destination = topology.destination(&name);
            let stored = topology.board().logs().into_iter();
            destination.is_some_and(|destination| destination.pending_events() > 0)
                || stored
                    .filter(|log| *log.name == *name)
                    .any(|log| log.pending() > 0)
        };
        let pending = (0..self.case.sinks.len()).filter(pending).collect();
        let began = self.hub.stamp();
        // The table is swapped before anything is waited for: what is admitted from here on meets the new one.
        let result = topology.reload(spec, &removed).await;
        if result.is_ok() {
            self.setup = reload.to;
            self.log.tables.push(Installed {
                since: began,
                setup: self.setup,
                life: self.life,
            });
            self.note_parts();
        }
        self.log.reloads.push(Reloaded {
            from,
            to: reload.to,
            word: reload.word,
            broken: reload.broken,
            began,
            ended: self.hub.stamp(),
            result,
            pending,
        });
    }

    pub(super) async fn restart(&mut self, drain: Duration, pause: Duration) {
        self.stop(drain).await;
        sleep(pause).await;
        self.life += 1;
        self.begin();
        let again = self.log.tables.last().map(|table| table.since);
        if let Some(stopped) = self.log.stops.last_mut() {
            stopped.again = again;
        }
    }

    async fn stop(&mut self, deadline: Duration) {
        let Some(topology) = self.topology.take() else {
            return;
        };
        let began = self.hub.stamp();
        let left = topology.drain(Instant::now() + deadline, |_| {}).await;
        topology.stop().await;
        self.note_failures();
        self.log.stops.push(Stopped {
            began,
            deadline,
            left,
            ended: self.hub.stamp(),
            again: None,
        });
    }

    /// The trouble is over.
    pub(super) async fn mend(&mut self, sinks: &[Sink], feeds: &[Feed]) {
        self.log.healed = Some(self.hub.stamp());
        for sink in sinks {
            sink.answer_with(Policy::always(Act::Accept.after(Duration::from_millis(1))));
            sink.let_go(Act::Accept);
        }
        for (number, feed) in feeds.iter().enumerate() {
            feed.hang_up_after(None);
            feed.lose_acks(false);
            (0..self.case.kind(number).lanes).for_each(|lane| feed.assign(lane));
        }
        let last = Reload {
            to: self.case.setups.len() - 1,
            word: Some(Removal::Drain),
            broken: false,
        };
        self.reload(&last).await;
        if self.case.store.is_some() {
            self.mend_store().await;
        }
    }

    /// Stops for good; what the sinks still hold is let go.
    pub(super) async fn end(mut self, sinks: &[Sink]) -> Log {
        self.stop(Duration::from_secs(1)).await;
        sinks.iter().for_each(|sink| sink.let_go(Act::Accept));
        sleep(LET_GO).await;
        self.log
    }
}
