//! Looks at a router that runs, from outside: its resident memory, five times a second, and some of its metrics, once a
//! second. It keeps the most of each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use weft_rig::{Metrics, Weft, http};

use super::process;

const LOOK: Duration = Duration::from_millis(200);
/// Metrics are asked for at every so manyth look.
const SCRAPE: usize = 5;

/// The most that was seen since the last [`Watch::take`].
#[derive(Debug, Default, Clone, Copy)]
pub struct Peaks {
    /// Resident memory in MiB.
    pub resident_mib: f64,
    /// Events admitted and not settled.
    pub unsettled: f64,
    /// Bytes of the budget that were taken.
    pub used_bytes: f64,
    /// What the brokers held, as far as the router knows.
    pub lag: f64,
}

/// A thread that looks; dropped, it ends.
pub struct Watch {
    peaks: Arc<Mutex<Peaks>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins.
    #[must_use]
    pub fn on(weft: &Weft) -> Self {
        let (peaks, stop) = (Arc::new(Mutex::new(Peaks::default())), Arc::default());
        let (seen, ended) = (Arc::clone(&peaks), Arc::clone(&stop));
        let (pid, port) = (weft.pid(), weft.observe_port());
        let thread = std::thread::spawn(move || look(pid, port, &seen, &ended));
        Self {
            peaks,
            stop,
            thread: Some(thread),
        }
    }

    /// What was seen; from now on it counts anew.
    #[must_use]
    pub fn take(&self) -> Peaks {
        std::mem::take(&mut *self.peaks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn look(pid: u32, port: u16, peaks: &Mutex<Peaks>, ended: &AtomicBool) {
    for turn in 0.. {
        if ended.load(Ordering::Acquire) {
            return;
        }
        // A router that is gone has nothing to say; the run finds out by itself.
        let resident = process::memory(pid).map_or(0.0, |memory| memory.now);
        let scrape = if turn % SCRAPE == 0 {
            http::get(port, "/metrics").ok()
        } else {
            None
        };
        let metrics = scrape.map_or_else(Metrics::default, |answer| Metrics::parse(&answer.text()));
        {
            let mut peaks = peaks.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = |name| metrics.sum(name, &[]);
            peaks.resident_mib = peaks.resident_mib.max(resident);
            peaks.unsettled = peaks.unsettled.max(sum("weft_ingress_unsettled_events"));
            peaks.used_bytes = peaks.used_bytes.max(sum("weft_memory_used_bytes"));
            peaks.lag = peaks.lag.max(sum("weft_ingress_lag_events"));
        }
        std::thread::sleep(LOOK);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
