//! A destination with a store is away while events pile up; the router is killed, and stopped, and started again on all of
//! them; then the destination is back while further events come in.
//!
//! Owns: the course of it, and what it says: how long a start takes, what is resident, how fast the backlog goes. Invariant:
//! an event that was promised and does not come, or comes before an earlier one of its key, makes the run fail.

pub mod ends;
pub mod keys;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use weft_rig::{Weft, free_port};

use self::ends::Senders;
use self::keys::Keys;
use super::process;
use super::stage;
use super::watch::Watch;
use crate::{Failure, tool};

/// Between two lines.
const LINE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
/// Between two questions whether a start is over.
const ASK: Duration = Duration::from_millis(2);
/// The longest that nothing may move.
const STALLED: Duration = Duration::from_secs(120);

/// What is run.
#[derive(Debug, Clone)]
pub struct Case {
    /// Events that pile up.
    pub events: u64,
    /// Bytes that the log is to have at least: more events pile up until it has.
    pub bytes: u64,
    /// Keys, each with a connection.
    pub keys: usize,
    /// Events a second that come in while the backlog goes.
    pub rate: f64,
    /// `limits.memory`.
    pub memory_mib: u64,
    /// The router's binary.
    pub weft: PathBuf,
}

struct World {
    case: Case,
    keys: Arc<Keys>,
    weft: Weft,
    port: u16,
    receiver: u16,
}

impl Case {
    /// Runs it.
    ///
    /// # Errors
    /// Something was lost or out of order, or did not come to its end.
    pub fn run(&self) -> Result<(), Failure> {
        let (port, receiver) = (free_port(), free_port());
        let yaml = format!(
            "{}store: {{ path: \"${{DIR}}/store\", max_bytes: 4GiB }}\n\
             ingress:\n  in: {{ http: {{ listen: \"127.0.0.1:{port}\" }} }}\n\
             destinations:\n  out: {{ http: {{ url: \"http://127.0.0.1:{receiver}/\" }}, store: true }}\n\
             routes:\n  all: {{ to: out }}\n",
            stage::head(self.memory_mib)
        );
        let binary = self
            .weft
            .to_str()
            .ok_or("the path of the router's binary is not UTF-8")?;
        let mut world = World {
            case: self.clone(),
            keys: Arc::new(Keys::new(self.keys)),
            weft: Weft::at(binary).config(&yaml).start(),
            port,
            receiver,
        };
        world.pile_up()?;
        for how in ["SIGKILL", "SIGTERM", "SIGKILL"] {
            world.start_again(how)?;
        }
        world.drain()?;
        world.judge()
    }
}

