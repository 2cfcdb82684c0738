//! From an event to a message: address, sections and body.
//!
//! Invariants: every attribute of the event is in the message as it was, and nothing else but the properties that the
//! file names and the fields that `docs/extensions.md` lists; an event without data has an amqp-value of null for a body,
//! one with empty data an empty data section. Lengths are counted in AMQP, so nothing in a value can break out.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use weft_amqp_wire::message::{Header, MapWriter, MessageId, MessageWriter, Properties};
use weft_amqp_wire::value::ValueRef;
use weft_api::config::{Finding, Node};
use weft_api::connector::RawMessage;
use weft_api::event::{AttrKind, CLOUDEVENTS_JSON, Event, SPECVERSION, json};
use weft_api::outcome::{Reason, SendError};
use weft_api::template::{Scope, Template};

use super::address::Address;
use super::{PARTITION_KEY, attribute, extension, ids, millis, value};
use crate::config::{EgressSection, Mode, at, check_remote};

/// The highest priority that JMS has, and brokers order by.
const PRIORITY_MAX: u8 = 9;

/// How events are laid into messages; does not change from event to event.
pub(crate) struct Layout {
    pub(crate) address: Address,
    mode: Mode,
    prefix: &'static str,
    durable: bool,
    priority: Option<u8>,
    properties: Vec<(String, Template)>,
}

/// What a destination writes into every header, and what therefore says nothing about the event that is in a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    volatile: bool,
    priority: Option<u8>,
}

impl Habits {
    /// Takes them out of a header that came back.
    pub(crate) fn lift(self, header: &mut Header) {
        if self.volatile && header.durable == Some(false) {
            header.durable = None;
        }
        if self.priority == Some(header.priority) {
            header.priority = Header::PRIORITY;
        }
    }
}

impl Layout {
    /// Reads what the section says about messages, and checks the rest of it.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(section: &EgressSection, node: &Node) -> Result<Layout, Vec<Finding>> {
        let mut findings = Vec::new();
        check_remote(node, &section.remote(), section.max_frame, &mut findings);
        let address = Address::new(section, node, &mut findings);
        if section.priority.is_some_and(|priority| priority > PRIORITY_MAX) {
            findings.push(Finding::error(
                at(node, "priority"),
                "the priority is out of bounds",
                "0 (last) to 9 (first); 4 is the default",
            ));
        }
        if section.timeout.0.is_zero() {
            findings.push(Finding::error(
                at(node, "timeout"),
                "no broker answers within no time",
                "30s is the default",
            ));
        }
        let mut properties = Vec::new();
        for (name, text) in &section.properties {
            let place = at(at(node, "properties"), name);
            if name.is_empty() || attribute(name).is_some() {
                findings.push(Finding::error(
                    place,
                    format!("property `{name}` belongs to the event itself"),
                    "choose another name; attributes are added with `add` on a route",
                ));
            }
            match Template::parse(text, &Scope::EGRESS) {
                Ok(template) => properties.push((name.clone(), template)),
                Err(error) => {
                    let what = format!("`{text}`, column {}: {}", error.column, error.what);
                    findings.push(Finding::error(place, what, error.remedy));
                }
            }
        }
        match address {
            Some(address) if findings.is_empty() => Ok(Layout {
                address,
                mode: section.mode,
                prefix: section.prefix.as_str(),
                durable: section.durable,
                priority: section.priority,
                properties,
            }),
            _ => Err(findings),
        }
    }

    /// What headers say of every event, whatever it is.
    pub(crate) fn habits(&self) -> Habits {
        Habits {
            volatile: !self.durable,
            priority: self.priority,
        }
    }

    /// Appends the message for `address`.
    ///
    /// # Errors
    /// The event lacks what a template names; `out` may hold a part of the message then.
    pub(crate) fn encode(
        &self,
        event: &Event,
        address: &str,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let known = Known::of(event);
        let Scratch {
            text,
            id,
            correlation,
            json,
        } = scratch;
        let mut message = MessageWriter::new(out);
        let (expiry, ttl) = known.expiry();
        message.header(&Header {
            durable: Some(self.durable && known.durable),
            priority: self.priority.or(known.priority).unwrap_or(Header::PRIORITY),
            ttl,
            ..Header::default()
        });
        if let Some(key) = known.partition_key {
            message.message_annotations(|map| map.put(PARTITION_KEY, ValueRef::String(key)));
        }
        let content_type = match self.mode {
            Mode::Structured => Some(CLOUDEVENTS_JSON),
            // A symbol is ASCII; any other media type goes among the application properties.
            Mode::Binary => event.datacontenttype().filter(|media| media.is_ascii()),
        };
        message.properties(&Properties {
            message_id: Some(ids::parse(known.message_id.unwrap_or(event.id()), id)),
            to: Some(address),
            subject: known.subject.or(event.subject()),
            reply_to: known.reply_to,
            correlation_id: known.correlation_id(correlation),
            content_type,
            content_encoding: known.content_encoding.filter(|encoding| encoding.is_ascii()),
            absolute_expiry_time: expiry,
            creation_time: event.time().and_then(millis::near),
            group_id: event
                .transport_key()
                .and_then(|key| std::str::from_utf8(key).ok()),
            ..Properties::default()
        });
        message.application_properties(|map| {
            if self.mode == Mode::Binary {
                self.attributes(event, text, map);
            }
            self.extra(event, text, map)
        })?;
        match (self.mode, event.data()) {
            (Mode::Structured, _) => {
                json.clear();
                json::encode(event, json);
                message.data(json);
            }
            (Mode::Binary, Some(data)) => message.data(data),
            (Mode::Binary, None) => message.value(ValueRef::Null),
        }
        Ok(())
    }

    /// The attributes with their prefix (binding, 3.1.3).
    fn attributes(&self, event: &Event, name: &mut String, map: &mut MapWriter<'_>) {
        let mut put = |attribute: &str, map: &mut MapWriter<'_>, value: ValueRef<'_>| {
            name.clear();
            name.push_str(self.prefix);
            name.push_str(attribute);
            map.put(name, value);
        };
        put("specversion", map, ValueRef::String(SPECVERSION));
        for (attribute, value) in event.attributes() {
            if attribute == "datacontenttype" && value.text.is_ascii() {
                continue;
            }
            value::native(value, |value| put(attribute, map, value));
        }
    }

    /// What the file adds.
    fn extra(&self, event: &Event, text: &mut String, map: &mut MapWriter<'_>) -> Result<(), SendError> {
        for (name, template) in &self.properties {
            text.clear();
            template.render(event, text).map_err(|missing| {
                SendError::event(Reason::Address, format!("property `{name}`: {missing}"))
            })?;
            map.put(name, ValueRef::String(text));
        }
        Ok(())
    }
}

