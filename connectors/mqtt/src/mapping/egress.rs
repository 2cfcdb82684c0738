//! From an event to a PUBLISH: topic, properties and payload.
//!
//! Invariants: every attribute is in the message as it was; in binary mode nothing that the file adds can be taken for
//! one; what an event cannot be written as is its own fault, with a text that says what would help. The payload is the
//! event's own bytes, or one buffer of JSON; no attribute is copied.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::SystemTime;

use bytes::Bytes;
use weft_api::config::{Finding, Node};
use weft_api::event::{CLOUDEVENTS_JSON, Event, SPECVERSION, check, json};
use weft_api::outcome::{Reason, SendError};
use weft_api::template::{Scope, Template, guard};

use super::metadata::Fields;
use super::publish::{Properties, Publish};
use super::{FIELD_MAX, topic};
use crate::config::{EgressSection, Mode, Version, at};

/// What JSON adds to an event's data, at a guess: it saves the buffer's first growths.
const JSON_ROOM: usize = 512;

/// Where events go.
enum Topic {
    /// Always there.
    Fixed(String),
    /// Where the event says, among these if any are given.
    Template {
        template: Template,
        allowed: Option<HashSet<String>>,
        /// The file itself begins it with `$`; no value may.
        dollar: bool,
    },
}

/// How events are laid into messages; does not change from event to event.
pub(crate) struct Layout {
    topic: Topic,
    structured: bool,
    /// The protocol has properties.
    properties: bool,
    retain: bool,
    expiry: Option<u32>,
    user: Vec<(String, Template)>,
    response_topic: Option<Template>,
    now: fn() -> SystemTime,
}

impl Layout {
    /// Reads the keys that say what a message looks like; `section` was checked on its own.
    ///
    /// # Errors
    /// Every mistake in topics and templates.
    pub(crate) fn new(section: &EgressSection, node: &Node) -> Result<Layout, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut template = |place: &Node, text: &str| match Template::parse(text, &Scope::EGRESS) {
            Ok(template) => Some(template),
            Err(error) => {
                let what = format!("`{text}`, column {}: {}", error.column, error.what);
                findings.push(Finding::error(place, what, error.remedy));
                None
            }
        };
        let topic = template(at(node, "topic"), &section.topic);
        let response_topic = section
            .response_topic
            .as_ref()
            .and_then(|text| template(at(node, "response_topic"), text));
        let user: Vec<_> = section
            .user_properties
            .iter()
            .filter_map(|(name, text)| {
                Some((
                    name.clone(),
                    template(at(at(node, "user_properties"), name), text)?,
                ))
            })
            .collect();
        let topic = topic.map(|template| check_topic(section, node, template, &mut findings));
        let mode = section.mode();
        check_user_properties(section, node, mode, &mut findings);
        if let (Some(template), Some(text)) = (&response_topic, &section.response_topic) {
            check_written(node, "response_topic", template, text, &mut findings);
        }
        match topic {
            Some(topic) if findings.is_empty() => Ok(Layout {
                topic,
                structured: mode == Mode::Structured,
                properties: section.version == Version::V5,
                retain: section.retain,
                expiry: section.expiry.map(|expiry| whole_seconds(expiry.get())),
                user,
                response_topic,
                now: SystemTime::now,
            }),
            _ => Err(findings),
        }
    }

    /// The one topic, where it is not a template.
    pub(crate) fn fixed_topic(&self) -> Option<&str> {
        match &self.topic {
            Topic::Fixed(topic) => Some(topic),
            Topic::Template { .. } => None,
        }
    }

    /// The event as a message.
    ///
    /// # Errors
    /// The event's fault: it lacks what a template names, gives a topic that is none or is not allowed, or has an
    /// attribute that MQTT cannot hold.
    pub(crate) fn publish<'a>(&'a self, event: &'a Event) -> Result<Publish<'a>, SendError> {
        let topic = self.topic(event)?;
        let mut properties = Properties::default();
        let mut fields = Fields::default();
        if self.structured {
            if self.properties {
                fields = Fields::of(event);
                properties.content_type = Some(CLOUDEVENTS_JSON);
                properties.utf8 = true;
            }
        } else {
            self.attributes(event, &mut properties, &mut fields)?;
        }
        if self.properties {
            properties.expiry = fields.expiry(self.expiry, self.now);
            properties.correlation = fields.correlation();
            properties.response_topic = match &self.response_topic {
                Some(template) => Some(Cow::Owned(response_topic(template, event)?)),
                None => fields.response_topic().map(Cow::Borrowed),
            };
            for (name, template) in &self.user {
                let value = render("user_properties", template, event, &guard::plain)?;
                fits("user property", name, &value)?;
                properties.user.push(name, value);
            }
        }
        Ok(Publish {
            topic,
            payload: self.payload(event),
            retain: self.retain,
            properties,
        })
    }

    fn payload(&self, event: &Event) -> Bytes {
        if self.structured {
            let mut out = Vec::with_capacity(JSON_ROOM + event.data().map_or(0, Bytes::len));
            json::encode(event, &mut out);
            Bytes::from(out)
        } else {
            event.data().cloned().unwrap_or_default()
        }
    }

    /// The attributes as properties (binding, 3.1).
    fn attributes<'a>(
        &self,
        event: &'a Event,
        properties: &mut Properties<'a>,
        fields: &mut Fields<'a>,
    ) -> Result<(), SendError> {
        properties.user.push("specversion", SPECVERSION);
        for (name, value) in event.attributes() {
            fits("attribute", name, value.text)?;
            if name == "datacontenttype" {
                properties.content_type = Some(value.text);
            } else {
                fields.note(name, value);
                properties.user.push(name, value.text);
            }
        }
        if properties.user.overflow() {
            return Err(SendError::event(
                Reason::TooLarge,
                format!(
                    "it has more than {} attributes; `mode: structured` takes them",
                    super::publish::USER_MAX
                ),
            ));
        }
        Ok(())
    }

    fn topic(&self, event: &Event) -> Result<Cow<'_, str>, SendError> {
        let (template, allowed, dollar) = match &self.topic {
            Topic::Fixed(topic) => return Ok(Cow::Borrowed(topic)),
            Topic::Template {
                template,
                allowed,
                dollar,
            } => (template, allowed, *dollar),
        };
        let name = render("topic", template, event, &guard::level(topic::LEVEL_FORBIDDEN))?;
        let refused = match allowed {
            _ if name.starts_with('$') && !dollar => Err("begins with `$`, which only the file may write"),
            Some(allowed) if !allowed.contains(&name) => Err("is not in `topics`"),
            _ => topic::check_name(&name),
        };
        match refused {
            Ok(()) => Ok(Cow::Owned(name)),
            Err(why) => Err(address(format!("`topic` gives `{}`, which {why}", shown(&name)))),
        }
    }

    /// With another clock.
    #[cfg(test)]
    pub(super) fn at(mut self, now: fn() -> SystemTime) -> Layout {
        self.now = now;
        self
    }
}

