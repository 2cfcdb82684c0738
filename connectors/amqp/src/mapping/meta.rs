//! Metadata of the transport that no attribute of CloudEvents has: kept as extensions (`docs/extensions.md`).
//!
//! Invariants: an extension is set only where the message has the field and the event does not bring that attribute
//! itself; a text that no attribute can hold (control characters) stays behind and spoils nothing.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use weft_amqp_wire::message::{Header, Message, MessageId};
use weft_amqp_wire::value::ValueRef;
use weft_api::event::{AttrKind, EventBuilder, check};

use super::{PARTITION_KEY, extension, ids, millis};

/// A message's metadata, looked at once.
pub(crate) struct Meta<'m, 'a> {
    message: &'m Message<'a>,
    partition_key: Option<ValueRef<'a>>,
}

impl<'m, 'a> Meta<'m, 'a> {
    pub(crate) fn of(message: &'m Message<'a>) -> Meta<'m, 'a> {
        Meta {
            message,
            partition_key: message
                .message_annotations
                .and_then(|annotations| annotations.find(PARTITION_KEY).ok().flatten()),
        }
    }

    /// The message id as text; empty where there is none.
    pub(crate) fn message_id(&self) -> String {
        let mut text = String::new();
        if let Some(id) = self.message.properties.message_id {
            ids::text(id, &mut text);
        }
        text
    }

    /// Whether [`Meta::fill`] would change an event with this id and subject.
    pub(crate) fn changes(&self, id: &str, subject: Option<&str>) -> bool {
        let properties = &self.message.properties;
        let header = &self.message.header;
        let other_id = properties.message_id.is_some_and(|theirs| !ids::is(theirs, id));
        let other_subject = properties.subject.is_some() && properties.subject != subject;
        other_id
            || other_subject
            || properties.correlation_id.is_some()
            || properties.reply_to.is_some()
            || properties.content_encoding.is_some()
            || properties.absolute_expiry_time.is_some()
            || header.ttl.is_some()
            || header.priority != Header::PRIORITY
            || header.durable == Some(false)
            || self.partition_key.is_some()
    }

    /// The group: the event's key.
    pub(crate) fn key(&self, payload: &Bytes) -> Option<Bytes> {
        let group = self.message.properties.group_id?;
        Some(payload.slice_ref(group.as_bytes()))
    }

    /// Sets what the builder lacks.
    pub(crate) fn fill(&self, builder: &mut EventBuilder, scratch: &mut String) {
        let properties = &self.message.properties;
        if let Some(theirs) = properties.message_id
            && !builder.get("id").is_some_and(|own| ids::is(theirs, own.text))
        {
            scratch.clear();
            ids::text(theirs, scratch);
            text(builder, extension::MESSAGE_ID, scratch);
        }
        if let Some(id) = properties.correlation_id {
            correlation(id, builder, scratch);
        }
        if let Some(reply_to) = properties.reply_to {
            text(builder, extension::REPLY_TO, reply_to);
        }
        if let Some(subject) = properties.subject
            && builder.get("subject").is_none_or(|own| own.text != subject)
        {
            text(builder, extension::SUBJECT, subject);
        }
        if let Some(encoding) = properties.content_encoding {
            text(builder, extension::CONTENT_ENCODING, encoding);
        }
        let key = self.partition_key.and_then(|key| key.as_str());
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            text(builder, extension::PARTITION_KEY, key);
        }
        self.header(builder);
    }

    fn header(&self, builder: &mut EventBuilder) {
        let header = &self.message.header;
        if header.priority != Header::PRIORITY && !builder.has(extension::PRIORITY) {
            let priority = header.priority.to_string();
            builder.set(extension::PRIORITY, AttrKind::Integer, &priority);
        }
        if header.durable == Some(false) && !builder.has(extension::DURABLE) {
            builder.set(extension::DURABLE, AttrKind::Boolean, "false");
        }
        if let Some(at) = self.expiry().filter(|_| !builder.has(extension::EXPIRY)) {
            builder.set(extension::EXPIRY, AttrKind::Timestamp, at.as_str());
        }
    }

    /// When the message expires. Zero is what some clients send for "never".
    fn expiry(&self) -> Option<millis::Text> {
        let absolute = self.message.properties.absolute_expiry_time;
        let ttl = self.message.header.ttl.filter(|ttl| *ttl > 0);
        let at = match absolute.filter(|at| *at > 0) {
            Some(at) => at,
            None => millis::of(SystemTime::now())?.checked_add(i64::from(ttl?))?,
        };
        millis::Text::of(at)
    }
}

/// A correlation id that is bytes, or text that no String may be, is a Binary.
fn correlation(id: MessageId<'_>, builder: &mut EventBuilder, scratch: &mut String) {
    if builder.has(extension::CORRELATION_ID) {
        return;
    }
    scratch.clear();
    let bytes = match id {
        MessageId::Binary(bytes) => bytes,
        MessageId::String(text) if !check::value(AttrKind::String, text) => text.as_bytes(),
        id => {
            ids::text(id, scratch);
            builder.set(extension::CORRELATION_ID, AttrKind::String, scratch);
            return;
        }
    };
    STANDARD.encode_string(bytes, scratch);
    builder.set(extension::CORRELATION_ID, AttrKind::Binary, scratch);
}

fn text(builder: &mut EventBuilder, name: &str, text: &str) {
    if !builder.has(name) && check::value(AttrKind::String, text) {
        builder.set(name, AttrKind::String, text);
    }
}
