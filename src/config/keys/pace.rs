//! What is not sent at once, or not sent again: `rate`, `retry.budget`, `dedupe`.
//!
//! A rate is a text (`200/s`) or a mapping; a budget is a mapping or `off`.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};
use weft_api::config::HumanDuration;

use super::destination::non_zero;

/// The words for a time that may stand behind `/`.
const TIMES: [(&str, Duration); 3] = [
    ("s", Duration::from_secs(1)),
    ("min", Duration::from_secs(60)),
    ("h", Duration::from_secs(3600)),
];

/// So many events in such a time: `200/s`, or a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many.
    pub events: NonZeroU32,
    /// In which time.
    pub per: HumanDuration,
    /// How many at once after a pause; absent: what a tenth of a second brings, at least one.
    pub burst: Option<NonZeroU32>,
}

/// How much of the traffic may be sent again while the breaker is closed: a mapping, or `off`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Budget {
    /// All of it.
    Off,
    /// So much.
    On {
        /// What a first attempt earns.
        share: f64,
        /// What time brings.
        floor: Rate,
    },
}

/// Which repetitions are not sent.
#[derive(Clone, PartialEq, Eq, Debug, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dedupe {
    /// The attributes that tell events apart; an event without one of them is no repetition.
    pub by: Vec<String>,
    /// How long a delivery is remembered.
    pub window: HumanDuration,
    /// Most deliveries that are remembered, at about 40 bytes each; beyond it the oldest is forgotten.
    pub max_entries: NonZeroU32,
}

/// A rate in full.
#[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RateKeys {
    /// How many events.
    events: NonZeroU32,
    /// In which time.
    #[serde(default = "second")]
    per: HumanDuration,
    /// How many at once after a pause; absent: what a tenth of a second brings, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<NonZeroU32>,
}

/// A budget in full.
#[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct BudgetKeys {
    /// What a first attempt earns, in retries.
    share: f64,
    /// How many retries there are without any traffic.
    floor: Rate,
}

fn second() -> HumanDuration {
    HumanDuration::from_secs(1)
}

impl Rate {
    /// Reads `200/s`, `10/min`, `5/h`.
    #[must_use]
    pub fn read(text: &str) -> Option<Rate> {
        let (events, time) = text.split_once('/')?;
        let (_, per) = TIMES.iter().find(|(word, _)| *word == time.trim())?;
        Some(Rate {
            events: events.trim().parse().ok()?,
            per: HumanDuration(*per),
            burst: None,
        })
    }
}

impl Default for Budget {
    fn default() -> Budget {
        let BudgetKeys { share, floor } = BudgetKeys::default();
        Budget::On { share, floor }
    }
}

impl Default for BudgetKeys {
    fn default() -> BudgetKeys {
        let floor = Rate {
            events: non_zero(10),
            per: second(),
            burst: None,
        };
        BudgetKeys { share: 0.2, floor }
    }
}

impl Default for Dedupe {
    fn default() -> Dedupe {
        Dedupe {
            by: vec!["source".to_owned(), "id".to_owned()],
            window: HumanDuration::from_secs(600),
            max_entries: non_zero(1_000_000),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TIMES.iter().find(|(_, per)| *per == self.per.get()) {
            Some((word, _)) => write!(f, "{}/{word}", self.events),
            None => write!(f, "{} in {}", self.events, self.per),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Rate { events, per, burst } = *self;
        if burst.is_none() && TIMES.iter().any(|(_, time)| *time == per.get()) {
            serializer.collect_str(self)
        } else {
            RateKeys { events, per, burst }.serialize(serializer)
        }
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Budget::Off => serializer.serialize_str("off"),
            Budget::On { share, floor } => BudgetKeys { share, floor }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate of at least one event such as 200/s, 600/min or 10/h, or { events: 200, per: 1s, burst: 20 }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
                Rate::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rate, A::Error> {
                let RateKeys { events, per, burst } = RateKeys::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Rate { events, per, burst })
            }
        }
        // Asked for as a mapping, so that keys are checked like any other's; a text comes all the same.
        deserializer.deserialize_struct("Rate", &["events", "per", "burst"], Read)
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Budget, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Budget;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping with `share` and `floor`, or a word such as off")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Budget, E> {
                match text {
                    "off" => Ok(Budget::Off),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Budget, A::Error> {
                let BudgetKeys { share, floor } = BudgetKeys::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Budget::On { share, floor })
            }
        }
        deserializer.deserialize_struct("Budget", &["share", "floor"], Read)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({
            "type": "string",
            "description": "So many events in such a time: 200/s, 600/min, 10/h.",
            "pattern": "^ *[1-9][0-9]* */ *(s|min|h) *$|\\$\\{",
        });
        json_schema!({ "anyOf": [text, generator.subschema_for::<RateKeys>()] })
    }
}

impl JsonSchema for Budget {
    fn schema_name() -> Cow<'static, str> {
        "Budget".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "off" }, generator.subschema_for::<BudgetKeys>()] })
    }
}
