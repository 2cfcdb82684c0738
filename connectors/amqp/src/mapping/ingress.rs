//! From a message to an event: which mode it is in, and what becomes of it if it is in none.

use std::sync::Arc;

use bytes::Bytes;
use weft_amqp_wire::message::{Body, Message};
use weft_api::config::{Finding, Node};
use weft_api::connector::{EgressSettings, IngressSettings, RawMessage};
use weft_api::event::{ContentMode, Coordinates, Event, EventBuilder, json, malformed};
use weft_api::ingress::Incoming;
use weft_api::mapping::Accept;

use super::body::{self, Hint};
use super::egress::Habits;
use super::meta::Meta;
use super::plain::Plain;
use super::{binary, egress, value};

/// What does not change from message to message.
pub(crate) struct Mapping {
    accept: Accept,
    plain: Plain,
    source: String,
    event_max: u64,
    habits: Habits,
}

impl Mapping {
    /// Reads `accept` and `event`; `section` is `amqp:`.
    ///
    /// # Errors
    /// Every mistake in the mapping of plain messages.
    pub(crate) fn new(section: &Node, settings: &IngressSettings) -> Result<Mapping, Vec<Finding>> {
        Ok(Mapping {
            accept: settings.accept.unwrap_or_default(),
            plain: Plain::new(settings, section)?,
            source: settings.default_source(),
            event_max: settings.event_max,
            habits: Habits::default(),
        })
    }

    /// The mapping of what a destination wrote, which takes both kinds of messages.
    ///
    /// # Errors
    /// As for an ingress without `accept` and `event`: none.
    pub(crate) fn back(
        section: &Node,
        settings: &EgressSettings,
        message_max: u64,
        habits: Habits,
    ) -> Result<Mapping, Vec<Finding>> {
        let mapping = Mapping::new(section, &settings.reading_back(message_max))?;
        Ok(Mapping { habits, ..mapping })
    }
}

/// Maps messages, one after another, with scratch room that it keeps.
pub(crate) struct Mapper {
    mapping: Arc<Mapping>,
    builder: EventBuilder,
    scratch: String,
}

impl Mapper {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Mapper {
        Mapper {
            mapping,
            builder: EventBuilder::new(),
            scratch: String::new(),
        }
    }

    /// Maps a message that came from `address`.
    pub(crate) fn map(&mut self, address: &str, payload: &Bytes) -> Incoming {
        let mut message = match Message::decode(payload) {
            Ok(message) => message,
            Err(error) => {
                return malformed_incoming(
                    self.unreadable(payload, &format!("it is no AMQP message: {error}")),
                );
            }
        };
        self.mapping.habits.lift(&mut message.header);
        match self.decode(address, &message, payload) {
            Ok(event) => event.into(),
            Err(why) => malformed_incoming(self.malformed(&message, payload, &why)),
        }
    }

    /// The event that a raw message would become. Headers are application properties, but for `content-type` and the
    /// other properties that templates know by name.
    ///
    /// # Errors
    /// Why it would be malformed.
    pub(crate) fn explain(&mut self, address: &str, raw: &RawMessage) -> Result<Event, String> {
        let payload = egress::raw(raw);
        let message = Message::decode(&payload).map_err(|error| error.to_string())?;
        self.decode(address, &message, &payload)
    }

    /// What stands for a message that is too large to be put together.
    pub(crate) fn too_large(&mut self) -> Incoming {
        let max = self.mapping.event_max;
        malformed_incoming(self.unreadable(&Bytes::new(), &format!("it has more than {max} bytes")))
    }

    /// Maps a raw message as the one that it describes, by way of its bytes.
    pub(crate) fn map_raw(&mut self, address: &str, raw: &RawMessage) -> Incoming {
        self.map(address, &egress::raw(raw))
    }

