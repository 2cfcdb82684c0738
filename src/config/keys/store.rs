//! The keys of `store`: of the router, and of a destination or group, where it is a mapping or `true` or `false`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weft_api::config::{ByteSize, HumanDuration};

use super::fields::fields_of;

/// Where this router keeps events until they are delivered, each destination that says so in a log of its own.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreKeys {
    /// A directory on a local disk, for this router alone.
    pub path: String,
    /// Bytes on the disk for the logs of all destinations together; at least 16MiB.
    #[serde(default = "store_bytes")]
    pub max_bytes: ByteSize,
    /// What the file system must have left; below it the store counts as full.
    #[serde(default = "free_bytes")]
    pub keep_free: ByteSize,
    /// When an event counts as kept.
    #[serde(default)]
    pub sync: SyncKeys,
    /// The log of the local dead letters: those of `dead_letter: local`, and what comes out of a log and has no other.
    #[serde(default)]
    pub dead_letters: DeadLetterKeys,
}

/// When an event counts as kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncKeys {
    /// Once it is on the disk.
    #[default]
    Always,
    /// Once it is written; it is on the disk within so long. A power cut loses up to so much of what was acknowledged.
    Interval(HumanDuration),
}

/// The log of the local dead letters.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLetterKeys {
    /// Bytes on the disk, beside those of the other logs; at least 1MiB.
    pub max_bytes: ByteSize,
    /// How long a dead letter is kept; absent: until it is replayed or purged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<HumanDuration>,
}

/// Whether events are kept until this destination has them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// They are not.
    #[default]
    Off,
    /// They are, in a log of its own.
    On(LogKeys),
}

/// The log of a destination or group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogKeys {
    /// Bytes on the disk; at least 1MiB. Absent: what the store has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
    /// How long an event is kept that cannot be delivered; then it expires. Absent: as long as the event itself lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<HumanDuration>,
    /// What becomes of an event for which there is no room.
    pub when_full: WhenFullWord,
    /// How long what was delivered stays on the disk, to be sent again. Absent: it goes at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<HumanDuration>,
    /// In a topic of Kafka, in place of this router's disk: routers with the same file share what is in it, and take over
    /// from each other. Beside it stands `max_age` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<SharedKeys>,
}

/// A log in a topic of Kafka. Its keys are read by the connector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SharedKeys;

/// What becomes of an event for which a log has no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFullWord {
    /// It is not taken: lanes in order wait, requests are answered 503.
    #[default]
    Block,
    /// A fallback or anycast around the destination goes on as if it were down.
    Move,
}

impl StoreKeys {
    /// Smallest `max_bytes`.
    pub const BYTES_MIN: ByteSize = ByteSize(16 << 20);
}

impl LogKeys {
    /// Smallest `max_bytes`.
    pub const BYTES_MIN: ByteSize = ByteSize(1 << 20);

    /// With what the store says where this says nothing.
    #[must_use]
    pub fn within(&self, store: &StoreKeys) -> LogKeys {
        LogKeys {
            max_bytes: self.max_bytes.or(Some(store.max_bytes)),
            ..self.clone()
        }
    }
}

impl SharedKeys {
    /// The connector, and the key that it stands under.
    pub const KIND: &'static str = "kafka";
    /// All keys but `connection`.
    pub const KEYS: &'static [&'static str] = &[
        "brokers",
        "topic",
        "group",
        "compression",
        "timeout",
        "create",
        "instance_id",
        "session_timeout",
        "fetch_wait",
        "fetch_max",
        "commit_every",
        "tls",
        "auth",
        "librdkafka",
    ];
    /// Those that only who writes into it has.
    pub const OF_WRITER: &'static [&'static str] = &["topic", "compression", "timeout", "create"];
    /// Those that only who reads it has.
    pub const OF_READER: &'static [&'static str] = &[
        "group",
        "instance_id",
        "session_timeout",
        "fetch_wait",
        "fetch_max",
        "commit_every",
    ];
}

impl<'de> Deserialize<'de> for SharedKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedKeys, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| SharedKeys)
    }
}

impl Serialize for SharedKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0)).and_then(SerializeMap::end)
    }
}

impl JsonSchema for SharedKeys {
    fn schema_name() -> Cow<'static, str> {
        "SharedStore".into()
    }

    /// What the connector says comes in its place (`schema`).
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

impl Keep {
    /// Whether they are not.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Keep::Off
    }
}

impl Default for DeadLetterKeys {
    fn default() -> DeadLetterKeys {
        DeadLetterKeys {
            max_bytes: ByteSize(1 << 30),
            max_age: None,
        }
    }
}

fn store_bytes() -> ByteSize {
    ByteSize(8 << 30)
}

fn free_bytes() -> ByteSize {
    ByteSize(256 << 20)
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Keep::Off => serializer.serialize_bool(false),
            Keep::On(log) => log.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keep, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Keep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a mapping with `max_bytes`, `max_age`, `when_full` and `retain`, or with `kafka`, or a word such as true",
                )
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Keep, E> {
                Ok(if on {
                    Keep::On(LogKeys::default())
                } else {
                    Keep::Off
                })
            }

            /// As it comes out of `${...}`.
            fn visit_str<E: Error>(self, text: &str) -> Result<Keep, E> {
                match text.trim().parse() {
                    Ok(on) => self.visit_bool(on),
                    Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Keep, A::Error> {
                LogKeys::deserialize(MapAccessDeserializer::new(map)).map(Keep::On)
            }
        }
        // Asked for as a mapping, so that keys are checked like any other's; a word comes all the same.
        deserializer.deserialize_struct("Keep", fields_of::<LogKeys>(), Read)
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": ["boolean", "null"] }, generator.subschema_for::<LogKeys>()] })
    }
}
