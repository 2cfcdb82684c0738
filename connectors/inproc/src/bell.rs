//! Tells whoever waits that something changed, in the order in which they began to wait.
//!
//! A `watch` channel was turned down: it wakes its receivers in an order that is drawn at random, and a run would not
//! be decided by its seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// What rings. Clones are the same bell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bell(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rung: AtomicU64,
    notify: Notify,
}

/// One listener: hears of every change after it began to listen, many changes as one.
#[derive(Debug)]
pub(crate) struct Changes {
    bell: Bell,
    heard: u64,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.rung.fetch_add(1, Ordering::AcqRel);
        self.0.notify.notify_waiters();
    }

    pub(crate) fn listen(&self) -> Changes {
        Changes {
            bell: self.clone(),
            heard: self.0.rung.load(Ordering::Acquire),
        }
    }
}

impl Changes {
    /// Returns once something changed since the last time. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        loop {
            // Made before the look: what rings after it wakes it.
            let notified = self.bell.0.notify.notified();
            let rung = self.bell.0.rung.load(Ordering::Acquire);
            if rung != self.heard {
                self.heard = rung;
                return;
            }
            notified.await;
        }
    }
}
