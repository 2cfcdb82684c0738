//! A peer that says what it is told to, and reads what the client writes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use weft_amqp_wire::frame::{self, FrameKind, ProtocolHeader};
use weft_amqp_wire::login::{Login, Mechanism};
use weft_amqp_wire::machine::{Config, Connection, Ended, Event, LinkId, ReceiverSpec, SenderSpec};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::{Code, Mechanisms, Outcome, Sasl};
use weft_amqp_wire::value::{Fields, Symbol, Text};

/// The peer's channel, and how far its handles are from the client's: its numbers are not the client's.
pub(crate) const CHANNEL: u16 = 7;
pub(crate) const HANDLES: u32 = 100;

pub(crate) struct Peer {
    pub(crate) client: Connection,
    pub(crate) now: Instant,
    input: BytesMut,
    handles: HashMap<LinkId, u32>,
}

pub(crate) fn login(mechanism: Option<Mechanism>, user: &str, password: &str) -> Login {
    Login {
        mechanism,
        user: user.into(),
        password: password.into(),
        nonce: "rOprNGfwEbeRWgbNEkqO".into(),
    }
}

pub(crate) fn config() -> Config {
    Config {
        container_id: Text::from_static("me"),
        hostname: Some(Text::from_static("broker")),
        max_frame_size: 1024,
        max_message_size: 4096,
        incoming_window: 8,
        max_unsettled: 16,
        idle_timeout: Some(Duration::from_secs(60)),
        login: login(Some(Mechanism::Anonymous), "", ""),
        properties: Fields::default().with("product", "test"),
    }
}

pub(crate) fn open() -> Open {
    Open {
        container_id: Text::from_static("broker"),
        max_frame_size: 512,
        idle_time_out: Some(10_000),
        ..Open::default()
    }
}

pub(crate) fn begin() -> Begin {
    Begin {
        remote_channel: Some(0),
        next_outgoing_id: u32::MAX - 2,
        incoming_window: 1000,
        outgoing_window: 1000,
        handle_max: 15,
        ..Begin::default()
    }
}

pub(crate) fn source(address: &'static str) -> Source {
    Source {
        address: Some(Text::from_static(address)),
        ..Source::default()
    }
}

pub(crate) fn target(address: &'static str) -> Target {
    Target {
        address: Some(Text::from_static(address)),
        ..Target::default()
    }
}

pub(crate) fn receiver_spec(name: &str) -> ReceiverSpec {
    ReceiverSpec {
        name: name.into(),
        source: source("queue"),
        snd_settle_mode: SenderSettleMode::Unsettled,
        desired_capabilities: Vec::new(),
    }
}

pub(crate) fn sender_spec(name: &str) -> SenderSpec {
    SenderSpec {
        name: name.into(),
        target: target("queue"),
        snd_settle_mode: SenderSettleMode::Unsettled,
        desired_capabilities: Vec::new(),
    }
}

pub(crate) fn mechanisms(names: &[&str]) -> Mechanisms {
    Mechanisms {
        sasl_server_mechanisms: names.iter().map(|name| Symbol::new(name).unwrap()).collect(),
    }
}

pub(crate) fn outcome(code: Code) -> Outcome {
    Outcome {
        code,
        additional_data: None,
    }
}

impl Peer {
    /// Nothing was said yet.
    pub(crate) fn new(config: Config) -> Peer {
        let now = Instant::now();
        Peer {
            client: Connection::new(config, now),
            now,
            input: BytesMut::new(),
            handles: HashMap::new(),
        }
    }

    /// The client is let in and awaits AMQP's header.
    pub(crate) fn let_in(config: Config) -> Peer {
        let mut peer = Peer::new(config);
        peer.bytes(&ProtocolHeader::SASL.to_bytes());
        peer.say_sasl(&mechanisms(&["ANONYMOUS"]));
        peer.say_sasl(&outcome(Code::Ok));
        peer
    }

    /// The client has its session.
    pub(crate) fn up_as(config: Config, open: &Open, begin: &Begin) -> Peer {
        let mut peer = Peer::let_in(config);
        peer.bytes(&ProtocolHeader::AMQP.to_bytes());
        peer.say(open);
        peer.say(begin);
        assert_eq!(peer.events(), [Event::Opened]);
        peer.skip();
        peer
    }

    pub(crate) fn up() -> Peer {
        Peer::up_as(config(), &open(), &begin())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.client.feed(&mut self.input, self.now);
    }

    pub(crate) fn say(&mut self, performative: &impl Encode) {
        self.say_on(CHANNEL, performative);
    }

    pub(crate) fn say_on(&mut self, channel: u16, performative: &impl Encode) {
        let mut out = Vec::new();
        frame::write(&mut out, channel, performative);
        self.bytes(&out);
    }

    pub(crate) fn say_sasl(&mut self, step: &impl Encode) {
        let mut out = Vec::new();
        frame::write_sasl(&mut out, step);
        self.bytes(&out);
    }

    /// What the client wants written, which is written now.
    pub(crate) fn take(&mut self) -> BytesMut {
        let out = BytesMut::from(self.client.output());
        self.client.written(out.len(), self.now);
        out
    }

