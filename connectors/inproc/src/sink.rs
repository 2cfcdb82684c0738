//! The remote that an `inproc` egress delivers to: it answers by a policy and records all that it saw.
//!
//! Owns: the policy, what was attempted, what was delivered, and what an oracle judges by.
//! Invariant: whatever breaks the contract of an egress' queue is kept as a violation, not lost in a panicking task.
//! Must not know: retries, breakers, the router's queue.

use std::sync::{Arc, Mutex};

use weft_api::event::Event;

use crate::answer::{Act, Answer, Policy};
use crate::bell::{Bell, Changes};
use crate::hub::{Clock, Stamp, locked};

/// A handle to one sink; clones are the same sink.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(crate) state: Arc<Mutex<State>>,
    clock: Arc<Clock>,
    bell: Bell,
}

/// An event that was handed to the sink.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When.
    pub stamp: Stamp,
    /// The event.
    pub event: Event,
    /// Which batch it came in; `None` where it was sent directly.
    pub batch: Option<u64>,
    /// What the policy decided.
    pub answer: Answer,
    /// When it was answered, and with what: an event behind one that failed is answered as not sent. `None` where its
    /// egress went away, or still holds it.
    pub answered: Option<(Stamp, Act)>,
}

/// An event that the sink took.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When.
    pub stamp: Stamp,
    /// The event.
    pub event: Event,
    /// Whether the router was told.
    pub confirmed: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    policy: Policy,
    attempts: Vec<Attempt>,
    deliveries: Vec<Delivery>,
    violations: Vec<String>,
    keyed: bool,
    hanging: usize,
    /// How often hanging events were let go, and what they were to do the last time.
    let_go: (u64, Act),
    pub(crate) batches: u64,
}

impl Sink {
    pub(crate) fn new(clock: Arc<Clock>) -> Sink {
        let state = State {
            policy: Policy::always(Act::Accept),
            attempts: Vec::new(),
            deliveries: Vec::new(),
            violations: Vec::new(),
            keyed: true,
            hanging: 0,
            let_go: (0, Act::Accept),
            batches: 0,
        };
        Sink {
            state: Arc::new(Mutex::new(state)),
            clock,
            bell: Bell::default(),
        }
    }

    /// Answers by `policy` from now on; answers that are already decided stand.
    pub fn answer_with(&self, policy: Policy) {
        locked(&self.state).policy = policy;
    }

    /// The destination is configured without an order (`order_by: none`): a key may be in flight more than once.
    pub fn without_order(&self) {
        locked(&self.state).keyed = false;
    }

    /// Everything that hangs does `act` now.
    pub fn let_go(&self, act: Act) {
        {
            let mut state = locked(&self.state);
            state.let_go = (state.let_go.0 + 1, act);
        }
        self.notify();
    }

    /// How many events hang.
    #[must_use]
    pub fn hanging(&self) -> usize {
        locked(&self.state).hanging
    }

    /// What was delivered, in order of arrival; with duplicates.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        locked(&self.state).deliveries.clone()
    }

    /// The ids of what was delivered, in order of arrival.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        locked(&self.state)
            .deliveries
            .iter()
            .map(|delivery| delivery.event.id().to_owned())
            .collect()
    }

    /// What was handed over, in order.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        locked(&self.state).attempts.clone()
    }

    /// What the router did that the contract of an egress forbids; empty in a correct router.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        locked(&self.state).violations.clone()
    }

    /// Returns once `count` events were delivered. Cancel-safe.
    pub async fn delivered(&self, count: usize) {
        self.until(|sink| locked(&sink.state).deliveries.len() >= count)
            .await;
    }

    /// Returns once `done` holds; it is asked again after each change. Cancel-safe.
    pub async fn until(&self, mut done: impl FnMut(&Sink) -> bool) {
        let mut changes = self.changes();
        while !done(self) {
            changes.changed().await;
        }
    }

    pub(crate) fn changes(&self) -> Changes {
        self.bell.listen()
    }

    pub(crate) fn notify(&self) {
        self.bell.ring();
    }

    /// An event arrives; the policy decides. The number is for [`Sink::answered`].
    pub(crate) fn attempt(&self, event: &Event, batch: Option<u64>) -> (usize, Answer) {
        let stamp = self.clock.stamp();
        let mut state = locked(&self.state);
        let answer = state.policy.decide(event);
        state.attempts.push(Attempt {
            stamp,
            event: event.clone(),
            batch,
            answer,
            answered: None,
        });
        let number = state.attempts.len() - 1;
        drop(state);
        self.notify();
        (number, answer)
    }

    /// The egress tells the router what became of this attempt.
    pub(crate) fn answered(&self, attempt: usize, act: Act) {
        let stamp = self.clock.stamp();
        if let Some(attempt) = locked(&self.state).attempts.get_mut(attempt) {
            attempt.answered = Some((stamp, act));
        }
    }

    /// The sink takes an event.
    pub(crate) fn deliver(&self, event: &Event, confirmed: bool) {
        let delivery = Delivery {
            stamp: self.clock.stamp(),
            event: event.clone(),
            confirmed,
        };
        locked(&self.state).deliveries.push(delivery);
        self.notify();
    }

    pub(crate) fn hang(&self) -> Hanging {
        locked(&self.state).hanging += 1;
        self.notify();
        Hanging(self.clone())
    }

    pub(crate) fn let_go_count(&self) -> (u64, Act) {
        locked(&self.state).let_go
    }

    pub(crate) fn is_keyed(&self) -> bool {
        locked(&self.state).keyed
    }

    pub(crate) fn violated(&self, rule: &str, found: impl std::fmt::Debug) {
        locked(&self.state).violations.push(format!("{rule}: {found:?}"));
    }
}

/// Counts as hanging for as long as it lives: whoever waits may give up.
pub(crate) struct Hanging(Sink);

impl Drop for Hanging {
    fn drop(&mut self) {
        locked(&self.0.state).hanging -= 1;
        self.0.notify();
    }
}
