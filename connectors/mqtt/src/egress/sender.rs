//! The egress' loop: confirmations first, then batches.
//!
//! States: waiting => dialing => live => waiting.
//! Invariants: an event that was not sent is never called possibly delivered; what is sent goes out in the order of the batches, and after
//! a lost connection nothing of an unfinished batch passes what is given back; while there is no connection a batch is an occasion to try
//! for one, and is given back at once when it fails, so that the router's breaker sees what is the case.
//! A connection on which nothing is confirmed for `timeout` is given up. A broker that closes again and again with nothing confirmed is sent
//! one message at a time, until one is confirmed: so the one that it cannot bear is found, and costs no other an attempt.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval, sleep};
use weft_api::egress::{EgressContext, EgressError, Flights, Ticket};
use weft_api::outcome::{Reason, SendError};
use weft_api::status::{Health, Reporter};
use weft_net::Backoff;

use super::Plan;
use super::outbox::Outbox;
use crate::client::dial::Dialing;
use crate::client::end::End;
use crate::client::link::Link;
use crate::client::refusal::Refusal;
use crate::client::takeover::{self, Takeover};
use crate::client::wire::connect::Connack;
use crate::client::wire::publish::{self, Manner};
use crate::client::wire::{ack, kind};

/// The first and the longest wait before a new connection that no batch asks for.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The shortest time between two tries, whoever asks.
const GAP: Duration = Duration::from_millis(50);
/// A connection that lived so long was a good one.
const GOOD: Duration = Duration::from_secs(5);
/// So many connections in a row on which nothing was confirmed: one message at a time from now on.
pub(super) const BARREN: u32 = 2;

/// Runs until the router has nothing more, or says stop.
pub(super) async fn run(plan: Arc<Plan>, mut cx: EgressContext) -> Result<(), EgressError> {
    let stop = cx.stop.clone();
    let mut stopped = pin!(stop.stopped());
    let mut sender = Sender::new(plan, cx.report.clone());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            done = std::future::poll_fn(|task| sender.poll(task, &mut cx)) => if done { break },
        }
    }
    // What is left is dropped with its batches, and so comes back as unknown.
    if let State::Live(link, _) = sender.state {
        link.goodbye(0).await;
    }
    Ok(())
}

pub(super) enum State {
    Waiting(Pin<Box<Sleep>>),
    Dialing(Dialing),
    Live(Box<Link>, Instant),
}

/// The one who sends.
pub(super) struct Sender {
    pub(super) plan: Arc<Plan>,
    report: Reporter,
    pub(super) state: State,
    pub(super) flights: Flights,
    pub(super) outbox: Outbox,
    /// The batch that is being sent.
    pub(super) sending: Option<u32>,
    /// When it came.
    sending_since: Instant,
    /// Of QoS 0, and not yet in the socket.
    pub(super) loose: Vec<Ticket>,
    /// What this connection allows.
    pub(super) qos: u8,
    pub(super) max_packet: u32,
    pub(super) in_flight: u16,
    /// The last failure to connect, and when it ended.
    refusal: Option<(Refusal, Instant)>,
    backoff: Backoff,
    takeover: Takeover,
    /// Connections in a row that ended with messages on their way and none confirmed.
    pub(super) barren: u32,
    pub(super) confirmed: Option<Instant>,
    tick: Interval,
    finished: bool,
    scratch: Vec<Ticket>,
}

