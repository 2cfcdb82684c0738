//! One session: its connection, its lane, and the way from one to the other.
//!
//! States: waiting => dialing => live => (leaving =>) waiting | dialing | full | over.
//! Invariants: a lane lives as long as its connection, but for a rewind, where the lane goes on and the connection is made anew, and for
//! 3.1.1 past its window, where the lane goes on until there is room. What the lane has no credit for stays in the socket, but for one
//! message. A connection is left with DISCONNECT where there is time, and the broker keeps the session.
//! Does not know: other sessions, the router's phases (`engine`).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use weft_api::ingress::{LaneId, LaneSpec, Settle};
use weft_api::outcome::Outcome;
use weft_net::Backoff;

use super::Plan;
use super::desk::{Desk, Room};
use super::inbox::Inbox;
use super::subscription::{Answer, Subscription};
use super::turn::{Held, Turn};
use crate::client::dial::{Dialing, Terms};
use crate::client::end::End;
use crate::client::link::Link;
use crate::client::refusal::Refusal;
use crate::client::takeover::{self, Takeover};
use crate::client::wire::connect::Connack;
use crate::config::Version;

/// The first and the longest wait before a new connection.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// A connection that lived so long was a good one: the next wait is a short one.
const GOOD: Duration = Duration::from_secs(5);
/// Acknowledgements that the broker does not take off the socket; past it nothing more is read.
const BACKLOG: usize = 256 * 1024;
/// How long a lane of 3.1.1 may be without credit, and nothing be settled, before its connection is ended.
const PATIENCE: Duration = Duration::from_secs(2);

enum State {
    /// For the next try.
    Waiting(Pin<Box<Sleep>>),
    /// For CONNACK.
    Dialing(Dialing),
    /// Connected, since then.
    Live(Box<Link>, Instant),
    /// Saying goodbye.
    Leaving(Pin<Box<dyn Future<Output = ()> + Send>>, Next),
    /// 3.1.1, past its window: for room.
    Full,
    /// Stopping.
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Dial,
    Full,
    Over,
}

/// Where a session stands, for the health of the whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Starting,
    Ready,
    Waiting(String),
}

pub(super) struct Session {
    plan: Arc<Plan>,
    terms: Terms,
    lane_name: Arc<str>,
    state: State,
    pub(super) standing: Standing,
    pub(super) lane: Option<LaneId>,
    inbox: Inbox,
    subscription: Subscription,
    held: Option<Held>,
    /// Asks again for filters that were refused.
    again: Option<Pin<Box<Sleep>>>,
    /// Runs while 3.1.1 is without credit.
    patience: Option<Pin<Box<Sleep>>>,
    /// What an ended connection had delivered and the lane has not settled (3.1.1 past its window).
    left: u64,
    backoff: Backoff,
    takeover: Takeover,
    connected: bool,
}

impl Session {
    pub(super) fn new(plan: &Arc<Plan>, number: u16) -> Session {
        Session {
            terms: plan.terms(number),
            lane_name: plan.lane_name(number),
            state: State::Dialing(plan.target.dial(plan.terms(number))),
            standing: Standing::Starting,
            lane: None,
            inbox: Inbox::new(plan.target.version()),
            subscription: plan.subscription(),
            held: None,
            again: None,
            patience: None,
            left: 0,
            backoff: Backoff::new(BACKOFF.0, BACKOFF.1),
            takeover: Takeover::default(),
            connected: false,
            plan: plan.clone(),
        }
    }

