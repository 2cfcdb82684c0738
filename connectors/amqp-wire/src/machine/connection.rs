//! The connection: its phases, bytes in and out, time.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::Config;
use super::event::{Ended, Event, Violation};
use super::idle::Idle;
use super::link::{LinkId, Table};
use super::outbound::Pending;
use super::output::{OUTPUT_MAX, Output};
use super::session::Session;
use crate::condition;
use crate::frame::{self, FrameKind, ProtocolHeader};
use crate::login::Exchange;
use crate::performative::{Close, Encode, Error};
use crate::value::Fields;

/// The only channel that we use.
pub(super) const CHANNEL: u16 = 0;
/// The largest frame of SASL; the specification says 512, some servers list many mechanisms.
const SASL_FRAME_MAX: u32 = 4096;

/// Where a connection stands.
pub(super) enum Phase {
    /// We sent SASL's header.
    SaslHeader,
    /// The peer is to offer mechanisms.
    SaslMechanisms,
    /// A mechanism is under way.
    SaslExchange(Exchange),
    /// We are in, and sent AMQP's header and our open.
    AmqpHeader,
    /// The peer's open is awaited.
    Opening,
    /// We sent our begin.
    Beginning,
    /// Links may be attached.
    Up,
    /// We sent our close.
    Closing,
    /// The last event is told.
    Ended,
}

/// A client's end of a connection; see the module above.
pub struct Connection {
    pub(super) config: Config,
    pub(super) phase: Phase,
    pub(super) out: Output,
    pub(super) events: VecDeque<Event>,
    pub(super) links: Table,
    pub(super) session: Session,
    pub(super) idle: Idle,
    /// What the peer says of itself.
    pub(super) peer: Fields,
    /// The largest frame that the peer takes.
    pub(super) peer_frame_max: u32,
    /// The highest handle that the peer takes.
    pub(super) peer_handle_max: u32,
    /// The rest of a message for which the peer's window was too small.
    pub(super) pending: Option<Pending>,
    /// Senders that have credit and wait for room, each once.
    pub(super) waiting: VecDeque<LinkId>,
    /// Room for delivery tags, shared by many.
    pub(super) tags: BytesMut,
}

