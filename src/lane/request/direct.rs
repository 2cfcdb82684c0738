//! A request that is sent from its own task, past the queue.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;
use weft_api::crash;
use weft_api::egress::SendFuture;
use weft_api::ingress::Verdict;
use weft_api::outcome::{Outcome, Reason, SendError};

use super::{Allowance, Choice, Lane, verdict, wait};
use crate::delivery::direct::DirectPass;
use crate::delivery::origin::{Charge, Origin, Ticket};
use crate::delivery::wiring::Wiring;
use crate::lane::books;

/// A direct send under way. Dropped before it is done (its runtime went away), it gives back what it holds; see
/// [`super::detached`] for why that hardly ever happens.
pub(super) struct Direct {
    pub(super) pass: DirectPass,
    pub(super) sending: SendFuture,
    pub(super) rest: Rest,
    pub(super) matched: u32,
}

/// What is needed once the answer is there.
pub(super) struct Rest {
    pub(super) choice: Choice,
    pub(super) wiring: Arc<Wiring>,
    pub(super) taken: Taken,
}

/// What a request took of the lane's window and the budget, given back when it is dropped.
pub(super) struct Taken {
    pub(super) charge: Arc<Allowance>,
    pub(super) bytes: u64,
    pub(super) passed_on: bool,
}

/// When an answer came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    InTime,
    /// The sender was told that the event's fate is unknown, and will send it again.
    Late,
}

impl Taken {
    /// Its ticket gives it back from now on.
    fn pass_on(mut self) -> u64 {
        self.passed_on = true;
        self.bytes
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.passed_on {
            self.charge.release(self.bytes);
        }
    }
}

/// A send whose panic is an answer: nobody knows what became of the event.
struct Caught(SendFuture);

impl Future for Caught {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let send = AssertUnwindSafe(|| self.0.as_mut().poll(cx));
        catch_unwind(send).unwrap_or_else(|_| {
            let detail = "the connector panicked: this is a fault of Weft, please report it";
            Poll::Ready(Err(
                SendError::destination(Reason::Abandoned, detail).maybe_delivered()
            ))
        })
    }
}

impl Direct {
    pub(super) async fn run(self, lane: Arc<Lane>, deadline: Instant) -> Verdict {
        let Direct {
            pass,
            sending,
            rest,
            matched,
        } = self;
        crash::point("egress.taken");
        let mut sending = Caught(sending);
        let answer = tokio::select! {
            // The answer first: one that came in time is never thrown away for the clock.
            biased;
            answer = &mut sending => Some(answer),
            () = tokio::time::sleep_until(deadline) => None,
        };
        if let Some(answer) = answer {
            return match lane.after_direct(pass, rest, answer, Answer::InTime) {
                None => verdict(Outcome::Accepted, matched),
                Some(ticket) => wait(ticket, matched, deadline).await,
            };
        }
        let unknown = Outcome::Unknown(Reason::Deadline);
        books::settled(&lane.port, unknown, 1);
        // Dispatched is dispatched: what becomes of it is still counted, but it is not tried again.
        tokio::spawn(async move {
            let answer = sending.await;
            lane.after_direct(pass, rest, answer, Answer::Late);
        });
        verdict(unknown, matched)
    }
}

impl Lane {
    /// Settles a direct send; a failed one gets a ticket and goes on like any other leg.
    fn after_direct(
        &self,
        pass: DirectPass,
        rest: Rest,
        answer: Result<(), SendError>,
        came: Answer,
    ) -> Option<Arc<Ticket>> {
        let metrics = &self.port.metrics;
        let Rest {
            choice,
            wiring,
            taken,
        } = rest;
        match answer {
            Ok(()) => {
                crash::point("egress.confirmed");
                pass.accepted();
                metrics.obligations.inc();
                metrics.books.delivered.inc();
                if came == Answer::InTime {
                    books::settled(&self.port, Outcome::Accepted, 1);
                    crash::point("ingress.settled");
                }
                None
            }
            Err(error) => {
                books::obligations(&self.port, 1);
                let ticket = self.ticket(taken.pass_on(), 1);
                ticket.dispatch();
                if came == Answer::Late {
                    ticket.close();
                }
                let origin = Origin::Ticket(Arc::clone(&ticket));
                let leg = choice
                    .owing
                    .into_leg(origin, &wiring, choice.steps, Instant::now());
                pass.failed(leg, &error);
                Some(ticket)
            }
        }
    }
}