    /// One step, if there is one to make.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, desk: &mut Desk) -> Poll<()> {
        match &mut self.state {
            State::Over | State::Full => return Poll::Pending,
            State::Waiting(sleep) => {
                ready!(sleep.as_mut().poll(cx));
                self.dial();
            }
            State::Dialing(dialing) => match ready!(dialing.as_mut().poll(cx)) {
                Ok((link, connack)) => self.accepted(link, &connack, desk),
                Err(refusal) => self.refused(refusal),
            },
            State::Leaving(goodbye, next) => {
                ready!(goodbye.as_mut().poll(cx));
                match *next {
                    Next::Dial => self.dial(),
                    Next::Full => self.state = State::Full,
                    Next::Over => self.state = State::Over,
                }
            }
            State::Live(link, _) => {
                let step = poll_live(
                    link,
                    cx,
                    self.held.is_none() && !desk.draining,
                    [&mut self.again, &mut self.patience],
                );
                let ended = match step {
                    Poll::Pending if desk.draining && self.inbox.unsettled() == 0 => {
                        self.leave(Next::Over, desk);
                        Ok(())
                    }
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(Step::Read)) => self.take(desk),
                    Poll::Ready(Ok(Step::Again)) => {
                        self.again = None;
                        self.subscribe(true);
                        Ok(())
                    }
                    Poll::Ready(Ok(Step::OutOfPatience)) => {
                        self.full(desk);
                        Ok(())
                    }
                    Poll::Ready(Err(why)) => Err(End::Broken(why)),
                };
                if let Err(end) = ended {
                    self.lost(&end, desk);
                }
            }
        }
        Poll::Ready(())
    }

    fn dial(&mut self) {
        self.state = State::Dialing(self.plan.target.dial(self.terms.clone()));
    }

    fn refused(&mut self, refusal: Refusal) {
        self.standing = Standing::Waiting(refusal.line);
        self.wait();
    }

    fn wait(&mut self) {
        self.state = State::Waiting(Box::pin(sleep(self.backoff.next_wait())));
    }

    /// Waiting for CONNACK => live.
    fn accepted(&mut self, link: Link, connack: &Connack, desk: &mut Desk) {
        let (address, id) = (self.plan.target.address(), &self.terms.client_id);
        if self.connected && !connack.session_present {
            desk.report.warn(format!(
                "{address}: the broker has forgotten the session of `{id}`, and with it what was published while it was not \
                 connected; let it keep sessions (persistence, session expiry)"
            ));
        }
        let wanted = self.terms.session_expiry;
        if let Some(given) = connack
            .session_expiry
            .filter(|given| *given < wanted && !self.connected)
        {
            desk.report.warn(format!(
                "{address}: the broker keeps the session of `{id}` for {given}s only, and `session_expiry` asks for {wanted}s"
            ));
        }
        tracing::info!(
            ingress = %self.lane_name, client_id = id, receive_maximum = self.terms.receive_maximum,
            session_present = connack.session_present, "mqtt session is connected"
        );
        self.connected = true;
        self.left = 0;
        self.inbox.resumed(connack.session_present);
        self.state = State::Live(Box::new(link), Instant::now());
        if self.lane.is_none() {
            self.lane = Some(desk.lanes.open(LaneSpec {
                name: self.lane_name.clone(),
                window: self.plan.window,
                settle: Settle::InOrder,
            }));
        }
        self.subscribe(connack.session_present);
        // What came right behind CONNACK.
        if let Err(end) = self.take(desk) {
            self.lost(&end, desk);
        }
    }

    fn subscribe(&mut self, session_present: bool) {
        let State::Live(link, _) = &mut self.state else {
            return;
        };
        let version = link.version();
        if !self.subscription.ask(version, session_present, link.out()) {
            self.standing = Standing::Ready;
        }
    }

    /// Delivers what was read, as far as there is credit.
    ///
    /// # Errors
    /// Why the connection is over; nothing of this turn is delivered then.
    fn take(&mut self, desk: &mut Desk) -> Result<(), End> {
        let (State::Live(link, _), Some(lane)) = (&mut self.state, self.lane) else {
            return Ok(());
        };
        let mut room = Room::new(desk.lanes.credit(lane), self.inbox.unsettled() == 0);
        let mut turn = Turn {
            link,
            inbox: &mut self.inbox,
            subscription: &mut self.subscription,
            held: &mut self.held,
            said: None,
        };
        let done = turn.run(&mut room, desk);
        let said = turn.said.take();
        if let Err(end) = done {
            desk.batch.clear();
            return Err(end);
        }
        if !desk.batch.is_empty() {
            desk.lanes.deliver(lane, &mut desk.batch);
        }
        desk.flush_loose();
        if self.held.is_none() {
            self.patience = None;
        } else if self.plan.target.version() == Version::V3 && self.patience.is_none() {
            self.patience = Some(Box::pin(sleep(PATIENCE)));
        }
        if let Some(answer) = said {
            self.answered(answer, desk);
        }
        Ok(())
    }

    fn answered(&mut self, answer: Answer, desk: &mut Desk) {
        match answer {
            Answer::Granted(note) => {
                self.standing = Standing::Ready;
                if let Some(note) = note {
                    desk.report
                        .warn(format!("{}: {note}", self.plan.target.address()));
                }
            }
            Answer::Refused(line) => {
                self.standing = Standing::Waiting(format!("{}: {line}", self.plan.target.address()));
                self.again = Some(Box::pin(sleep(self.backoff.next_wait())));
            }
        }
    }

    /// The lane has credit again.
    pub(super) fn credited(&mut self, desk: &mut Desk) {
        if desk.draining || self.held.is_none() {
            return;
        }
        if let Err(end) = self.take(desk) {
            self.lost(&end, desk);
        }
    }

    /// The lane's oldest `count` are settled.
    pub(super) fn settled(&mut self, count: u64, outcome: Outcome, desk: &mut Desk) {
        match &mut self.state {
            State::Live(link, _) => {
                self.inbox.settled(count, outcome, link.out());
                if self.patience.is_some() {
                    self.patience = Some(Box::pin(sleep(PATIENCE)));
                }
                self.credited(desk);
            }
            State::Full => {
                self.left = self.left.saturating_sub(count);
                // Half a window of room, or the broker would only fill it up again.
                if self.left <= u64::from(self.plan.window.events) / 2 {
                    self.close_lane(desk);
                    self.dial();
                }
            }
            _ => self.left = self.left.saturating_sub(count),
        }
    }

    /// The lane starts again under `lane`: the broker sends what is not acknowledged once more, on a new connection.
    pub(super) fn rewound(&mut self, lane: LaneId, desk: &mut Desk) {
        self.lane = Some(lane);
        if desk.draining {
            self.leave(Next::Over, desk);
            return;
        }
        match self.state {
            State::Live(..) => self.leave(Next::Dial, desk),
            State::Full | State::Leaving(_, Next::Full) => self.dial(),
            _ => {}
        }
    }

    /// Live => leaving, 3.1.1 past its window: the broker keeps what comes now.
    fn full(&mut self, desk: &mut Desk) {
        self.left = self.inbox.unsettled() as u64;
        let line = "past its window: disconnected until half of it is settled; the broker keeps the session";
        self.standing = Standing::Waiting(format!("{}: {line}", self.plan.target.address()));
        self.leave(Next::Full, desk);
    }

    /// Nothing more comes in; what is unsettled may still be acknowledged.
    pub(super) fn drain(&mut self, desk: &mut Desk) {
        self.held = None;
        if !matches!(self.state, State::Live(..)) {
            self.leave(Next::Over, desk);
        }
    }

    /// Ends the session's connection for good; acknowledgements that are written go out with it.
    pub(super) fn stop(&mut self, desk: &mut Desk) {
        self.leave(Next::Over, desk);
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn leave(&mut self, next: Next, desk: &mut Desk) {
        self.forget();
        if next == Next::Over {
            self.close_lane(desk);
        }
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Live(link, _) => State::Leaving(Box::pin(link.goodbye(0)), next),
            State::Leaving(goodbye, _) => State::Leaving(goodbye, next),
            State::Waiting(_) | State::Dialing(_) | State::Full | State::Over => State::Over,
        };
    }

    /// Live => waiting: the connection is over without our doing.
    fn lost(&mut self, end: &End, desk: &mut Desk) {
        self.forget();
        self.close_lane(desk);
        let address = self.plan.target.address();
        self.standing = Standing::Waiting(format!("{address}: {}", end.line()));
        if let State::Live(mut link, since) = std::mem::replace(&mut self.state, State::Over) {
            let lived = takeover::lived(since);
            if lived >= GOOD {
                self.backoff.reset();
            }
            if end.is_theirs() && self.takeover.ended(lived, end.is_takeover()) {
                let line = takeover::line(&address, &self.terms.client_id, end.is_takeover());
                desk.report.warn(line);
            }
            if let Some(code) = end.code() {
                link.part(code);
            }
        }
        if desk.draining {
            self.state = State::Over;
        } else {
            self.wait();
        }
    }

    fn forget(&mut self) {
        self.inbox.lost();
        (self.held, self.again, self.patience) = (None, None, None);
    }

    fn close_lane(&mut self, desk: &mut Desk) {
        if let Some(lane) = self.lane.take() {
            desk.lanes.close(lane);
        }
    }
}

enum Step {
    /// Bytes came.
    Read,
    /// Time to ask again for refused filters.
    Again,
    /// Without credit, and nothing settled, for too long.
    OutOfPatience,
}

fn poll_live(
    link: &mut Link,
    cx: &mut Context<'_>,
    listening: bool,
    [again, patience]: [&mut Option<Pin<Box<Sleep>>>; 2],
) -> Poll<Result<Step, String>> {
    if let Poll::Ready(why) = link.poll_alive(cx, listening) {
        return Poll::Ready(Err(why));
    }
    for (timer, step) in [(again, Step::Again), (patience, Step::OutOfPatience)] {
        if let Some(timer) = timer
            && timer.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Ok(step));
        }
    }
    if let Poll::Ready(Err(why)) = link.poll_flush(cx) {
        return Poll::Ready(Err(why));
    }
    if !listening || link.backlog() > BACKLOG {
        return Poll::Pending;
    }
    link.poll_read(cx).map_ok(|()| Step::Read)
}