/// Room that is kept from event to event.
#[derive(Default)]
pub(crate) struct Scratch {
    text: String,
    id: Vec<u8>,
    correlation: Vec<u8>,
    json: Vec<u8>,
}

/// Extensions that have a field of their own in AMQP. They stay attributes, too.
struct Known<'a> {
    message_id: Option<&'a str>,
    correlation: Option<(AttrKind, &'a str)>,
    reply_to: Option<&'a str>,
    subject: Option<&'a str>,
    content_encoding: Option<&'a str>,
    partition_key: Option<&'a str>,
    priority: Option<u8>,
    durable: bool,
    expires: Option<i64>,
}

impl<'a> Known<'a> {
    fn of(event: &'a Event) -> Known<'a> {
        let mut known = Known {
            message_id: None,
            correlation: None,
            reply_to: None,
            subject: None,
            content_encoding: None,
            partition_key: None,
            priority: None,
            durable: true,
            expires: None,
        };
        for (name, value) in event.extensions() {
            match name {
                extension::MESSAGE_ID => known.message_id = Some(value.text),
                extension::CORRELATION_ID => known.correlation = Some((value.kind, value.text)),
                extension::REPLY_TO => known.reply_to = Some(value.text),
                extension::SUBJECT => known.subject = Some(value.text),
                extension::CONTENT_ENCODING => known.content_encoding = Some(value.text),
                extension::PARTITION_KEY => known.partition_key = Some(value.text),
                extension::PRIORITY => known.priority = value.text.parse().ok(),
                extension::DURABLE => known.durable = value.text != "false",
                extension::EXPIRY => known.expires = millis::near(value.text),
                _ => {}
            }
        }
        known
    }

    fn correlation_id<'b>(&self, room: &'b mut Vec<u8>) -> Option<MessageId<'b>>
    where
        'a: 'b,
    {
        let (kind, text) = self.correlation?;
        if kind != AttrKind::Binary {
            return Some(ids::parse(text, room));
        }
        *room = STANDARD.decode(text).ok()?;
        Some(MessageId::Binary(room))
    }

    /// When it expires, and how many milliseconds are left; at least one, since zero is "never" to some.
    fn expiry(&self) -> (Option<i64>, Option<u32>) {
        let Some(at) = self.expires else {
            return (None, None);
        };
        let left = millis::of(SystemTime::now()).map(|now| at.saturating_sub(now).max(1));
        (Some(at), left.and_then(|left| u32::try_from(left).ok()))
    }
}

/// A message as a person describes it. Where its own properties are not given apart, headers of their names are those;
/// all others are application properties.
pub(crate) fn raw(raw: &RawMessage) -> Bytes {
    let field = |name: &str| {
        let own = raw.properties.as_ref().unwrap_or(&raw.headers);
        let found = own.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    const FIELDS: [&str; 7] = [
        "content-type",
        "content-encoding",
        "subject",
        "message-id",
        "correlation-id",
        "reply-to",
        "group-id",
    ];
    let mut out = Vec::new();
    let (mut id, mut correlation) = (Vec::new(), Vec::new());
    let mut message = MessageWriter::new(&mut out);
    message.properties(&Properties {
        content_type: field("content-type").filter(|text| text.is_ascii()),
        content_encoding: field("content-encoding").filter(|text| text.is_ascii()),
        subject: field("subject"),
        message_id: field("message-id").map(|text| ids::parse(text, &mut id)),
        correlation_id: field("correlation-id").map(|text| ids::parse(text, &mut correlation)),
        reply_to: field("reply-to"),
        group_id: field("group-id"),
        ..Properties::default()
    });
    message.application_properties(|map| {
        let own = |name: &str| {
            raw.properties.is_none() && FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
        };
        for (name, value) in raw.headers.iter().filter(|(name, _)| !own(name)) {
            map.put(name, ValueRef::String(value));
        }
    });
    message.data(&raw.body);
    out.into()
}
