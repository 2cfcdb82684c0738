//! How a connector learns that it shall end: two steps, drain and then stop.

use tokio::sync::watch;

/// The three phases of a life; they only ever advance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Work as usual.
    Running,
    /// Take nothing more in; what is unsettled may still settle.
    Draining,
    /// Close the lanes, release the rest, return.
    Stopped,
}

/// The receiving side; clones see the same phase.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Phase>);

impl Stop {
    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns once the phase is `Draining` or later (or the sender is gone). Cancel-safe.
    pub async fn draining(&self) {
        self.reach(Phase::Draining).await;
    }

    /// Returns once the phase is `Stopped` (or the sender is gone). Cancel-safe.
    pub async fn stopped(&self) {
        self.reach(Phase::Stopped).await;
    }

    async fn reach(&self, phase: Phase) {
        let mut rx = self.0.clone();
        // A sender that is gone means that nobody is left to stop us politely: stop.
        let _ = rx.wait_for(|p| *p >= phase).await;
    }
}

/// The commanding side.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<Phase>);

impl StopHandle {
    /// A running life and its handle.
    #[must_use]
    pub fn new() -> (StopHandle, Stop) {
        let (tx, rx) = watch::channel(Phase::Running);
        (StopHandle(tx), Stop(rx))
    }

    /// Another receiver.
    #[must_use]
    pub fn subscribe(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// Moves on to `phase`; never back.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }
}
