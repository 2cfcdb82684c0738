//! The consumer's loop: settlements, then deliveries, then credit, then sleep.
//!
//! Owns: the connection and its successors, the links, the lanes.
//! Invariants
//! - Settlements go first, so that credit is as new as can be; whatever a round answers goes out in one write.
//! - An outcome is told on the connection that its delivery came by, or not at all.
//! - A link that is refused is tried again by itself; the others go on.
//!
//! Does not know: what a message is (`mapping`), what a window is made of (`lane`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weft_api::ingress::{Incoming, IngressContext, LaneEvent, LaneId, LaneSpec, Settle};
use weft_api::outcome::{Outcome, Reason};
use weft_api::status::Health;
use weft_api::stop::Phase;
use weft_net::Backoff;

use super::answers::Answers;
use super::lane::{LinkLane, State, Waiting};
use super::{Plan, outcome};
use crate::client;
use crate::client::trouble::Trouble;
use crate::client::wire::{Happened, Wire, WireSpec};
use crate::mapping::ingress::Mapper;

/// The first and the longest wait before a link that was refused is asked for again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Runs until the stop.
pub(super) async fn run(plan: Arc<Plan>, cx: IngressContext) {
    let mut consumer = Consumer::start(plan, cx);
    let mut backoff = client::backoff();
    loop {
        let trouble = match consumer.connect().await {
            Ended::Stopped => break,
            Ended::Wire(mut wire) => {
                let since = Instant::now();
                match consumer.serve(&mut wire).await {
                    Some(trouble) => {
                        if since.elapsed() >= client::STEADY {
                            backoff.reset();
                        }
                        trouble
                    }
                    None => {
                        consumer.part(&mut wire);
                        wire.close().await;
                        break;
                    }
                }
            }
            Ended::Trouble(trouble) => trouble,
        };
        consumer.lost(&trouble);
        let until = Instant::now() + backoff.next_wait();
        if !consumer.wait(until).await {
            break;
        }
    }
    consumer.close();
}

/// What became of a try to connect.
enum Ended {
    /// There is a connection.
    Wire(Box<Wire>),
    /// There is none.
    Trouble(Trouble),
    /// The router said stop meanwhile.
    Stopped,
}

pub(super) struct Consumer {
    pub(super) plan: Arc<Plan>,
    pub(super) cx: IngressContext,
    mapper: Mapper,
    pub(super) links: Vec<LinkLane>,
    by_lane: HashMap<u32, usize>,
    answers: Answers,
    batch: Vec<Incoming>,
    /// Links that something happened to in this round.
    touched: Vec<usize>,
    /// What is wrong with each link that is refused.
    pub(super) refusals: HashMap<usize, String>,
    pub(super) draining: bool,
    /// The session's window is held.
    holding: bool,
    pub(super) at: String,
}

impl Consumer {
    fn start(plan: Arc<Plan>, mut cx: IngressContext) -> Consumer {
        let now = Instant::now();
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut links = Vec::new();
        let mut by_lane = HashMap::new();
        for (token, receiver) in plan.receivers.iter().enumerate() {
            let number = numbers.entry(&receiver.address).or_default();
            let lane = cx.lanes.open(LaneSpec {
                name: format!("{}/{number}", receiver.address).into(),
                window: plan.window,
                settle: Settle::Individual,
            });
            *number += 1;
            by_lane.insert(lane.index, token);
            links.push(LinkLane::new(
                lane,
                plan.window.events,
                now,
                Backoff::new(AGAIN.0, AGAIN.1),
            ));
        }
        cx.report.lag(None);
        Consumer {
            mapper: Mapper::new(plan.mapping.clone()),
            at: plan.endpoint.dialer.address().to_string(),
            plan,
            cx,
            links,
            by_lane,
            answers: Answers::default(),
            batch: Vec::new(),
            touched: Vec::new(),
            refusals: HashMap::new(),
            draining: false,
            holding: false,
        }
    }

