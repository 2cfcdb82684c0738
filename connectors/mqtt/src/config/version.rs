//! Words of the sections that are numbers to people: the protocol's version, the quality of service.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// The protocol that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.0.
    #[default]
    V5,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        struct Words;

        impl Visitor<'_> for Words {
            type Value = Version;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version of MQTT such as 5")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Version, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Version, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Version, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Version, E> {
                match text {
                    "5" | "5.0" => Ok(Version::V5),
                    "3" | "3.1.1" => Ok(Version::V3),
                    other => {
                        let other: String = other.escape_debug().take(40).collect();
                        Err(E::custom(format!(
                            "`{other}` is no version of MQTT that is spoken here; write 5, or 3.1.1"
                        )))
                    }
                }
            }
        }

        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MqttVersion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The version of MQTT: 5, or 3.1.1 (also written 3).",
            "enum": [5, "5", "5.0", 3, "3", "3.1.1"],
            "default": 5
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::V3 => "3.1.1",
            Version::V5 => "5",
        })
    }
}

/// Quality of service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(u8)]
pub(crate) enum Qos {
    /// At most once: nobody confirms anything.
    AtMost = 0,
    /// At least once.
    #[default]
    AtLeast = 1,
    /// Exactly once between two neighbours.
    Exactly = 2,
}

impl<'de> Deserialize<'de> for Qos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Qos, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Qos::AtMost),
            1 => Ok(Qos::AtLeast),
            2 => Ok(Qos::Exactly),
            other => Err(D::Error::custom(format!(
                "{other} is no quality of service; write 0, 1 or 2"
            ))),
        }
    }
}

impl JsonSchema for Qos {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MqttQos".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Quality of service: 0 (at most once), 1 (at least once), 2 (exactly once between two neighbours).",
            "enum": [0, 1, 2],
            "default": 1
        })
    }
}
