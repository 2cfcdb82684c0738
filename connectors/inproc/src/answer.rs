//! How a sink answers: the faults that a remote can have, one by one, by script or by seed.
//!
//! Owns: what each fault means for the error that the egress settles with.
//! Must not know: batches, clocks.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};

/// What a sink does with one event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Takes it and confirms.
    Accept,
    /// Refuses it for good: the event's own fault.
    Reject,
    /// Fails on it; a later attempt may succeed.
    Fail,
    /// Cannot take anything now: the destination's fault.
    Down {
        /// `Overloaded`, `Unavailable`, `Unauthorised` or `Misconfigured`.
        reason: Reason,
        /// When the remote asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// Gives no answer: the egress runs into its time-out.
    Timeout {
        /// Whether the sink has taken the event.
        delivered: bool,
    },
    /// The egress forgets to settle the event; its batch is dropped once the others are settled.
    Forget {
        /// Whether the sink has taken the event.
        delivered: bool,
    },
    /// Nothing, until [`crate::Sink::let_go`].
    Hang,
    /// The egress panics, with everything that it holds.
    Panic,
    /// The egress' `run` ends with an error, with everything that it holds.
    Quit,
}

/// What a sink does with one event, and how long that takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What.
    pub act: Act,
    /// How long after the event was handed over.
    pub after: Duration,
}

impl Act {
    /// The act after some time.
    #[must_use]
    pub fn after(self, after: Duration) -> Answer {
        Answer { act: self, after }
    }

    /// Whether the sink has the event afterwards.
    #[must_use]
    pub fn delivers(self) -> bool {
        matches!(
            self,
            Act::Accept | Act::Timeout { delivered: true } | Act::Forget { delivered: true }
        )
    }

    /// What the egress settles with; `None` where it accepts or does not settle at all.
    #[must_use]
    pub fn error(self) -> Option<SendError> {
        match self {
            Act::Accept | Act::Forget { .. } | Act::Hang | Act::Panic | Act::Quit => None,
            Act::Reject => Some(SendError::event(
                Reason::Refused,
                "inproc: the script refuses this event",
            )),
            Act::Fail => Some(SendError::attempt(
                Reason::Failed,
                "inproc: the script fails on this event",
            )),
            Act::Down { reason, retry_after } => {
                let detail = format!("inproc: the script says that this sink is {reason}");
                Some(SendError::destination(reason, detail).retry_after(retry_after))
            }
            Act::Timeout { .. } => {
                let detail = "inproc: the script gave no answer in time";
                Some(SendError::destination(Reason::Timeout, detail).maybe_delivered())
            }
        }
    }
}

impl From<Act> for Answer {
    fn from(act: Act) -> Answer {
        Answer {
            act,
            after: Duration::ZERO,
        }
    }
}

/// Decides the answer to each event that arrives, in order of arrival.
pub struct Policy(Box<dyn FnMut(&Event) -> Answer + Send>);

impl Policy {
    /// Any rule.
    pub fn new(decide: impl FnMut(&Event) -> Answer + Send + 'static) -> Policy {
        Policy(Box::new(decide))
    }

    /// The same answer to all.
    pub fn always(answer: impl Into<Answer>) -> Policy {
        let answer = answer.into();
        Policy::new(move |_| answer)
    }

    /// These answers one after another, then `then` for ever.
    pub fn script<A: Into<Answer>>(answers: impl IntoIterator<Item = A>, then: impl Into<Answer>) -> Policy {
        let mut answers: VecDeque<Answer> = answers.into_iter().map(Into::into).collect();
        let then = then.into();
        Policy::new(move |_| answers.pop_front().unwrap_or(then))
    }

    /// Faults by chance; the same seed gives the same faults to the same arrivals.
    #[must_use]
    pub fn seeded(seed: u64, faults: Faults) -> Policy {
        let mut random = fastrand::Rng::with_seed(seed);
        Policy::new(move |_| faults.draw(&mut random))
    }

    pub(crate) fn decide(&mut self, event: &Event) -> Answer {
        (self.0)(event)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Policy")
    }
}

/// How often each fault occurs, in events of a thousand; what is left is accepted. All zero is a healthy sink.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Faults {
    /// [`Act::Reject`].
    pub reject: u32,
    /// [`Act::Fail`].
    pub fail: u32,
    /// [`Act::Down`] as overloaded, with a `Retry-After` of up to two seconds half of the time.
    pub overloaded: u32,
    /// [`Act::Down`] as unavailable.
    pub unavailable: u32,
    /// [`Act::Down`] as unauthorised.
    pub unauthorised: u32,
    /// [`Act::Timeout`], delivered half of the time.
    pub timeout: u32,
    /// [`Act::Forget`], delivered half of the time.
    pub forget: u32,
    /// [`Act::Panic`].
    pub panic: u32,
    /// [`Act::Quit`].
    pub quit: u32,
    /// Each answer takes a time between zero and this.
    pub delay_max: Duration,
}

impl Faults {
    /// Every kind of fault, about one event in ten.
    pub const MIXED: Faults = Faults {
        reject: 15,
        fail: 30,
        overloaded: 10,
        unavailable: 15,
        unauthorised: 3,
        timeout: 15,
        forget: 10,
        panic: 2,
        quit: 2,
        delay_max: Duration::from_millis(50),
    };

    fn draw(&self, random: &mut fastrand::Rng) -> Answer {
        let micros = u64::try_from(self.delay_max.as_micros()).unwrap_or(u64::MAX);
        let after = Duration::from_micros(random.u64(0..=micros));
        let coin = random.bool();
        let wait = Duration::from_millis(random.u64(0..=2000));
        let down = |reason, retry_after| Act::Down { reason, retry_after };
        let table = [
            (self.reject, Act::Reject),
            (self.fail, Act::Fail),
            (self.overloaded, down(Reason::Overloaded, coin.then_some(wait))),
            (self.unavailable, down(Reason::Unavailable, None)),
            (self.unauthorised, down(Reason::Unauthorised, None)),
            (self.timeout, Act::Timeout { delivered: coin }),
            (self.forget, Act::Forget { delivered: coin }),
            (self.panic, Act::Panic),
            (self.quit, Act::Quit),
        ];
        let mut draw = random.u32(0..1000);
        for (share, act) in table {
            if draw < share {
                return act.after(after);
            }
            draw -= share;
        }
        Act::Accept.after(after)
    }
}
