//! The links of a connection: asked for, attached, refused, and asked for again.
//!
//! Invariants: each link is asked for by itself, with its own waits; a broker that does not do what the file asks for (a
//! selector) gets no credit.

use std::time::Duration;

use tokio::time::Instant;
use weft_amqp_wire::performative::Error;
use weft_api::status::Health;

use super::consumer::Consumer;
use super::lane::State;
use crate::client::trouble;
use crate::client::wire::Wire;

/// How long the broker may think about a link.
const ANSWER: Duration = Duration::from_secs(15);

impl Consumer {
    /// Asks for the links that are due, and gives up those that get no answer. Gives when there is one to look at next.
    pub(super) fn attach_due(&mut self, wire: &mut Wire) -> Option<Instant> {
        if self.draining {
            return None;
        }
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for (token, (link, receiver)) in self.links.iter_mut().zip(&self.plan.receivers).enumerate() {
            match link.state {
                State::Down(at) if at <= now => {
                    link.state = State::Attaching(now + ANSWER);
                    wire.receiver(token, receiver);
                }
                State::Attaching(until) if until <= now => {
                    wire.detach(token);
                    let wait = link.backoff.next_wait();
                    link.lost(now + wait);
                }
                State::Up => continue,
                State::Down(_) | State::Attaching(_) => {}
            }
            if let State::Down(at) | State::Attaching(at) = link.state {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    pub(super) fn attached(&mut self, wire: &mut Wire, token: usize) {
        let (Some(link), Some(receiver)) = (self.links.get_mut(token), self.plan.receivers.get(token)) else {
            return;
        };
        if receiver.selects() && !wire.selects(token) {
            // Some brokers drop what they do not know, and would send everything.
            wire.detach(token);
            let wait = link.backoff.next_wait();
            link.lost(Instant::now() + wait);
            let text = format!(
                "{}: `{}`: the broker has no selectors; leave `selector` out, and filter by routes",
                self.at, receiver.address
            );
            self.refusals.insert(token, text);
            return self.say();
        }
        link.state = State::Up;
        self.refusals.remove(&token);
        self.touch(token);
        self.say();
    }

    pub(super) fn detached(&mut self, token: usize, error: Option<&Error>) {
        let (Some(link), Some(receiver)) = (self.links.get_mut(token), self.plan.receivers.get(token)) else {
            return;
        };
        let wait = link.backoff.next_wait();
        link.lost(Instant::now() + wait);
        let trouble = trouble::link(&self.at, &receiver.address, error);
        self.refusals.insert(token, trouble.text);
        self.say();
    }

    /// Says where the links stand: the first that is refused, or that all are up.
    fn say(&self) {
        let first = self.refusals.iter().min_by_key(|(token, _)| **token);
        match first {
            Some((_, text)) => self.cx.report.health(Health::Waiting(text.clone())),
            None if self.links.iter().all(|link| link.state == State::Up) => {
                self.cx.report.health(Health::Ready);
            }
            None => {}
        }
    }
}
