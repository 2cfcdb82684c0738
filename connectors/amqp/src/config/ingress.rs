//! `ingress.NAME.amqp`.

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{ByteSize, Finding, HumanDuration, Node, OneOrMany};
use weft_net::Tls;

use super::{AddressKind, Auth, Remote, at, check_remote, frame, legal};

/// Most links of one ingress: each is a lane.
const LINKS_MAX: usize = 1024;

/// Takes messages from AMQP 1.0.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AmqpIngress")]
pub(crate) struct IngressSection {
    /// `amqp://HOST:PORT`, or `amqps://HOST:PORT` for TLS; the port is 5672 or 5671 where it is not given.
    pub(crate) url: String,
    /// The queue, topic or other address; a list takes from several over one connection.
    pub(crate) address: OneOrMany<String>,
    /// What stands behind the address: `queue`, `topic`, or `any` where the broker knows.
    #[serde(default)]
    pub(crate) kind: AddressKind,
    /// How many consumers (links, lanes) each address has.
    #[serde(default = "one")]
    pub(crate) links: u16,
    /// A JMS selector: only messages that match it come.
    pub(crate) selector: Option<String>,
    /// The name of a durable subscription: what is published while Weft is away waits for it. It belongs to
    /// `container_id`, unless it is `shared`.
    pub(crate) subscription: Option<String>,
    /// The subscription is shared: several consumers, of this and of other replicas, divide its messages.
    #[serde(default)]
    pub(crate) shared: bool,
    /// Who we are to the broker; a name that changes with the replica (`"${HOSTNAME}"`) unless there is only one.
    /// Absent: node and ingress.
    pub(crate) container_id: Option<String>,
    /// The virtual host that is asked for; absent: the host of `url`.
    pub(crate) virtual_host: Option<String>,
    /// How long the broker may be silent before the connection counts as lost.
    #[serde(default = "super::idle_timeout")]
    pub(crate) idle_timeout: HumanDuration,
    /// The largest frame that is taken; larger messages come in several.
    #[serde(default = "super::max_frame")]
    pub(crate) max_frame: ByteSize,
    /// TLS: authorities, a client certificate. `amqps://` alone trusts the system's authorities.
    pub(crate) tls: Option<Tls>,
    /// Credentials; absent: SASL ANONYMOUS.
    pub(crate) auth: Option<Auth>,
}

fn one() -> u16 {
    1
}

impl IngressSection {
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

    /// Every mistake that the types let pass.
    pub(crate) fn check(&self, section: &Node) -> Vec<Finding> {
        let mut findings = Vec::new();
        check_remote(section, &self.remote(), self.max_frame, &mut findings);
        let mut error = |key: &str, what: String, remedy: &str| {
            findings.push(Finding::error(at(section, key), what, remedy));
        };
        let addresses = self.address.as_slice();
        for (index, address) in addresses.iter().enumerate() {
            if !legal(address) {
                error(
                    "address",
                    "an address is empty, too long, or has control characters".into(),
                    "write the name of a queue or topic, such as `address: jobs`",
                );
            }
            if addresses[..index].contains(address) {
                error(
                    "address",
                    format!("`{address}` stands there twice"),
                    "name it once; `links: 2` gives it two consumers",
                );
            }
        }
        if self.links == 0 || usize::from(self.links) * addresses.len() > LINKS_MAX {
            error(
                "links",
                format!("{} links an address are out of bounds", self.links),
                "1 to 1024 over all addresses",
            );
        }
        if self.selector.as_ref().is_some_and(|text| !legal(text)) {
            error(
                "selector",
                "the selector is empty, too long, or has control characters".into(),
                "write a condition such as `region = 'eu' AND weight > 10`, or leave the key out",
            );
        }
        self.check_subscription(&mut error);
        findings
    }

    fn check_subscription(&self, error: &mut dyn FnMut(&str, String, &str)) {
        if let Some(name) = &self.subscription {
            if !legal(name) || name.contains('|') {
                error(
                    "subscription",
                    "the subscription's name is empty, too long, or has a `|` or control characters".into(),
                    "write a plain name, such as `subscription: audit`",
                );
            }
            if self.address.as_slice().len() > 1 {
                error(
                    "subscription",
                    "a subscription has one address".into(),
                    "make an ingress of each address",
                );
            }
            if self.kind == AddressKind::Queue {
                error(
                    "kind",
                    "a queue has no subscriptions".into(),
                    "write `kind: topic`, or leave `subscription` out",
                );
            }
            if self.links > 1 && !self.shared {
                error(
                    "links",
                    "a subscription that is not shared has one consumer".into(),
                    "write `links: 1`, or `shared: true`",
                );
            }
            if self.container_id.is_none() && !self.shared {
                error(
                    "subscription",
                    "a durable subscription belongs to a container, and none is named".into(),
                    "add `container_id`, a name that stays the same over restarts; or `shared: true`",
                );
            }
        } else if self.shared {
            error(
                "shared",
                "only a subscription can be shared".into(),
                "name it with `subscription`, or leave `shared` out",
            );
        }
    }
}
