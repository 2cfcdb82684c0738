//! What became of an event: the words that egress, router and ingress settle with.
//!
//! Owns the join of outcomes (`accepted < rejected < released < unknown`) and the blame of a failed delivery.
//! Everything on the happy path is `Copy`; text exists only in a [`SendError`], that is, after a failure.

use std::fmt;
use std::time::Duration;

/// The end of a leg, or of all legs of an event joined together (CONTRACT terms; DESIGN section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Outcome {
    /// Every obligation is met: confirmed by the remote, dead-lettered, or dropped by a rule that the user wrote.
    Accepted,
    /// It will never be taken, and there was no dead letter to put it into.
    Rejected(Reason),
    /// Certainly not delivered.
    Released(Reason),
    /// May have been delivered.
    Unknown(Reason),
}

impl Outcome {
    /// The worse of the two; of two equally bad ones, the first. "Not yet delivered" beats "refused", or a leg would
    /// be lost.
    #[must_use]
    pub fn join(self, other: Outcome) -> Outcome {
        if other.rank() > self.rank() { other } else { self }
    }

    /// Why it was not accepted.
    #[must_use]
    pub fn reason(self) -> Option<Reason> {
        match self {
            Outcome::Accepted => None,
            Outcome::Rejected(r) | Outcome::Released(r) | Outcome::Unknown(r) => Some(r),
        }
    }

    /// The outcome's name as metrics and logs print it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Rejected(_) => "rejected",
            Outcome::Released(_) => "released",
            Outcome::Unknown(_) => "unknown",
        }
    }

    fn rank(self) -> u8 {
        match self {
            Outcome::Accepted => 0,
            Outcome::Rejected(_) => 1,
            Outcome::Released(_) => 2,
            Outcome::Unknown(_) => 3,
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a leg did not end as accepted: a small code that travels; its text stands in the dead letter and the log.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, for metrics and documentation.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The reason's name as metrics, logs and dead letters print it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// The message could not become a CloudEvent.
    Malformed = "malformed",
    /// No route matched, and the ingress says `unmatched: reject`.
    Unmatched = "unmatched",
    /// The remote said that it will never take this event.
    Refused = "refused",
    /// Larger than the remote, or the configured limit, takes.
    TooLarge = "too_large",
    /// A template named a value that this event does not have, or an address that is not allowed.
    Address = "address",
    /// The event's own attempts are used up.
    Exhausted = "exhausted",
    /// The remote failed on this event (an HTTP 500, say); it may take it later.
    Failed = "failed",
    /// The remote, or a queue or budget of ours, is full.
    Overloaded = "overloaded",
    /// The remote cannot be reached, or its breaker is open.
    Unavailable = "unavailable",
    /// The remote refused our credentials.
    Unauthorised = "unauthorised",
    /// The remote does not have what the configuration names (a topic, a path).
    Misconfigured = "misconfigured",
    /// No answer within the time-out.
    Timeout = "timeout",
    /// The connection broke before an answer came.
    Reset = "reset",
    /// The ingress' deadline for an answer passed.
    Deadline = "deadline",
    /// Its `expirytime` or the route's `max_age` passed.
    Expired = "expired",
    /// The router is stopping.
    Stopping = "stopping",
    /// The destination was removed by a reload.
    Removed = "removed",
    /// The store failed, and takes nothing more before a restart (C26).
    StoreFailed = "store_failed",
    /// Whoever held it went away without an answer (a panic, a cancelled task).
    Abandoned = "abandoned",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose fault a failed delivery is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The event's, for good: it goes to the fallback, then to the dead letter.
    Event,
    /// The event's, as far as one can tell, but a later attempt may succeed (HTTP 500): uses up an attempt.
    Attempt,
    /// The destination's: the event waits, the breaker counts, no attempt is used up (DESIGN section 4).
    Destination,
}

/// A delivery that was not confirmed: whose fault, what is certain, and what an operator should read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct SendError {
    /// Whose fault it is.
    pub fault: Fault,
    /// The code that travels on.
    pub reason: Reason,
    /// Whether the remote may have taken it all the same (time-out, reset): then trying again may duplicate.
    pub maybe_delivered: bool,
    /// What the remote asked us to wait (`Retry-After`).
    pub retry_after: Option<Duration>,
    /// One line for a person: what failed, where, what to do.
    pub detail: Box<str>,
}

impl SendError {
    /// The remote, or an encoder, will never take this event.
    pub fn event(reason: Reason, detail: impl Into<Box<str>>) -> SendError {
        SendError {
            fault: Fault::Event,
            reason,
            maybe_delivered: false,
            retry_after: None,
            detail: detail.into(),
        }
    }

    /// The remote failed on this event; a later attempt may succeed.
    pub fn attempt(reason: Reason, detail: impl Into<Box<str>>) -> SendError {
        SendError {
            fault: Fault::Attempt,
            ..SendError::event(reason, detail)
        }
    }

    /// The destination cannot take anything now; certainly not delivered.
    pub fn destination(reason: Reason, detail: impl Into<Box<str>>) -> SendError {
        SendError {
            fault: Fault::Destination,
            ..SendError::event(reason, detail)
        }
    }

    /// The same, but the remote may have taken it.
    #[must_use]
    pub fn maybe_delivered(mut self) -> SendError {
        self.maybe_delivered = true;
        self
    }

    /// The same, with the time that the remote asked for.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> SendError {
        self.retry_after = wait;
        self
    }
}
