//! The ingress side of the contract: a connector takes messages in, makes them events, and settles them in its own
//! protocol when the router says so.
//!
//! A connector owns its lanes. There is no lane task and no channel into one: `deliver` matches the batch and
//! enqueues its legs in the connector's own task, and `next` applies the outcomes that came back.
//!
//! Two shapes of lane, one ledger of promises (`docs/slot.md`):
//! - [`Lanes`] for streams (Kafka, MQTT, AMQP): numbered slots, settled in order or one by one.
//! - [`RequestLane`] for request and response (HTTP): one future a request, which ends with its [`Verdict`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;

use crate::event::Event;
use crate::outcome::{Outcome, Reason};
use crate::status::Reporter;
use crate::stop::Stop;

/// Takes messages in. Built by a connector, run by the router.
#[async_trait]
pub trait Ingress: Send + 'static {
    /// Runs until `cx.stop` says `Stopped` and every lane is closed. Owns its client; holds no lock across an await.
    ///
    /// # Errors
    /// An ingress that cannot go on (its configuration is refused by the remote for good). A remote that is merely
    /// down is no error: report [`crate::status::Health::Waiting`] and try again. The router restarts it with backoff.
    async fn run(self: Box<Self>, cx: IngressContext) -> Result<(), IngressError>;

    /// Whether the remote can be reached with the given credentials: for `weft check --connect`.
    ///
    /// # Errors
    /// One line for a person: what could not be reached or was refused.
    async fn probe(&self) -> Result<(), IngressError>;
}

/// Why an ingress ended, in one line for an operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IngressError(pub String);

/// What the router hands to a running ingress.
pub struct IngressContext {
    /// The ingress' name in the file.
    pub name: Arc<str>,
    /// Stream lanes, owned by the connector's task.
    pub lanes: Lanes,
    /// Opens request lanes, from any thread.
    pub requests: RequestLanes,
    /// When to drain and to stop.
    pub stop: Stop,
    /// Where to report health and lag.
    pub report: Reporter,
}

/// How a lane settles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settle {
    /// A contiguous prefix at a time (Kafka, MQTT). `released` is never final while the lane is open: the leg stays
    /// with the router, or the lane rewinds.
    InOrder,
    /// One by one (AMQP).
    Individual,
}

/// How much one lane may have unsettled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// In events; at least 1.
    pub events: u32,
    /// In bytes as [`Event::size`] counts them.
    pub bytes: u64,
}

/// What a lane is to be.
#[derive(Clone, Debug)]
pub struct LaneSpec {
    /// For logs and `weft status` (`orders/3`); never a metric label.
    pub name: Arc<str>,
    /// Its bounds.
    pub window: Window,
    /// How it settles.
    pub settle: Settle,
}

/// A lane in one of its lives. A rewind or a reopening gives the lane a new epoch; settlements of an older epoch are
/// discarded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LaneId {
    /// The lane's place in its [`Lanes`].
    pub index: u32,
    /// Which life.
    pub epoch: u32,
}

/// How much a lane may deliver now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credit {
    /// Events that fit.
    pub events: u32,
    /// Bytes that fit. A lane whose window is empty may always deliver one event of any legal size.
    pub bytes: u64,
}

/// One message on its way in.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The event; for a malformed message, the `weft.malformed` event that keeps its original bytes.
    pub event: Event,
    /// Set when the message could not become the event that it should have been.
    pub malformed: bool,
}

impl From<Event> for Incoming {
    fn from(event: Event) -> Incoming {
        Incoming {
            event,
            malformed: false,
        }
    }
}

/// What a lane tells its connector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LaneEvent {
    /// There is credit again after there was none.
    Credit,
    /// Slots `first..=last` (sequence numbers as [`Lanes::deliver`] gave them) are settled with `outcome`. On an
    /// in-order lane ranges are contiguous and ascending, and the outcome is `Accepted` or, where the user wrote
    /// `on_rejected: drop`, `Rejected`.
    Settled {
        /// First sequence of the range.
        first: u64,
        /// Last sequence of the range.
        last: u64,
        /// What became of each of them.
        outcome: Outcome,
    },
    /// An in-order lane starts again: everything from sequence `from` on must be delivered anew under the lane's new
    /// id, which comes with this event. Backoff has already passed. The new life counts its sequences from `from`.
    Rewind {
        /// The first sequence that was not settled; the watermark.
        from: u64,
    },
}

/// The stream lanes of one connector task.
pub struct Lanes(Box<dyn LanesBackend>);

impl Lanes {
    /// Wraps the router's side.
    #[must_use]
    pub fn new(backend: Box<dyn LanesBackend>) -> Lanes {
        Lanes(backend)
    }

    /// Opens a lane; its first event has sequence 0.
    pub fn open(&mut self, spec: LaneSpec) -> LaneId {
        self.0.open(spec)
    }

