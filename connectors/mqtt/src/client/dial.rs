//! From an address to an accepted connection.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout_at;
use weft_net::Dialer;

use super::link::Link;
use super::refusal::{self, Refusal};
use super::wire::connect::{Connack, Connect};
use super::wire::{kind, reason};
use crate::config::{Remote, Version};

/// How long a connection, up to its CONNACK, may take at most.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Whom to connect to, and as whom. Not printable: it holds the password.
#[derive(Clone)]
pub(crate) struct Target {
    dialer: Dialer,
    version: Version,
    user: Option<(String, Option<String>)>,
    keep_alive: u16,
    limit: u32,
    patience: Duration,
}

/// What differs from connection to connection.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Names the session.
    pub(crate) client_id: String,
    /// Begin without what the broker kept.
    pub(crate) clean: bool,
    /// In seconds.
    pub(crate) session_expiry: u32,
    /// How many messages we take.
    pub(crate) receive_maximum: u16,
}

/// A connection on its way.
pub(crate) type Dialing = Pin<Box<dyn Future<Output = Result<(Link, Connack), Refusal>> + Send>>;

impl Target {
    /// From a section that was checked. `limit`: the largest packet that is taken; `patience`: how long a connection, up to its
    /// CONNACK, may take.
    ///
    /// # Errors
    /// What is wrong with the address, which the check would have found.
    pub(crate) fn new(
        remote: Remote<'_>,
        keep_alive: Duration,
        limit: u32,
        patience: Duration,
    ) -> Result<Target, String> {
        let address = remote.address().map_err(|error| error.to_string())?;
        let user = remote.auth.map(|auth| (auth.user.clone(), auth.password.clone()));
        Ok(Target {
            dialer: Dialer::new(address, remote.tls.cloned()),
            version: remote.version,
            user,
            keep_alive: u16::try_from(keep_alive.as_secs()).unwrap_or(u16::MAX).max(1),
            limit,
            patience: patience.min(LIMIT),
        })
    }

    /// Where it is; no credentials.
    pub(crate) fn address(&self) -> String {
        self.dialer.address().to_string()
    }

    /// The protocol.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Connects in the background of whoever polls it.
    pub(crate) fn dial(&self, terms: Terms) -> Dialing {
        let target = self.clone();
        Box::pin(async move { target.open(&terms).await })
    }

    /// Connects with a client id that takes no session over, and leaves.
    ///
    /// # Errors
    /// Why it cannot.
    pub(crate) async fn probe(&self, client_id: &str) -> Result<Connack, Refusal> {
        let terms = Terms {
            client_id: format!("{client_id}-probe-{}", std::process::id()),
            clean: true,
            session_expiry: 0,
            receive_maximum: 1,
        };
        let (link, connack) = self.open(&terms).await?;
        link.goodbye(0).await;
        Ok(connack)
    }

    async fn open(&self, terms: &Terms) -> Result<(Link, Connack), Refusal> {
        let deadline = tokio::time::Instant::now() + self.patience;
        let stream = self.dialer.dial(self.patience).await?;
        let mut link = Link::new(stream, self.version, self.limit, self.interval(None));
        let connect = Connect {
            version: self.version,
            client_id: &terms.client_id,
            clean: terms.clean,
            keep_alive: self.keep_alive,
            session_expiry: terms.session_expiry,
            receive_maximum: terms.receive_maximum,
            max_packet: self.limit,
            user: self
                .user
                .as_ref()
                .map(|(user, password)| (user.as_str(), password.as_deref())),
        };
        connect.encode(link.out());
        let answer = timeout_at(deadline, self.answer(&mut link)).await;
        let unavailable = |why: String| Refusal::unavailable(format!("{}: {why}", self.address()));
        let connack = answer
            .map_err(|_| unavailable(format!("no CONNACK within {:?}", self.patience)))?
            .map_err(unavailable)?;
        if connack.code != 0 {
            return Err(refusal::connack(
                &connack,
                self.version,
                &self.address(),
                &terms.client_id,
            ));
        }
        link.keep_alive(self.interval(connack.keep_alive));
        Ok((link, connack))
    }

    /// Sends CONNECT and reads up to CONNACK; what follows it stays in the link's buffer.
    async fn answer(&self, link: &mut Link) -> Result<Connack, String> {
        std::future::poll_fn(|cx| link.poll_flush(cx)).await?;
        let frame = loop {
            match link.frame().map_err(|fault| format!("it sends {fault}"))? {
                Some(frame) => break frame,
                None => std::future::poll_fn(|cx| link.poll_read(cx)).await?,
            }
        };
        match frame.kind() {
            kind::CONNACK => Connack::decode(self.version, &frame.body)
                .map_err(|fault| format!("it sends a CONNACK that is {fault}")),
            kind::DISCONNECT => {
                let said = super::wire::disconnect::decode(self.version, &frame.body);
                Err(said.map_or_else(
                    |fault| format!("it sends {fault}"),
                    |end| {
                        format!(
                            "it ends the connection: {}",
                            reason::describe(end.code, end.reason)
                        )
                    },
                ))
            }
            other => Err(format!(
                "it answers CONNECT with {}; is it an MQTT broker?",
                kind::name(other)
            )),
        }
    }

    fn interval(&self, theirs: Option<u16>) -> Duration {
        match theirs {
            // The broker does not watch; we still want to know whether it lives.
            Some(0) | None => Duration::from_secs(self.keep_alive.into()),
            Some(seconds) => Duration::from_secs(seconds.into()),
        }
    }
}
