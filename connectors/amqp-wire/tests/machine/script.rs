//! A peer whose every number a test chooses itself; `peer` is the one that keeps its books.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use weft_amqp_wire::frame::{self, FrameKind, ProtocolHeader};
use weft_amqp_wire::login::{Login, Mechanism};
use weft_amqp_wire::machine::{Config, Connection, Ended, Event, LinkId, ReceiverSpec, SenderSpec};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::{Code, Mechanisms, Outcome, Sasl};
use weft_amqp_wire::value::{Fields, Symbol, Text};

/// The peer's channel, which is not ours.
pub(crate) const CHANNEL: u16 = 7;
/// The peer's first transfer-id: numbers go round at once.
pub(crate) const NEXT: u32 = u32::MAX - 1;
/// The peer's handles begin here, so that none equals ours.
pub(crate) const HANDLES: u32 = 40;

/// What the client said.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Said {
    Header(ProtocolHeader),
    Sasl(Sasl),
    Beat,
    Frame(Performative, Bytes),
}

pub(crate) struct Peer {
    pub(crate) client: Connection,
    pub(crate) now: Instant,
    stream: BytesMut,
}

pub(crate) fn config() -> Config {
    Config {
        container_id: Text::from_static("weft"),
        hostname: Some(Text::from_static("broker")),
        max_frame_size: 4096,
        max_message_size: 10_000,
        incoming_window: 8,
        max_unsettled: 100,
        idle_timeout: None,
        login: Login {
            mechanism: Some(Mechanism::Anonymous),
            user: String::new(),
            password: String::new(),
            nonce: "0123456789abcdef".into(),
        },
        properties: Fields::default(),
    }
}

pub(crate) fn open() -> Open {
    Open {
        container_id: Text::from_static("peer"),
        max_frame_size: 1024,
        ..Open::default()
    }
}

pub(crate) fn begin() -> Begin {
    Begin {
        remote_channel: Some(0),
        next_outgoing_id: NEXT,
        incoming_window: 1000,
        outgoing_window: 1000,
        ..Begin::default()
    }
}

/// A flow of the session: `seen` transfer frames of the client have come.
pub(crate) fn flow(seen: u32, window: u32) -> Flow {
    Flow {
        next_incoming_id: Some(seen),
        incoming_window: window,
        next_outgoing_id: NEXT,
        outgoing_window: 1000,
        ..Flow::default()
    }
}

/// Credit for a link that has brought `count` deliveries; the session's window is wide.
pub(crate) fn credit(handle: u32, count: u32, credit: u32) -> Flow {
    Flow {
        handle: Some(handle),
        delivery_count: Some(count),
        link_credit: Some(credit),
        ..flow(0, 1000)
    }
}

pub(crate) fn first(handle: u32, id: u32) -> Transfer {
    Transfer {
        handle,
        delivery_id: Some(id),
        delivery_tag: Some(Bytes::copy_from_slice(&id.to_be_bytes())),
        message_format: Some(0),
        settled: Some(false),
        ..Transfer::default()
    }
}

pub(crate) fn disposition(first: u32, last: u32, settled: bool, state: Option<DeliveryState>) -> Disposition {
    Disposition {
        role: Role::Receiver,
        first,
        last: (last != first).then_some(last),
        settled,
        state,
        batchable: false,
    }
}

pub(crate) fn mechanisms() -> Vec<u8> {
    let mut bytes = ProtocolHeader::SASL.to_bytes().to_vec();
    let names = ["ANONYMOUS", "PLAIN"].map(Symbol::from_static).to_vec();
    frame::write_sasl(
        &mut bytes,
        &Mechanisms {
            sasl_server_mechanisms: names,
        },
    );
    bytes
}

pub(crate) fn outcome(code: Code) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_sasl(
        &mut bytes,
        &Outcome {
            code,
            additional_data: None,
        },
    );
    bytes
}

pub(crate) fn written(performative: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, CHANNEL, performative);
    bytes
}

/// All that a friendly peer says until links can be attached.
pub(crate) fn welcome(open: &Open, begin: &Begin) -> Vec<u8> {
    let header = ProtocolHeader::AMQP.to_bytes().to_vec();
    [
        mechanisms(),
        outcome(Code::Ok),
        header,
        written(open),
        written(begin),
    ]
    .concat()
}

/// The answer to an attach: the same link from the other end.
pub(crate) fn answer(attach: &Attach, handle: u32) -> Attach {
    Attach {
        handle,
        role: attach.role.opposite(),
        initial_delivery_count: (attach.role == Role::Receiver).then_some(0),
        max_message_size: None,
        ..attach.clone()
    }
}

pub(crate) fn receiver_spec(name: &str) -> ReceiverSpec {
    ReceiverSpec {
        name: Text::from(name),
        source: Source::default(),
        snd_settle_mode: SenderSettleMode::Unsettled,
        desired_capabilities: Vec::new(),
    }
}

