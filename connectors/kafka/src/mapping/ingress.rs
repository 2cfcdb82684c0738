//! From a record to an event: which mode it is in, and what becomes of it if it is in none.

use std::sync::Arc;

use rdkafka::message::BorrowedMessage;
use weft_api::config::{Finding, Node};
use weft_api::connector::{IngressSettings, RawMessage};
use weft_api::event::{Coordinates, Event, EventBuilder, malformed};
use weft_api::mapping::Accept;

use super::CONTENT_TYPE;
use super::binary;
use super::chunk::Chunk;
use super::plain::Plain;
use super::record::{HEADERS_MAX, HeaderList, Record, TOO_MANY};
use super::structured::{self, Format};
use crate::config::Tombstones;

/// What does not change from record to record.
pub(crate) struct Mapping {
    accept: Accept,
    tombstones: Tombstones,
    plain: Plain,
    source: String,
    event_max: u64,
}

impl Mapping {
    /// Reads `accept` and `event`.
    ///
    /// # Errors
    /// Every mistake in the mapping of plain records.
    pub(crate) fn new(
        tombstones: Tombstones,
        node: &Node,
        settings: &IngressSettings,
    ) -> Result<Mapping, Vec<Finding>> {
        Ok(Mapping {
            accept: settings.accept.unwrap_or_default(),
            tombstones,
            plain: Plain::new(settings, node)?,
            source: settings.default_source(),
            event_max: settings.event_max,
        })
    }
}

/// What a record is.
pub(crate) enum Mapped {
    /// An event.
    Event(Event),
    /// Not the event that it should have been; the event that keeps its bytes.
    Malformed(Event),
    /// A tombstone that the file says to drop.
    Dropped,
}

/// Maps records, one after another, with scratch room that it keeps.
pub(crate) struct Mapper {
    mapping: Arc<Mapping>,
    builder: EventBuilder,
    chunk: Chunk,
}

impl Mapper {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Mapper {
        Mapper {
            mapping,
            builder: EventBuilder::new(),
            chunk: Chunk::default(),
        }
    }

    /// Maps a record that was polled.
    pub(crate) fn map(&mut self, message: &BorrowedMessage<'_>) -> Mapped {
        self.map_record(&Record::of(message))
    }

    /// Maps a record.
    pub(crate) fn map_record(&mut self, record: &Record<'_>) -> Mapped {
        match self.decode(record) {
            Ok(Some(event)) => Mapped::Event(event),
            Ok(None) => Mapped::Dropped,
            Err(why) => Mapped::Malformed(self.malformed(record, &why)),
        }
    }

    /// The event that a raw message would become, as if it were the first record of `topic`.
    ///
    /// # Errors
    /// Why it would be malformed, or that it would be dropped.
    pub(crate) fn explain(&mut self, topic: &str, raw: &RawMessage) -> Result<Event, String> {
        self.decode(&described(topic, raw))?
            .ok_or_else(|| "the record is a tombstone, and `tombstones: drop` drops it".into())
    }

    /// Maps a raw message as the record that it describes.
    pub(crate) fn map_raw(&mut self, topic: &str, raw: &RawMessage) -> Mapped {
        self.map_record(&described(topic, raw))
    }

    fn decode(&mut self, record: &Record<'_>) -> Result<Option<Event>, String> {
        let mapping = &*self.mapping;
        if record.size() > mapping.event_max {
            return Err(format!(
                "it has {} bytes, and limits.event allows {}",
                record.size(),
                mapping.event_max
            ));
        }
        if let Some(why) = record.unreadable {
            return Err(why.into());
        }
        let (builder, chunk) = (&mut self.builder, &mut self.chunk);
        if mapping.accept.cloudevents() {
            match record.content_type().map_or(Format::None, structured::format) {
                Format::Json => return structured::decode(record, chunk).map(Some),
                Format::Batch => return Err("the Kafka binding has no batched mode".into()),
                // Another format may still carry the attributes as headers (binding, 3).
                Format::Unknown if !binary::is_event(record) => {
                    let format = record.content_type().unwrap_or_default();
                    return Err(format!(
                        "the event format `{}` is not known here",
                        format.escape_default()
                    ));
                }
                Format::Unknown | Format::None => {}
            }
            if binary::is_event(record) {
                return binary::decode(record, builder, chunk).map(Some);
            }
        }
        if !mapping.accept.plain() {
            return Err("it is not a CloudEvent, and `accept: cloudevents` takes nothing else".into());
        }
        match (record.value, mapping.tombstones) {
            (None, Tombstones::Drop) => Ok(None),
            (None, Tombstones::Malformed) => Err("it has no value (a tombstone)".into()),
            _ => mapping.plain.decode(record, builder, chunk).map(Some),
        }
    }

    fn malformed(&mut self, record: &Record<'_>, why: &str) -> Event {
        let id = record.coordinates();
        let coordinates = Coordinates {
            source: &self.mapping.source,
            id: &id,
        };
        let original = self.chunk.copy(record.value.unwrap_or_default());
        let content_type = record.content_type();
        // The content type has a place of its own.
        let other = |name: &str| content_type.is_none() || !name.eq_ignore_ascii_case(CONTENT_TYPE);
        let headers = record.headers.iter().filter(|(name, _)| other(name));
        let headers = headers.map(|(name, value)| (*name, value.unwrap_or_default()));
        let event = malformed(&coordinates, original, content_type, headers, why);
        match record.key {
            Some(key) => event.with_key(Some(self.chunk.copy(key))),
            None => event,
        }
    }
}

/// The record that a person describes.
fn described<'a>(topic: &'a str, raw: &'a RawMessage) -> Record<'a> {
    let headers: HeaderList<'_> = raw
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), Some(value.as_bytes())))
        .collect();
    Record {
        topic,
        partition: raw.partition,
        offset: raw.offset,
        timestamp: raw.timestamp,
        key: raw.key.as_deref(),
        value: (!raw.tombstone).then_some(&*raw.body),
        unreadable: (headers.len() > HEADERS_MAX).then_some(TOO_MANY),
        headers,
    }
}
