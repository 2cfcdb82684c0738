//! Requests that wait for their answer: legs left, the worst outcome, and who to wake.
//!
//! A ticket is the slot of a request lane. It holds the event's charge until the last leg is gone, however long after
//! the answer that may be, so that the budget tells the truth about memory.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use weft_api::outcome::Outcome;

use super::Port;
use crate::delivery::end::End;

/// Gives back what a request took: window and budget. Called once, when the last leg is gone.
pub trait Charge: Send + Sync {
    /// Gives `bytes` back.
    fn release(&self, bytes: u64);
}

/// One request's slot.
pub struct Ticket {
    port: Arc<Port>,
    charge: Arc<dyn Charge>,
    bytes: u64,
    state: Mutex<State>,
}

struct State {
    left: u32,
    worst: Outcome,
    /// A log has a leg of it.
    stored: bool,
    /// Legs that an egress has, may have delivered, or has delivered.
    dispatched: u32,
    closed: bool,
    waker: Option<Waker>,
}

impl Ticket {
    /// A ticket for an event with `legs` obligations, whose charge is already taken.
    #[must_use]
    pub fn new(port: Arc<Port>, charge: Arc<dyn Charge>, bytes: u64, legs: u32) -> Ticket {
        let state = State {
            left: legs,
            worst: Outcome::Accepted,
            stored: false,
            dispatched: 0,
            closed: false,
            waker: None,
        };
        Ticket {
            port,
            charge,
            bytes,
            state: Mutex::new(state),
        }
    }

    /// The ingress it belongs to.
    #[must_use]
    pub fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// One leg ended.
    pub fn end(&self, end: End) {
        let waker = {
            let mut state = self.lock();
            state.left = state.left.saturating_sub(1);
            state.worst = state.worst.join(end.outcome());
            state.stored |= end == End::Stored;
            if state.left == 0 { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for the last leg; says what became of all, and whether some of it is stored rather than delivered.
    /// Cancel-safe.
    pub async fn done(&self) -> (Outcome, bool) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.left == 0 {
                return Poll::Ready((state.outcome(), state.stored));
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The deadline passed: legs that are not dispatched yet never will be. Returns whether any may have been delivered.
    pub fn close(&self) -> bool {
        let mut state = self.lock();
        state.closed = true;
        state.dispatched > 0
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Marks a leg as handed to an egress; `false` once the ticket is closed.
    pub fn dispatch(&self) -> bool {
        let mut state = self.lock();
        state.dispatched += u32::from(!state.closed);
        !state.closed
    }

    /// A leg that was handed to an egress was certainly not delivered.
    pub fn recall(&self) {
        let mut state = self.lock();
        state.dispatched = state.dispatched.saturating_sub(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Released promises that nobody has the event (C8); where another leg was delivered, that is not so.
    fn outcome(&self) -> Outcome {
        match self.worst {
            Outcome::Released(reason) if self.dispatched > 0 => Outcome::Unknown(reason),
            worst => worst,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.charge.release(self.bytes);
    }
}
