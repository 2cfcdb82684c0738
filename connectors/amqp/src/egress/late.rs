//! What has waited too long: for an outcome, for credit, for an answer to an attach.
//!
//! Invariants: an event without an outcome is possibly delivered, one that had no credit certainly is not; a link that moves
//! is not stuck, however long its line is.

use std::time::Duration;

use tokio::time::Instant;
use weft_api::egress::Ticket;
use weft_api::outcome::{Reason, SendError};

use super::links::State;
use super::sender::{Line, Sender};
use crate::client::trouble::Trouble;

/// How often an address that was refused is asked for while no event goes there.
const ASK: Duration = Duration::from_secs(2);
/// The least time that a broker has to answer for an address, which it may have to make.
const ANSWER: Duration = Duration::from_secs(5);

impl Sender {
    /// Looks for what has waited too long.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        if self.links.unsettled() == 0 {
            self.heard = now;
        }
        let Some(then) = now.checked_sub(self.plan.timeout) else {
            return;
        };
        let mut late: Vec<(u32, Ticket)> = Vec::new();
        self.links
            .overdue(then, |delivery, sent| late.push((delivery, sent.ticket)));
        let silent = !late.is_empty() && self.heard < then;
        for (delivery, ticket) in late {
            if let Line::Up(wire) = &mut self.line {
                wire.give_up(delivery);
            }
            let text = format!("the broker gave no outcome within {:?}", self.plan.timeout);
            let error = SendError::destination(Reason::Timeout, text).maybe_delivered();
            self.flights.failed(ticket, error);
        }
        for token in self.links.tokens() {
            self.expire_waiting(token, then);
            self.ask_again(token);
        }
        if silent {
            // Nothing at all was answered for so long: begin anew, or its windows fill with what we have given up.
            let at = self.plan.endpoint.dialer.address();
            self.down(Trouble::unavailable(format!(
                "{at}: the broker takes messages and answers none of them"
            )));
        }
    }

    /// An address of the file's that was refused is asked for again, so that it is told when it is there; so is one that
    /// the broker does not answer for.
    fn ask_again(&mut self, token: usize) {
        let fixed = !self.plan.layout.address.templated();
        let Some(link) = self.links.get(token) else {
            return;
        };
        match &link.state {
            State::Refused(since, _) if fixed && since.elapsed() >= ASK => self.attach(token),
            State::Attaching(since) if since.elapsed() >= self.plan.timeout.max(ANSWER) => {
                let text = format!(
                    "amqp `{}`: the broker does not say whether it takes messages",
                    link.address
                );
                let error = SendError::destination(Reason::Unavailable, text);
                link.state = State::Refused(Instant::now(), error.clone());
                if let Line::Up(wire) = &mut self.line {
                    wire.detach(token);
                }
                self.fail_waiting(token, &error);
            }
            _ => {}
        }
    }

    /// What the broker gave no credit for in time is certainly not delivered.
    fn expire_waiting(&mut self, token: usize, then: Instant) {
        let timeout = self.plan.timeout;
        let Some(link) = self.links.get(token) else {
            return;
        };
        // Making a connection and attaching have time limits of their own, and fail what waits for them.
        if !matches!((&self.line, &link.state), (Line::Up(_), State::Up { .. })) {
            return;
        }
        // A link that moves is not stuck, however long its line is.
        if link.used > then {
            return;
        }
        let mut late = Vec::new();
        while let Some((ticket, _)) = link.waiting.pop_front_if(|(_, since)| *since <= then) {
            late.push(ticket);
        }
        let text = format!("amqp `{}` gives no credit within {timeout:?}", link.address);
        for ticket in late {
            self.flights
                .failed(ticket, SendError::destination(Reason::Overloaded, text.as_str()));
        }
    }
}
