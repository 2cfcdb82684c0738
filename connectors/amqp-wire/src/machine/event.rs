//! What a connection tells its driver.

use std::fmt;

use bytes::Bytes;

use super::LinkId;
use crate::error::DecodeError;
use crate::frame::FrameError;
use crate::login::LoginError;
use crate::performative::{DeliveryState, Error};

/// Something happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The connection is open and has its session: links may be attached.
    Opened,
    /// The peer has attached a link.
    Attached {
        /// The link.
        link: LinkId,
        /// The largest message in bytes that the peer takes; `None`: any.
        max_message_size: Option<u64>,
    },
    /// A sender that could not send can now; or credit of a receiver was used without a message: the peer took a delivery back
    /// half way, or gave the credit back.
    Credit {
        /// The link.
        link: LinkId,
    },
    /// A message came.
    Delivery(Delivery),
    /// A message came that is larger than `max_message_size`; its bytes are gone, and it waits for its settlement.
    TooLarge {
        /// The link.
        link: LinkId,
        /// Its number, to settle it by.
        delivery_id: u32,
        /// Whether it came settled.
        settled: bool,
        /// Its size in bytes.
        bytes: u64,
    },
    /// Deliveries that we sent have an outcome, all of them the same.
    Outcome {
        /// The first.
        first: u32,
        /// The last, which may be the first.
        last: u32,
        /// The outcome, without the maps that may be in it; `None`: settled without one.
        state: Option<DeliveryState>,
    },
    /// The peer detached a link, or refused to attach it. Its deliveries without an outcome will have none.
    Detached {
        /// The link.
        link: LinkId,
        /// It was never attached.
        refused: bool,
        /// The peer's reason.
        error: Option<Box<Error>>,
    },
    /// The connection is over. The last event.
    Ended(Ended),
}

/// A message that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The link.
    pub link: LinkId,
    /// Its number, to settle it by.
    pub delivery_id: u32,
    /// The peer's own name for it.
    pub tag: Bytes,
    /// It came settled: there is nothing to settle.
    pub settled: bool,
    /// The format of the payload; 0 is an AMQP message.
    pub message_format: u32,
    /// The encoded message; shares the read buffer where it came in one frame.
    pub payload: Bytes,
}

/// Why a connection is over.
#[derive(Clone, PartialEq, Debug)]
pub enum Ended {
    /// We closed it, and the peer has agreed.
    Closed,
    /// The peer closed the connection, or ended the session.
    ByPeer(Option<Box<Error>>),
    /// The peer does not let us in.
    Login(LoginError),
    /// The peer does not speak AMQP 1.0, or does not want SASL.
    Protocol(String),
    /// The peer broke a rule, and was told so: the condition and a line for an operator.
    Violation {
        /// One of [`crate::condition`].
        condition: &'static str,
        /// What it did.
        what: String,
    },
    /// Nothing came for longer than the idle time-out.
    Silent,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Closed => f.write_str("closed"),
            Ended::ByPeer(None) => f.write_str("the broker closed the connection"),
            Ended::ByPeer(Some(error)) => write!(f, "the broker closed the connection: {error}"),
            Ended::Login(error) => error.fmt(f),
            Ended::Protocol(what) => f.write_str(what),
            Ended::Violation { what, .. } => write!(f, "the broker breaks the protocol: {what}"),
            Ended::Silent => f.write_str("the broker is silent for longer than the idle time-out"),
        }
    }
}

/// A rule that the peer broke.
pub(super) struct Violation {
    pub(super) condition: &'static str,
    pub(super) what: String,
}

impl Violation {
    pub(super) fn new(condition: &'static str, what: impl Into<String>) -> Violation {
        Violation {
            condition,
            what: what.into(),
        }
    }
}

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Violation {
        Violation::new(error.condition(), error.to_string())
    }
}

impl From<FrameError> for Violation {
    fn from(error: FrameError) -> Violation {
        Violation::new(error.condition(), error.to_string())
    }
}
