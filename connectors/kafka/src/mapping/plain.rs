//! Plain records (no CloudEvents) to events, by the ingress' `event:`.
//!
//! Defaults: id `TOPIC/PARTITION/OFFSET`, so that a record that comes twice is recognisably the same event; type
//! [`TYPE`]; source `weft://CLUSTER/INGRESS`; time the record's timestamp; the key stays the event's transport key.

use std::borrow::Cow;

use bytes::Bytes;
use weft_api::config::{Finding, Node};
use weft_api::connector::IngressSettings;
use weft_api::event::{Event, EventBuilder};
use weft_api::mapping::PlainMapping;
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
    /// Reads the ingress' `event:`; `section` is `kafka:`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn new(settings: &IngressSettings, section: &Node) -> Result<Plain, Vec<Finding>> {
        let mapping = PlainMapping::read(settings, section, TYPE, ID, &Scope::KAFKA_INGRESS)?;
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