impl Connection {
    /// Begins a connection; there is something to write at once.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Connection {
        let mut out = Output::default();
        out.answer(|bytes| bytes.extend_from_slice(&ProtocolHeader::SASL.to_bytes()));
        Connection {
            phase: Phase::SaslHeader,
            out,
            events: VecDeque::new(),
            links: Table::default(),
            session: Session::new(config.incoming_window),
            idle: Idle::new(config.idle_timeout, now),
            peer: Fields::default(),
            peer_frame_max: frame::FRAME_SIZE_MIN,
            peer_handle_max: 0,
            pending: None,
            waiting: VecDeque::new(),
            tags: BytesMut::new(),
            config,
        }
    }

    /// Takes what was read. What is no whole frame yet stays in `input`.
    pub fn feed(&mut self, input: &mut BytesMut, now: Instant) {
        self.idle.received(now);
        let taken = self.take(input).and_then(|()| match self.out.is_unread() {
            true => Err(Violation::new(
                condition::RESOURCE_LIMIT_EXCEEDED,
                "it sends and does not read",
            )),
            false => Ok(()),
        });
        if let Err(violation) = taken {
            self.violated(violation);
        }
        if self.is_ended() {
            input.clear();
            return;
        }
        if self.is_up() && self.session.owes_flow() {
            let flow = self.session.flow();
            self.write(&flow);
        }
        self.wake_senders();
    }

    fn take(&mut self, input: &mut BytesMut) -> Result<(), Violation> {
        loop {
            match &self.phase {
                Phase::Ended => return Ok(()),
                Phase::SaslHeader | Phase::AmqpHeader => match ProtocolHeader::split(input)? {
                    Some(header) => self.header(header),
                    None => return Ok(()),
                },
                Phase::SaslMechanisms | Phase::SaslExchange(_) => {
                    match frame::split(input, SASL_FRAME_MAX)? {
                        Some(frame) if frame.kind == FrameKind::Sasl => self.sasl(&frame.body)?,
                        Some(_) => return Err(out_of_place("an AMQP frame came within SASL")),
                        None => return Ok(()),
                    }
                }
                _ => match frame::split(input, self.config.max_frame_size)? {
                    Some(frame) if frame.kind == FrameKind::Amqp => self.frame(frame.channel, &frame.body)?,
                    Some(_) => return Err(out_of_place("a SASL frame came after SASL")),
                    None => return Ok(()),
                },
            }
        }
    }

    /// How many bytes the next frame in `input` lacks, for the driver to make room.
    #[must_use]
    pub fn missing(&self, input: &[u8]) -> usize {
        frame::missing(input, self.config.max_frame_size)
    }

    /// What is to be written.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.out.waiting()
    }

    /// So many bytes of [`Connection::output`] were written.
    pub fn written(&mut self, bytes: usize, now: Instant) {
        if bytes > 0 {
            self.idle.sent(now);
        }
        self.out.written(bytes);
        if self.out.len() < OUTPUT_MAX / 2 {
            self.wake_senders();
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Connection::on_time`] is to be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.is_ended() {
            return None;
        }
        self.idle.deadline(self.may_beat())
    }

    /// Looks at the clock: sends a heartbeat, or gives a silent peer up.
    pub fn on_time(&mut self, now: Instant) {
        if self.is_ended() {
            return;
        }
        if self.idle.is_silent(now) {
            self.end(Ended::Silent);
            return;
        }
        if self.may_beat() && self.idle.owes_beat(now) {
            self.out.answer(frame::write_empty);
            self.idle.sent(now);
        }
    }

    /// What waits to be written will be a sign of life by itself.
    fn may_beat(&self) -> bool {
        matches!(self.phase, Phase::Beginning | Phase::Up) && self.out.is_empty()
    }

    /// Closes the connection; the driver goes on until [`Event::Ended`].
    pub fn close(&mut self) {
        match self.phase {
            Phase::Opening | Phase::Beginning | Phase::Up => {
                self.write(&Close::default());
                self.phase = Phase::Closing;
            }
            Phase::Closing | Phase::Ended => {}
            // Nothing is open yet that would have to be closed.
            _ => self.end(Ended::Closed),
        }
    }

    /// What the peer says of itself in its open: `product`, `version`.
    #[must_use]
    pub fn peer(&self) -> &Fields {
        &self.peer
    }

    /// Whether the last event has been told, or waits to be.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    pub(super) fn write(&mut self, performative: &impl Encode) {
        self.out.write(performative);
    }

    pub(super) fn end(&mut self, why: Ended) {
        self.phase = Phase::Ended;
        self.pending = None;
        self.events.push_back(Event::Ended(why));
    }

    /// The peer broke a rule: it is told, and that is the end.
    fn violated(&mut self, violation: Violation) {
        let Violation { condition, what } = violation;
        if matches!(
            self.phase,
            Phase::AmqpHeader | Phase::Opening | Phase::Beginning | Phase::Up
        ) {
            let error = Some(Box::new(Error::new(condition, what.clone())));
            self.write(&Close { error });
        }
        self.end(Ended::Violation { condition, what });
    }

    /// A name for a delivery: its number, in room that many share.
    pub(super) fn tag(&mut self, delivery_id: u32) -> Bytes {
        const CHUNK: usize = 4096;
        if self.tags.capacity() < 4 {
            self.tags = BytesMut::with_capacity(CHUNK);
        }
        self.tags.extend_from_slice(&delivery_id.to_be_bytes());
        self.tags.split().freeze()
    }
}

pub(super) fn out_of_place(what: &str) -> Violation {
    Violation::new(crate::condition::ILLEGAL_STATE, what)
}
