//! `destinations.NAME.kafka`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use weft_api::config::HumanDuration;

use super::{Auth, PassThrough, Remote, Tls};

/// How an event is laid into a record (Kafka binding, 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Attributes as headers, data as the value.
    #[default]
    Binary,
    /// The whole event as JSON in the value.
    Structured,
}

/// How batches are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// As `compression.codec` spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

/// The shape of a topic that Weft makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTopicSpec {
    /// How many partitions.
    pub(crate) partitions: i32,
    /// How many replicas of each.
    pub(crate) replication: i32,
}

/// Whether a topic that does not exist is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Create {
    /// `false`: it is a mistake that an operator hears of.
    #[default]
    No,
    /// It is made with this shape.
    Yes(NewTopicSpec),
}

impl<'de> Deserialize<'de> for Create {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Create, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Switch(bool),
            Shape(NewTopicSpec),
        }
        match Raw::deserialize(deserializer) {
            Ok(Raw::Switch(false)) => Ok(Create::No),
            Ok(Raw::Shape(spec)) => Ok(Create::Yes(spec)),
            Ok(Raw::Switch(true)) | Err(_) => Err(D::Error::custom(
                "write `false`, or `{ partitions: 6, replication: 3 }`",
            )),
        }
    }
}

impl JsonSchema for Create {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KafkaCreate".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let shape = generator.subschema_for::<NewTopicSpec>();
        schemars::json_schema!({
            "description": "Whether a topic that does not exist is made: `false`, or its shape.",
            "anyOf": [{ "const": false }, shape],
            "default": false
        })
    }
}

/// Delivers events to Kafka.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EgressSection {
    /// `host:port` of some brokers; the others are found through them.
    pub(crate) brokers: Vec<String>,
    /// The topic; may be a template over the event (`orders.{subject}`).
    pub(crate) topic: String,
    /// Beside a template: the only topics that it may name.
    pub(crate) topics: Option<Vec<String>>,
    /// The record's key, a template; absent: the event's order key (its transport's key, else `partitionkey`).
    pub(crate) key: Option<String>,
    /// Always this partition; absent: by the key's hash, as Java clients do it.
    pub(crate) partition: Option<i32>,
    /// Further headers: name to template.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// How an event is laid into a record.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// How batches are compressed.
    #[serde(default)]
    pub(crate) compression: Compression,
    /// How long a record may wait for its confirmation before all that is in flight is given back.
    #[serde(default = "timeout")]
    pub(crate) timeout: HumanDuration,
    /// Whether a topic that does not exist is made: `false`, or its shape.
    #[serde(default)]
    pub(crate) create: Create,
    /// TLS to the brokers.
    pub(crate) tls: Option<Tls>,
    /// Credentials.
    pub(crate) auth: Option<Auth>,
    /// Settings for librdkafka as it spells them; those that the contract rests on are refused.
    #[serde(default)]
    pub(crate) librdkafka: PassThrough,
}

fn timeout() -> HumanDuration {
    HumanDuration(std::time::Duration::from_secs(30))
}

impl EgressSection {
    /// The keys that both sections share.
    pub(crate) fn remote(&self) -> Remote {
        Remote {
            brokers: self.brokers.clone(),
            tls: self.tls.clone(),
            auth: self.auth.clone(),
            librdkafka: self.librdkafka.clone(),
        }
    }
}