    /// How much `lane` may deliver now; zero for a lane that is closed or of an older epoch.
    #[must_use]
    pub fn credit(&self, lane: LaneId) -> Credit {
        self.0.credit(lane)
    }

    /// Admits, matches and enqueues the whole batch; never waits. Returns the sequence of its first event; the others
    /// follow one by one. Delivering past the credit is a fault of the connector, is counted, and is admitted all the
    /// same, since refusing would lose the place in an in-order lane. Drains `batch`.
    pub fn deliver(&mut self, lane: LaneId, batch: &mut Vec<Incoming>) -> u64 {
        self.0.deliver(lane, batch)
    }

    /// The next thing that a lane has to say. Cancel-safe. Pending for ever while there is nothing to say.
    pub async fn next(&mut self) -> (LaneId, LaneEvent) {
        std::future::poll_fn(|cx| self.0.poll_next(cx)).await
    }

    /// The same without waiting: `None` when there is nothing to say now.
    pub fn try_next(&mut self) -> Option<(LaneId, LaneEvent)> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.0.poll_next(&mut cx) {
            Poll::Ready(said) => Some(said),
            Poll::Pending => None,
        }
    }

    /// Events that are delivered and not settled, over all open lanes.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.0.unsettled()
    }

    /// Ends a lane (a revoke, a link that closed): nothing is reported after it.
    pub fn close(&mut self, lane: LaneId) {
        self.0.close(lane);
    }
}

/// The router's side of [`Lanes`]; see there for the duties.
pub trait LanesBackend: Send {
    /// See [`Lanes::open`].
    fn open(&mut self, spec: LaneSpec) -> LaneId;
    /// See [`Lanes::credit`].
    fn credit(&self, lane: LaneId) -> Credit;
    /// See [`Lanes::deliver`].
    fn deliver(&mut self, lane: LaneId, batch: &mut Vec<Incoming>) -> u64;
    /// See [`Lanes::next`]; must register the waker when it returns `Pending`.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(LaneId, LaneEvent)>;
    /// See [`Lanes::unsettled`].
    fn unsettled(&self) -> u64;
    /// See [`Lanes::close`].
    fn close(&mut self, lane: LaneId);
}

/// The answer to one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What became of the event.
    pub outcome: Outcome,
    /// How many routes matched it.
    pub matched: u32,
    /// Every obligation is durable, but some are only stored (HTTP 202 in place of 204).
    pub stored: bool,
    /// When to come back, for a released or unknown event.
    pub retry_after: Option<Duration>,
}

impl Verdict {
    /// A verdict that was reached before anything was dispatched.
    #[must_use]
    pub fn released(reason: Reason, retry_after: Duration) -> Verdict {
        Verdict {
            outcome: Outcome::Released(reason),
            matched: 0,
            stored: false,
            retry_after: Some(retry_after),
        }
    }
}

/// Opens request lanes; one for each worker thread.
#[derive(Clone)]
pub struct RequestLanes(Arc<dyn RequestLanesBackend>);

impl RequestLanes {
    /// Wraps the router's side.
    #[must_use]
    pub fn new(backend: Arc<dyn RequestLanesBackend>) -> RequestLanes {
        RequestLanes(backend)
    }

    /// Opens a lane for the calling thread. Whatever is sent from the request's own task uses clients that this lane
    /// owns, so that nothing crosses a thread. `spec.settle` is ignored: requests settle one by one.
    #[must_use]
    pub fn open(&self, spec: LaneSpec) -> RequestLane {
        RequestLane(self.0.open(spec))
    }
}

/// The router's side of [`RequestLanes`].
pub trait RequestLanesBackend: Send + Sync {
    /// See [`RequestLanes::open`].
    fn open(&self, spec: LaneSpec) -> Arc<dyn RequestLaneBackend>;
}

/// A lane whose every event is a question that waits for its answer.
#[derive(Clone)]
pub struct RequestLane(Arc<dyn RequestLaneBackend>);

/// The future of a [`Verdict`].
pub type VerdictFuture = Pin<Box<dyn Future<Output = Verdict> + Send>>;

impl RequestLane {
    /// Admits, matches and dispatches one event; the future ends at the ack point, at a refusal, or at the deadline.
    /// Dropping the future (the client hung up) changes nothing for legs already dispatched.
    pub fn submit(&self, incoming: Incoming, deadline: Duration) -> VerdictFuture {
        self.0.clone().submit(incoming, deadline)
    }

    /// Whether one more event of this size would be admitted now: lets a server refuse before it reads a body.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        self.0.has_room(bytes)
    }
}

/// The router's side of [`RequestLane`]; see there for the duties.
pub trait RequestLaneBackend: Send + Sync {
    /// See [`RequestLane::submit`].
    fn submit(self: Arc<Self>, incoming: Incoming, deadline: Duration) -> VerdictFuture;
    /// See [`RequestLane::has_room`].
    fn has_room(&self, bytes: u64) -> bool;
}
