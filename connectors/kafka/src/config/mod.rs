//! What the file may say about Kafka: the sections' serde types, and the checks that types cannot express.
//!
//! Owns: the keys that both sections share (addresses, TLS, credentials, pass-through), and the list of pass-through
//! settings that would undo the delivery contract.
//! Invariants: parsing is pure; a section that decodes and checks can be built.
//! Does not know: how the settings are put to use (`client`, `ingress`, `egress`).

mod egress;
mod ingress;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{Finding, Node};

pub(crate) use egress::{Create, EgressSection, Mode, NewTopicSpec};
pub(crate) use ingress::{IngressSection, Isolation, Start, Tombstones};

/// TLS to the brokers. An empty map switches TLS on with the system's certificate authorities.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The certificate authorities to trust (PEM file); absent: the system's.
    pub(crate) ca: Option<String>,
    /// This client's certificate (PEM file), for mutual TLS.
    pub(crate) cert: Option<String>,
    /// The private key of `cert` (PEM file).
    pub(crate) key: Option<String>,
    /// Do not verify the brokers' certificates: for tests only.
    #[serde(default)]
    pub(crate) insecure: bool,
}

/// SASL mechanisms that librdkafka is built with here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mechanism {
    /// Name and password in the clear: only over TLS.
    Plain,
    /// SCRAM with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

impl Mechanism {
    /// As `sasl.mechanism` spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Who we are to the brokers.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// The SASL mechanism.
    pub(crate) mechanism: Mechanism,
    /// The user's name.
    pub(crate) user: String,
    /// The user's password; write `${file:...}`, not the password.
    pub(crate) password: String,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth({}, {})", self.mechanism.as_str(), self.user)
    }
}

/// The value of a pass-through setting.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Anything else, as librdkafka spells it.
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(b) => b.fmt(f),
            Scalar::Int(i) => i.fmt(f),
            Scalar::Text(t) => t.fmt(f),
        }
    }
}

/// Settings handed to librdkafka as they are, after our own.
pub(crate) type PassThrough = BTreeMap<String, Scalar>;

/// The keys that both sections, and `connections.NAME.kafka`, have.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// `host:port` of some brokers; the others are found through them.
    pub(crate) brokers: Vec<String>,
    /// TLS, if any.
    pub(crate) tls: Option<Tls>,
    /// Credentials, if any.
    pub(crate) auth: Option<Auth>,
    /// `librdkafka:`.
    pub(crate) librdkafka: PassThrough,
}

impl Remote {
    /// The addresses as librdkafka and logs want them.
    pub(crate) fn list(&self) -> String {
        self.brokers.join(",")
    }
}

/// Pass-through settings that belong to us, and the key of the file that sets the same thing.
const RESERVED: &[(&str, &str)] = &[
    ("bootstrap.servers", "`brokers`"),
    ("metadata.broker.list", "`brokers`"),
    ("client.id", "`node.name`; it carries node and connector"),
    ("group.id", "`group`"),
    ("group.instance.id", "`instance_id`"),
    (
        "group.protocol",
        "nothing: Weft speaks the classic protocol with cooperative-sticky assignment",
    ),
    (
        "partition.assignment.strategy",
        "nothing: Weft needs cooperative-sticky",
    ),
    (
        "enable.auto.commit",
        "nothing: Weft commits what is settled, and no more",
    ),
    (
        "auto.commit.enable",
        "nothing: Weft commits what is settled, and no more",
    ),
    (
        "enable.auto.offset.store",
        "nothing: Weft stores what is settled, and no more",
    ),
    ("auto.offset.reset", "`start`"),
    ("isolation.level", "`isolation`"),
    ("enable.partition.eof", "nothing: Weft does not use it"),
    ("max.poll.interval.ms", "nothing: Weft polls all the time"),
    ("session.timeout.ms", "`session_timeout`"),
    ("queued.max.messages.kbytes", "`limits.memory`; Weft divides it"),
    ("queued.min.messages", "`limits.memory`; Weft divides it"),
    ("fetch.queue.backoff.ms", "nothing: Weft keeps the prefetch full"),
    ("acks", "nothing: Weft counts a delivery at acks=all only"),
    (
        "request.required.acks",
        "nothing: Weft counts a delivery at acks=all only",
    ),
    (
        "enable.idempotence",
        "nothing: Weft needs the idempotent producer",
    ),
    (
        "enable.gapless.guarantee",
        "nothing: Weft needs it to keep the order of keys",
    ),
    ("max.in.flight", "nothing: order depends on it"),
    (
        "max.in.flight.requests.per.connection",
        "nothing: order depends on it",
    ),
    ("retries", "nothing: librdkafka retries until `timeout`"),
    (
        "message.send.max.retries",
        "nothing: librdkafka retries until `timeout`",
    ),
    ("message.timeout.ms", "`timeout`"),
    ("delivery.timeout.ms", "`timeout`"),
    ("transactional.id", "nothing: Weft does not use transactions"),
    (
        "delivery.report.only.error",
        "nothing: every delivery is reported",
    ),
    ("compression.codec", "`compression`"),
    ("compression.type", "`compression`"),
    ("message.max.bytes", "`limits.event`"),
    ("queue.buffering.max.kbytes", "`limits.memory`; Weft divides it"),
    ("queue.buffering.max.messages", "`limits.memory`; Weft divides it"),
    ("allow.auto.create.topics", "`create`"),
    ("statistics.interval.ms", "nothing: Weft reads the lag from it"),
    ("log.queue", "nothing: Weft reads librdkafka's log"),
    ("security.protocol", "`tls` and `auth`"),
    ("plugin.library.paths", "nothing: Weft loads no foreign code"),
];

/// Where a reserved setting is set instead; `None` for one that may pass through.
pub(crate) fn reserved(key: &str) -> Option<&'static str> {
    if key.starts_with("ssl.") {
        return Some("`tls`");
    }
    if key.starts_with("sasl.") || key.starts_with("oauthbearer_") || key.starts_with("enable.sasl.") {
        return Some("`auth`");
    }
    if key == "enable.ssl.certificate.verification" {
        return Some("`tls.insecure`");
    }
    RESERVED
        .iter()
        .find(|(name, _)| *name == key)
        .map(|(_, instead)| *instead)
}

/// The findings of a node, at the place where its key stands.
pub(crate) fn at<'a>(section: &'a Node, key: &str) -> &'a Node {
    section.get(key).unwrap_or(section)
}

/// Checks the keys that both sections share.
pub(crate) fn check_remote(section: &Node, remote: &Remote, findings: &mut Vec<Finding>) {
    if remote.brokers.is_empty()
        || remote
            .brokers
            .iter()
            .any(|b| b.trim().is_empty() || b.contains(','))
    {
        findings.push(Finding::error(
            at(section, "brokers"),
            "the list of brokers needs at least one host:port, each an item of its own",
            "write `brokers: [\"kafka:9092\"]`",
        ));
    }
    if let Some(tls) = &remote.tls
        && tls.cert.is_some() != tls.key.is_some()
    {
        findings.push(Finding::error(
            at(section, "tls"),
            "a client certificate needs its private key",
            "give both `cert` and `key`, or neither",
        ));
    }
    let pass = at(section, "librdkafka");
    for key in remote.librdkafka.keys() {
        if let Some(instead) = reserved(key) {
            findings.push(Finding::error(
                at(pass, key),
                format!("`{key}` would undo what Weft promises, so it does not pass through"),
                format!("it is set by {instead}"),
            ));
        }
    }
}
