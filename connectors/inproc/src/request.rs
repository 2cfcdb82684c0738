//! The ingress over request lanes: every message is a client that waits for its answer and, like a client that means
//! it, sends again when it was told to come back, or was told nothing.
//!
//! Owns: the clients. Invariant: each message has at most one client at a time.
//! Must not know: how the router answers.

use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use weft_api::ingress::{
    Ingress, IngressContext, IngressError, LaneSpec, RequestLane, Settle, Verdict, Window,
};
use weft_api::outcome::Outcome;
use weft_api::status::Health;

use crate::feed::{Crash, Feed, Happening};
use crate::hub::locked;

pub(crate) struct RequestIngress {
    pub(crate) feed: Feed,
    pub(crate) lanes: u32,
    pub(crate) window: Window,
    pub(crate) deadline: Duration,
    pub(crate) redeliver_after: Duration,
}

#[async_trait]
impl Ingress for RequestIngress {
    async fn run(self: Box<Self>, cx: IngressContext) -> Result<(), IngressError> {
        let mut changes = self.feed.changes();
        let lanes: Vec<RequestLane> = (0..self.lanes)
            .map(|number| {
                locked(&self.feed.state).lane(number).offer_unsettled();
                self.feed.record(number, Happening::Opened { from: 0 });
                let name = format!("worker/{number}").into();
                cx.requests.open(LaneSpec {
                    name,
                    window: self.window,
                    settle: Settle::Individual,
                })
            })
            .collect();
        let mut clients = JoinSet::new();
        cx.report.health(Health::Ready);
        loop {
            let crash = locked(&self.feed.state).crash.take();
            match crash {
                None => {}
                Some(Crash::Error) => {
                    return Err(IngressError("inproc: the script ended this ingress".to_owned()));
                }
                Some(Crash::Panic) => panic!("inproc: the script makes this ingress panic"),
            }
            let draining = cx.stop.phase() > weft_api::stop::Phase::Running;
            let wake = if draining {
                None
            } else {
                self.send(&lanes, &mut clients)
            };
            tokio::select! {
                biased;
                // One that panicked (a direct send did) has lost its connection, and sends again like any other.
                Some(_) = clients.join_next() => {}
                () = cx.stop.stopped() => return Ok(()),
                () = cx.stop.draining(), if !draining => {}
                () = changes.changed() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    async fn probe(&self) -> Result<(), IngressError> {
        Ok(())
    }
}

impl RequestIngress {
    /// Starts a client for every message that is ready; says when the next one will be.
    fn send(&self, lanes: &[RequestLane], clients: &mut JoinSet<()>) -> Option<Instant> {
        let mut wake: Option<Instant> = None;
        for (number, lane) in (0..).zip(lanes) {
            loop {
                let mut state = locked(&self.feed.state);
                let hang_up_after = state.hang_up_after;
                let log = state.lane(number);
                let Some(&(at, offset)) = log.ready.first() else {
                    break;
                };
                if at > Instant::now() {
                    wake = [wake, Some(at)].into_iter().flatten().min();
                    break;
                }
                log.ready.pop_first();
                let incoming = log.messages[offset as usize].incoming.clone();
                drop(state);
                self.feed
                    .record(number, Happening::Delivered { offset, epoch: 0 });
                let answer = lane.submit(incoming, self.deadline);
                let mut client = Client {
                    feed: self.feed.clone(),
                    number,
                    offset,
                    again: self.redeliver_after,
                    told: None,
                };
                clients.spawn(async move {
                    // Longer than any deadline: a client without a limit of its own.
                    let patience = hang_up_after.unwrap_or(Duration::from_secs(86_400));
                    tokio::select! {
                        biased;
                        verdict = answer => client.hear(verdict),
                        () = sleep(patience) => {}
                    }
                });
            }
        }
        wake
    }
}

/// One request. Gone without an answer, whether it hung up or its connection broke, it sends again.
struct Client {
    feed: Feed,
    number: u32,
    offset: u64,
    again: Duration,
    told: Option<Outcome>,
}

impl Client {
    fn hear(&mut self, verdict: Verdict) {
        self.again = self.again.max(verdict.retry_after.unwrap_or_default());
        self.told = Some(verdict.outcome);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let offset = self.offset;
        self.feed.record(
            self.number,
            match self.told {
                Some(outcome) => Happening::Settled { offset, outcome },
                None => Happening::HungUp { offset },
            },
        );
        let unheard = self.told.is_some() && self.feed.unheard(self.number, offset);
        if unheard || !matches!(self.told, Some(Outcome::Accepted | Outcome::Rejected(_))) {
            let ready = (Instant::now() + self.again, offset);
            locked(&self.feed.state).lane(self.number).ready.insert(ready);
            self.feed.notify();
        }
    }
}
