//! The store of a router as its operator sees it: killed processes, a disk that fails, and the dead letters at the desk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use weft::topology::desk::{Desk, In, Job, Look, Order, Selection, State, Way, Work};
use weft::topology::report::LogView;
use weft_api::event::Event;
use weft_inproc::Stamp;
use weft_store::disk::sim::Fault as DiskFault;

use super::router::Router;
use super::spec::PATH;
use crate::case::{DeskOrder, Fault, key_of};

/// How long a fault of the disk is waited for that is to end the process.
const UNTIL_CUT: Duration = Duration::from_millis(200);
/// How long a job may take once everything has healed.
const JOB_MAX: Duration = Duration::from_secs(300);
const MOMENT: Duration = Duration::from_millis(1);
/// The log of the dead letters.
const LOCAL: &str = "local";

/// What lay among the dead letters at a time, by its number there.
pub(crate) struct Glimpse {
    pub(crate) at: Stamp,
    pub(crate) letters: BTreeMap<u64, Dead>,
}

pub(crate) struct Dead {
    pub(crate) key: String,
    pub(crate) event: Event,
}

/// A job at the desk.
pub(crate) struct Ran {
    pub(crate) began: Stamp,
    pub(crate) order: DeskOrder,
    pub(crate) job: Arc<Job>,
}

/// A life of the router that had no end of its own.
pub(crate) struct Killed {
    pub(crate) life: usize,
    pub(crate) at: Stamp,
    pub(crate) again: Stamp,
    pub(crate) power: bool,
}

/// A log in a life of the router.
pub(crate) struct Kept {
    pub(crate) life: usize,
    pub(crate) log: Arc<LogView>,
    /// How much it had appended when it was first seen to have failed.
    pub(crate) failed_at: Option<u64>,
}