impl Sender {
    fn new(plan: Arc<Plan>, report: Reporter) -> Sender {
        let period = (plan.timeout / 10).clamp(Duration::from_millis(10), Duration::from_millis(500));
        let mut tick = interval(period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Sender {
            state: State::Dialing(plan.target.dial(plan.terms(true))),
            flights: Flights::default(),
            outbox: Outbox::new(plan.target.version()),
            sending: None,
            sending_since: Instant::now(),
            loose: Vec::new(),
            qos: plan.qos,
            max_packet: u32::MAX,
            in_flight: plan.in_flight,
            refusal: None,
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
            takeover: Takeover::default(),
            barren: 0,
            confirmed: None,
            tick,
            finished: false,
            scratch: Vec::new(),
            report,
            plan,
        }
    }

    /// One turn. `true`: there is nothing left to do.
    fn poll(&mut self, task: &mut Context<'_>, cx: &mut EgressContext) -> Poll<bool> {
        let mut busy = self.poll_connection(task);
        busy |= self.poll_batch(task, cx);
        busy |= self.hand_over(task);
        while self.tick.poll_tick(task).is_ready() {
            self.expire();
            busy = true;
        }
        if self.finished && self.sending.is_none() && self.flights.is_empty() {
            return Poll::Ready(true);
        }
        if busy { Poll::Ready(false) } else { Poll::Pending }
    }

    fn poll_connection(&mut self, task: &mut Context<'_>) -> bool {
        match &mut self.state {
            State::Waiting(sleep) => {
                if sleep.as_mut().poll(task).is_pending() {
                    return false;
                }
                self.dial();
            }
            State::Dialing(dialing) => match dialing.as_mut().poll(task) {
                Poll::Pending => return false,
                Poll::Ready(Ok((link, connack))) => self.accepted(link, &connack),
                Poll::Ready(Err(refusal)) => self.refused(refusal),
            },
            State::Live(link, _) => {
                let read = match link.poll_alive(task, true) {
                    Poll::Ready(why) => Poll::Ready(Err(why)),
                    Poll::Pending => link.poll_read(task),
                };
                match read {
                    Poll::Pending => return false,
                    Poll::Ready(Err(why)) => self.lost(&End::Broken(why)),
                    Poll::Ready(Ok(())) => {
                        if let Err(end) = self.packets() {
                            self.lost(&end);
                        }
                        self.flights.settle();
                    }
                }
            }
        }
        true
    }

    fn poll_batch(&mut self, task: &mut Context<'_>, cx: &mut EgressContext) -> bool {
        if self.finished || self.sending.is_some() || matches!(self.state, State::Dialing(_)) {
            return false;
        }
        let Poll::Ready(batch) = pin!(cx.next_batch()).poll(task) else {
            return false;
        };
        let Some(batch) = batch else {
            self.finished = true;
            return true;
        };
        self.sending = Some(self.flights.begin(batch));
        self.sending_since = Instant::now();
        if matches!(self.state, State::Waiting(_)) {
            match &self.refusal {
                Some((refusal, at)) if at.elapsed() < GAP => {
                    let error = refusal.error();
                    self.give_back(&error);
                }
                _ => self.dial(),
            }
        }
        true
    }

    fn dial(&mut self) {
        let first = self.qos < 2 || self.outbox.in_flight() == 0;
        self.state = State::Dialing(self.plan.target.dial(self.plan.terms(first)));
    }

    fn refused(&mut self, refusal: Refusal) {
        self.report.health(Health::Waiting(refusal.line.clone()));
        self.give_back(&refusal.error());
        self.refusal = Some((refusal, Instant::now()));
        self.state = State::Waiting(Box::pin(sleep(self.backoff.next_wait())));
    }

    /// What of the present batch was not sent.
    fn give_back(&mut self, error: &SendError) {
        if let Some(slot) = self.sending.take() {
            self.flights.refused_rest(slot, error);
        }
    }

    /// Dialing => live.
    fn accepted(&mut self, mut link: Link, connack: &Connack) {
        let qos = match self.plan.agree(connack) {
            Ok(qos) => qos,
            Err(refusal) => {
                link.part(0);
                return self.refused(refusal);
            }
        };
        if qos < self.plan.qos && self.refusal.is_none() && self.qos == self.plan.qos {
            self.report.warn(format!(
                "{}: the broker takes QoS {qos} at most, and `qos` asks for {}: sent with {qos}",
                self.plan.address, self.plan.qos
            ));
        }
        self.qos = qos;
        self.max_packet = connack.max_packet;
        self.in_flight = self.plan.in_flight.min(connack.receive_maximum);
        if connack.session_present {
            self.resume(&mut link);
        } else {
            let error = SendError::destination(
                Reason::Reset,
                format!("{}: the broker has forgotten the session", self.plan.address),
            );
            self.forget(&error.maybe_delivered());
        }
        let cautious = self.barren >= BARREN;
        self.outbox.allow(if cautious { 1 } else { self.in_flight });
        self.confirmed = None;
        self.refusal = None;
        self.report.health(Health::Ready);
        self.state = State::Live(Box::new(link), Instant::now());
    }

    /// The session goes on: what it lacks is sent again, in order, with DUP.
    fn resume(&mut self, link: &mut Link) {
        let version = link.version();
        for again in self.outbox.resume() {
            let event = again.ticket.and_then(|ticket| self.flights.event(ticket));
            match event.map(|event| self.plan.layout.publish(event)) {
                Some(Ok(publish)) => {
                    let manner = Manner {
                        version,
                        qos: 2,
                        dup: true,
                        id: again.id,
                    };
                    publish::encode(link.out(), &publish, manner);
                }
                _ => ack::encode(link.out(), version, kind::PUBREL, again.id, 0),
            }
        }
    }

    /// Live => waiting: the connection is over without our doing.
    pub(super) fn lost(&mut self, end: &End) {
        let line = format!("{}: {}", self.plan.address, end.line());
        let only = self.outbox.only().filter(|_| self.barren >= BARREN);
        if self.confirmed.is_none() && self.outbox.in_flight() > 0 {
            self.barren = self.barren.saturating_add(1);
        }
        let mut error = SendError::destination(end.reason(), line.as_str()).maybe_delivered();
        if only.is_some() && end.is_theirs() {
            // Alone on its way, and not for the first time.
            error = SendError::attempt(end.reason(), line.as_str()).maybe_delivered();
        }
        if self.qos < 2 {
            self.forget(&error);
            let rest = SendError::destination(Reason::Unavailable, line.as_str());
            self.give_back(&rest);
        } else if only.is_some() {
            let mut lost = std::mem::take(&mut self.scratch);
            self.outbox.abandon(&mut lost);
            self.fail(lost, &error);
        }
        let loose = std::mem::take(&mut self.loose);
        self.fail(loose, &error);
        self.report.health(Health::Waiting(line));
        let waiting = State::Waiting(Box::pin(sleep(Duration::ZERO)));
        if let State::Live(mut link, since) = std::mem::replace(&mut self.state, waiting) {
            let lived = takeover::lived(since);
            if lived >= GOOD {
                self.backoff.reset();
            }
            if end.is_theirs() && self.takeover.ended(lived, end.is_takeover()) {
                let line = takeover::line(&self.plan.address, &self.plan.client_id, end.is_takeover());
                self.report.warn(line);
            }
            if let Some(code) = end.code() {
                link.part(code);
            }
        }
        self.state = State::Waiting(Box::pin(sleep(self.backoff.next_wait())));
    }

    /// Nothing of the session is left.
    fn forget(&mut self, error: &SendError) {
        let mut lost = std::mem::take(&mut self.scratch);
        self.outbox.forget(&mut lost);
        self.fail(lost, error);
    }

    fn fail(&mut self, mut tickets: Vec<Ticket>, error: &SendError) {
        for ticket in tickets.drain(..) {
            self.flights.failed(ticket, error.clone());
        }
        self.scratch = tickets;
    }

    /// Looks for what has waited too long.
    fn expire(&mut self) {
        let (now, timeout) = (Instant::now(), self.plan.timeout);
        let address = &self.plan.address;
        let mut late = std::mem::take(&mut self.scratch);
        self.outbox.expire(now, timeout, &mut late);
        let any = !late.is_empty();
        let line = format!("{address}: not confirmed within {timeout:?}");
        let error = SendError::destination(Reason::Timeout, line.as_str()).maybe_delivered();
        let unsent =
            format!("{address}: the broker takes no more messages, and confirms none, within {timeout:?}");
        self.fail(late, &error);
        if self.sending.is_some() && now.duration_since(self.sending_since) >= timeout {
            self.give_back(&SendError::destination(Reason::Unavailable, unsent));
        }
        let silent = |at: &Instant| now.duration_since(*at) >= timeout;
        let stuck = self.confirmed.as_ref().is_none_or(silent)
            || self.outbox.orphans() * 2 > usize::from(self.in_flight);
        if any && stuck && matches!(self.state, State::Live(..)) {
            self.lost(&End::Silent(timeout));
        }
    }
}
