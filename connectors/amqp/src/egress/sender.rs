//! The producer's loop: outcomes first, then batches.
//!
//! Owns: the connection and its successors, and when one is tried again: by itself with backoff, and whenever the router
//! gives a batch, since that is how its breaker probes.
//! Invariants: every event is settled once; what was sent and has no outcome when its link or connection ends is possibly
//! delivered, what was not sent certainly is not.
//! Does not know: how a message is laid out (`mapping`), whose fault an answer is (`outcome`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use weft_amqp_wire::performative::{DeliveryState, Error};
use weft_api::egress::{Batch, EgressContext, Flights};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};
use weft_api::status::Health;
use weft_net::Backoff;

use super::links::{Links, Sent, State};
use super::{Plan, outcome};
use crate::client::trouble::Trouble;
use crate::client::wire::{Happened, Wire};
use crate::client::{self, terminus};
use crate::mapping::egress::Scratch;

/// How often time-outs are looked for.
const TICK: Duration = Duration::from_millis(50);
/// How soon after a failure a batch makes us try again; sooner, it fails for the same reason.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Box<Wire>, Trouble>> + Send>>;

/// Where the connection stands.
pub(super) enum Line {
    /// It is being made.
    Connecting(Connecting),
    /// It works.
    Up(Box<Wire>),
    /// There is none: since when, why, and when we try by ourselves.
    Down {
        since: Instant,
        why: Trouble,
        until: Instant,
    },
}

/// What woke the loop.
enum Woke {
    Made(Result<Box<Wire>, Trouble>),
    Moved(Result<(), Trouble>),
    Due,
}

/// Runs until the router has nothing more, or says stop.
pub(super) async fn run(plan: Arc<Plan>, mut cx: EgressContext) {
    let mut sender = Sender::new(plan, &cx);
    let stop = cx.stop.clone();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut finished = false;
    while !(finished && sender.flights.is_empty()) {
        tokio::select! {
            biased;
            woke = sender.line.wake() => sender.woke(woke),
            () = stop.stopped() => break,
            batch = cx.next_batch(), if !finished => match batch {
                Some(batch) => sender.take(batch),
                None => finished = true,
            },
            _ = tick.tick() => sender.tick(),
        }
        sender.round();
    }
    // What is left is dropped with its batches, and so comes back as unknown.
    if let Line::Up(mut wire) = sender.line {
        wire.close().await;
    }
}

impl Line {
    /// Cancel-safe: what is under way is kept in the line itself.
    async fn wake(&mut self) -> Woke {
        match self {
            Line::Connecting(making) => Woke::Made(making.await),
            Line::Up(wire) => Woke::Moved(wire.io().await),
            Line::Down { until, .. } => {
                tokio::time::sleep_until(*until).await;
                Woke::Due
            }
        }
    }
}

pub(super) struct Sender {
    pub(super) plan: Arc<Plan>,
    pub(super) line: Line,
    backoff: Backoff,
    pub(super) flights: Flights,
    pub(super) links: Links,
    /// Links with something to send, or that something happened to.
    touched: Vec<usize>,
    /// When the broker last gave an outcome, or had none to give.
    pub(super) heard: Instant,
    /// Since when there is a connection, if there is one.
    since: Instant,
    serial: u64,
    scratch: Scratch,
    message: Vec<u8>,
    report: weft_api::status::Reporter,
}

impl Sender {
    fn new(plan: Arc<Plan>, cx: &EgressContext) -> Sender {
        let mut sender = Sender {
            line: Line::Connecting(connect(plan.clone())),
            plan,
            backoff: client::backoff(),
            flights: Flights::default(),
            links: Links::default(),
            touched: Vec::new(),
            heard: Instant::now(),
            since: Instant::now(),
            serial: 0,
            scratch: Scratch::default(),
            message: Vec::new(),
            report: cx.report.clone(),
        };
        // So that it is told at once whether the address is there.
        let plan = sender.plan.clone();
        if let Some(address) = plan.layout.address.fixed() {
            sender.links.find(address, sender.heard);
        }
        sender
    }

    fn woke(&mut self, woke: Woke) {
        match woke {
            Woke::Made(Ok(wire)) => self.up(wire),
            Woke::Made(Err(trouble)) | Woke::Moved(Err(trouble)) => self.down(trouble),
            Woke::Moved(Ok(())) => {}
            Woke::Due => self.line = Line::Connecting(connect(self.plan.clone())),
        }
    }

