//! The egress side of the contract: a connector takes batches, delivers their events, and settles each one.
//!
//! The router owns queues, order, retry, breaker, dead letter and deadlines. An egress delivers what it is given, in
//! the order in which it is given, and says for each event whether the remote confirmed it and, if not, whose fault
//! that was. A [`Batch`] that is dropped settles what is left of it as unknown.

mod flights;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;

use crate::event::Event;
use crate::outcome::SendError;
use crate::status::Reporter;
use crate::stop::Stop;

pub use flights::{Flights, Ticket};

/// Delivers events to one destination. Built by a connector, run by the router.
#[async_trait]
pub trait Egress: Send + 'static {
    /// What the router should know before it builds the queue.
    fn profile(&self) -> EgressProfile;

    /// A sender that works in the caller's own task, for destinations that can (HTTP); `None` otherwise.
    fn direct(&self) -> Option<Arc<dyn DirectFactory>> {
        None
    }

    /// Takes batches from `cx.next_batch()` until it gives `None`, settles each event as confirmations arrive, and
    /// returns when nothing is in flight, or when `cx.stop` says `Stopped`.
    ///
    /// # Errors
    /// An egress that cannot go on with this client. What it held comes back as unknown; the router builds it anew
    /// with backoff. A remote that is merely down is no error: settle with [`SendError::destination`].
    async fn run(self: Box<Self>, cx: EgressContext) -> Result<(), EgressError>;

    /// Whether the remote can be reached and would take events: for `/readyz?destinations=all` and `check --connect`.
    ///
    /// # Errors
    /// Whose fault it is and what to do.
    async fn probe(&self) -> Result<(), SendError>;
}

/// Why an egress ended, in one line for an operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EgressError(pub String);

/// What an egress can take, before the file's own `batch:` narrows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EgressProfile {
    /// Most events in one batch; 1 where the protocol carries one message at a time and nothing is gained by more.
    pub batch_events: u32,
    /// Most bytes in one batch, as [`Event::size`] counts them. One event of any legal size always fits.
    pub batch_bytes: u64,
    /// Most events that the connector holds unsettled; the router gives out no more than that.
    pub in_flight: u32,
    /// The remote keeps the order of what is in flight, or fails everything after a failure: a keyed shard may then
    /// have several unsettled batches. Otherwise it has one. An egress that refuses events itself, before they are handed
    /// on, says so with [`Batch::refuse`] and recalls what would pass them ([`Flights`] does so).
    pub keeps_order_or_fails: bool,
}

/// What the router hands to a running egress.
pub struct EgressContext {
    /// The destination's name in the file.
    pub name: Arc<str>,
    /// When to drain and to stop. Draining needs nothing from an egress: it goes on taking batches.
    pub stop: Stop,
    /// Where to report health.
    pub report: Reporter,
    queue: Box<dyn BatchQueue>,
}

impl EgressContext {
    /// Wraps the router's side.
    #[must_use]
    pub fn new(name: Arc<str>, stop: Stop, report: Reporter, queue: Box<dyn BatchQueue>) -> EgressContext {
        EgressContext {
            name,
            stop,
            report,
            queue,
        }
    }

    /// The next batch, in order; waits for linger, breaker, retry times and `in_flight`. `None`: nothing will come any
    /// more, finish what is in flight and return. Cancel-safe.
    pub async fn next_batch(&mut self) -> Option<Batch> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }
}

/// The router's side of [`EgressContext::next_batch`].
pub trait BatchQueue: Send {
    /// Must register the waker when it returns `Pending`.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>>;
}

/// Events of one destination that must not pass each other: those of a key, and of the keys that share its queue (C20).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line(pub u32);

/// Events in order, to be settled by their index, each exactly once, in any order.
pub struct Batch {
    events: Vec<Event>,
    left: usize,
    sink: Option<Box<dyn BatchSink>>,
}

impl Batch {
    /// Binds events to the place where their settlements go.
    #[must_use]
    pub fn new(events: Vec<Event>, sink: Box<dyn BatchSink>) -> Batch {
        Batch {
            left: events.len(),
            events,
            sink: Some(sink),
        }
    }

    /// The events; their index is what they are settled by.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many are not settled yet.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.left
    }

    /// The remote confirmed these. Indices that were settled before, or never existed, are ignored.
    pub fn accept(&mut self, indices: &[u32]) {
        if let Some(sink) = &mut self.sink {
            self.left -= sink.accept(indices);
        }
    }

    /// The remote confirmed everything that is left.
    pub fn accept_all(mut self) {
        if let Some(sink) = &mut self.sink {
            sink.accept_rest();
            self.left = 0;
        }
    }

    /// One was not confirmed.
    pub fn fail(&mut self, index: u32, error: SendError) {
        if let Some(sink) = &mut self.sink {
            self.left -= sink.fail(index, &self.events, error);
        }
    }

    /// The same, for an egress that has events of this or of other batches which it has not handed on. If the event
    /// comes again here, returns the line that must not pass it: [`Batch::recall`] what is unsent of that line.
    pub fn refuse(&mut self, index: u32, error: SendError) -> Option<Line> {
        let sink = self.sink.as_mut()?;
        let (settled, line) = sink.refuse(index, &self.events, error);
        self.left -= settled;
        line
    }

    /// Gives back what is unsettled of `line` from index `unsent` on, where nothing has been handed on. It does not count
    /// as a failure. Returns the indices, ascending: they are settled, and must not be sent.
    pub fn recall(&mut self, line: Line, unsent: u32) -> Vec<u32> {
        let recalled = match &mut self.sink {
            Some(sink) => sink.recall(line, unsent, &self.events),
            None => Vec::new(),
        };
        self.left -= recalled.len();
        recalled
    }

    /// Nothing that is left was confirmed, for one and the same reason.
    pub fn fail_rest(mut self, error: &SendError) {
        for index in 0..self.events.len() {
            self.fail(u32::try_from(index).unwrap_or(u32::MAX), error.clone());
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(mut sink) = self.sink.take() {
            sink.abandon(&self.events);
        }
    }
}

/// The router's side of [`Batch`].
pub trait BatchSink: Send {
    /// Settles as accepted; returns how many were not settled before.
    fn accept(&mut self, indices: &[u32]) -> usize;
    /// Settles everything left as accepted.
    fn accept_rest(&mut self);
    /// Settles one as failed; returns 1 if it was not settled before, else 0.
    fn fail(&mut self, index: u32, events: &[Event], error: SendError) -> usize;
    /// [`BatchSink::fail`], and which line has to wait for it. A sink that gives nothing again has no lines.
    fn refuse(&mut self, index: u32, events: &[Event], error: SendError) -> (usize, Option<Line>) {
        (self.fail(index, events, error), None)
    }
    /// Takes back what is unsettled of a line from index `unsent` on; returns the indices, ascending.
    fn recall(&mut self, line: Line, unsent: u32, events: &[Event]) -> Vec<u32> {
        let _ = (line, unsent, events);
        Vec::new()
    }
    /// The batch is dropped: whatever is left is unknown. Called exactly once, last.
    fn abandon(&mut self, events: &[Event]);
}

/// Makes senders that work in the caller's own task.
pub trait DirectFactory: Send + Sync {
    /// A sender with its own connections; called in the thread that will use it.
    fn open(&self) -> Arc<dyn DirectSend>;
}

/// The future of one direct delivery.
pub type SendFuture = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

/// Sends single events from the caller's own task, with connections that no other thread uses.
pub trait DirectSend: Send + Sync {
    /// Delivers one event. Dropping the future leaves the event's fate unknown.
    fn send(&self, event: Event) -> SendFuture;
}
