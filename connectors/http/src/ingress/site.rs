//! What an HTTP ingress serves, as its workers share it: paths, methods, limits, mapping. Nothing in it changes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use weft_api::event::Event;
use weft_api::ingress::Window;
use weft_api::mapping::Accept;

use super::body::Budget;
use super::plain::Plain;
use crate::mapping::{Mode, binary, structured};

/// One ingress, read only.
pub(super) struct Site {
    /// Where it listens, as written.
    pub(super) listen: Vec<String>,
    /// The paths that take events, exactly.
    pub(super) paths: Vec<String>,
    /// The methods that carry events.
    pub(super) methods: Vec<Method>,
    /// The same, for an `Allow` header.
    pub(super) allow: HeaderValue,
    /// Origins that may register by the webhook handshake; `*` for all.
    pub(super) webhook_origins: Vec<String>,
    /// Which messages are taken.
    pub(super) accept: Accept,
    /// How plain messages become events.
    pub(super) plain: Plain,
    /// `weft://CLUSTER/INGRESS`.
    pub(super) source: String,
    /// What is being read, over all workers.
    pub(super) reading: Budget,
    /// Every bound.
    pub(super) limits: Limits,
}

/// The bounds of an ingress.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Worker threads.
    pub(super) workers: usize,
    /// What a lane may have unsettled.
    pub(super) window: Window,
    /// Until an answer is due.
    pub(super) deadline: Duration,
    /// For a head to arrive.
    pub(super) header_timeout: Duration,
    /// For a body to arrive.
    pub(super) body_timeout: Duration,
    /// Between requests.
    pub(super) idle_timeout: Duration,
    /// A head's size.
    pub(super) header_bytes: usize,
    /// Connections, over all workers.
    pub(super) connections: usize,
    /// Concurrent streams of one HTTP/2 connection.
    pub(super) streams: u32,
    /// The body of one event: `limits.event`.
    pub(super) event_bytes: u64,
    /// The body of a batch.
    pub(super) batch_bytes: u64,
    /// The events of a batch.
    pub(super) batch_events: usize,
}

impl Site {
    /// Makes the event of one message; one bounded line where it cannot.
    pub(super) fn event(
        &self,
        mode: Mode,
        uri: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Event, String> {
        match mode {
            Mode::Binary => binary::decode(headers, body),
            Mode::Structured | Mode::Batch => structured::decode(&body),
            Mode::Plain => self.plain.event(uri, headers, body),
        }
    }
}
