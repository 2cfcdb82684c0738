//! Values of a test file that may be written in two ways: a name or a list, any scalar as text, a flag or a reason.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A name, or a list of names, which may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Names(pub(super) Vec<String>);

/// A scalar as text: `82` and `"82"` are the same attribute value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Text(pub(super) String);

/// Whether it is so; or that it is, for a reason that contains this text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// Whether.
    Flag(bool),
    /// It is, and why.
    Because(String),
}

struct NamesVisitor;
struct TextVisitor;
struct SaidVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name or a list of names")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Names, E> {
        Ok(Names(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(Names(all))
    }
}

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, `true` or `false`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
}

impl Visitor<'_> for SaidVisitor {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, `false` or a part of the reason")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Said, E> {
        Ok(Said::Flag(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Said, E> {
        Ok(Said::Because(text.to_owned()))
    }
}

macro_rules! read_any {
    ($($type:ident by $visitor:ident, $schema:tt;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                deserializer.deserialize_any($visitor)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

read_any! {
    Names by NamesVisitor, { "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] };
    Text by TextVisitor, { "type": ["string", "number", "boolean"] };
    Said by SaidVisitor, { "type": ["boolean", "string"] };
}
