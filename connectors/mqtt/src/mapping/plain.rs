//! Plain messages (no CloudEvents) to events, by the ingress' `event:`.
//!
//! Defaults: type [`TYPE`]; source `weft://CLUSTER/INGRESS`; subject the topic; id a UUID, since MQTT has no message
//! id: a message that the broker sends twice is two events, unless `event.id` is made from the message.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use weft_api::config::{Finding, Node};
use weft_api::connector::IngressSettings;
use weft_api::event::{Event, EventBuilder, check};
use weft_api::mapping::PlainMapping;
use weft_api::template::{Inputs, Scope, Step};

use super::metadata;
use super::publish::Publish;

/// The `type` where `event.type` is not given.
pub(crate) const TYPE: &str = "weft.mqtt.message";
/// The `id` where `event.id` is not given.
const ID: &str = "{uuid}";

/// A compiled `event:`.
pub(crate) struct Plain(PlainMapping);

impl Plain {
    /// Reads the ingress' `event:`; `section` is `mqtt:`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn new(settings: &IngressSettings, section: &Node) -> Result<Plain, Vec<Finding>> {
        PlainMapping::read(settings, section, TYPE, ID, &Scope::MQTT_INGRESS).map(Plain)
    }

    /// The event.
    ///
    /// # Errors
    /// What the templates need and the message lacks, or which attribute breaks which rule.
    pub(crate) fn decode(
        &self,
        publish: &Publish<'_>,
        builder: &mut EventBuilder,
        now: fn() -> SystemTime,
    ) -> Result<Event, String> {
        builder.clear();
        builder.subject(&publish.topic);
        metadata::add(builder, publish, now);
        let data = (!publish.payload.is_empty()).then(|| publish.payload.clone());
        // To MQTT a content type is any text; one that is no media type (`json`) says nothing that can be kept.
        let content_type = publish
            .properties
            .content_type
            .filter(|text| check::media_type(text));
        self.0
            .apply(&Message(publish), data, content_type, builder)
            .map_err(|error| error.to_string())
    }
}

/// What templates see of a message.
struct Message<'a, 'p>(&'a Publish<'p>);

impl Inputs for Message<'_, '_> {
    fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
        match (name, step) {
            ("topic", None) => Some(Cow::Borrowed(&*self.0.topic)),
            ("topic", Some(Step::Element(level))) => self.0.topic.split('/').nth(*level).map(Cow::Borrowed),
            ("user", Some(Step::Member(name))) => self.0.properties.user.get(name).map(Cow::Borrowed),
            _ => None,
        }
    }

    fn data(&self) -> Option<&Bytes> {
        Some(&self.0.payload)
    }
}
