//! The socket of one connection and the state machine on it.
//!
//! Owns: which token (a lane's, an address') has which link, the clock of the idle time-out, the time that connecting and
//! closing may take.
//! Invariants: [`Wire::io`] is cancel-safe; an event of a link that has no token any more is not told.
//! Does not know: what messages mean.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use weft_amqp_wire::login::{self, Login};
use weft_amqp_wire::machine::{Config, Connection, Ended, Event, LinkId, SenderSpec};
use weft_amqp_wire::performative::{DeliveryState, Error, distribution, filter};
use weft_amqp_wire::value::{Fields, Text, Value};
use weft_net::Stream;

use super::io::{Io, Moved, Output};
use super::terminus::Receiver;
use super::trouble::Trouble;
use super::{CONNECT, Endpoint};
use crate::config::{Auth, Mechanism};

/// How long a close may take.
const CLOSE: Duration = Duration::from_secs(2);
/// The least and the most frames that may be on their way to us.
const FRAMES: (u64, u64) = (16, 4096);
/// Most deliveries of ours without an outcome; the egress' own bound is below it.
const UNSETTLED_MAX: u32 = 8192;

/// What a connection needs to know beside where it goes.
pub(crate) struct WireSpec {
    /// Bytes that may be on their way to us.
    pub(crate) incoming_bytes: u64,
    /// The largest message that is put together.
    pub(crate) message_max: u64,
}

/// What happened, by token.
pub(crate) enum Happened {
    /// The broker serves the link; it takes messages of at most so many bytes.
    Attached { token: usize, message_max: Option<u64> },
    /// The broker refused the link, or took it away.
    Detached { token: usize, error: Option<Box<Error>> },
    /// A message came; `delivery` is `None` where it came settled.
    Delivery {
        token: usize,
        delivery: Option<u32>,
        payload: Bytes,
    },
    /// A message came that is larger than `message_max`.
    TooLarge { token: usize, delivery: Option<u32> },
    /// Messages that we sent have an outcome; `None`: settled without one.
    Outcome {
        first: u32,
        last: u32,
        state: Option<DeliveryState>,
    },
    /// The link can send again; or, receiving, lost credit without a message.
    Credit { token: usize },
}

/// An open connection.
pub(crate) struct Wire {
    io: Io<Stream>,
    machine: Machine,
    at: String,
    tokens: HashMap<LinkId, usize>,
    links: Vec<Option<LinkId>>,
    /// Why it is over.
    over: Option<Trouble>,
    /// It is over since we closed it, and the peer agreed.
    closed: bool,
    /// The peer has closed its side of the socket.
    eof: bool,
}

/// The state machine with the clock that it is asked by.
struct Machine(Connection);

impl Output for Machine {
    fn output(&self) -> &[u8] {
        self.0.output()
    }

    fn written(&mut self, bytes: usize) {
        self.0.written(bytes, Instant::now());
    }
}

impl Wire {
    /// Dials, logs in, opens the connection and its session.
    ///
    /// # Errors
    /// Whose fault it is, in one line.
    pub(crate) async fn connect(endpoint: &Endpoint, spec: &WireSpec) -> Result<Wire, Trouble> {
        let at = endpoint.dialer.address().to_string();
        let opening = async {
            let stream = endpoint.dialer.dial(CONNECT).await?;
            let mut wire = Wire {
                io: Io::new(stream),
                machine: Machine(Connection::new(config(endpoint, spec), Instant::now())),
                at: at.clone(),
                tokens: HashMap::new(),
                links: Vec::new(),
                over: None,
                closed: false,
                eof: false,
            };
            loop {
                match wire.machine.0.poll_event() {
                    Some(Event::Opened) => return Ok(wire),
                    Some(Event::Ended(ended)) => {
                        wire.flush().await;
                        return Err(wire.trouble(ended));
                    }
                    Some(_) => {}
                    None => wire.io().await?,
                }
            }
        };
        match tokio::time::timeout(CONNECT, opening).await {
            Ok(made) => made,
            Err(_) => Err(Trouble::unavailable(format!(
                "{at}: it takes connections, and did not open one of AMQP within {CONNECT:?}"
            ))),
        }
    }

    /// Asks for a consumer's link.
    pub(crate) fn receiver(&mut self, token: usize, receiver: &Receiver) {
        let link = self.machine.0.attach_receiver(&receiver.spec);
        self.bind(token, link);
    }

    /// Asks for a producer's link.
    pub(crate) fn sender(&mut self, token: usize, spec: &SenderSpec) {
        let link = self.machine.0.attach_sender(spec);
        self.bind(token, link);
    }

    fn bind(&mut self, token: usize, link: Option<LinkId>) {
        if self.links.len() <= token {
            self.links.resize(token + 1, None);
        }
        if let Some(old) = self.links[token].take() {
            self.tokens.remove(&old);
        }
        self.links[token] = link;
        match link {
            Some(link) => _ = self.tokens.insert(link, token),
            None if self.over.is_none() => {
                self.over = Some(Trouble::misconfigured(format!(
                    "{}: it takes no more links on a connection; have fewer addresses or `links`",
                    self.at
                )));
            }
            None => {}
        }
    }

