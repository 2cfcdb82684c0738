//! serde's view of a [`Node`].
//!
//! Leniency is on purpose in two places only: a section without a value is an empty one (`log:`), and a scalar out of
//! `${...}` is text that becomes the number or the boolean that its reader asks for (`port: ${PORT}`).

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::{Fault, Step};
use super::node::{Key, Node, Value};

/// Keys with this prefix are the writer's own (places for anchors) and are read by nobody.
const IGNORED_PREFIX: &str = "x-";

/// Reads a node.
#[derive(Clone, Copy)]
pub(super) struct Read<'de>(pub(super) &'de Node);

/// A scalar that is asked for by its type: text out of `${...}` is parsed.
macro_rules! scalar {
    ($($method:ident $kind:ty => $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match &self.0.value {
                Value::Text(text) if self.0.secret => match text.trim().parse::<$kind>() {
                    Ok(value) => visitor.$visit(value).map_err(|fault: Fault| fault.at(self.0)),
                    Err(_) => self.deserialize_any(visitor),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Read<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(nodes) => seq(nodes, visitor),
            Value::Map(entries) => visitor.visit_map(Entries::new(entries, false)),
        };
        result.map_err(|fault: Fault| fault.at(self.0))
    }

    scalar! {
        deserialize_bool bool => visit_bool,
        deserialize_i8 i64 => visit_i64,
        deserialize_i16 i64 => visit_i64,
        deserialize_i32 i64 => visit_i64,
        deserialize_i64 i64 => visit_i64,
        deserialize_u8 u64 => visit_u64,
        deserialize_u16 u64 => visit_u64,
        deserialize_u32 u64 => visit_u64,
        deserialize_u64 u64 => visit_u64,
        deserialize_f32 f64 => visit_f64,
        deserialize_f64 f64 => visit_f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
        .map_err(|fault: Fault| fault.at(self.0))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null => visitor.visit_map(Entries::new(&[], true)),
            Value::Map(entries) => visitor.visit_map(Entries::new(entries, true)),
            // A list would be taken for the fields in their order.
            Value::List(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &"a map")),
            _ => return self.deserialize_any(visitor),
        }
        .map_err(|fault: Fault| fault.at(self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor
            .visit_newtype_struct(self)
            .map_err(|fault: Fault| fault.at(self.0))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_enum(Variant {
                name: text,
                content: None,
            }),
            Value::Map(entries) => match entries.as_slice() {
                [(key, node)] => visitor.visit_enum(Variant {
                    name: &key.name,
                    content: Some(node),
                }),
                _ => Err(de::Error::invalid_type(
                    de::Unexpected::Map,
                    &"a word or a mapping with one key",
                )),
            },
            _ => Err(de::Error::invalid_type(de::Unexpected::Unit, &"a word")),
        }
        .map_err(|fault: Fault| fault.at(self.0))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier
    }
}

fn seq<'de, V: Visitor<'de>>(nodes: &'de [Node], visitor: V) -> Result<V::Value, Fault> {
    visitor.visit_seq(Items { nodes, next: 0 })
}

struct Items<'de> {
    nodes: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(node) = self.nodes.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Read(node))
            .map(Some)
            .map_err(|fault| fault.at(node).under(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len() - self.next)
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    /// The keys are those of a type, not the writer's own.
    checked: bool,
    current: Option<&'de (Key, Node)>,
}

impl<'de> Entries<'de> {
    fn new(entries: &'de [(Key, Node)], checked: bool) -> Entries<'de> {
        Entries {
            entries: entries.iter(),
            checked,
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let next = loop {
            match self.entries.next() {
                Some((key, _)) if self.checked && key.name.starts_with(IGNORED_PREFIX) => {}
                next => break next,
            }
        };
        self.current = next;
        let Some((key, _)) = next else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(&key.name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let (key, node) = self
            .current
            .take()
            .expect("serde asks for a value only after its key");
        seed.deserialize(Read(node))
            .map_err(|fault| fault.at(node).under(Step::Key(key.name.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        (!self.checked).then(|| self.entries.len())
    }
}

/// `word`, or `{ word: content }`.
struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Node>,
}

impl<'de> Variant<'de> {
    fn content(&self, fault: Fault) -> Fault {
        match self.content {
            Some(node) => fault.at(node).under(Step::Key(self.name.to_owned())),
            None => fault,
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Variant<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Variant<'de>), Fault> {
        seed.deserialize(StrDeserializer::new(self.name))
            .map(|value| (value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None => Ok(()),
            Some(node) => <()>::deserialize(Read(node)).map_err(|fault| self.content(fault)),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        match self.content {
            Some(node) => seed.deserialize(Read(node)).map_err(|fault| self.content(fault)),
            None => Err(de::Error::custom(format!(
                "`{0}` needs a value; write `{{ {0}: ... }}`",
                self.name
            ))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        match self.content {
            Some(node) => Read(node)
                .deserialize_seq(visitor)
                .map_err(|fault| self.content(fault)),
            None => Err(de::Error::custom(format!(
                "`{0}` needs a list; write `{{ {0}: [...] }}`",
                self.name
            ))),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.content {
            Some(node) => Read(node)
                .deserialize_struct("", fields, visitor)
                .map_err(|fault| self.content(fault)),
            None => Err(de::Error::custom(format!(
                "`{0}` needs a mapping; write `{{ {0}: {{ ... }} }}`",
                self.name
            ))),
        }
    }
}
