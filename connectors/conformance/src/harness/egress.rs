//! The desk in front of an egress: give it batches, learn the fate of each event. As in the router, a batch waits until it
//! fits the window that the egress declared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use weft_api::egress::{Batch, BatchQueue, BatchSink, Egress, EgressContext, EgressError, EgressProfile};
use weft_api::event::Event;
use weft_api::outcome::SendError;
use weft_api::status::Silent;
use weft_api::stop::{Phase, StopHandle};

use super::gate::Gate;
use super::locked;

/// What an egress said about one event.
#[derive(Clone, Debug)]
pub enum Fate {
    /// The remote confirmed it.
    Accepted,
    /// It did not.
    Failed(SendError),
    /// The batch was dropped before the event was settled.
    Abandoned,
}

/// A running egress.
pub struct EgressDesk {
    /// What it declared.
    pub profile: EgressProfile,
    queue: mpsc::UnboundedSender<Ready>,
    gate: Gate,
    stop: StopHandle,
    run: JoinHandle<Result<(), EgressError>>,
}

/// A batch that was handed over.
pub struct Given {
    fates: Arc<Fates>,
}

/// A batch on its way to the egress.
type Ready = (Batch, Arc<Fates>);

struct Fates {
    each: Mutex<Vec<Option<Fate>>>,
    gate: Gate,
    /// It takes room in the window.
    out: AtomicBool,
    changed: watch::Sender<()>,
}

impl EgressDesk {
    /// Runs the egress.
    #[must_use]
    pub fn start(egress: Box<dyn Egress>) -> EgressDesk {
        let (queue, batches) = mpsc::unbounded_channel();
        let (handle, stop) = StopHandle::new();
        let profile = egress.profile();
        let gate = Gate::new(profile.in_flight as usize);
        let cx = EgressContext::new(
            "conformance".into(),
            stop,
            Arc::new(Silent),
            Box::new(Queue {
                batches,
                next: None,
                gate: gate.clone(),
            }),
        );
        EgressDesk {
            profile,
            queue,
            gate,
            stop: handle,
            run: tokio::spawn(egress.run(cx)),
        }
    }

    /// Hands over one batch. It must keep to the profile.
    #[must_use]
    pub fn give(&self, events: Vec<Event>) -> Given {
        let (changed, _) = watch::channel(());
        let fates = Arc::new(Fates {
            each: Mutex::new(vec![None; events.len()]),
            gate: self.gate.clone(),
            out: AtomicBool::new(false),
            changed,
        });
        let batch = Batch::new(events, Box::new(Sink(Arc::clone(&fates))));
        // An egress that has ended gives the batch back: dropped here, it is abandoned.
        drop(self.queue.send((batch, Arc::clone(&fates))));
        Given { fates }
    }

    /// Hands over events, as many in a batch as the profile allows, and waits for the fate of each. One batch after
    /// the other.
    pub async fn send(&self, events: &[Event]) -> Vec<Fate> {
        let mut fates = Vec::new();
        for chunk in events.chunks(self.profile.batch_events.min(self.profile.in_flight) as usize) {
            fates.extend(self.give(chunk.to_vec()).settled().await);
        }
        fates
    }

    /// Ends the queue and waits until the egress has returned.
    ///
    /// # Errors
    /// What `run` returned.
    ///
    /// # Panics
    /// If `run` did.
    pub async fn close(self) -> Result<(), EgressError> {
        let EgressDesk { queue, stop, run, .. } = self;
        stop.advance(Phase::Draining);
        drop(queue);
        run.await.expect("run panicked")
    }

    /// Says `Stopped` at once and waits until the egress has returned.
    ///
    /// # Errors
    /// What `run` returned.
    ///
    /// # Panics
    /// If `run` did.
    pub async fn stop(self) -> Result<(), EgressError> {
        self.stop.advance(Phase::Stopped);
        self.run.await.expect("run panicked")
    }
}

impl Given {
    /// Waits until each event is settled, or the batch is dropped.
    pub async fn settled(&self) -> Vec<Fate> {
        let mut changes = self.fates.changed.subscribe();
        loop {
            let fates: Option<Vec<Fate>> = locked(&self.fates.each).iter().cloned().collect();
            match fates {
                Some(fates) => return fates,
                // The sender is held by `self`.
                None => _ = changes.changed().await,
            }
        }
    }
}

impl Fate {
    /// Whether the remote confirmed the event.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Fate::Accepted)
    }

    /// The error of an event that failed.
    ///
    /// # Panics
    /// If the event did not fail.
    #[must_use]
    pub fn error(&self) -> &SendError {
        match self {
            Fate::Failed(error) => error,
            other => panic!("expected a failure, not {other:?}"),
        }
    }
}

struct Queue {
    batches: mpsc::UnboundedReceiver<Ready>,
    /// Waits for room.
    next: Option<Ready>,
    gate: Gate,
}

impl BatchQueue for Queue {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        if self.next.is_none() {
            match self.batches.poll_recv(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(next) => self.next = next,
                Poll::Pending => return Poll::Pending,
            }
        }
        let count = self.next.as_ref().map_or(0, |(batch, _)| batch.events().len());
        match self.gate.poll_take(count, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(self.next.take().map(|(batch, fates)| {
                fates.out.store(true, Ordering::Release);
                batch
            })),
        }
    }
}

struct Sink(Arc<Fates>);

impl Sink {
    fn set(&self, index: usize, fate: &Fate) -> usize {
        let mut each = locked(&self.0.each);
        match each.get_mut(index) {
            Some(slot @ None) => *slot = Some(fate.clone()),
            _ => return 0,
        }
        drop(each);
        if self.0.out.load(Ordering::Acquire) {
            self.0.gate.give_back(1);
        }
        self.0.changed.send_replace(());
        1
    }

    fn set_rest(&self, fate: &Fate) {
        let count = locked(&self.0.each).len();
        (0..count).for_each(|index| _ = self.set(index, fate));
    }
}

impl BatchSink for Sink {
    fn accept(&mut self, indices: &[u32]) -> usize {
        indices
            .iter()
            .map(|index| self.set(*index as usize, &Fate::Accepted))
            .sum()
    }

    fn accept_rest(&mut self) {
        self.set_rest(&Fate::Accepted);
    }

    fn fail(&mut self, index: u32, _: &[Event], error: SendError) -> usize {
        self.set(index as usize, &Fate::Failed(error))
    }

    fn abandon(&mut self, _: &[Event]) {
        self.set_rest(&Fate::Abandoned);
    }
}