    fn up(&mut self, wire: Box<Wire>) {
        self.heard = Instant::now();
        self.since = self.heard;
        tracing::info!(destination = %self.plan.name, broker = %self.plan.endpoint.dialer.address(), "amqp connected");
        if self.plan.layout.address.templated() {
            self.report.health(Health::Ready);
        }
        self.line = Line::Up(wire);
        for token in self.links.tokens() {
            self.attach(token);
            self.touched.push(token);
        }
    }

    /// There is no connection: what was sent is possibly delivered, what waits is not.
    pub(super) fn down(&mut self, trouble: Trouble) {
        let lost = SendError::destination(Reason::Reset, trouble.text.as_str()).maybe_delivered();
        let flights = &mut self.flights;
        self.links
            .abandon(None, |sent| flights.failed(sent.ticket, lost.clone()));
        self.links.reset();
        let error = trouble.error();
        for token in self.links.tokens() {
            self.fail_waiting(token, &error);
        }
        let now = Instant::now();
        self.report
            .health(Health::Waiting(format!("{trouble}; trying again")));
        self.line = Line::Down {
            since: now,
            why: trouble,
            until: now + self.backoff.next_wait(),
        };
    }

    /// Puts the events of a batch into their lines.
    fn take(&mut self, batch: Batch) {
        let plan = self.plan.clone();
        let now = Instant::now();
        let refusal = match &self.line {
            Line::Down { since, why, .. } if now.duration_since(*since) < AGAIN => Some(why.error()),
            Line::Down { .. } => {
                self.line = Line::Connecting(connect(plan.clone()));
                None
            }
            Line::Connecting(_) | Line::Up(_) => None,
        };
        let slot = self.flights.begin(batch);
        while let Some((ticket, _)) = self.flights.next(slot) {
            self.flights.handed(slot);
            if let Some(error) = &refusal {
                self.flights.failed(ticket, error.clone());
                continue;
            }
            let Some(event) = self.flights.event(ticket) else {
                continue;
            };
            let found = match plan.layout.address.of(event) {
                Ok(address) => self.links.find(&address, now),
                Err(error) => {
                    self.flights.failed(ticket, error);
                    continue;
                }
            };
            let Some((token, evicted)) = found else {
                let text =
                    "too many addresses are in use at a time; these events are sent once some are idle";
                self.flights
                    .failed(ticket, SendError::destination(Reason::Overloaded, text));
                continue;
            };
            if let (Some(evicted), Line::Up(wire)) = (evicted, &mut self.line) {
                wire.detach(evicted);
            }
            if let Some(link) = self.links.get(token) {
                link.waiting.push_back((ticket, now));
            }
            if self.touched.last() != Some(&token) {
                self.touched.push(token);
            }
        }
    }

    /// Everything that can be done without waiting.
    fn round(&mut self) {
        while let Line::Up(wire) = &mut self.line {
            let Some(happened) = wire.next() else { break };
            self.happened(happened);
        }
        self.links.trim();
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for token in touched.drain(..) {
            self.pump(token);
        }
        self.touched = touched;
        self.flights.settle();
    }

    fn happened(&mut self, happened: Happened) {
        match happened {
            Happened::Attached { token, message_max } => {
                if let Some(link) = self.links.get(token) {
                    link.state = State::Up { message_max };
                }
                self.report.health(Health::Ready);
                self.touched.push(token);
            }
            Happened::Detached { token, error } => self.detached(token, error.as_deref()),
            Happened::Outcome { first, last, state } => self.outcome(first, last, state.as_ref()),
            Happened::Credit { token } => self.touched.push(token),
            // Ours is the sending side only.
            Happened::Delivery { .. } | Happened::TooLarge { .. } => {}
        }
    }

    fn outcome(&mut self, first: u32, last: u32, state: Option<&DeliveryState>) {
        self.heard = Instant::now();
        // A peer cannot make us count further than what we sent.
        let count = (last.wrapping_sub(first) as usize).min(super::IN_FLIGHT as usize * 2);
        for step in 0..=count {
            let delivery = first.wrapping_add(step as u32);
            let Some(sent) = self.links.take(delivery) else {
                continue;
            };
            if state == Some(&DeliveryState::Accepted) {
                self.flights.confirmed(sent.ticket);
                continue;
            }
            let address = self.links.get(sent.link).map(|link| link.address.clone());
            match outcome::of(state, self.plan.at(address.as_deref().unwrap_or_default())) {
                None => self.flights.confirmed(sent.ticket),
                Some(error) => self.flights.failed(sent.ticket, error),
            }
        }
    }