    pub(crate) fn skip(&mut self) {
        drop(self.take());
    }

    /// The frames that the client has written.
    pub(crate) fn hear(&mut self) -> Vec<(Performative, Bytes)> {
        let mut out = self.take();
        let mut heard = Vec::new();
        while let Some(frame) = frame::split(&mut out, u32::MAX).unwrap() {
            assert_eq!((frame.kind, frame.channel), (FrameKind::Amqp, 0));
            if !frame.body.is_empty() {
                heard.push(Performative::decode(&frame.body).unwrap());
            }
        }
        assert!(out.is_empty());
        heard
    }

    /// The one frame that the client has written.
    pub(crate) fn hear_one(&mut self) -> Performative {
        let mut heard = self.hear();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard.pop().unwrap().0
    }

    pub(crate) fn hear_flow(&mut self) -> Flow {
        match self.hear_one() {
            Performative::Flow(flow) => flow,
            other => panic!("{other:?}"),
        }
    }

    /// The one step of SASL that the client has written.
    pub(crate) fn hear_sasl(&mut self) -> Sasl {
        let mut out = self.take();
        let frame = frame::split(&mut out, 512).unwrap().unwrap();
        assert_eq!((frame.kind, out.len()), (FrameKind::Sasl, 0));
        Sasl::decode(&frame.body).unwrap()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    pub(crate) fn event(&mut self) -> Event {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.pop().unwrap()
    }

    pub(crate) fn ended(&mut self) -> Ended {
        match self.events().pop() {
            Some(Event::Ended(ended)) => ended,
            other => panic!("not ended: {other:?}"),
        }
    }

    /// The client asks; its handle.
    pub(crate) fn asks(&mut self, link: LinkId) -> Attach {
        let Performative::Attach(attach) = self.hear_one() else {
            panic!("no attach");
        };
        self.handles.insert(link, attach.handle);
        *attach
    }

    /// The peer's attach in answer to the client's.
    pub(crate) fn answer(attach: &Attach) -> Attach {
        Attach {
            source: attach.source.clone(),
            target: attach.target.clone(),
            initial_delivery_count: (attach.role == Role::Receiver).then_some(u32::MAX - 1),
            ..Attach::new(
                attach.name.clone(),
                attach.handle + HANDLES,
                attach.role.opposite(),
            )
        }
    }

    pub(crate) fn attaches(&mut self, link: LinkId) {
        let attach = self.asks(link);
        self.say(&Peer::answer(&attach));
        let attached = Event::Attached {
            link,
            max_message_size: None,
        };
        assert_eq!(self.events(), [attached]);
    }

    pub(crate) fn receiver(&mut self, name: &str, credit: u32) -> LinkId {
        let link = self.client.attach_receiver(&receiver_spec(name)).unwrap();
        self.attaches(link);
        self.client.set_credit(link, credit);
        self.skip();
        link
    }

    pub(crate) fn sender(&mut self, name: &str, credit: u32) -> LinkId {
        let link = self.client.attach_sender(&sender_spec(name)).unwrap();
        self.attaches(link);
        self.credit(link, 0, credit);
        self.skip();
        link
    }

    /// The peer's handle of a link.
    pub(crate) fn handle(&self, link: LinkId) -> u32 {
        self.handles[&link] + HANDLES
    }

    pub(crate) fn transfer(&mut self, transfer: &Transfer, payload: &[u8]) {
        let mut out = Vec::new();
        frame::write_transfer(&mut out, CHANNEL, transfer, payload, u32::MAX);
        self.bytes(&out);
    }

    /// A whole message in one frame.
    pub(crate) fn delivers(&mut self, link: LinkId, id: u32, payload: &[u8]) {
        let transfer = self.first(link, id);
        self.transfer(&transfer, payload);
    }

    /// The first transfer of a delivery.
    pub(crate) fn first(&self, link: LinkId, id: u32) -> Transfer {
        Transfer {
            handle: self.handle(link),
            delivery_id: Some(id),
            delivery_tag: Some(Bytes::from(id.to_be_bytes().to_vec())),
            message_format: Some(0),
            ..Transfer::default()
        }
    }

    pub(crate) fn credit(&mut self, link: LinkId, count: u32, credit: u32) {
        self.say(&Flow {
            handle: Some(self.handle(link)),
            delivery_count: Some(count),
            link_credit: Some(credit),
            ..self.flow(0, 1000)
        });
    }

    /// A flow of the session: what the peer has seen and takes.
    pub(crate) fn flow(&self, next_incoming_id: u32, incoming_window: u32) -> Flow {
        Flow {
            next_incoming_id: Some(next_incoming_id),
            incoming_window,
            outgoing_window: 1000,
            ..Flow::default()
        }
    }

    pub(crate) fn says(&mut self, first: u32, last: u32, settled: bool, state: Option<DeliveryState>) {
        self.say(&Disposition {
            role: Role::Receiver,
            first,
            last: (last != first).then_some(last),
            settled,
            state,
            batchable: false,
        });
    }
}
