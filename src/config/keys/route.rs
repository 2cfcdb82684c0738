//! The keys of a route; `to` is a plan and read by itself.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use weft_api::config::HumanDuration;

use crate::routing::filter::FilterExpr;

/// The keys of a route beside `to`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteKeys {
    /// The ingresses whose events it sees; absent: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<String>>,
    /// What an event must meet, all of it; absent: every event matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterExpr>,
    /// Attributes that are added to the event, never over one that it has: names to templates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, Addition>,
    /// Where an event goes that will never be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// How long after its admission an event is still delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<HumanDuration>,
    /// Names for people: shown in status, no effect on events.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `false` takes the route out and leaves it in the file.
    pub enabled: bool,
}

/// The value of an added attribute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Addition {
    /// `true` or `false`: a Boolean attribute.
    Boolean(bool),
    /// A whole number of 32 bits: an Integer attribute.
    Integer(i32),
    /// A template.
    Template(String),
}

impl<'de> Deserialize<'de> for Addition {
    // NOTE: not derived, since serde's untagged enums cannot say what they expected.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Addition, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Addition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template, a whole number of 32 bits, or `true` or `false`")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Addition, E> {
                Ok(Addition::Boolean(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Addition, E> {
                let narrow =
                    i32::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self));
                narrow.map(Addition::Integer)
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Addition, E> {
                let narrow = i32::try_from(value)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self));
                narrow.map(Addition::Integer)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Addition, E> {
                Ok(Addition::Template(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl Default for RouteKeys {
    fn default() -> RouteKeys {
        RouteKeys {
            from: None,
            filters: Vec::new(),
            add: BTreeMap::new(),
            dead_letter: None,
            max_age: None,
            labels: BTreeMap::new(),
            enabled: true,
        }
    }
}
