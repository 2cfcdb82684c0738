//! Slots of stream lanes: the mailbox through which their legs' outcomes come back to the connector's task.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use weft_api::outcome::Outcome;

use super::LastResort;
use crate::metrics::IngressMetrics;

/// One leg's outcome on its way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settled {
    /// The lane's index.
    pub lane: u32,
    /// The lane's life when the slot was admitted.
    pub epoch: u32,
    /// The slot.
    pub seq: u64,
    /// The leg's outcome.
    pub outcome: Outcome,
}

/// What all lanes of one ingress, or the lane of one log, share with the legs that came from them.
pub struct Port {
    /// The ingress' name.
    pub name: Arc<str>,
    /// Its counters.
    pub metrics: Arc<IngressMetrics>,
    /// Where outcomes go; unused by request lanes.
    pub mailbox: Mailbox,
    /// `on_rejected: drop` in place of `pause`.
    pub drop_rejected: AtomicBool,
    /// The last epoch that was given out; lanes of every client that the ingress has had share the count, so that
    /// nothing of an earlier client is taken for one of a later.
    epochs: AtomicU32,
    /// Its lane is a log's.
    pub is_log: bool,
    /// A replay's: what nobody got stays where it was, whatever rule would have let it go ([`crate::delivery::end::End::kept`]).
    pub keeps: bool,
}

/// What one lane shares with the legs that came from it.
pub struct LanePort {
    /// The ingress.
    pub port: Arc<Port>,
    /// For logs (`orders/3`).
    pub name: Arc<str>,
    /// Its place in the ingress' lanes.
    pub index: u32,
    in_order: bool,
    epoch: AtomicU32,
    held: AtomicI64,
}

/// Outcomes that wait for the connector's task. Only the last one that claimed it takes them out: a former client of the
/// ingress that does not end (its library hangs) takes nothing away from its successor.
#[derive(Default)]
pub struct Mailbox(Mutex<Inbox>);

/// The right to empty a mailbox, until somebody else claims it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim(u64);

#[derive(Default)]
struct Inbox {
    claims: u64,
    settled: Vec<Settled>,
    nudged: bool,
    waker: Option<Waker>,
}

impl Port {
    /// For one ingress.
    #[must_use]
    pub fn new(name: Arc<str>, metrics: Arc<IngressMetrics>, drop_rejected: bool) -> Port {
        Port {
            name,
            metrics,
            mailbox: Mailbox::default(),
            drop_rejected: AtomicBool::new(drop_rejected),
            epochs: AtomicU32::new(0),
            is_log: false,
            keeps: false,
        }
    }

    /// For the lane of a log: what nobody takes holds the log up.
    #[must_use]
    pub fn of_log(name: Arc<str>, metrics: Arc<IngressMetrics>) -> Port {
        Port {
            is_log: true,
            ..Port::new(name, metrics, false)
        }
    }

    /// For a replay out of a log.
    #[must_use]
    pub fn of_replay(name: Arc<str>, metrics: Arc<IngressMetrics>) -> Port {
        Port {
            keeps: true,
            ..Port::of_log(name, metrics)
        }
    }

    /// An epoch that no lane of this ingress has had.
    pub fn take_epoch(&self) -> u32 {
        self.epochs.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// `on_rejected: drop`
    #[must_use]
    pub fn drops_rejected(&self) -> bool {
        self.drop_rejected.load(Ordering::Relaxed)
    }
}

impl LanePort {
    /// A lane in its first life.
    #[must_use]
    pub fn new(port: Arc<Port>, name: Arc<str>, index: u32, epoch: u32, in_order: bool) -> LanePort {
        LanePort {
            port,
            name,
            index,
            in_order,
            epoch: AtomicU32::new(epoch),
            held: AtomicI64::new(0),
        }
    }

    /// The life it is in.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Starts another life: legs of older ones are stale from now on.
    pub fn set_epoch(&self, epoch: u32) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// What to do with a refused event when there is no dead letter.
    #[must_use]
    pub fn last_resort(&self) -> LastResort {
        match (self.in_order, self.port.drops_rejected()) {
            (_, true) => LastResort::Drop,
            (true, false) => LastResort::Hold,
            (false, false) => LastResort::Return,
        }
    }

    /// One more leg holds the lane up.
    pub fn hold(&self) {
        if self.held.fetch_add(1, Ordering::AcqRel) == 0 {
            self.port.metrics.books.held_lanes.inc();
            tracing::warn!(ingress = %self.port.name, lane = %self.name, "lane is held by a refused event");
        }
    }

    /// One leg less does.
    pub fn unhold(&self) {
        if self.held.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.port.metrics.books.held_lanes.dec();
            tracing::info!(ingress = %self.port.name, lane = %self.name, "lane goes on");
        }
    }
}

impl Mailbox {
    /// Puts outcomes in and wakes the connector's task; leaves `settled` empty.
    pub fn push(&self, settled: &mut Vec<Settled>) {
        if settled.is_empty() {
            return;
        }
        let waker = {
            let mut inbox = self.lock();
            inbox.settled.append(settled);
            inbox.waker.take()
        };
        wake(waker);
    }

    /// Wakes the connector's task to look at its credit again.
    pub fn nudge(&self) {
        let waker = {
            let mut inbox = self.lock();
            inbox.nudged = true;
            inbox.waker.take()
        };
        wake(waker);
    }

    /// Makes the caller the one who empties it. What lies in it is of lanes that are over, and is thrown away.
    pub fn claim(&self) -> Claim {
        let mut inbox = self.lock();
        inbox.claims += 1;
        inbox.settled.clear();
        inbox.waker = None;
        Claim(inbox.claims)
    }

    /// Moves everything that came back into `into` (which must be empty). Ready when there was something, or a nudge;
    /// never for a claim that is over.
    pub fn poll_take(&self, claim: Claim, into: &mut Vec<Settled>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inbox = self.lock();
        if inbox.claims != claim.0 {
            return Poll::Pending;
        }
        if inbox.settled.is_empty() && !inbox.nudged {
            if inbox
                .waker
                .as_ref()
                .is_none_or(|known| !known.will_wake(cx.waker()))
            {
                inbox.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        inbox.nudged = false;
        std::mem::swap(&mut inbox.settled, into);
        Poll::Ready(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inbox> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
