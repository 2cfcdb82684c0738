//! Readers of shared logs that a reload took away: each goes on, in the wiring that it had, until its log has nothing more
//! for this router. Acknowledged events that nobody reads would be lost.
//!
//! Does not know: who writes into the log, but when the writer of this router is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{DRAIN_POLL, HELD_DRAIN, Ingress, STOP_GRACE};
use crate::delivery::destination::Destination;
use crate::lane::admit::CurrentGate;

/// How old what a reader tells of its log may be.
const LAG_AGE: Duration = Duration::from_secs(6);

/// One that goes on.
pub(super) struct Leaving {
    pub(super) name: Arc<str>,
    pub(super) reading: Arc<Reading>,
    hurry: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What those who wait for it may look at.
pub(super) struct Reading {
    gate: CurrentGate,
    done: AtomicBool,
}

impl Reading {
    /// Whether what it reads may still come to this destination.
    pub(super) fn may_come_to(&self, destination: &Arc<Destination>) -> bool {
        let gate = self.gate.load();
        let mut known = gate.wiring.destinations.iter();
        !self.done.load(Ordering::Acquire) && known.any(|known| Arc::ptr_eq(known, destination))
    }
}

impl Leaving {
    /// `closed`: resolves once this router writes nothing more into the log. `gone` runs when it has ended.
    pub(super) fn start(
        name: Arc<str>,
        ingress: Ingress,
        closed: oneshot::Receiver<()>,
        gone: impl FnOnce() + Send + 'static,
    ) -> Leaving {
        let reading = Arc::new(Reading {
            gate: Arc::clone(&ingress.gate),
            done: AtomicBool::new(false),
        });
        let (hurry, hurried) = watch::channel(false);
        let told = Arc::clone(&reading);
        let task = tokio::spawn(async move {
            leave(ingress, closed, hurried).await;
            told.done.store(true, Ordering::Release);
            gone();
        });
        Leaving {
            name,
            reading,
            hurry,
            task,
        }
    }

    /// Its log is left to others: it reads nothing more.
    pub(super) fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    /// Ends it.
    pub(super) async fn end(mut self) {
        self.hurry();
        // One that panicked has said so itself.
        let _ = (&mut self.task).await;
    }

    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn leave(ingress: Ingress, closed: oneshot::Receiver<()>, mut hurried: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = hurried.wait_for(|hurry| *hurry) => {}
        () = emptied(&ingress, closed) => {}
    }
    ingress.running.drain();
    let deadline = Instant::now() + HELD_DRAIN;
    while ingress.unsettled() > 0 && Instant::now() < deadline {
        tokio::time::sleep(DRAIN_POLL).await;
    }
    ingress.running.stop(STOP_GRACE).await;
}

/// Waits until everything that came before the writer closed is delivered, and what others wrote meanwhile.
async fn emptied(ingress: &Ingress, closed: oneshot::Receiver<()>) {
    // A writer that is dropped is closed, too.
    let _ = closed.await;
    let since = Instant::now() + LAG_AGE;
    loop {
        let told = ingress.post.lag_told();
        if ingress.unsettled() == 0 && told.is_some_and(|(lag, at)| lag == 0 && at >= since) {
            return;
        }
        tokio::time::sleep(DRAIN_POLL).await;
    }
}
