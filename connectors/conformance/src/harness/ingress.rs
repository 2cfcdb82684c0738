//! The desk behind an ingress: take what it delivers, settle it, watch it start again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use weft_api::ingress::{
    Incoming, Ingress, IngressContext, IngressError, LaneId, Lanes, RequestLanes, Verdict, Window,
};
use weft_api::outcome::Outcome;
use weft_api::status::Health;
use weft_api::stop::{Phase, StopHandle};

use super::heard::Heard;
use super::{lanes, locked, requests};

/// A running ingress.
pub struct IngressDesk {
    world: Arc<World>,
    admitted: AsyncMutex<mpsc::UnboundedReceiver<Admitted>>,
    heard: Arc<Heard>,
    stop: StopHandle,
    run: JoinHandle<Result<(), IngressError>>,
}

/// A message that the ingress delivered and that waits to be settled. Dropped, a request ends as unknown and a slot
/// stays as it is.
pub struct Admitted {
    /// The name that the connector gave the lane.
    pub lane: Arc<str>,
    /// The message.
    pub incoming: Incoming,
    pub(super) place: Place,
}

pub(super) enum Place {
    Slot { lane: LaneId, sequence: u64 },
    Request { answer: oneshot::Sender<Verdict> },
}

pub(super) struct World {
    pub(super) lanes: lanes::Shared,
    /// Replaces the window that the connector asks for.
    pub(super) window: Option<Window>,
    admitted: mpsc::UnboundedSender<Admitted>,
    /// Requests are refused as overloaded.
    full: AtomicBool,
}

impl IngressDesk {
    /// Runs the ingress; `window` replaces the one that it asks for.
    #[must_use]
    pub fn start(ingress: Box<dyn Ingress>, window: Option<Window>) -> IngressDesk {
        let (sender, admitted) = mpsc::unbounded_channel();
        let world = World {
            lanes: lanes::Shared::default(),
            window,
            admitted: sender,
            full: AtomicBool::new(false),
        };
        let world = Arc::new(world);
        let (handle, stop) = StopHandle::new();
        let heard = Arc::new(Heard::new());
        let cx = IngressContext {
            name: "conformance".into(),
            lanes: Lanes::new(Box::new(lanes::Backend(Arc::clone(&world)))),
            requests: RequestLanes::new(Arc::new(requests::Backend(Arc::clone(&world)))),
            stop,
            report: Arc::clone(&heard) as Arc<_>,
        };
        let run = tokio::spawn(ingress.run(cx));
        IngressDesk {
            world,
            admitted: AsyncMutex::new(admitted),
            heard,
            stop: handle,
            run,
        }
    }

    /// The next message.
    ///
    /// # Panics
    /// If the ingress ended and so none will come.
    pub async fn next(&self) -> Admitted {
        self.admitted
            .lock()
            .await
            .recv()
            .await
            .expect("the world keeps the sender")
    }

    /// The next message if there is one already.
    pub async fn try_next(&self) -> Option<Admitted> {
        self.admitted.lock().await.try_recv().ok()
    }

    /// Settles a message; for an in-order lane, `Released` and `Unknown` make the lane start again.
    pub fn settle(&self, admitted: Admitted, outcome: Outcome) {
        match admitted.place {
            Place::Slot { lane, sequence } => locked(&self.world.lanes).settle(lane, sequence, outcome),
            Place::Request { answer } => {
                // A client that has hung up takes no answer.
                _ = answer.send(Verdict {
                    outcome,
                    matched: 1,
                    stored: false,
                    retry_after: None,
                });
            }
        }
    }

    /// Takes the next `count` messages and accepts each as it comes.
    pub async fn accept(&self, count: usize) -> Vec<Incoming> {
        let mut taken = Vec::with_capacity(count);
        for _ in 0..count {
            let admitted = self.next().await;
            taken.push(admitted.incoming.clone());
            self.settle(admitted, Outcome::Accepted);
        }
        taken
    }

    /// From now on requests are refused as overloaded, or no longer.
    pub fn refuse_requests(&self, full: bool) {
        self.world.full.store(full, Ordering::Release);
    }

    /// How many messages were delivered past the credit, in events or in bytes; 0 for a connector that keeps to it.
    #[must_use]
    pub fn overdelivered(&self) -> u64 {
        locked(&self.world.lanes).overdelivered
    }

    /// What the connector last said of its standing.
    #[must_use]
    pub fn health(&self) -> Health {
        self.heard.health()
    }

    /// Every line that an operator should read.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.heard.warnings()
    }

    /// How much the connector dropped by a rule.
    #[must_use]
    pub fn dropped(&self, what: &str) -> u64 {
        self.heard.dropped(what)
    }

    /// Whether the ingress has returned.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.run.is_finished()
    }

    /// Says that nothing more is to be taken in.
    pub fn drain(&self) {
        self.stop.advance(Phase::Draining);
    }

    /// How many lanes are open.
    #[must_use]
    pub fn open_lanes(&self) -> usize {
        locked(&self.world.lanes)
            .lanes
            .iter()
            .filter(|lane| lane.is_open())
            .count()
    }

    /// Drains, then stops, and waits until the ingress has returned.
    ///
    /// # Errors
    /// What `run` returned.
    ///
    /// # Panics
    /// If `run` did, or if a lane is still open afterwards.
    pub async fn close(self) -> Result<(), IngressError> {
        self.stop.advance(Phase::Draining);
        tokio::task::yield_now().await;
        self.stop.advance(Phase::Stopped);
        let ended = self.run.await.expect("run panicked");
        let open = locked(&self.world.lanes)
            .lanes
            .iter()
            .filter(|lane| lane.is_open())
            .count();
        assert!(
            ended.is_err() || open == 0,
            "an ingress closes its lanes before it returns; {open} are open"
        );
        ended
    }
}

impl World {
    pub(super) fn admit(&self, admitted: Admitted) {
        // The desk is gone when its test is over: whatever still comes in then stays unsettled.
        drop(self.admitted.send(admitted));
    }

    pub(super) fn has_room(&self) -> bool {
        !self.full.load(Ordering::Acquire)
    }
}