    fn link(&self, token: usize) -> Option<LinkId> {
        self.links.get(token).copied().flatten()
    }

    /// Gives a link up.
    pub(crate) fn detach(&mut self, token: usize) {
        if let Some(link) = self.links.get_mut(token).and_then(Option::take) {
            self.tokens.remove(&link);
            self.machine.0.detach(link, true);
        }
    }

    /// The next thing that happened. Nothing more comes once the connection is over, which [`Wire::io`] tells.
    pub(crate) fn next(&mut self) -> Option<Happened> {
        loop {
            let happened = match self.machine.0.poll_event()? {
                Event::Attached {
                    link,
                    max_message_size,
                } => self.tokens.get(&link).map(|token| Happened::Attached {
                    token: *token,
                    message_max: max_message_size,
                }),
                Event::Credit { link } => self
                    .tokens
                    .get(&link)
                    .map(|token| Happened::Credit { token: *token }),
                Event::Delivery(delivery) => {
                    self.tokens.get(&delivery.link).map(|token| Happened::Delivery {
                        token: *token,
                        delivery: (!delivery.settled).then_some(delivery.delivery_id),
                        payload: delivery.payload,
                    })
                }
                Event::TooLarge {
                    link,
                    delivery_id,
                    settled,
                    ..
                } => self.tokens.get(&link).map(|token| Happened::TooLarge {
                    token: *token,
                    delivery: (!settled).then_some(delivery_id),
                }),
                Event::Outcome { first, last, state } => Some(Happened::Outcome { first, last, state }),
                Event::Detached { link, error, .. } => {
                    let token = self.tokens.remove(&link);
                    if let Some(place) = token.and_then(|token| self.links.get_mut(token)) {
                        *place = None;
                    }
                    token.map(|token| Happened::Detached { token, error })
                }
                Event::Ended(ended) => {
                    self.closed = ended == Ended::Closed;
                    let trouble = self.trouble(ended);
                    self.over.get_or_insert(trouble);
                    None
                }
                Event::Opened => None,
            };
            if happened.is_some() {
                return happened;
            }
        }
    }

    /// Writes, reads and looks at the clock, until something has moved. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, and everything that came before its end was told by [`Wire::next`].
    pub(crate) async fn io(&mut self) -> Result<(), Trouble> {
        if self.over.is_some() || self.eof {
            self.flush().await;
            return Err(self.lost());
        }
        let deadline = self.machine.0.next_deadline();
        tokio::select! {
            biased;
            moved = self.io.step(&mut self.machine) => match moved {
                Ok(Moved::Read) => self.machine.0.feed(&mut self.io.input, Instant::now()),
                Ok(Moved::Written) => {}
                Ok(Moved::End) => self.eof = true,
                Err(error) => {
                    self.over = Some(Trouble::unavailable(format!("{}: {error}", self.at)));
                }
            },
            () = at(deadline) => self.machine.0.on_time(Instant::now()),
        }
        Ok(())
    }

    /// Sets how many more messages may come by a link.
    pub(crate) fn credit(&mut self, token: usize, credit: u32) {
        if let Some(link) = self.link(token) {
            self.machine.0.set_credit(link, credit);
        }
    }

    /// The same for as many as there are: the broker gives back what it cannot use now.
    pub(crate) fn drain(&mut self, token: usize, credit: u32) {
        if let Some(link) = self.link(token) {
            self.machine.0.drain(link, credit);
        }
    }

    /// Lets a message go on that is half way, after all credit was given back.
    pub(crate) fn go_on(&mut self, token: usize) {
        if let Some(link) = self.link(token) {
            self.machine.0.go_on(link);
        }
    }

    /// Whether a drain is over: no credit is left, and no message half way.
    pub(crate) fn drained(&self, token: usize) -> bool {
        let over = |link| self.machine.0.credit(link) == 0 && !self.machine.0.is_half_way(link);
        self.link(token).is_none_or(over)
    }

    /// Whether the broker says that a consumer's link copies messages, and takes none out.
    pub(crate) fn copies(&self, token: usize) -> bool {
        let mode = self
            .link(token)
            .and_then(|link| self.machine.0.distribution(link));
        mode.is_some_and(|mode| *mode == distribution::COPY)
    }

    /// Whether the broker says that what it sends by a consumer's link is gone from it.
    pub(crate) fn sends_settled(&self, token: usize) -> bool {
        self.link(token)
            .is_some_and(|link| self.machine.0.sends_settled(link))
    }

    /// What the broker says of itself: its product, and the version.
    pub(crate) fn product(&self) -> (&str, &str) {
        let peer = self.machine.0.peer();
        let text = |key| peer.get(key).and_then(Value::as_str).unwrap_or_default();
        (text("product"), text("version"))
    }

    /// Whether the broker applies the selector of a consumer's link.
    pub(crate) fn selects(&self, token: usize) -> bool {
        let filter = self.link(token).and_then(|link| self.machine.0.filter(link));
        filter.is_some_and(|filter| filter.get(filter::SELECTOR).is_some())
    }

