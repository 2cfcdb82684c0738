//! Plain messages (no CloudEvents) to events, by the ingress' `event:`.
//!
//! Defaults: id the message id, so that a message that comes twice is recognisably the same event, else a new one; type
//! [`TYPE`]; source `weft://CLUSTER/INGRESS`; subject and time the message's own; the group stays the event's key.

use std::borrow::Cow;

use bytes::Bytes;
use weft_amqp_wire::message::{Message, MessageId};
use weft_amqp_wire::value::ValueRef;
use weft_api::config::{Finding, Node};
use weft_api::connector::IngressSettings;
use weft_api::event::{AttrKind, Event, EventBuilder, check};
use weft_api::mapping::PlainMapping;
use weft_api::template::{Inputs, Scope, Step};

use super::body::{Data, Hint};
use super::{ids, millis, value};

/// The `type` where `event.type` is not given.
pub(crate) const TYPE: &str = "weft.amqp.message";
/// The `id` where `event.id` is not given.
const ID: &str = "{message_id | else uuid}";

/// A compiled `event:`.
pub(crate) struct Plain {
    mapping: PlainMapping,
}

impl Plain {
    /// Reads the ingress' `event:`; `section` is `amqp:`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn new(settings: &IngressSettings, section: &Node) -> Result<Plain, Vec<Finding>> {
        let mapping = PlainMapping::read(settings, section, TYPE, ID, &Scope::AMQP_INGRESS)?;
        Ok(Plain { mapping })
    }

    /// The event, without the metadata of the transport.
    ///
    /// # Errors
    /// What the templates need and the message lacks, or which attribute breaks which rule.
    pub(crate) fn decode(
        &self,
        address: &str,
        message: &Message<'_>,
        data: Data,
        builder: &mut EventBuilder,
    ) -> Result<Event, String> {
        let properties = &message.properties;
        if let Some(time) = properties.creation_time.and_then(millis::Text::of) {
            builder.time(time.as_str());
        }
        if let Some(subject) = properties
            .subject
            .filter(|text| !text.is_empty() && check::value(AttrKind::String, text))
        {
            builder.subject(subject);
        }
        let content_type = match (data.hint, properties.content_type) {
            (Hint::Made(made), _) => Some(made),
            (_, Some(theirs)) => Some(theirs).filter(|text| check::media_type(text)),
            (Hint::Plain(hint), None) => Some(hint),
            (Hint::None, None) => None,
        };
        let inputs = Fields {
            address,
            message,
            data: data.bytes.as_ref(),
        };
        self.mapping
            .apply(&inputs, data.bytes.clone(), content_type, builder)
            .map_err(|error| error.to_string())
    }
}

/// What templates see of a message.
struct Fields<'m, 'a> {
    address: &'m str,
    message: &'m Message<'a>,
    data: Option<&'m Bytes>,
}

impl Inputs for Fields<'_, '_> {
    fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
        let properties = &self.message.properties;
        let text = |text: Option<&'_ str>| text.map(|text| Cow::Owned(text.to_owned()));
        match (name, step) {
            ("address", _) => Some(Cow::Borrowed(self.address)),
            ("subject", _) => text(properties.subject),
            ("message_id", _) => id(properties.message_id?),
            ("correlation_id", _) => id(properties.correlation_id?),
            ("reply_to", _) => text(properties.reply_to),
            ("to", _) => text(properties.to),
            ("group_id", _) => text(properties.group_id),
            ("user_id", _) => text(std::str::from_utf8(properties.user_id?).ok()),
            ("priority", _) => Some(Cow::Owned(self.message.header.priority.to_string())),
            ("properties", Some(Step::Member(key))) => {
                scalar(self.message.application_properties?.find(key).ok()??)
            }
            ("annotations", Some(Step::Member(key))) => {
                scalar(self.message.message_annotations?.find(key).ok()??)
            }
            _ => None,
        }
    }

    fn data(&self) -> Option<&Bytes> {
        self.data
    }
}

fn id<'a>(id: MessageId<'_>) -> Option<Cow<'a, str>> {
    let mut out = String::new();
    ids::text(id, &mut out);
    (!out.is_empty()).then_some(Cow::Owned(out))
}

fn scalar<'a>(value: ValueRef<'_>) -> Option<Cow<'a, str>> {
    let mut out = String::new();
    value::text_of(value, &mut out).ok()?;
    Some(Cow::Owned(out))
}
