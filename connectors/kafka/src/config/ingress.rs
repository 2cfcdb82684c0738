//! `ingress.NAME.kafka`.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use weft_api::config::{ByteSize, Finding, HumanDuration, Node};
use weft_api::event::time;

use super::{Auth, PassThrough, Remote, Tls, at, check_remote};

/// Where a partition begins for which the group has committed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Start {
    /// At the oldest record that is still there.
    #[default]
    Earliest,
    /// After the newest record; what is there already is skipped, and the log says how much.
    Latest,
    /// At the first record that is not older than this (milliseconds since 1970).
    Time(i64),
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Start, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "earliest" => Ok(Start::Earliest),
            "latest" => Ok(Start::Latest),
            other => millis(other).map(Start::Time).ok_or_else(|| {
                D::Error::custom(format!(
                    "`{other}` is neither `earliest`, `latest` nor a time like 2026-01-31T08:00:00Z"
                ))
            }),
        }
    }
}

/// Milliseconds since 1970; before that Kafka has nothing.
fn millis(text: &str) -> Option<i64> {
    let since = time::parse(text)?.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).ok()
}

impl JsonSchema for Start {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KafkaStart".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Where a partition begins for which the group has committed nothing: `earliest`, `latest`, \
                            or the first record not older than a time (RFC 3339).",
            "type": "string",
            "anyOf": [{ "enum": ["earliest", "latest"] }, { "format": "date-time" }],
            "default": "earliest"
        })
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Earliest => f.write_str("earliest"),
            Start::Latest => f.write_str("latest"),
            Start::Time(ms) => f.write_str(&crate::mapping::moment(*ms)),
        }
    }
}

/// Which records of transactional producers are seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Isolation {
    /// Only those of committed transactions.
    #[default]
    ReadCommitted,
    /// Those of open and aborted transactions, too.
    ReadUncommitted,
}

/// What a plain record without a value becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tombstones {
    /// An event without data, so that a deletion travels on.
    #[default]
    Event,
    /// Nothing: it is dropped, and counted.
    Drop,
    /// A malformed message: `on_malformed` decides.
    Malformed,
}

/// Takes records from Kafka.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngressSection {
    /// `host:port` of some brokers; the others are found through them.
    pub(crate) brokers: Vec<String>,
    /// The topics; an entry that starts with `^` is a regular expression over the topics' names.
    pub(crate) topics: Vec<String>,
    /// The consumer group; its committed offsets are where a restart goes on.
    pub(crate) group: String,
    /// Where a partition begins for which the group has committed nothing.
    #[serde(default)]
    pub(crate) start: Start,
    /// Static membership: a restart within `session_timeout` moves no partition. One value for each replica.
    pub(crate) instance_id: Option<String>,
    /// Which records of transactional producers are seen.
    #[serde(default)]
    pub(crate) isolation: Isolation,
    /// What a plain record without a value becomes.
    #[serde(default)]
    pub(crate) tombstones: Tombstones,
    /// How long the group waits for a member that went silent before its partitions move.
    #[serde(default = "session_timeout")]
    pub(crate) session_timeout: HumanDuration,
    /// How long a broker waits for records before it answers a fetch with none.
    #[serde(default = "fetch_wait")]
    pub(crate) fetch_wait: HumanDuration,
    /// Most bytes of one fetch from one partition; bounded by this ingress' share of `limits.memory`.
    pub(crate) fetch_max: Option<ByteSize>,
    /// How often, at the latest, settled offsets are committed; earlier once a window of events is settled.
    #[serde(default = "commit_every")]
    pub(crate) commit_every: HumanDuration,
    /// TLS to the brokers.
    pub(crate) tls: Option<Tls>,
    /// Credentials.
    pub(crate) auth: Option<Auth>,
    /// Settings for librdkafka as it spells them; those that the contract rests on are refused.
    #[serde(default)]
    pub(crate) librdkafka: PassThrough,
}

fn session_timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(45))
}

fn fetch_wait() -> HumanDuration {
    HumanDuration(Duration::from_millis(500))
}

fn commit_every() -> HumanDuration {
    HumanDuration(Duration::from_secs(1))
}

impl IngressSection {
    /// The keys that both sections share.
    pub(crate) fn remote(&self) -> Remote {
        Remote {
            brokers: self.brokers.clone(),
            tls: self.tls.clone(),
            auth: self.auth.clone(),
            librdkafka: self.librdkafka.clone(),
        }
    }

    /// Whether records are taken out of this topic.
    pub(crate) fn reads(&self, topic: &str) -> bool {
        self.topics.iter().any(|known| match known.starts_with('^') {
            true => regex::Regex::new(known).is_ok_and(|pattern| pattern.is_match(topic)),
            false => known == topic,
        })
    }

    /// Every mistake that the types let pass.
    pub(crate) fn check(&self, section: &Node) -> Vec<Finding> {
        let mut findings = Vec::new();
        check_remote(section, &self.remote(), &mut findings);
        if self.topics.is_empty() {
            findings.push(Finding::error(
                at(section, "topics"),
                "no topic to take records from",
                "write `topics: [orders]`, or `topics: [\"^orders\\..*\"]` for all that match",
            ));
        }
        for topic in &self.topics {
            check_topic(at(section, "topics"), topic, &mut findings);
        }
        if self.group.is_empty() {
            findings.push(Finding::error(
                at(section, "group"),
                "the group's name is empty",
                "name the consumer group",
            ));
        }
        if self.instance_id.as_deref() == Some("") {
            findings.push(Finding::error(
                at(section, "instance_id"),
                "the instance id is empty",
                "give each replica its own, such as `\"${HOSTNAME}\"`, or leave the key out",
            ));
        }
        findings
    }
}

fn check_topic(node: &Node, topic: &str, findings: &mut Vec<Finding>) {
    if let Some(pattern) = topic.strip_prefix('^') {
        if let Err(error) = regex::Regex::new(pattern) {
            let first = error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim()
                .to_string();
            findings.push(Finding::error(
                node,
                format!("`{topic}` is not a regular expression: {first}"),
                "",
            ));
        }
    } else if !crate::egress::topics::legal(topic) {
        findings.push(Finding::error(
            node,
            format!("`{topic}` cannot be the name of a topic"),
            "1 to 249 letters, digits, `.`, `_` and `-`; a regular expression starts with `^`",
        ));
    }
}