    /// No outcome of this message is waited for any more.
    pub(crate) fn give_up(&mut self, delivery: u32) {
        self.machine.0.give_up(delivery);
    }

    /// How many more messages may come by a link.
    pub(crate) fn unused(&mut self, token: usize) -> u32 {
        self.link(token).map_or(0, |link| self.machine.0.credit(link))
    }

    /// Lets the session's window run down, or opens it again.
    pub(crate) fn hold(&mut self, held: bool) {
        self.machine.0.hold(held);
    }

    /// Settles messages that came.
    pub(crate) fn settle(&mut self, first: u32, last: u32, state: DeliveryState) {
        self.machine.0.settle(first, last, state);
    }

    /// Whether a message can be sent by a link now; where not, [`Happened::Credit`] tells when.
    pub(crate) fn can_send(&mut self, token: usize) -> bool {
        match self.link(token) {
            Some(link) => self.machine.0.can_send(link),
            None => false,
        }
    }

    /// Sends an encoded message; its number, by which its outcome is told.
    pub(crate) fn send(&mut self, token: usize, message: &[u8]) -> Option<u32> {
        let link = self.link(token)?;
        self.machine.0.send(link, message)
    }

    /// Detaches (durable subscriptions stay), closes, and waits for the broker's word, within bounds.
    pub(crate) async fn close(&mut self) {
        if let Err(trouble) = self.end(false, CLOSE).await {
            tracing::debug!(%trouble, "amqp did not close well; the broker will notice by itself");
        }
    }

    /// Gives all links up, closes, and waits for the broker's word for so long.
    ///
    /// # Errors
    /// It did not agree: whether it has read what was said last is not known.
    pub(crate) async fn part(&mut self, limit: Duration) -> Result<(), Trouble> {
        self.end(true, limit).await
    }

    async fn end(&mut self, for_good: bool, limit: Duration) -> Result<(), Trouble> {
        let links: Vec<LinkId> = self.links.drain(..).flatten().collect();
        for link in links {
            self.machine.0.detach(link, for_good);
        }
        self.tokens.clear();
        self.machine.0.close();
        let closing = async {
            while self.over.is_none() && !self.eof {
                if self.io().await.is_err() {
                    break;
                }
                while self.next().is_some() {}
            }
            self.flush().await;
        };
        match tokio::time::timeout(limit, closing).await {
            Ok(()) if self.closed => Ok(()),
            Ok(()) => Err(self.lost()),
            Err(_) => Err(Trouble::unavailable(format!(
                "{}: the broker does not agree to the close within {limit:?}",
                self.at
            ))),
        }
    }

    fn lost(&self) -> Trouble {
        let lost = || Trouble::unavailable(format!("{}: the broker closed the connection", self.at));
        self.over.clone().unwrap_or_else(lost)
    }

    /// Writes what is left to say, as far as the socket takes it at once.
    async fn flush(&mut self) {
        if !self.eof && !self.machine.output().is_empty() {
            let limit = Duration::from_millis(100);
            let _ = tokio::time::timeout(limit, self.io.step(&mut self.machine)).await;
        }
    }

    fn trouble(&self, ended: Ended) -> Trouble {
        let at = &self.at;
        match ended {
            Ended::ByPeer(error) => Trouble::closed(at, error.as_deref()),
            Ended::Login(error) => Trouble::login(at, &error),
            Ended::Protocol(what) => Trouble::misconfigured(format!("{at}: {what}; check `url`")),
            Ended::Closed | Ended::Silent | Ended::Violation { .. } => {
                Trouble::unavailable(format!("{at}: {ended}"))
            }
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn config(endpoint: &Endpoint, spec: &WireSpec) -> Config {
    let frames = spec.incoming_bytes / u64::from(endpoint.max_frame).max(1);
    Config {
        container_id: Text::from(endpoint.container_id.as_str()),
        hostname: Some(Text::from(endpoint.hostname.as_str())),
        max_frame_size: endpoint.max_frame,
        max_message_size: spec.message_max,
        incoming_window: u32::try_from(frames.clamp(FRAMES.0, FRAMES.1)).unwrap_or(u32::MAX),
        max_unsettled: UNSETTLED_MAX,
        idle_timeout: Some(endpoint.idle_timeout),
        login: credentials(&endpoint.auth),
        properties: Fields::default()
            .with("product", "weft")
            .with("version", env!("CARGO_PKG_VERSION")),
    }
}

fn credentials(auth: &Auth) -> Login {
    let mechanism = match auth.mechanism {
        Mechanism::Anonymous => login::Mechanism::Anonymous,
        Mechanism::Plain => login::Mechanism::Plain,
        Mechanism::External => login::Mechanism::External,
        Mechanism::ScramSha1 => login::Mechanism::ScramSha1,
        Mechanism::ScramSha256 => login::Mechanism::ScramSha256,
        Mechanism::ScramSha512 => login::Mechanism::ScramSha512,
    };
    Login {
        mechanism: Some(mechanism),
        user: auth.user.clone().unwrap_or_default(),
        password: auth.password.clone().unwrap_or_default(),
        nonce: uuid::Uuid::new_v4().simple().to_string(),
    }
}