/// Message Expiry Interval of a duration, rounded up.
fn whole_seconds(duration: std::time::Duration) -> u32 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn check_topic(
    section: &EgressSection,
    node: &Node,
    template: Template,
    findings: &mut Vec<Finding>,
) -> Topic {
    for name in section.topics.iter().flatten() {
        check_name(at(node, "topics"), name, findings);
    }
    check_written(node, "topic", &template, &section.topic, findings);
    let Some(fixed) = template.as_constant() else {
        return Topic::Template {
            dollar: section.topic.starts_with('$'),
            allowed: section.topics.as_ref().map(|all| all.iter().cloned().collect()),
            template,
        };
    };
    if section.topics.is_some() {
        findings.push(Finding::error(
            at(node, "topics"),
            "an allow-list stands beside a template only, and `topic` is none",
            "leave `topics` out",
        ));
    }
    Topic::Fixed(fixed.into())
}

fn check_name(place: &Node, name: &str, findings: &mut Vec<Finding>) {
    if let Err(why) = topic::check_name(name) {
        let what = format!("`{}` {why}", shown(name));
        findings.push(Finding::error(
            place,
            what,
            "write a topic such as plant/7/temperature",
        ));
    }
}

/// What the file itself writes of a topic must be right before any event comes.
fn check_written(node: &Node, key: &str, template: &Template, text: &str, findings: &mut Vec<Finding>) {
    match template.as_constant() {
        Some(fixed) => check_name(at(node, key), fixed, findings),
        None => check_name(at(node, key), &with_values(text), findings),
    }
}

/// The template's own text with a letter for each expression; `{{` and `}}` are text.
fn with_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.replace("{{", "(").replace("}}", ")");
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        out.push('x');
        let after = rest[open..]
            .find('}')
            .map_or(rest.len(), |close| open + close + 1);
        rest = rest.split_off(after);
    }
    out + &rest
}

fn check_user_properties(section: &EgressSection, node: &Node, mode: Mode, findings: &mut Vec<Finding>) {
    for name in section.user_properties.keys() {
        let (what, remedy) = if name.is_empty() || name.len() > FIELD_MAX || name.contains(char::is_control) {
            (
                "cannot be the name of a user property",
                "write 1 to 65,535 bytes of text",
            )
        } else if mode == Mode::Binary && (check::name(name) || name == "specversion") {
            (
                "would be an attribute of the event to whoever receives it",
                "give it a name that no attribute can have, such as `x-tenant`; attributes are added with `add` on a route",
            )
        } else {
            continue;
        };
        let place = at(at(node, "user_properties"), name);
        findings.push(Finding::error(place, format!("`{}` {what}", shown(name)), remedy));
    }
}

fn response_topic(template: &Template, event: &Event) -> Result<String, SendError> {
    let name = render(
        "response_topic",
        template,
        event,
        &guard::level(topic::LEVEL_FORBIDDEN),
    )?;
    match topic::check_name(&name) {
        Ok(()) => Ok(name),
        Err(why) => Err(address(format!(
            "`response_topic` gives `{}`, which {why}",
            shown(&name)
        ))),
    }
}

fn fits(what: &str, name: &str, value: &str) -> Result<(), SendError> {
    if value.len() <= FIELD_MAX {
        return Ok(());
    }
    Err(SendError::event(
        Reason::TooLarge,
        format!(
            "{what} `{}` has {} bytes, and a property of MQTT holds {FIELD_MAX}; `mode: structured` takes longer ones",
            shown(name),
            value.len()
        ),
    ))
}

fn render(
    what: &str,
    template: &Template,
    event: &Event,
    guard: &guard::Guard<'_>,
) -> Result<String, SendError> {
    let mut text = String::new();
    match template.render_guarded(event, guard, &mut text) {
        Ok(()) => Ok(text),
        Err(missing) => Err(address(format!("`{what}`: {missing}"))),
    }
}

fn shown(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

fn address(detail: String) -> SendError {
    SendError::event(Reason::Address, detail)
}