impl World {
    fn pile_up(&mut self) -> Result<(), Failure> {
        let watch = Watch::on(&self.weft);
        let began = Instant::now();
        let mut sent = 0;
        // The size of a record is not ours to know.
        while sent < self.case.events || self.of("weft_store_bytes") < self.case.bytes as f64 {
            let more = if sent < self.case.events {
                self.case.events - sent
            } else {
                self.case.events / 20 + 1
            };
            let senders = Senders::start(self.port, &self.keys, None, more)?;
            let mut said = Instant::now();
            while !senders.have_ended() {
                thread::sleep(LOOK);
                if said.elapsed() >= LINE {
                    said = Instant::now();
                    self.say("piling up", began, &watch);
                }
            }
            sent += more;
        }
        self.say("piled up", began, &watch);
        let rate = self.count(&self.keys.promised) as f64 / began.elapsed().as_secs_f64();
        tool::say(&format!(
            "backlog events={} bytes={:.0} rate={rate:.0} seconds={:.1}",
            self.count(&self.keys.promised),
            self.of("weft_store_bytes"),
            began.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    fn start_again(&mut self, how: &str) -> Result<(), Failure> {
        let held = self.of("weft_store_pending_events");
        let ending = Instant::now();
        if how == "SIGTERM" {
            self.weft.sigterm();
            let status = self.weft.wait();
            if status.code() != Some(0) {
                return Err(format!("{how}: {status}").into());
            }
        } else {
            self.weft.kill9();
        }
        let ended = ending.elapsed();
        let began = Instant::now();
        self.weft.launch_again();
        while !self.weft.is_ready() {
            if let Some(status) = self.weft.ended() {
                return Err(format!("{status} at a start:\n{}", self.weft.log().tail()).into());
            }
            thread::sleep(ASK);
        }
        let ready = began.elapsed();
        let memory = process::memory(self.weft.pid())?;
        let found = self.of("weft_store_found_total");
        tool::say(&format!(
            "start after={how} ended_ms={:.0} ready_ms={:.0} found={found:.0} resident_mib={:.0} peak_mib={:.0}",
            ended.as_secs_f64() * 1e3,
            ready.as_secs_f64() * 1e3,
            memory.now,
            memory.peak
        ));
        if (found - held).abs() > 0.5 {
            return Err(format!("{how}: {held} events were held, {found} found").into());
        }
        Ok(())
    }

    /// The destination is back, and events come in all the while.
    fn drain(&mut self) -> Result<(), Failure> {
        let watch = Watch::on(&self.weft);
        let (arrived, promised) = (self.count(&self.keys.arrived), self.count(&self.keys.promised));
        let senders = Senders::start(self.port, &self.keys, Some(self.case.rate), u64::MAX)?;
        let began = Instant::now();
        ends::open(self.receiver, &self.keys)?;
        let (mut said, mut moved, mut last) = (Instant::now(), Instant::now(), 0);
        let live = |world: &World| world.count(&world.keys.promised) - promised;
        // What is on its way at any instant is no backlog.
        while self.keys.missing() > self.keys.count() as u64 * 4 {
            thread::sleep(LOOK);
            let now = self.count(&self.keys.arrived);
            if now > last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() > STALLED {
                return Err(format!("nothing arrives:\n{}", self.weft.log().tail()).into());
            }
            if said.elapsed() >= LINE {
                said = Instant::now();
                self.say("draining", began, &watch);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        self.say("drained", began, &watch);
        let rates = |count: u64| count as f64 / seconds;
        let (out, into) = (rates(self.count(&self.keys.arrived) - arrived), rates(live(self)));
        let memory = process::memory(self.weft.pid())?;
        tool::say(&format!(
            "drain seconds={seconds:.1} out={out:.0} in={into:.0} times={:.1} resident_mib={:.0} peak_mib={:.0}",
            out / into.max(1.0),
            memory.now,
            memory.peak
        ));
        drop(senders);
        let end = Instant::now() + STALLED;
        while self.keys.missing() > 0 || self.of("weft_store_pending_events") > 0.5 {
            if Instant::now() > end {
                return Err(format!(
                    "{} events do not arrive:\n{}",
                    self.keys.missing(),
                    self.weft.log().tail()
                )
                .into());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn judge(&self) -> Result<(), Failure> {
        let keys = &self.keys;
        tool::say(&format!(
            "books promised={} arrived={} missing={} passed={} repeated={} foreign={} refused={} unknown={}",
            self.count(&keys.promised),
            self.count(&keys.arrived),
            keys.missing(),
            self.count(&keys.passed),
            self.count(&keys.repeated),
            self.count(&keys.foreign),
            self.count(&keys.refused),
            self.count(&keys.unknown),
        ));
        if keys.missing() + self.count(&keys.passed) + self.count(&keys.foreign) > 0 {
            return Err("lost, out of order, or nobody's".into());
        }
        Ok(())
    }

    fn say(&self, what: &str, began: Instant, watch: &Watch) {
        let seconds = began.elapsed().as_secs();
        tool::note(&format!(
            "{what}, {seconds} s: {} promised, {} arrived, {} missing, {:.0} MiB resident at most since the last line, {:.0} MiB in the log",
            self.count(&self.keys.promised),
            self.count(&self.keys.arrived),
            self.keys.missing(),
            watch.take().resident_mib,
            self.of("weft_store_bytes") / f64::from(1 << 20),
        ));
    }

    fn of(&self, name: &str) -> f64 {
        self.weft.metrics().sum(name, &[("log", "out")])
    }

    fn count(&self, count: &AtomicU64) -> u64 {
        count.load(Relaxed)
    }
}
