//! What the file may say about AMQP: the sections' serde types, and the checks that types cannot express.
//!
//! Owns: the keys that both sections share (address of the broker, TLS, credentials, connection settings).
//! Invariants: parsing is pure; a section that decodes and checks can be built.
//! Does not know: how the settings are put to use (`client`, `ingress`, `egress`).

mod egress;
mod ingress;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{ByteSize, Finding, HumanDuration, Node};
use weft_net::{Address, AddressError, Scheme, Tls};

pub(crate) use egress::{EgressSection, Mode};
pub(crate) use ingress::IngressSection;

/// The least `max_frame`: what the specification obliges every peer to take (transport 2.7.1).
const FRAME_MIN: u64 = 512;
/// The largest `max_frame`.
const FRAME_MAX: u64 = 16 << 20;
/// The shortest `idle_timeout`.
const IDLE_MIN: Duration = Duration::from_millis(100);
/// The longest `idle_timeout`.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest container id, virtual host, address, subscription or selector.
const NAME_MAX: usize = 4096;

/// What stands behind an address; brokers that serve both need to be told (terminus capability).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AddressKind {
    /// Each message goes to one consumer (capability `queue`).
    Queue,
    /// Each message goes to every subscription (capability `topic`).
    Topic,
    /// The broker knows.
    #[default]
    Any,
}

impl AddressKind {
    /// The terminus capability, if one is sent.
    pub(crate) fn capability(self) -> Option<&'static str> {
        match self {
            AddressKind::Queue => Some("queue"),
            AddressKind::Topic => Some("topic"),
            AddressKind::Any => None,
        }
    }
}

/// SASL mechanisms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mechanism {
    /// No credentials.
    Anonymous,
    /// Name and password in the clear: only over TLS.
    Plain,
    /// The TLS client certificate says who we are.
    External,
    /// SCRAM with SHA-1.
    #[serde(rename = "scram-sha-1")]
    ScramSha1,
    /// SCRAM with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Mechanism {
    /// As SASL spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Mechanism::Anonymous => "ANONYMOUS",
            Mechanism::Plain => "PLAIN",
            Mechanism::External => "EXTERNAL",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    fn needs_password(self) -> bool {
        !matches!(self, Mechanism::Anonymous | Mechanism::External)
    }
}

/// Who we are to the broker.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AmqpAuth")]
pub(crate) struct Auth {
    /// The SASL mechanism.
    pub(crate) mechanism: Mechanism,
    /// The user's name.
    pub(crate) user: Option<String>,
    /// The user's password; write `${file:...}`, not the password.
    pub(crate) password: Option<String>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Auth({}, {})",
            self.mechanism.as_str(),
            self.user.as_deref().unwrap_or("-")
        )
    }
}

/// The keys that both sections, and `connections.NAME.amqp`, have.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// `amqp://HOST:PORT` or `amqps://HOST:PORT`.
    pub(crate) url: String,
    /// The container id, if the file names one.
    pub(crate) container_id: Option<String>,
    /// The hostname of `open`.
    pub(crate) virtual_host: Option<String>,
    /// How long a silent connection lives.
    pub(crate) idle_timeout: Duration,
    /// The largest frame that we take.
    pub(crate) max_frame: u32,
    /// TLS, if the file says more than `amqps://`.
    pub(crate) tls: Option<Tls>,
    /// Credentials, if any.
    pub(crate) auth: Option<Auth>,
}

/// The ways to write `url`.
const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "amqp",
        port: 5672,
        tls: false,
    },
    Scheme {
        name: "amqps",
        port: 5671,
        tls: true,
    },
];

impl Remote {
    /// Where the broker listens.
    ///
    /// # Errors
    /// What is wrong with `url`.
    pub(crate) fn address(&self) -> Result<Address, AddressError> {
        Address::parse(&self.url, SCHEMES)
    }

    fn is_tls(&self) -> bool {
        self.tls.is_some() || self.address().is_ok_and(|address| address.scheme().tls)
    }
}

/// Keys of a connection that may stand in `connections.NAME.amqp`.
pub(crate) const CONNECTION_KEYS: &[&str] =
    &["url", "container_id", "virtual_host", "idle_timeout", "max_frame"];

fn idle_timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(60))
}

fn max_frame() -> ByteSize {
    ByteSize(32 << 10)
}

/// A size that was checked against [`FRAME_MAX`].
fn frame(size: ByteSize) -> u32 {
    u32::try_from(size.0.clamp(FRAME_MIN, FRAME_MAX)).unwrap_or(u32::MAX)
}

/// The findings of a node, at the place where its key stands.
pub(crate) fn at<'a>(section: &'a Node, key: &str) -> &'a Node {
    section.get(key).unwrap_or(section)
}

/// Checks the keys that both sections share.
pub(crate) fn check_remote(
    section: &Node,
    remote: &Remote,
    max_frame: ByteSize,
    findings: &mut Vec<Finding>,
) {
    let mut error = |key: &str, what: String, remedy: &str| {
        findings.push(Finding::error(at(section, key), what, remedy));
    };
    if let Err(wrong) = remote.address() {
        error("url", wrong.what, &wrong.remedy);
    }
    if !(FRAME_MIN..=FRAME_MAX).contains(&max_frame.0) {
        error(
            "max_frame",
            format!("a frame of {} bytes is out of bounds", max_frame.0),
            "512 B to 16MiB; 32KiB is the default",
        );
    }
    if !(IDLE_MIN..=IDLE_MAX).contains(&remote.idle_timeout) {
        error(
            "idle_timeout",
            "the idle time-out is out of bounds".into(),
            "100ms to 24h; 60s is the default",
        );
    }
    for (key, value) in [
        ("container_id", &remote.container_id),
        ("virtual_host", &remote.virtual_host),
    ] {
        if value.as_ref().is_some_and(|text| !legal(text)) {
            error(
                key,
                format!("`{key}` is empty, too long, or has control characters"),
                "write a plain name, or leave the key out",
            );
        }
    }
    if let Some(tls) = &remote.tls {
        tls.check(at(section, "tls"), findings);
    }
    let mut error = |key: &str, what: String, remedy: &str| {
        findings.push(Finding::error(at(section, key), what, remedy));
    };
    if let Some(auth) = &remote.auth {
        if auth.mechanism == Mechanism::External && !remote.is_tls() {
            error(
                "auth",
                "EXTERNAL names the client by its TLS certificate, and this is no TLS".into(),
                "use `amqps://`, with `cert` and `key` under `tls`",
            );
        }
        let (user, password) = (auth.user.is_some(), auth.password.is_some());
        if auth.mechanism.needs_password() && !(user && password) {
            error(
                "auth",
                format!("{} needs `user` and `password`", auth.mechanism.as_str()),
                "add both; write the password as `${file:/run/secrets/amqp}`",
            );
        }
        if !auth.mechanism.needs_password() && password {
            error(
                "auth",
                format!("{} takes no password", auth.mechanism.as_str()),
                "leave it out, or choose another `mechanism`",
            );
        }
    }
}

/// Whether a text can stand where a broker expects a name.
pub(crate) fn legal(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_MAX && !text.contains(char::is_control)
}
