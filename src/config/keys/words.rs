//! Values that are a word or something else: `hold | 5m`, `key | none | subject`, `discard | reject | NAME`.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use weft_api::config::HumanDuration;

use crate::routing::plan::KeyRule;

/// How long an event waits for a destination that is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unavailable {
    /// Until it is back.
    #[default]
    Hold,
    /// This long; then it counts as refused.
    For(HumanDuration),
}

impl Unavailable {
    /// The bound; `None` where there is none.
    #[must_use]
    pub fn bound(self) -> Option<Duration> {
        match self {
            Unavailable::Hold => None,
            Unavailable::For(duration) => Some(duration.get()),
        }
    }
}

/// What orders events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrderBy(pub KeyRule);

/// What becomes of an event that no route matches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Unmatched {
    /// Accepted, and counted.
    #[default]
    Discard,
    /// Refused.
    Reject,
    /// Sent to this destination.
    To(String),
}

/// Where a server of the router's own listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// Here.
    At(SocketAddr),
}

impl Listen {
    /// The address; `None` where it is off.
    #[must_use]
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Listen::Off => None,
            Listen::At(address) => Some(address),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Hold => f.write_str("hold"),
            Unavailable::For(duration) => duration.fmt(f),
        }
    }
}

impl fmt::Display for OrderBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            KeyRule::Key => "key",
            KeyRule::None => "none",
            KeyRule::Attribute(name) => name,
        })
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unmatched::Discard => "discard",
            Unmatched::Reject => "reject",
            Unmatched::To(name) => name,
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Off => f.write_str("off"),
            Listen::At(address) => address.fmt(f),
        }
    }
}

/// A value that is read from one text.
trait Word: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Option<Self>;
}

impl Word for Unavailable {
    const EXPECTED: &'static str = "`hold` or a duration such as 5m";
    fn read(text: &str) -> Option<Unavailable> {
        if text == "hold" {
            Some(Unavailable::Hold)
        } else {
            text.parse().map(Unavailable::For).ok()
        }
    }
}

impl Word for OrderBy {
    const EXPECTED: &'static str = "`key`, `none` or the name of an attribute such as subject";
    fn read(text: &str) -> Option<OrderBy> {
        let name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        match text {
            "key" => Some(OrderBy(KeyRule::Key)),
            "none" => Some(OrderBy(KeyRule::None)),
            attribute => name.then(|| OrderBy(KeyRule::Attribute(attribute.into()))),
        }
    }
}

impl Word for Unmatched {
    const EXPECTED: &'static str = "`discard`, `reject` or the name of a destination";
    fn read(text: &str) -> Option<Unmatched> {
        match text {
            "discard" => Some(Unmatched::Discard),
            "reject" => Some(Unmatched::Reject),
            name => Some(Unmatched::To(name.to_owned())),
        }
    }
}

impl Word for Listen {
    const EXPECTED: &'static str = "an address with a port such as 127.0.0.1:9464, or `off`";
    fn read(text: &str) -> Option<Listen> {
        if text == "off" {
            Some(Listen::Off)
        } else {
            text.parse().map(Listen::At).ok()
        }
    }
}

macro_rules! word {
    ($($kind:ident: $schema:tt,)*) => {$(
        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$kind, D::Error> {
                struct Read;
                impl Visitor<'_> for Read {
                    type Value = $kind;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(<$kind as Word>::EXPECTED)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$kind, E> {
                        <$kind as Word>::read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
                    }
                }
                deserializer.deserialize_str(Read)
            }
        }

        impl JsonSchema for $kind {
            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

word! {
    Unavailable: {
        "type": "string",
        "description": "`hold`: wait until the destination is back; or a duration such as 5m.",
    },
    OrderBy: {
        "type": "string",
        "description": "`key` (the transport's key, else `partitionkey`), `none`, or the name of an attribute.",
        "pattern": "^[a-z0-9]+$",
    },
    Unmatched: {
        "type": "string",
        "description": "`discard`, `reject`, or the name of a destination.",
    },
    Listen: {
        "type": "string",
        "description": "An address with a port such as 127.0.0.1:9464, or `off`.",
    },
}
