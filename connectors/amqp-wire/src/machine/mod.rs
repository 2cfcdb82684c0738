//! The client's end of an AMQP connection without I/O (transport, part 2): bytes and time in, bytes and events out.
//!
//! One [`Connection`] has one session and any number of links. A driver feeds what it read ([`Connection::feed`]), takes
//! events ([`Connection::poll_event`]), calls methods, and writes what [`Connection::output`] holds; it looks at the clock when
//! [`Connection::next_deadline`] says.
//!
//! Invariants
//! - No credit, no transfer: neither side's windows are exceeded by us, and a peer that exceeds ours is disconnected.
//! - The outcome of each delivery that we sent is told at most once; of those on a link that ended, not at all.
//! - Bounded whatever the peer sends (C33): frames by `max_frame_size`, the one message that each link puts together by
//!   `max_message_size`, what is received and not taken by the session's window, links by what we attached, deliveries without
//!   an outcome by `max_unsettled`, answers by what a peer may leave unread.
//! - After [`Event::Ended`] nothing happens any more.
//!
//! Absent on purpose: resuming links (what was unsettled is sent again), sessions and links that the peer begins,
//! transactions, settling twice (`rcv-settle-mode second`).

mod connection;
mod event;
mod flow;
mod handshake;
mod idle;
mod inbound;
mod link;
mod outbound;
mod output;
mod receiver;
mod sender;
mod serial;
mod session;

use std::time::Duration;

pub use connection::Connection;
pub use event::{Delivery, Ended, Event};
pub use link::{LinkId, ReceiverSpec, SenderSpec};

use crate::login::Login;
use crate::value::{Fields, Text};

/// How a connection presents itself, and its bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are to the peer; with a link's name, what a durable subscription is found by.
    pub container_id: Text,
    /// The host that we mean, where one broker serves several.
    pub hostname: Option<Text>,
    /// The largest frame that we take, in bytes; at least 512.
    pub max_frame_size: u32,
    /// The largest message that we take, in bytes.
    pub max_message_size: u64,
    /// Transfer frames that may be on their way to us: with the frame size, what bounds the bytes that we hold.
    pub incoming_window: u32,
    /// Deliveries that we sent and that have no outcome.
    pub max_unsettled: u32,
    /// How long the peer may be silent; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// Credentials.
    pub login: Login,
    /// Anything about us, such as product and version.
    pub properties: Fields,
}
