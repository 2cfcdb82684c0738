//! A broker of few words, frame by frame: it behaves up to a stage, and then does what the test says.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::performative::{Attach, Begin, Encode, Open, Performative, Role, Target, Transfer};
use weft_amqp_wire::sasl::{Code, Mechanisms, Outcome as SaslOutcome};
use weft_amqp_wire::value::{Fields, Symbol};

/// How far the fake goes before it turns hostile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// In place of the SASL header.
    Header,
    /// In place of the mechanisms.
    Mechanisms,
    /// In place of the AMQP header.
    AmqpHeader,
    /// In place of `open`.
    Open,
    /// In place of `begin`.
    Begin,
    /// In place of `attach`.
    Attach,
    /// In place of a message.
    Transfer,
}

/// A broker that behaves up to a stage.
pub struct Fake {
    pub stream: TcpStream,
    read: BytesMut,
    /// It does not know filters, and says so by leaving them out.
    pub filters: bool,
}

impl Fake {
    pub async fn accept(listener: &TcpListener) -> Fake {
        let (stream, _) = listener.accept().await.unwrap();
        Fake {
            stream,
            read: BytesMut::new(),
            filters: true,
        }
    }

    async fn header(&mut self) -> Option<ProtocolHeader> {
        loop {
            if let Ok(Some(header)) = ProtocolHeader::split(&mut self.read) {
                return Some(header);
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    async fn frame(&mut self) -> Option<frame::Frame> {
        loop {
            match frame::split(&mut self.read, 1 << 20) {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(_) => return None,
            }
            if self.stream.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Reads until the peer has sent this performative; gives it.
    pub async fn until(&mut self, name: &str) -> Option<Performative> {
        loop {
            let said = self.said().await?;
            if said.name() == name {
                return Some(said);
            }
        }
    }

    /// The next performative that the peer sends.
    pub async fn said(&mut self) -> Option<Performative> {
        loop {
            let frame = self.frame().await?;
            if !frame.body.is_empty() {
                return Some(Performative::decode(&frame.body).ok()?.0);
            }
        }
    }

    /// Reads until the peer has sent an empty frame, a sign of life.
    pub async fn beat(&mut self) -> Option<()> {
        while !self.frame().await?.body.is_empty() {}
        Some(())
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        // The peer may have had enough.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Behaves until `stage`. None: the peer went away.
    pub async fn behave(&mut self, stage: Stage) -> Option<()> {
        self.header().await?;
        if stage == Stage::Header {
            return Some(());
        }
        self.write(&ProtocolHeader::SASL.to_bytes()).await;
        if stage == Stage::Mechanisms {
            return Some(());
        }
        let mut out = Vec::new();
        let mechanisms = Mechanisms {
            sasl_server_mechanisms: vec![Symbol::from_static("ANONYMOUS")],
        };
        frame::write_sasl(&mut out, &mechanisms);
        self.write(&out).await;
        self.frame().await?;
        out.clear();
        let outcome = SaslOutcome {
            code: Code::Ok,
            additional_data: None,
        };
        frame::write_sasl(&mut out, &outcome);
        self.write(&out).await;
        self.header().await?;
        if stage == Stage::AmqpHeader {
            return Some(());
        }
        self.write(&ProtocolHeader::AMQP.to_bytes()).await;
        self.until("open").await?;
        if stage == Stage::Open {
            return Some(());
        }
        self.say(&Open {
            container_id: "fake".into(),
            ..Open::default()
        })
        .await;
        self.until("begin").await?;
        if stage == Stage::Begin {
            return Some(());
        }
        self.say(&Begin {
            remote_channel: Some(0),
            next_outgoing_id: 0,
            incoming_window: 1000,
            outgoing_window: 1000,
            ..Begin::default()
        })
        .await;
        let Performative::Attach(theirs) = self.until("attach").await? else {
            return None;
        };
        if stage == Stage::Attach {
            return Some(());
        }
        let mut attach = Attach::new(theirs.name.clone(), 0, Role::Sender);
        attach.source = theirs.source.clone();
        if let Some(source) = attach.source.as_mut().filter(|_| !self.filters) {
            source.filter = Fields::default();
        }
        attach.target = Some(Target::default());
        attach.initial_delivery_count = Some(0);
        self.say(&attach).await;
        self.until("flow").await?;
        Some(())
    }

    pub async fn say(&mut self, performative: &impl Encode) {
        let mut out = Vec::new();
        frame::write(&mut out, 0, performative);
        self.write(&out).await;
    }

    /// Sends a message by the first link, in as many frames as it takes.
    pub async fn send(&mut self, number: u32, settled: bool, payload: &[u8], frame_max: u32) {
        self.send_by(0, number, settled, payload, frame_max).await;
    }

    /// The same by another link.
    pub async fn send_by(&mut self, handle: u32, number: u32, settled: bool, payload: &[u8], frame_max: u32) {
        let transfer = Transfer {
            handle,
            delivery_id: Some(number),
            delivery_tag: Some(Bytes::copy_from_slice(&number.to_be_bytes())),
            message_format: Some(0),
            settled: Some(settled),
            ..Transfer::default()
        };
        let (mut left, mut first) = (payload, true);
        let mut out = Vec::new();
        while first || !left.is_empty() {
            let taken = frame::write_transfer(&mut out, 0, &transfer, left, frame_max);
            left = &left[taken..];
            first = false;
        }
        self.write(&out).await;
    }
}
