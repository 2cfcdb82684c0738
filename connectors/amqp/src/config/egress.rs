//! `destinations.NAME.amqp`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{ByteSize, HumanDuration};
use weft_net::Tls;

use super::{AddressKind, Auth, Remote, frame};

/// How an event is laid into a message (AMQP binding, 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AmqpMode")]
pub(crate) enum Mode {
    /// Attributes as application properties, data as the body.
    #[default]
    Binary,
    /// The whole event as JSON in the body.
    Structured,
}

/// What attributes are prefixed with in application properties. Readers understand both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
pub(crate) enum Prefix {
    /// What JMS selectors can name.
    #[default]
    #[serde(rename = "cloudEvents_")]
    Underscore,
    /// As the binding spells it.
    #[serde(rename = "cloudEvents:")]
    Colon,
}

impl Prefix {
    /// The text.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Prefix::Underscore => "cloudEvents_",
            Prefix::Colon => "cloudEvents:",
        }
    }
}

/// Delivers events over AMQP 1.0.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AmqpDestination")]
pub(crate) struct EgressSection {
    /// `amqp://HOST:PORT`, or `amqps://HOST:PORT` for TLS; the port is 5672 or 5671 where it is not given.
    pub(crate) url: String,
    /// The queue, topic or other address; may be a template over the event (`orders.{subject}`).
    pub(crate) address: String,
    /// Beside a template: the only addresses that it may name.
    pub(crate) addresses: Option<Vec<String>>,
    /// What stands behind the address: `queue`, `topic`, or `any` where the broker knows.
    #[serde(default)]
    pub(crate) kind: AddressKind,
    /// How an event is laid into a message.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// Which prefix attributes have: `cloudEvents_` or `cloudEvents:`.
    #[serde(default)]
    pub(crate) prefix: Prefix,
    /// Messages outlive the broker's restart; an event's own `weftdurable: false` still wins.
    #[serde(default = "yes")]
    pub(crate) durable: bool,
    /// The priority of every message, 0 to 9; absent: the event's `weftpriority`, else the broker's default, 4.
    pub(crate) priority: Option<u8>,
    /// Further application properties: name to template.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
    /// How long an event may wait for credit, and then for its outcome.
    #[serde(default = "timeout")]
    pub(crate) timeout: HumanDuration,
    /// Who we are to the broker; absent: node and destination.
    pub(crate) container_id: Option<String>,
    /// The virtual host that is asked for; absent: the host of `url`.
    pub(crate) virtual_host: Option<String>,
    /// How long the broker may be silent before the connection counts as lost.
    #[serde(default = "super::idle_timeout")]
    pub(crate) idle_timeout: HumanDuration,
    /// The largest frame that is taken; the broker says how large those may be that it gets.
    #[serde(default = "super::max_frame")]
    pub(crate) max_frame: ByteSize,
    /// TLS: authorities, a client certificate. `amqps://` alone trusts the system's authorities.
    pub(crate) tls: Option<Tls>,
    /// Credentials; absent: SASL ANONYMOUS.
    pub(crate) auth: Option<Auth>,
}

fn yes() -> bool {
    true
}

fn timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}

impl EgressSection {
    /// The keys that both sections share.
    pub(crate) fn remote(&self) -> Remote {
        Remote {
            url: self.url.clone(),
            container_id: self.container_id.clone(),
            virtual_host: self.virtual_host.clone(),
            idle_timeout: self.idle_timeout.0,
            max_frame: frame(self.max_frame),
            tls: self.tls.clone(),
            auth: self.auth.clone(),
        }
    }
}