    fn decode(&mut self, address: &str, message: &Message<'_>, payload: &Bytes) -> Result<Event, String> {
        let mapping = &*self.mapping;
        if payload.len() as u64 > mapping.event_max {
            return Err(format!(
                "it has {} bytes, and limits.event allows {}",
                payload.len(),
                mapping.event_max
            ));
        }
        let (builder, scratch) = (&mut self.builder, &mut self.scratch);
        builder.clear();
        let meta = Meta::of(message);
        if mapping.accept.cloudevents() {
            let mode = ContentMode::of(message.properties.content_type);
            if mode == ContentMode::Structured {
                let data = body::data(message, payload)?;
                let text = data
                    .bytes
                    .ok_or("the message has no body, so it holds no event")?;
                let event = json::decode(&text).map_err(|error| error.to_string())?;
                return with_meta(event, &meta, payload, builder, scratch);
            }
            let found = binary::attributes(message, builder, scratch);
            match mode {
                ContentMode::Batch => return Err("the AMQP binding has no batched mode".into()),
                // Another format may still carry the attributes as properties.
                ContentMode::Unsupported if !found.is_event => {
                    let format = message.properties.content_type.unwrap_or_default();
                    return Err(format!(
                        "the event format `{}` is not known here",
                        format.escape_default()
                    ));
                }
                _ => {}
            }
            if found.is_event {
                if let Some(fault) = found.fault {
                    return Err(fault);
                }
                let data = body::data(message, payload)?;
                if let Hint::Made(media) = data.hint {
                    builder.datacontenttype(media);
                }
                if let Some(bytes) = data.bytes {
                    builder.data(bytes);
                }
                if let Some(key) = meta.key(payload) {
                    builder.key(key);
                }
                meta.fill(builder, scratch);
                return builder.build().map_err(|invalid| invalid.to_string());
            }
            builder.clear();
        }
        if !mapping.accept.plain() {
            return Err("it is not a CloudEvent, and `accept: cloudevents` takes nothing else".into());
        }
        let data = body::data(message, payload)?;
        let event = mapping.plain.decode(address, message, data, builder)?;
        with_meta(event, &meta, payload, builder, scratch)
    }

    /// The event of a message that can be read, but is not what it should be.
    fn malformed(&mut self, message: &Message<'_>, payload: &Bytes, why: &str) -> Event {
        let id = Meta::of(message).message_id();
        let mut headers: Vec<(&str, String)> = Vec::new();
        let properties = message.application_properties.into_iter().flatten();
        for (name, value) in properties.map_while(Result::ok) {
            let mut text = String::new();
            // What has no text is named at least.
            let _ = value::text_of(value, &mut text);
            headers.push((name, text));
        }
        // The bytes as they were; of a body that is no bytes, the whole message as it was encoded.
        let original = match message.body {
            Body::Data(data) => data.to_bytes(),
            Body::Empty => Bytes::new(),
            Body::Value(_) | Body::Sequences(_) => match body::data(message, payload) {
                Ok(data) if !matches!(data.hint, Hint::Made(_)) => data.bytes.unwrap_or_default(),
                _ => payload.clone(),
            },
        };
        malformed(
            &Coordinates {
                source: &self.mapping.source,
                id: &id,
            },
            original,
            message.properties.content_type,
            headers.iter().map(|(name, text)| (*name, text.as_bytes())),
            why,
        )
    }

    /// The event of bytes that are no message.
    fn unreadable(&mut self, payload: &Bytes, why: &str) -> Event {
        let at = Coordinates {
            source: &self.mapping.source,
            id: "",
        };
        malformed(&at, payload.clone(), None, std::iter::empty(), why)
    }
}

/// The event with what the transport knows beside it.
fn with_meta(
    event: Event,
    meta: &Meta<'_, '_>,
    payload: &Bytes,
    builder: &mut EventBuilder,
    scratch: &mut String,
) -> Result<Event, String> {
    let event = match meta.key(payload) {
        Some(key) => event.with_key(Some(key)),
        None => event,
    };
    if !meta.changes(event.id(), event.subject()) {
        return Ok(event);
    }
    builder.load(&event);
    meta.fill(builder, scratch);
    builder.build().map_err(|invalid| invalid.to_string())
}

fn malformed_incoming(event: Event) -> Incoming {
    Incoming {
        event,
        malformed: true,
    }
}
