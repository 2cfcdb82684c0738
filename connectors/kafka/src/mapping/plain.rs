//! Plain records (no CloudEvents) to events, by the ingress' `event:`.
//!
//! Defaults: id `TOPIC/PARTITION/OFFSET`, so that a record that comes twice is recognisably the same event; type
//! [`TYPE`]; source `weft://CLUSTER/INGRESS`; time the record's timestamp; the key stays the event's transport key.

use std::borrow::Cow;

use bytes::Bytes;
use weft_api::config::{Finding, Node, Value};
use weft_api::connector::IngressSettings;
use weft_api::event::{Event, EventBuilder};
use weft_api::mapping::{PlainDefaults, PlainMapping};
use weft_api::template::{Inputs, Scope, Step};

use super::chunk::Chunk;
use super::record::Record;

/// The `type` where `event.type` is not given.
pub(crate) const TYPE: &str = "weft.kafka.record";
/// The `id` where `event.id` is not given.
const ID: &str = "{topic}/{partition}/{offset}";

/// A compiled `event:`.
pub(crate) struct Plain {
    mapping: PlainMapping,
}

impl Plain {
    /// Compiles the ingress' `event:`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn new(settings: &IngressSettings) -> Result<Plain, Vec<Finding>> {
        let texts = match &settings.event {
            Some(node) => texts(node)?,
            None => Vec::new(),
        };
        let source = settings.default_source();
        let defaults = PlainDefaults {
            ty: TYPE,
            source: &source,
            id: ID,
        };
        let pairs = texts.iter().map(|(name, text)| (*name, text.as_ref()));
        let mapping = PlainMapping::compile(pairs, defaults, &Scope::KAFKA_INGRESS).map_err(|errors| {
            let place = |attribute: &str| {
                settings
                    .event
                    .as_ref()
                    .map(|node| node.get(attribute).unwrap_or(node).clone())
            };
            let finding = |error: weft_api::mapping::MappingError| {
                let node = place(&error.attribute)?;
                Some(Finding::error(
                    &node,
                    format!("{} (column {})", error.what, error.column),
                    error.remedy,
                ))
            };
            errors.into_iter().filter_map(finding).collect::<Vec<_>>()
        })?;
        Ok(Plain { mapping })
    }

    /// The event.
    ///
    /// # Errors
    /// What the templates need and the record lacks, or which attribute breaks which rule.
    pub(crate) fn decode(
        &self,
        record: &Record<'_>,
        builder: &mut EventBuilder,
        chunk: &mut Chunk,
    ) -> Result<Event, String> {
        builder.clear();
        if let Some(ms) = record.timestamp {
            builder.time(&super::moment(ms));
        }
        if let Some(key) = record.key {
            builder.key(chunk.copy(key));
        }
        let data = record.value.map(|value| chunk.copy(value));
        let inputs = Fields {
            record,
            data: data.as_ref(),
        };
        self.mapping
            .apply(&inputs, data.clone(), record.content_type(), builder)
            .map_err(|error| error.to_string())
    }
}

/// The attributes and their template texts.
fn texts(node: &Node) -> Result<Vec<(&str, Cow<'_, str>)>, Vec<Finding>> {
    let Value::Map(entries) = &node.value else {
        return Err(vec![Finding::error(
            node,
            "`event` maps attributes to templates",
            "write `event: { type: com.acme.order }`",
        )]);
    };
    let mut findings = Vec::new();
    let mut texts = Vec::new();
    for (key, value) in entries {
        let text = match &value.value {
            Value::Text(text) => Cow::Borrowed(text.as_str()),
            Value::Int(int) => Cow::Owned(int.to_string()),
            Value::Bool(bool) => Cow::Owned(bool.to_string()),
            Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => {
                findings.push(Finding::error(
                    value,
                    format!("`{}` is no template", key.name),
                    "write a text",
                ));
                continue;
            }
        };
        texts.push((key.name.as_str(), text));
    }
    if findings.is_empty() {
        Ok(texts)
    } else {
        Err(findings)
    }
}

/// What templates see of a record.
struct Fields<'a, 'r> {
    record: &'a Record<'r>,
    data: Option<&'a Bytes>,
}

impl Inputs for Fields<'_, '_> {
    fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
        match (name, step) {
            ("topic", _) => Some(Cow::Borrowed(self.record.topic)),
            ("partition", _) => Some(Cow::Owned(self.record.partition.to_string())),
            ("offset", _) => Some(Cow::Owned(self.record.offset.to_string())),
            ("key", _) => std::str::from_utf8(self.record.key?).ok().map(Cow::Borrowed),
            ("headers", Some(Step::Member(header))) => std::str::from_utf8(self.record.header(header)??)
                .ok()
                .map(Cow::Borrowed),
            _ => None,
        }
    }

    fn data(&self) -> Option<&Bytes> {
        self.data
    }
}
