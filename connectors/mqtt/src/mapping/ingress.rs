//! From a PUBLISH to an event: which mode it is in, and what becomes of it if it is in none.

use std::sync::Arc;
use std::time::SystemTime;

use weft_api::config::{Finding, Node};
use weft_api::connector::{IngressSettings, RawMessage};
use weft_api::event::{ContentMode, Coordinates, Event, EventBuilder, malformed};
use weft_api::ingress::Incoming;
use weft_api::mapping::Accept;

use super::binary;
use super::plain::Plain;
use super::publish::{Properties, Publish, USER_MAX};
use super::structured::{self, Sniffer};

/// What does not change from message to message.
pub(crate) struct Mapping {
    accept: Accept,
    plain: Plain,
    source: String,
    event_max: u64,
    sniffer: Sniffer,
}

impl Mapping {
    /// Reads `accept` and `event`; `section` is `mqtt:`.
    ///
    /// # Errors
    /// Every mistake in the mapping of plain messages.
    pub(crate) fn new(settings: &IngressSettings, section: &Node) -> Result<Mapping, Vec<Finding>> {
        Ok(Mapping {
            accept: settings.accept.unwrap_or_default(),
            plain: Plain::new(settings, section)?,
            source: settings.default_source(),
            event_max: settings.event_max,
            sniffer: Sniffer::new(),
        })
    }
}

/// Maps messages, one after another, with scratch room that it keeps.
pub(crate) struct Mapper {
    mapping: Arc<Mapping>,
    builder: EventBuilder,
    now: fn() -> SystemTime,
}

impl Mapper {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Mapper {
        Mapper {
            mapping,
            builder: EventBuilder::new(),
            now: SystemTime::now,
        }
    }

    /// Maps a message; what is no event that it should have been is marked malformed, and keeps its bytes.
    pub(crate) fn map(&mut self, publish: &Publish<'_>) -> Incoming {
        match self.decode(publish) {
            Ok(event) => Incoming::from(event),
            Err(why) => Incoming {
                event: self.malformed(publish, &why),
                malformed: true,
            },
        }
    }

    /// A message of which only the beginning is there, since its packet of `size` bytes is too large to be taken.
    pub(crate) fn cut(&self, publish: &Publish<'_>, size: u64) -> Incoming {
        let why = format!(
            "its packet has {size} bytes, more than `max_packet` takes (limits.event allows {}); only its beginning is kept",
            self.mapping.event_max
        );
        Incoming {
            event: self.malformed(publish, &why),
            malformed: true,
        }
    }

    /// The event that a raw message would become. A header `content-type` is Content Type, any other a user property.
    ///
    /// # Errors
    /// Why it would be malformed.
    pub(crate) fn explain(&mut self, topic: &str, raw: &RawMessage) -> Result<Event, String> {
        self.decode(&described(topic, raw))
    }

    /// Maps a raw message as the packet that it describes.
    pub(crate) fn map_raw(&mut self, topic: &str, raw: &RawMessage) -> Incoming {
        self.map(&described(topic, raw))
    }

    fn decode(&mut self, publish: &Publish<'_>) -> Result<Event, String> {
        let mapping = &*self.mapping;
        let size = publish.size();
        if size > mapping.event_max {
            return Err(format!(
                "it has {size} bytes, and limits.event allows {}",
                mapping.event_max
            ));
        }
        if publish.properties.user.overflow() {
            return Err(format!("it has more than {USER_MAX} user properties"));
        }
        let (builder, now) = (&mut self.builder, self.now);
        if mapping.accept.cloudevents() {
            let content_type = publish.properties.content_type.filter(|text| !text.is_empty());
            let prefix = binary::prefix(publish);
            match structured::mode(content_type) {
                ContentMode::Structured => return structured::decode(publish, builder, now),
                ContentMode::Batch => return Err("the MQTT binding has no batched mode".into()),
                // Another format may still carry the attributes as user properties (binding, 3.2.3).
                ContentMode::Unsupported if prefix.is_none() => {
                    let format = content_type.unwrap_or_default().escape_default();
                    return Err(format!("the event format `{format}` is not known here"));
                }
                ContentMode::Unsupported | ContentMode::Binary => {}
            }
            if let Some(prefix) = prefix {
                return binary::decode(publish, prefix, builder, now);
            }
            // MQTT 3.1.1 cannot name the format: the payload is an event, or it is none.
            if content_type.is_none() {
                if !mapping.accept.plain() {
                    return structured::decode(publish, builder, now).map_err(|why| {
                        format!("it is not a CloudEvent, and `accept: cloudevents` takes nothing else: {why}")
                    });
                }
                if mapping.sniffer.may_be_event(&publish.payload)
                    && let Ok(event) = structured::decode(publish, builder, now)
                {
                    return Ok(event);
                }
            }
        }
        if !mapping.accept.plain() {
            return Err("it is not a CloudEvent, and `accept: cloudevents` takes nothing else".into());
        }
        mapping.plain.decode(publish, builder, now)
    }

    /// MQTT has no message id: the digest of the payload stands for one.
    fn malformed(&self, publish: &Publish<'_>, why: &str) -> Event {
        let coordinates = Coordinates {
            source: &self.mapping.source,
            id: "",
        };
        let properties = &publish.properties;
        let user = properties
            .user
            .iter()
            .map(|(name, value)| (name, value.as_bytes()));
        let headers = std::iter::once(("topic", publish.topic.as_bytes())).chain(user);
        malformed(
            &coordinates,
            publish.payload.clone(),
            properties.content_type,
            headers,
            why,
        )
    }

    /// With another clock.
    #[cfg(test)]
    pub(super) fn at(mut self, now: fn() -> SystemTime) -> Mapper {
        self.now = now;
        self
    }
}

/// The packet that a person describes.
fn described<'a>(topic: &'a str, raw: &'a RawMessage) -> Publish<'a> {
    let is_media = |name: &str| name.eq_ignore_ascii_case("content-type");
    let mut properties = Properties {
        expiry: raw.expiry,
        response_topic: raw.response_topic.as_deref().map(Into::into),
        correlation: raw.correlation.as_deref().map(Into::into),
        ..Properties::default()
    };
    for (name, value) in &raw.headers {
        if is_media(name) {
            properties.content_type = Some(value);
        } else {
            properties.user.push(name, value);
        }
    }
    Publish {
        topic: topic.into(),
        payload: raw.body.clone(),
        retain: raw.retain,
        properties,
    }
}