    /// A link was refused, or taken away.
    fn detached(&mut self, token: usize, error: Option<&Error>) {
        let plan = self.plan.clone();
        let Some(link) = self.links.get(token) else {
            return;
        };
        let address = link.address.clone();
        let was_up = matches!(link.state, State::Up { .. });
        let refused = outcome::link(error, plan.at(&address));
        let lost = outcome::detached(error, plan.at(&address));
        link.state = State::Refused(Instant::now(), refused.clone());
        let flights = &mut self.flights;
        self.links
            .abandon(Some(token), |sent| flights.failed(sent.ticket, lost.clone()));
        // A template that names a bad address says nothing about the destination.
        if !plan.layout.address.templated() {
            let text = if was_up { &lost.detail } else { &refused.detail };
            self.report
                .health(Health::Waiting(format!("{text}; trying again")));
        }
        self.fail_waiting(token, &refused);
    }

    pub(super) fn fail_waiting(&mut self, token: usize, error: &SendError) {
        let Some(link) = self.links.get(token) else {
            return;
        };
        for (ticket, _) in std::mem::take(&mut link.waiting) {
            self.flights.failed(ticket, error.clone());
        }
    }

    pub(super) fn attach(&mut self, token: usize) {
        let Line::Up(wire) = &mut self.line else { return };
        let Some(link) = self.links.get(token) else {
            return;
        };
        link.state = State::Attaching(Instant::now());
        self.serial += 1;
        let spec = terminus::sender(self.plan.kind, &self.plan.name, &link.address, self.serial);
        wire.sender(token, &spec);
    }

    /// Sends what waits for a link, as far as the broker has given credit.
    fn pump(&mut self, token: usize) {
        let Some(link) = self.links.get(token) else {
            return;
        };
        if link.waiting.is_empty() || !matches!(self.line, Line::Up(_)) {
            return;
        }
        match &link.state {
            State::Up { message_max } => {
                let message_max = *message_max;
                self.send(token, message_max);
            }
            State::Attaching(_) => {}
            State::Refused(since, error) if since.elapsed() < AGAIN => {
                let error = error.clone();
                self.fail_waiting(token, &error);
            }
            State::Absent | State::Refused(..) => self.attach(token),
        }
    }

    fn send(&mut self, token: usize, message_max: Option<u64>) {
        let plan = self.plan.clone();
        let now = Instant::now();
        let Line::Up(wire) = &mut self.line else { return };
        while wire.can_send(token) {
            let Some(link) = self.links.get(token) else { return };
            let Some((ticket, _)) = link.waiting.pop_front() else {
                return;
            };
            let Some(event) = self.flights.event(ticket) else {
                continue;
            };
            if let Some(error) = over_limit(event, plan.event_max) {
                self.flights.failed(ticket, error);
                continue;
            }
            self.message.clear();
            let address = &*link.address;
            if let Err(error) = plan
                .layout
                .encode(event, address, &mut self.scratch, &mut self.message)
            {
                self.flights.failed(ticket, error);
                continue;
            }
            if let Some(error) = too_large(self.message.len() as u64, message_max, address) {
                self.flights.failed(ticket, error);
                continue;
            }
            let Some(delivery) = wire.send(token, &self.message) else {
                // Asked before; were it otherwise, the event would wait for its time-out, and not be lost.
                continue;
            };
            self.links.sent(
                delivery,
                Sent {
                    ticket,
                    link: token,
                    at: now,
                },
            );
        }
    }
}

fn connect(plan: Arc<Plan>) -> Connecting {
    Box::pin(async move { plan.connect().await.map(Box::new) })
}

/// The error of an event with more data than the file allows.
fn over_limit(event: &Event, max: u64) -> Option<SendError> {
    let bytes = event.data().map_or(0, |data| data.len() as u64);
    let text = || format!("the event has {bytes} bytes of data, and limits.event allows {max}");
    (bytes > max).then(|| SendError::event(Reason::TooLarge, text()))
}

/// The error of a message that the broker said it does not take.
fn too_large(bytes: u64, message_max: Option<u64>, address: &str) -> Option<SendError> {
    let max = message_max.filter(|max| *max > 0 && bytes > *max)?;
    let text = format!("the message has {bytes} bytes, and amqp `{address}` takes {max} (max-message-size)");
    Some(SendError::event(Reason::TooLarge, text))
}
