//! The router as an egress sees it: a queue that gives out batches and keeps what became of each event.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use weft_api::egress::{Batch, BatchQueue, BatchSink, EgressContext, EgressError};
use weft_api::event::Event;
use weft_api::outcome::SendError;
use weft_api::status::Silent;
use weft_api::stop::StopHandle;

/// What became of one event.
#[derive(Clone, Debug)]
pub enum Fate {
    Accepted,
    Failed(SendError),
    Abandoned,
}

/// A settled event: its id and fate.
pub type Settled = (String, Fate);

struct Queue(VecDeque<Vec<Event>>, mpsc::UnboundedSender<Settled>);

impl BatchQueue for Queue {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Batch>> {
        Poll::Ready(self.0.pop_front().map(|events| {
            let ids = events.iter().map(|event| event.id().to_owned()).collect();
            Batch::new(
                events,
                Box::new(Sink {
                    ids,
                    left: Mutex::default(),
                    told: self.1.clone(),
                }),
            )
        }))
    }
}

struct Sink {
    ids: Vec<String>,
    left: Mutex<Vec<bool>>,
    told: mpsc::UnboundedSender<Settled>,
}

impl Sink {
    fn settle(&self, index: usize, fate: Fate) -> usize {
        let mut settled = self.left.lock().unwrap();
        settled.resize(self.ids.len(), false);
        if std::mem::replace(&mut settled[index], true) {
            return 0;
        }
        // A test that no longer listens is over.
        let _ = self.told.send((self.ids[index].clone(), fate));
        1
    }
}

impl BatchSink for Sink {
    fn accept(&mut self, indices: &[u32]) -> usize {
        indices
            .iter()
            .map(|index| self.settle(*index as usize, Fate::Accepted))
            .sum()
    }
    fn accept_rest(&mut self) {
        for index in 0..self.ids.len() {
            self.settle(index, Fate::Accepted);
        }
    }
    fn fail(&mut self, index: u32, _: &[Event], error: SendError) -> usize {
        self.settle(index as usize, Fate::Failed(error))
    }
    fn abandon(&mut self, _: &[Event]) {
        for index in 0..self.ids.len() {
            self.settle(index, Fate::Abandoned);
        }
    }
}

/// A running destination.
pub struct Run {
    pub settled: mpsc::UnboundedReceiver<Settled>,
    pub running: JoinHandle<Result<(), EgressError>>,
    pub stop: StopHandle,
}

/// Runs a destination over these batches.
pub fn run(section: serde_json::Value, batches: Vec<Vec<Event>>) -> Run {
    let egress = super::egress(section).build().unwrap();
    let (told, settled) = mpsc::unbounded_channel();
    let (stop, stopping) = StopHandle::new();
    let queue = Box::new(Queue(batches.into(), told));
    let cx = EgressContext::new("crm".into(), stopping, Arc::new(Silent), queue);
    Run {
        settled,
        running: tokio::spawn(egress.run(cx)),
        stop,
    }
}

impl Run {
    /// Waits for the end and returns every settlement, in the order in which they came.
    pub async fn finish(mut self) -> Vec<Settled> {
        super::soon(self.running).await.unwrap().unwrap();
        let mut all = Vec::new();
        while let Ok(one) = self.settled.try_recv() {
            all.push(one);
        }
        all
    }
}
