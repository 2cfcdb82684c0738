//! `destinations.NAME.mqtt`.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{Finding, HumanDuration, Node};
use weft_net::Tls;

use super::{Auth, Qos, Remote, Version, at, check_client_id, check_keep_alive};

/// How an event is laid into a message (MQTT binding, 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MqttMode")]
pub(crate) enum Mode {
    /// Attributes as user properties, data as the payload (MQTT 5).
    Binary,
    /// The whole event as JSON in the payload.
    Structured,
}

/// Delivers events to an MQTT broker.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MqttDestination")]
pub(crate) struct EgressSection {
    /// The broker: `mqtt://HOST[:PORT]`, or `mqtts://HOST[:PORT]` over TLS.
    pub(crate) url: String,
    /// The version of MQTT that is spoken.
    #[serde(default)]
    pub(crate) version: Version,
    /// The topic; may be a template over the event (`plant/{subject}`), whose values add no level and no wildcard.
    pub(crate) topic: String,
    /// Beside a template: the only topics that it may name.
    pub(crate) topics: Option<Vec<String>>,
    /// Quality of service; 0 only where the destination says `lossy: true`.
    #[serde(default)]
    pub(crate) qos: Qos,
    /// Sets the RETAIN flag: the broker keeps the last message of each topic for later subscribers.
    #[serde(default)]
    pub(crate) retain: bool,
    /// How an event is laid into a message; absent: binary with MQTT 5, structured with 3.1.1.
    pub(crate) mode: Option<Mode>,
    /// How long the broker may keep a message, at most (MQTT 5); `expirytime` of an event shortens it.
    pub(crate) expiry: Option<HumanDuration>,
    /// Further user properties: name to template (MQTT 5).
    #[serde(default)]
    pub(crate) user_properties: BTreeMap<String, String>,
    /// Response Topic, a template (MQTT 5); absent: the event's `weftreplyto`.
    pub(crate) response_topic: Option<String>,
    /// The client id; it names the session at the broker. Absent: `NODE-DESTINATION.out`.
    pub(crate) client_id: Option<String>,
    /// How long a message may wait for its confirmation.
    #[serde(default = "timeout")]
    pub(crate) timeout: HumanDuration,
    /// Most messages that wait for their confirmation at a time; the broker's Receive Maximum bounds it, too.
    #[serde(default = "in_flight")]
    pub(crate) in_flight: u16,
    /// How often the connection says that it lives.
    #[serde(default = "super::keep_alive")]
    pub(crate) keep_alive: HumanDuration,
    /// TLS to the broker, for `mqtts:`.
    pub(crate) tls: Option<Tls>,
    /// Credentials.
    pub(crate) auth: Option<Auth>,
}

fn timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}

fn in_flight() -> u16 {
    1024
}

impl EgressSection {
    /// The keys that both sections share.
    pub(crate) fn remote(&self) -> Remote<'_> {
        Remote {
            url: &self.url,
            version: self.version,
            tls: self.tls.as_ref(),
            auth: self.auth.as_ref(),
        }
    }

    /// The mode, with its default.
    pub(crate) fn mode(&self) -> Mode {
        self.mode.unwrap_or(match self.version {
            Version::V3 => Mode::Structured,
            Version::V5 => Mode::Binary,
        })
    }

    /// Every mistake that the types let pass, but for topics and templates (`mapping::Layout`).
    pub(crate) fn check(&self, section: &Node, lossy: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.remote().check(section, &mut findings);
        check_client_id(section, self.client_id.as_deref(), &mut findings);
        check_keep_alive(section, self.keep_alive, &mut findings);
        let mut require = |holds: bool, key: &str, what: &str, remedy: &str| {
            if !holds {
                findings.push(Finding::error(at(section, key), what, remedy));
            }
        };
        require(
            self.qos != Qos::AtMost || lossy,
            "qos",
            "nobody confirms a message of QoS 0, so it can be lost without a trace",
            "use 1, or mark the destination `lossy: true`",
        );
        require(
            !self.timeout.get().is_zero(),
            "timeout",
            "a time of zero would fail every delivery",
            "use 1s or more",
        );
        require(
            self.in_flight > 0,
            "in_flight",
            "zero would send nothing",
            "use 1 to 65535",
        );
        require(
            self.expiry.is_none_or(|expiry| !expiry.get().is_zero()),
            "expiry",
            "a time of zero would expire every message",
            "use 1s or more, or leave the key out",
        );
        if self.version == Version::V3 {
            require(
                self.mode != Some(Mode::Binary),
                "mode",
                "MQTT 3.1.1 has no properties that could hold attributes",
                "use `structured`, or speak `version: 5`",
            );
            for (key, given) in [
                ("expiry", self.expiry.is_some()),
                ("user_properties", !self.user_properties.is_empty()),
                ("response_topic", self.response_topic.is_some()),
            ] {
                let what = format!("MQTT 3.1.1 has no `{key}`");
                require(!given, key, &what, "leave it out, or speak `version: 5`");
            }
        }
        findings
    }
}
