//! Filters as they are written: the dialects of the CloudEvents Subscriptions API, section 3.2.4.
//!
//! Owns the serde form, `{ DIALECT: ... }` with exactly one dialect, in every format. Does not know whether what is
//! written makes sense: that is for `Predicate::compile` to say, with the place.

use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A filter on the attributes of an event. A list of filters means all of them.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum FilterExpr {
    /// Each attribute is there and equal to the text.
    Exact(BTreeMap<String, String>),
    /// Each attribute is there and begins with the text.
    Prefix(BTreeMap<String, String>),
    /// Each attribute is there and ends with the text.
    Suffix(BTreeMap<String, String>),
    /// Every one of these filters matches; at least one is written.
    All(Vec<FilterExpr>),
    /// At least one of these filters matches.
    Any(Vec<FilterExpr>),
    /// The filter does not match.
    Not(Box<FilterExpr>),
    /// The CESQL expression gives TRUE, and no error.
    Sql(String),
}

const DIALECTS: &str = "exact, prefix, suffix, all, any, not or sql";

impl FilterExpr {
    /// The name of the dialect.
    #[must_use]
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::Prefix(_) => "prefix",
            Self::Suffix(_) => "suffix",
            Self::All(_) => "all",
            Self::Any(_) => "any",
            Self::Not(_) => "not",
            Self::Sql(_) => "sql",
        }
    }
}

impl Serialize for FilterExpr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_key(self.dialect())?;
        match self {
            Self::Exact(texts) | Self::Prefix(texts) | Self::Suffix(texts) => map.serialize_value(texts)?,
            Self::All(filters) | Self::Any(filters) => map.serialize_value(filters)?,
            Self::Not(filter) => map.serialize_value(filter)?,
            Self::Sql(text) => map.serialize_value(text)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for FilterExpr {
    // NOTE: not derived, as the YAML library wants a tag where JSON has a map of one key.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneDialect)
    }
}

struct OneDialect;

impl<'de> Visitor<'de> for OneDialect {
    type Value = FilterExpr;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "a filter: a map with one of {DIALECTS}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FilterExpr, A::Error> {
        let Some(dialect) = map.next_key::<String>()? else {
            return Err(A::Error::custom(format_args!(
                "an empty filter: write one of {DIALECTS}"
            )));
        };
        let filter = match dialect.as_str() {
            "exact" => FilterExpr::Exact(map.next_value()?),
            "prefix" => FilterExpr::Prefix(map.next_value()?),
            "suffix" => FilterExpr::Suffix(map.next_value()?),
            "all" => FilterExpr::All(map.next_value()?),
            "any" => FilterExpr::Any(map.next_value()?),
            "not" => FilterExpr::Not(map.next_value()?),
            "sql" => FilterExpr::Sql(map.next_value()?),
            _ => {
                return Err(A::Error::custom(format_args!(
                    "unknown filter dialect `{dialect}`: write one of {DIALECTS}"
                )));
            }
        };
        match map.next_key::<String>()? {
            None => Ok(filter),
            Some(second) => Err(A::Error::custom(format_args!(
                "a filter has one dialect, and this has `{dialect}` and `{second}`: write two filters in the list, or `all`"
            ))),
        }
    }
}