pub(crate) fn sender_spec(name: &str) -> SenderSpec {
    SenderSpec {
        name: Text::from(name),
        target: Target::default(),
        snd_settle_mode: SenderSettleMode::Unsettled,
        desired_capabilities: Vec::new(),
    }
}

impl Peer {
    /// Nothing is said yet.
    pub(crate) fn start(config: Config) -> Peer {
        let now = Instant::now();
        Peer {
            client: Connection::new(config, now),
            now,
            stream: BytesMut::new(),
        }
    }

    /// Links can be attached.
    pub(crate) fn up() -> Peer {
        Peer::with(config(), &open(), &begin())
    }

    pub(crate) fn with(config: Config, open: &Open, begin: &Begin) -> Peer {
        let mut peer = Peer::start(config);
        peer.bytes(&welcome(open, begin));
        assert_eq!(peer.events(), [Event::Opened]);
        // Two headers, init, open, begin.
        assert_eq!(peer.hear_all().len(), 5);
        peer
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.client.feed(&mut BytesMut::from(bytes), self.now);
    }

    pub(crate) fn say(&mut self, performative: &impl Encode) {
        self.bytes(&written(performative));
    }

    pub(crate) fn transfer(&mut self, transfer: &Transfer, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame::write_transfer(&mut bytes, CHANNEL, transfer, payload, u32::MAX);
        self.bytes(&bytes);
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    pub(crate) fn ended(&mut self) -> Ended {
        match self.events().pop() {
            Some(Event::Ended(ended)) => ended,
            other => panic!("not ended: {other:?}"),
        }
    }

    /// The connection ended, and the peer was told this condition.
    pub(crate) fn violated(&mut self) -> &'static str {
        let Ended::Violation { condition, what } = self.ended() else {
            panic!("no violation");
        };
        let said = self.hear();
        let Some(Performative::Close(close)) = said.last() else {
            panic!("no close: {said:?}");
        };
        let error = close.error.as_ref().unwrap();
        assert_eq!(error.condition.as_str(), condition);
        assert_eq!(error.description.as_ref().unwrap().as_str(), what);
        assert_eq!(self.client.next_deadline(), None);
        condition
    }

    /// Takes what the client has written.
    pub(crate) fn hear_all(&mut self) -> Vec<Said> {
        let bytes = self.client.output().to_vec();
        self.client.written(bytes.len(), self.now);
        self.stream.extend_from_slice(&bytes);
        let mut said = Vec::new();
        while !self.stream.is_empty() {
            if self.stream.starts_with(b"AMQP") {
                said.push(Said::Header(
                    ProtocolHeader::split(&mut self.stream).unwrap().unwrap(),
                ));
                continue;
            }
            let frame = frame::split(&mut self.stream, u32::MAX)
                .unwrap()
                .expect("whole frames");
            said.push(match frame.kind {
                FrameKind::Sasl => Said::Sasl(Sasl::decode(&frame.body).unwrap()),
                FrameKind::Amqp if frame.body.is_empty() => Said::Beat,
                FrameKind::Amqp => {
                    let (performative, payload) = Performative::decode(&frame.body).unwrap();
                    Said::Frame(performative, payload)
                }
            });
        }
        said
    }

    /// The performatives among it.
    pub(crate) fn hear(&mut self) -> Vec<Performative> {
        let frames = self.hear_all().into_iter().filter_map(|said| match said {
            Said::Frame(performative, _) => Some(performative),
            _ => None,
        });
        frames.collect()
    }

    /// The transfers among it, with what they carry.
    pub(crate) fn transfers(&mut self) -> Vec<(Transfer, Bytes)> {
        let frames = self.hear_all().into_iter().filter_map(|said| match said {
            Said::Frame(Performative::Transfer(transfer), payload) => Some((transfer, payload)),
            _ => None,
        });
        frames.collect()
    }

    pub(crate) fn attach_heard(&mut self) -> Attach {
        match self.hear().as_slice() {
            [Performative::Attach(attach)] => (**attach).clone(),
            other => panic!("not one attach: {other:?}"),
        }
    }

    /// A link that we receive by, which the peer calls `handle`.
    pub(crate) fn receiver(&mut self, name: &str, handle: u32) -> LinkId {
        let link = self.client.attach_receiver(&receiver_spec(name)).unwrap();
        self.accept(link, handle);
        link
    }

    /// A link that we send by, which the peer calls `handle`.
    pub(crate) fn sender(&mut self, name: &str, handle: u32) -> LinkId {
        let link = self.client.attach_sender(&sender_spec(name)).unwrap();
        self.accept(link, handle);
        link
    }

    fn accept(&mut self, link: LinkId, handle: u32) {
        let attach = self.attach_heard();
        self.say(&answer(&attach, handle));
        let max_message_size = None;
        assert_eq!(
            self.events(),
            [Event::Attached {
                link,
                max_message_size
            }]
        );
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.client.on_time(self.now);
    }
}
