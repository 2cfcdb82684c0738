//! PUBLISH, in both directions, from and to the mapping's own type.

use std::borrow::Cow;

use bytes::Bytes;

use super::property::{
    CONTENT_TYPE, CORRELATION, MESSAGE_EXPIRY, PAYLOAD_FORMAT, Properties, RESPONSE_TOPIC, SUBSCRIPTION,
    TOPIC_ALIAS, USER, Value, set,
};
use super::read::Reader;
use super::{Fault, kind, write};
use crate::config::Version;
use crate::mapping::{Properties as Fields, Publish, UserProperties};

/// Payloads of fewer bytes are copied, so that a small event never keeps a whole buffer of the connection alive.
const COPY: usize = 16 * 1024;
/// The largest Remaining Length.
const REMAINING_MAX: usize = 268_435_455;
const ALLOWED: u64 = set(&[
    PAYLOAD_FORMAT,
    MESSAGE_EXPIRY,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION,
    SUBSCRIPTION,
    TOPIC_ALIAS,
    USER,
]);

/// A message that came in.
#[derive(Clone, Debug)]
pub(crate) struct Received<'a> {
    /// What the mapping looks at.
    pub(crate) publish: Publish<'a>,
    /// 0, 1 or 2.
    pub(crate) qos: u8,
    /// It may have been sent before.
    pub(crate) dup: bool,
    /// Packet Identifier; 0 with QoS 0.
    pub(crate) id: u16,
}

/// Reads a PUBLISH; `first` is its first byte.
pub(crate) fn decode(version: Version, first: u8, body: &Bytes) -> Result<Received<'_>, Fault> {
    let qos = first >> 1 & 3;
    let dup = first & 8 != 0;
    if qos == 3 {
        return Err(Fault::Malformed("its quality of service is 3"));
    }
    if dup && qos == 0 {
        return Err(Fault::Malformed("it has QoS 0 and DUP"));
    }
    let mut reader = Reader::new(body);
    let topic = reader.text()?;
    if topic.contains(['+', '#']) {
        return Err(Fault::Malformed("its topic has a wildcard"));
    }
    let id = if qos == 0 { 0 } else { reader.identifier()? };
    let properties = match version {
        Version::V3 => Fields::default(),
        Version::V5 => fields(&mut reader)?,
    };
    if topic.is_empty() {
        return Err(Fault::Protocol("its topic is empty"));
    }
    let payload = reader.rest();
    Ok(Received {
        publish: Publish {
            topic: Cow::Borrowed(topic),
            payload: if payload.len() < COPY {
                Bytes::copy_from_slice(payload)
            } else {
                body.slice_ref(payload)
            },
            retain: first & 1 != 0,
            properties,
        },
        qos,
        dup,
        id,
    })
}

fn fields<'a>(reader: &mut Reader<'a>) -> Result<Fields<'a>, Fault> {
    let mut properties = Properties::take(reader, ALLOWED)?;
    let mut fields = Fields::default();
    while let Some((id, value)) = properties.next()? {
        match (id, value) {
            (USER, Value::Pair(name, value)) => fields.user.push(name, value),
            (PAYLOAD_FORMAT, Value::Number(bit)) => fields.utf8 = bit == 1,
            (MESSAGE_EXPIRY, Value::Number(seconds)) => fields.expiry = Some(seconds),
            (CONTENT_TYPE, Value::Text(text)) => fields.content_type = Some(text),
            (RESPONSE_TOPIC, Value::Text(text)) => fields.response_topic = Some(Cow::Borrowed(text)),
            (CORRELATION, Value::Binary(data)) => fields.correlation = Some(Cow::Borrowed(data)),
            (TOPIC_ALIAS, _) => return Err(Fault::TopicAlias),
            _ => {}
        }
    }
    Ok(fields)
}

/// How a message is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The protocol.
    pub(crate) version: Version,
    /// 0, 1 or 2.
    pub(crate) qos: u8,
    /// It may have been sent before.
    pub(crate) dup: bool,
    /// Packet Identifier; not written with QoS 0.
    pub(crate) id: u16,
}

/// Bytes of the whole packet, by which [`encode`] would make `out` longer; `None` where MQTT cannot say it.
pub(crate) fn size(publish: &Publish<'_>, manner: Manner) -> Option<usize> {
    let remaining = remaining(publish, manner);
    (remaining <= REMAINING_MAX).then(|| 1 + write::variable_len(remaining) + remaining)
}

fn remaining(publish: &Publish<'_>, manner: Manner) -> usize {
    let id = if manner.qos == 0 { 0 } else { 2 };
    let properties = match manner.version {
        Version::V3 => 0,
        Version::V5 => {
            let length = properties_len(&publish.properties);
            write::variable_len(length) + length
        }
    };
    write::field_len(publish.topic.len()) + id + properties + publish.payload.len()
}

fn properties_len(fields: &Fields<'_>) -> usize {
    let field = |length: usize| 1 + write::field_len(length);
    let user: usize = fields
        .user
        .iter()
        .map(|(name, value)| field(name.len()) + write::field_len(value.len()))
        .sum();
    let fixed = if fields.utf8 { 2 } else { 0 } + if fields.expiry.is_some() { 5 } else { 0 };
    fixed
        + fields.content_type.map_or(0, |text| field(text.len()))
        + fields.response_topic.as_ref().map_or(0, |text| field(text.len()))
        + fields.correlation.as_ref().map_or(0, |data| field(data.len()))
        + user
}

/// Writes a PUBLISH that [`size`] has an answer for.
pub(crate) fn encode(out: &mut Vec<u8>, publish: &Publish<'_>, manner: Manner) {
    let flags = u8::from(manner.dup) << 3 | manner.qos << 1 | u8::from(publish.retain);
    out.push(kind::PUBLISH << 4 | flags);
    write::variable(out, remaining(publish, manner));
    write::text(out, &publish.topic);
    if manner.qos > 0 {
        write::two(out, manner.id);
    }
    if manner.version == Version::V5 {
        let fields = &publish.properties;
        write::variable(out, properties_len(fields));
        if fields.utf8 {
            out.extend_from_slice(&[PAYLOAD_FORMAT, 1]);
        }
        if let Some(seconds) = fields.expiry {
            out.push(MESSAGE_EXPIRY);
            write::four(out, seconds);
        }
        if let Some(text) = fields.content_type {
            out.push(CONTENT_TYPE);
            write::text(out, text);
        }
        if let Some(topic) = &fields.response_topic {
            out.push(RESPONSE_TOPIC);
            write::text(out, topic);
        }
        if let Some(data) = &fields.correlation {
            out.push(CORRELATION);
            write::binary(out, data);
        }
        user_properties(out, &fields.user);
    }
    out.extend_from_slice(&publish.payload);
}

fn user_properties(out: &mut Vec<u8>, user: &UserProperties<'_>) {
    for (name, value) in user.iter() {
        out.push(USER);
        write::text(out, name);
        write::text(out, value);
    }
}