    /// Connects; outcomes that come meanwhile are for deliveries of a connection that is gone.
    async fn connect(&mut self) -> Ended {
        let plan = self.plan.clone();
        let stop = self.cx.stop.clone();
        let mut connecting = std::pin::pin!(plan.connect());
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return Ended::Stopped,
                made = &mut connecting => return match made {
                    Ok(wire) => Ended::Wire(Box::new(wire)),
                    Err(trouble) => Ended::Trouble(trouble),
                },
                (lane, event) = self.cx.lanes.next() => self.said(None, lane, event),
            }
        }
    }

    /// Waits for the next try. False: the router said stop.
    async fn wait(&mut self, until: Instant) -> bool {
        let stop = self.cx.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.stopped() => return false,
                () = tokio::time::sleep_until(until) => return true,
                (lane, event) = self.cx.lanes.next() => self.said(None, lane, event),
            }
        }
    }

    /// Serves a connection until it is lost, which gives why, or until the router says stop.
    async fn serve(&mut self, wire: &mut Wire) -> Option<Trouble> {
        tracing::info!(ingress = %self.cx.name, broker = self.at, "amqp connected");
        let stop = self.cx.stop.clone();
        loop {
            match stop.phase() {
                Phase::Running => {}
                Phase::Draining => self.drain(wire),
                Phase::Stopped => return None,
            }
            self.round(wire);
            let again = self.attach_due(wire);
            let phase = stop.phase();
            tokio::select! {
                biased;
                // Reads and writes; what is settled is looked at in every round.
                moved = wire.io() => {
                    if let Err(trouble) = moved {
                        return Some(trouble);
                    }
                }
                (lane, event) = self.cx.lanes.next() => self.said(Some(wire), lane, event),
                () = stop.draining(), if phase == Phase::Running => {}
                () = stop.stopped() => {}
                () = until(again) => {}
            }
        }
    }

    /// Everything that can be done without waiting.
    fn round(&mut self, wire: &mut Wire) {
        while let Some((lane, event)) = self.cx.lanes.try_next() {
            self.said(Some(wire), lane, event);
        }
        while let Some(happened) = wire.next() {
            self.happened(wire, happened);
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for token in touched.drain(..) {
            self.pump(wire, token);
        }
        self.touched = touched;
        self.hold(wire);
        self.answers.flush(wire);
    }

    /// Stops the session's window while too many bytes wait for lanes. Credit counts messages; this counts what they weigh.
    fn hold(&mut self, wire: &mut Wire) {
        let waiting: u64 = self.links.iter().map(LinkLane::waiting_bytes).sum();
        let most = self.plan.client_memory / 2;
        if !self.holding && waiting > most || self.holding && waiting <= most / 2 {
            self.holding = !self.holding;
            wire.hold(self.holding);
        }
    }

    fn happened(&mut self, wire: &mut Wire, happened: Happened) {
        match happened {
            Happened::Attached { token, .. } => self.attached(wire, token),
            Happened::Detached { token, error } => self.detached(token, error.as_deref()),
            Happened::Delivery {
                token,
                delivery,
                payload,
            } => {
                let (Some(link), Some(receiver)) =
                    (self.links.get_mut(token), self.plan.receivers.get(token))
                else {
                    return;
                };
                if self.draining {
                    if let Some(delivery) = delivery {
                        let stopping = Outcome::Released(Reason::Stopping);
                        self.answers.push(wire, delivery, delivery, stopping);
                    }
                    return;
                }
                let incoming = self.mapper.map(&receiver.address, &payload);
                link.backoff.reset();
                link.came(Waiting { incoming, delivery });
                self.touch(token);
            }
            Happened::TooLarge { token, delivery } => {
                self.answers.flush(wire);
                match delivery {
                    Some(delivery) => {
                        wire.settle(delivery, delivery, outcome::too_large(self.plan.event_max));
                    }
                    None => self.cx.report.dropped("too_large", 1),
                }
                let text = format!(
                    "{}: a message is larger than limits.event ({} bytes) and was refused",
                    self.at, self.plan.event_max
                );
                self.cx.report.warn(text);
                self.touch(token);
            }
            // Credit went without a message: it is given again.
            Happened::Credit { token } => self.touch(token),
            // Ours is the receiving side only.
            Happened::Outcome { .. } => {}
        }
    }

    pub(super) fn touch(&mut self, token: usize) {
        if self.touched.last() != Some(&token) {
            self.touched.push(token);
        }
    }

    fn said(&mut self, wire: Option<&mut Wire>, lane: LaneId, event: LaneEvent) {
        let Some(&token) = self.by_lane.get(&lane.index) else {
            return;
        };
        let Some(link) = self.links.get_mut(token) else {
            return;
        };
        if let LaneEvent::Settled { first, last, outcome } = event {
            let answers = &mut self.answers;
            match wire {
                Some(wire) => link.ledger.settled(first, last, |from, to| {
                    answers.push(wire, from, to, outcome);
                }),
                None => link.ledger.settled(first, last, |_, _| {}),
            }
        }
        self.touch(token);
    }

    /// Gives the lane what it has credit for, and the broker what the lane has room for.
    fn pump(&mut self, wire: &mut Wire, token: usize) {
        let Some(link) = self.links.get_mut(token) else {
            return;
        };
        let credit = self.cx.lanes.credit(link.lane);
        if let Some(first) = link.take(credit, &mut self.batch) {
            let given = self.cx.lanes.deliver(link.lane, &mut self.batch);
            debug_assert_eq!(given, first, "the lane and the books count alike");
        }
        if self.draining || link.state != State::Up {
            return;
        }
        let credit = self.cx.lanes.credit(link.lane);
        if let Some(more) = link.credit(credit, wire.unused(token)) {
            wire.credit(token, more);
        }
    }

    /// Takes nothing more in, and gives back what no lane has.
    fn drain(&mut self, wire: &mut Wire) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        for (token, link) in self.links.iter_mut().enumerate() {
            if link.state == State::Up {
                wire.credit(token, 0);
            }
            for waiting in link.drain() {
                if let Some(delivery) = waiting.delivery {
                    let stopping = Outcome::Released(Reason::Stopping);
                    self.answers.push(wire, delivery, delivery, stopping);
                }
            }
        }
        self.answers.flush(wire);
    }

    /// The last words on a connection that works: what is settled is told, the rest is given back.
    fn part(&mut self, wire: &mut Wire) {
        self.drain(wire);
        while let Some((lane, event)) = self.cx.lanes.try_next() {
            self.said(Some(wire), lane, event);
        }
        for link in &mut self.links {
            let answers = &mut self.answers;
            link.ledger.give_up(|from, to| {
                answers.push(wire, from, to, Outcome::Released(Reason::Stopping));
            });
        }
        self.answers.flush(wire);
    }

    /// The connection is gone.
    fn lost(&mut self, trouble: &Trouble) {
        self.answers.clear();
        self.refusals.clear();
        self.touched.clear();
        self.holding = false;
        let now = Instant::now();
        for link in &mut self.links {
            link.lost(now);
            link.backoff.reset();
        }
        self.cx
            .report
            .health(Health::Waiting(format!("{trouble}; trying again")));
    }

    fn close(mut self) {
        for link in &self.links {
            self.cx.lanes.close(link.lane);
        }
    }
}

/// Sleeps until then; for ever where there is no then.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Plan {
    /// Makes a connection with room for what the links may have sent ahead.
    pub(super) async fn connect(&self) -> Result<Wire, Trouble> {
        let spec = WireSpec {
            incoming_bytes: self.client_memory / 2,
            message_max: self.message_max,
        };
        Wire::connect(&self.endpoint, &spec).await
    }
}
