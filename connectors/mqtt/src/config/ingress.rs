//! `ingress.NAME.mqtt`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{ByteSize, Finding, HumanDuration, Node};
use weft_net::Tls;

use super::{Auth, Qos, Remote, Version, at, check_client_id, check_keep_alive};
use crate::mapping::topic;

/// Most sessions of one ingress: each is a connection.
const SESSIONS_MAX: u16 = 256;
/// The least that a packet may have: room for a topic and some properties.
const PACKET_MIN: u64 = 1024;
/// The most that MQTT can say.
const PACKET_MAX: u64 = 268_435_460;

/// Which retained messages a new subscription brings (Retain Handling).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MqttRetain")]
pub(crate) enum Retain {
    /// Those that are there, each time the connector subscribes.
    #[default]
    Send,
    /// Those that are there, where the session did not have the subscription yet.
    New,
    /// None.
    Never,
}

/// Takes messages from an MQTT broker.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MqttIngress")]
pub(crate) struct IngressSection {
    /// The broker: `mqtt://HOST[:PORT]`, or `mqtts://HOST[:PORT]` over TLS.
    pub(crate) url: String,
    /// The version of MQTT that is spoken.
    #[serde(default)]
    pub(crate) version: Version,
    /// Topic filters, such as `plant/+/temperature` or `plant/#`.
    pub(crate) subscribe: Vec<String>,
    /// The highest quality of service that is asked for.
    #[serde(default)]
    pub(crate) qos: Qos,
    /// The client id; it names the session at the broker. Absent: `NODE-INGRESS`. Further sessions append `.1`, `.2`.
    pub(crate) client_id: Option<String>,
    /// How many connections share the messages.
    #[serde(default = "one")]
    pub(crate) sessions: u16,
    /// The group of a shared subscription: each message goes to one of its members. Absent: none, or with several
    /// `sessions` `weft-INGRESS`.
    pub(crate) share: Option<String>,
    /// How long the broker keeps the session, and what arrives for it, while the connector is away (MQTT 5).
    pub(crate) session_expiry: Option<HumanDuration>,
    /// How often the connection says that it lives.
    #[serde(default = "super::keep_alive")]
    pub(crate) keep_alive: HumanDuration,
    /// Which retained messages a new subscription brings (MQTT 5).
    pub(crate) retain: Option<Retain>,
    /// Leaves out what this very session published (MQTT 5).
    #[serde(default)]
    pub(crate) no_local: bool,
    /// The largest packet that is taken; absent: `limits.event` and room for topic and properties.
    pub(crate) max_packet: Option<ByteSize>,
    /// TLS to the broker, for `mqtts:`.
    pub(crate) tls: Option<Tls>,
    /// Credentials.
    pub(crate) auth: Option<Auth>,
}

fn one() -> u16 {
    1
}

/// Where the file is silent: a week, so that a long weekend of ours loses nothing.
const SESSION_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

impl IngressSection {
    /// The keys that both sections share.
    pub(crate) fn remote(&self) -> Remote<'_> {
        Remote {
            url: &self.url,
            version: self.version,
            tls: self.tls.as_ref(),
            auth: self.auth.as_ref(),
        }
    }

    /// Session Expiry Interval.
    pub(crate) fn session_expiry(&self) -> Duration {
        self.session_expiry.map_or(SESSION_EXPIRY, HumanDuration::get)
    }

    /// The share's name, where the subscription is a shared one.
    pub(crate) fn share(&self, ingress: &str) -> Option<String> {
        let several = self.sessions > 1;
        self.share
            .clone()
            .or_else(|| several.then(|| format!("weft-{ingress}")))
    }

    /// Every mistake that the types let pass.
    pub(crate) fn check(&self, section: &Node) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.remote().check(section, &mut findings);
        check_client_id(section, self.client_id.as_deref(), &mut findings);
        check_keep_alive(section, self.keep_alive, &mut findings);
        self.check_filters(section, &mut findings);
        self.check_session(section, &mut findings);
        findings
    }

    fn check_filters(&self, section: &Node, findings: &mut Vec<Finding>) {
        let place = at(section, "subscribe");
        if self.subscribe.is_empty() {
            findings.push(Finding::error(
                place,
                "no topic filter to subscribe to",
                "write `subscribe: [\"plant/+/temperature\"]`",
            ));
        }
        for (at, filter) in self.subscribe.iter().enumerate() {
            let shown: String = filter.escape_debug().take(80).collect();
            if let Err((why, remedy)) = topic::check_filter(filter) {
                findings.push(Finding::error(place, format!("filter `{shown}` {why}"), remedy));
            } else if self.subscribe.iter().take(at).any(|other| other == filter) {
                findings.push(Finding::error(
                    place,
                    format!("filter `{shown}` stands there twice"),
                    "keep one",
                ));
            }
        }
    }

    fn check_session(&self, section: &Node, findings: &mut Vec<Finding>) {
        let mut require = |holds: bool, key: &str, what: String, remedy: &str| {
            if !holds {
                findings.push(Finding::error(at(section, key), what, remedy));
            }
        };
        require(
            (1..=SESSIONS_MAX).contains(&self.sessions),
            "sessions",
            format!("{} sessions are out of bounds", self.sessions),
            "use 1 to 256; each is a connection",
        );
        require(
            self.share.as_deref().is_none_or(topic::is_share_name),
            "share",
            "the share's name is empty, or has a `/`, `+`, `#` or control character".into(),
            "write a word such as weft-plant",
        );
        let shared = self.share.is_some() || self.sessions > 1;
        require(
            !(shared && self.no_local),
            "no_local",
            "MQTT 5 forbids `no_local` on a shared subscription".into(),
            "take it away, or use one session without `share`",
        );
        let expiry = self.session_expiry.map(HumanDuration::get);
        require(
            expiry.is_none_or(|expiry| expiry >= Duration::from_secs(1)),
            "session_expiry",
            "a session that ends with its connection loses what arrives meanwhile".into(),
            "use a time longer than any outage, such as 7d",
        );
        let size = self.max_packet.map_or(PACKET_MAX, ByteSize::get);
        require(
            (PACKET_MIN..=PACKET_MAX).contains(&size),
            "max_packet",
            "the largest packet is out of bounds".into(),
            "use 1KiB to 256MiB, or leave the key out",
        );
        if self.version == Version::V3 {
            for (key, given, remedy) in [
                (
                    "session_expiry",
                    self.session_expiry.is_some(),
                    "leave it out: the broker's own setting counts; or speak `version: 5`",
                ),
                (
                    "retain",
                    self.retain.is_some(),
                    "leave it out: 3.1.1 always sends them; or speak `version: 5`",
                ),
                ("no_local", self.no_local, "leave it out, or speak `version: 5`"),
            ] {
                require(!given, key, format!("MQTT 3.1.1 has no `{key}`"), remedy);
            }
        }
    }
}