impl Kept {
    /// Its books, in a line.
    pub(crate) fn tell(&self) -> String {
        let (metrics, books) = (&self.log.metrics, &self.log.metrics.lane.books);
        let counts = [
            ("found", metrics.found.get()),
            ("appended", metrics.appended.get()),
            ("delivered", books.delivered.get()),
            ("dead", books.dead_lettered.get()),
            ("stored", books.stored.get()),
            ("expired", books.expired.get()),
            ("dropped", books.dropped.get()),
            ("damaged", metrics.damaged.get()),
            ("purged", metrics.purged.get()),
            ("open", self.log.log.open()),
            ("refused", metrics.refused.get()),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        let (name, life) = (&self.log.name, self.life);
        format!("the log of {name} in life {life}: {}", counts.join(", "))
    }
}

impl Router<'_> {
    /// Does to disk and desk what this fault says.
    pub(super) async fn befall(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill { power, calls, pause } => self.kill(*power, *calls, *pause).await,
            Fault::Disk(kind, calls) => {
                self.log.disk_faults += 1;
                self.machine.disk.arm(*calls, *kind);
            }
            Fault::FullDisk(true) => self.machine.disk.fill_up(),
            Fault::FullDisk(false) => self.machine.disk.set_capacity(None),
            Fault::Damage(choice) => self.machine.damage(&Path::new(PATH).join("logs"), *choice),
            Fault::Desk(order) => self.order(*order).await,
            _ => {}
        }
    }

    async fn kill(&mut self, power: bool, calls: Option<u64>, pause: Duration) {
        let disk = self.machine.disk.clone();
        if let Some(calls) = calls {
            disk.arm(calls, DiskFault::PowerCut);
            let end = Instant::now() + UNTIL_CUT;
            while !disk.is_off() && Instant::now() < end {
                sleep(MOMENT).await;
            }
        }
        disk.switch_off();
        let at = self.hub.stamp();
        self.drop_all();
        sleep(pause).await;
        let seed = self.case.seed ^ (self.life as u64) << 32;
        let mut random = fastrand::Rng::with_seed(seed);
        self.machine = self.machine.after(power.then_some(&mut random));
        let life = self.life;
        self.life += 1;
        self.begin();
        let again = self.log.tables.last().map_or(at, |table| table.since);
        self.log.kills.push(Killed {
            life,
            at,
            again,
            power,
        });
    }

    pub(super) fn desk(&self) -> Option<Arc<Desk>> {
        Some(self.topology.as_ref()?.board().desk())
    }

    /// Writes down what lies among the dead letters now.
    pub(super) async fn glimpse(&mut self) {
        let Some(desk) = self.desk() else { return };
        let all = Look {
            letters: usize::MAX,
            bytes: u64::MAX,
            records: u64::MAX,
            read: u64::MAX,
        };
        // A read that fails by script is tried again.
        for _ in 0..3 {
            let at = self.hub.stamp();
            let Ok(found) = desk.look(In::Log(LOCAL), Selection::default(), 0, all).await else {
                continue;
            };
            let letters = found.letters.into_iter().map(|letter| {
                let key = key_of(&letter.event);
                let event = letter.event;
                (letter.id, Dead { key, event })
            });
            let letters = letters.collect();
            self.log.glimpses.push(Glimpse { at, letters });
            return;
        }
    }

    async fn order(&mut self, order: DeskOrder) {
        let Some(desk) = self.desk() else { return };
        let there = |name: &str| desk.destination(name).ok();
        let way = match order {
            DeskOrder::Cancel => {
                if let Some(job) = desk.job() {
                    job.cancel();
                }
                return;
            }
            DeskOrder::Purge { .. } => None,
            DeskOrder::Replay { .. } => Some(Way::Obligation),
            DeskOrder::ReplayTo(at) => match there(&format!("d{at}")) {
                Some(name) => Some(Way::To(name)),
                None => return,
            },
            DeskOrder::ReplayAll(at) => match desk.all_routes(Some(&format!("i{at}"))) {
                Ok(way) => Some(way),
                Err(_) => return,
            },
        };
        let (limit, every) = match order {
            DeskOrder::Purge { limit } => (limit, None),
            DeskOrder::Replay { rate } => (
                None,
                rate.and_then(|rate| Duration::from_secs(1).checked_div(rate)),
            ),
            _ => (None, None),
        };
        self.glimpse().await;
        let asked = Order {
            work: way.map_or(Work::Purge, Work::Replay),
            selection: Selection::default(),
            limit,
            every,
        };
        let began = self.hub.stamp();
        // Refused while another job is at work.
        if let Ok(job) = desk.start(In::Log(LOCAL), asked) {
            self.log.jobs.push(Ran { began, order, job });
        }
    }

    /// The disk is well again, and no log is left that failed.
    pub(super) async fn mend_store(&mut self) {
        self.machine.disk.disarm();
        self.machine.disk.set_capacity(None);
        let failed = |kept: &Kept| kept.life == self.life && kept.log.metrics.failed.get() > 0;
        if self.log.kept.iter().any(failed) {
            self.restart(Duration::ZERO, MOMENT).await;
        }
    }

    /// What the operator does once everything has drained, and what that leads to.
    pub(super) async fn last_order(&mut self) {
        let Some(order) = self.case.store.as_ref().and_then(|store| store.last) else {
            return;
        };
        self.order(order).await;
        let end = Instant::now() + JOB_MAX;
        while let Some(job) = self.desk().and_then(|desk| desk.job())
            && job.progress().state == State::Running
            && Instant::now() < end
        {
            sleep(MOMENT).await;
        }
    }

    /// The logs of this life.
    pub(super) fn logs(&self) -> impl Iterator<Item = &LogView> {
        let now = self.log.kept.iter().filter(|kept| kept.life == self.life);
        now.map(|kept| &*kept.log)
    }

    /// Events in logs that lead somewhere, or on their way into one.
    pub(super) fn stored(&self) -> u64 {
        let leading = self.logs().filter(|log| &*log.name != LOCAL);
        leading.map(LogView::pending).sum()
    }
}
