//! From an event to a record: topic, key, headers and value.
//!
//! Invariants: every attribute of the event is in the record as it was, and nothing else but the headers that the file
//! names; an event without data is a record without a value, one with empty data has an empty value. Kafka's headers
//! are length-prefixed, so nothing in a value can break out; a topic is checked against Kafka's alphabet.

use std::borrow::Cow;
use std::collections::HashSet;

use rdkafka::message::{Header, OwnedHeaders};
use weft_api::config::{Finding, Node};
use weft_api::event::{CLOUDEVENTS_JSON, Event, json};
use weft_api::outcome::{Reason, SendError};
use weft_api::template::{Scope, Template};

use super::{CONTENT_TYPE, PREFIX};
use crate::config::{EgressSection, Mode, at, check_remote};
use crate::egress::topics::legal;

/// Where events go.
enum Topic {
    /// Always there.
    Fixed(String),
    /// Where the event says, among these if any are given.
    Template {
        template: Template,
        allowed: Option<HashSet<String>>,
    },
}

/// How events are laid into records; does not change from event to event.
pub(crate) struct Layout {
    topic: Topic,
    key: Option<Template>,
    headers: Vec<(String, Template)>,
    mode: Mode,
}

impl Layout {
    /// Reads `topic`, `topics`, `key`, `headers` and `mode`, and checks the rest of the section.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(section: &EgressSection, node: &Node) -> Result<Layout, Vec<Finding>> {
        let mut findings = Vec::new();
        check_remote(node, &section.remote(), &mut findings);
        let mut template = |place: &Node, text: &str| match Template::parse(text, &Scope::EGRESS) {
            Ok(template) => Some(template),
            Err(error) => {
                let what = format!("`{text}`, column {}: {}", error.column, error.what);
                findings.push(Finding::error(place, what, error.remedy));
                None
            }
        };
        let topic = template(at(node, "topic"), &section.topic);
        let key = section
            .key
            .as_ref()
            .and_then(|text| template(at(node, "key"), text));
        let headers: Vec<_> = section
            .headers
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), template(at(at(node, "headers"), name), text)?)))
            .collect();
        let topic = topic.and_then(|template| check_topic(section, node, template, &mut findings));
        for name in section.headers.keys() {
            if name.is_empty() || name.starts_with(PREFIX) || name.eq_ignore_ascii_case(CONTENT_TYPE) {
                findings.push(Finding::error(
                    at(at(node, "headers"), name),
                    format!("header `{name}` belongs to the event itself"),
                    "choose another name; attributes are added with `add` on a route",
                ));
            }
        }
        match topic {
            Some(topic) if findings.is_empty() => Ok(Layout {
                topic,
                key,
                headers,
                mode: section.mode,
            }),
            _ => Err(findings),
        }
    }

    /// Whether the topic comes out of a template.
    pub(crate) fn templated(&self) -> bool {
        matches!(self.topic, Topic::Template { .. })
    }

    /// The one topic, where it is not a template.
    pub(crate) fn fixed_topic(&self) -> Option<&str> {
        match &self.topic {
            Topic::Fixed(topic) => Some(topic),
            Topic::Template { .. } => None,
        }
    }

    /// The event's topic.
    ///
    /// # Errors
    /// The event lacks what the template names, or names what is no topic, or one that is not allowed.
    pub(crate) fn topic(&self, event: &Event) -> Result<Cow<'_, str>, SendError> {
        match &self.topic {
            Topic::Fixed(topic) => Ok(Cow::Borrowed(topic)),
            Topic::Template { template, allowed } => {
                let topic = render("topic", template, event)?;
                if !legal(&topic) {
                    let shown: String = topic.escape_default().take(80).collect();
                    return Err(address(format!(
                        "`topic` gives `{shown}`, which cannot be the name of a Kafka topic"
                    )));
                }
                match allowed {
                    Some(allowed) if !allowed.contains(&topic) => Err(address(format!(
                        "`topic` gives `{topic}`, which is not in `topics`"
                    ))),
                    _ => Ok(Cow::Owned(topic)),
                }
            }
        }
    }

    /// The record's key; `None` for none.
    ///
    /// # Errors
    /// The event lacks what the template names.
    pub(crate) fn key<'a>(&self, event: &'a Event) -> Result<Option<Cow<'a, [u8]>>, SendError> {
        match &self.key {
            None => Ok(event.key().map(Cow::Borrowed)),
            Some(template) => Ok(Some(Cow::Owned(render("key", template, event)?.into_bytes()))),
        }
    }

    /// The record's headers.
    ///
    /// # Errors
    /// The event lacks what a template names.
    pub(crate) fn headers(&self, event: &Event, scratch: &mut Scratch) -> Result<OwnedHeaders, SendError> {
        let mut headers = match self.mode {
            Mode::Binary => binary_headers(event, self.headers.len(), &mut scratch.name),
            Mode::Structured => add(
                OwnedHeaders::new_with_capacity(1 + self.headers.len()),
                CONTENT_TYPE,
                CLOUDEVENTS_JSON,
            ),
        };
        for (name, template) in &self.headers {
            headers = add(headers, name, &render(name, template, event)?);
        }
        Ok(headers)
    }

    /// The record's value; `None` for none.
    pub(crate) fn value<'a>(&self, event: &'a Event, scratch: &'a mut Scratch) -> Option<&'a [u8]> {
        match self.mode {
            Mode::Binary => event.data().map(|data| &data[..]),
            Mode::Structured => {
                scratch.json.clear();
                json::encode(event, &mut scratch.json);
                Some(&scratch.json)
            }
        }
    }
}

/// Room that is kept from event to event.
#[derive(Default)]
pub(crate) struct Scratch {
    name: String,
    json: Vec<u8>,
}

/// The attributes as `ce_` headers (binding, 3.2.3).
pub(crate) fn binary_headers(event: &Event, more: usize, name: &mut String) -> OwnedHeaders {
    // specversion, the core attributes and some extensions.
    let mut headers = add(
        OwnedHeaders::new_with_capacity(10 + more),
        "ce_specversion",
        weft_api::event::SPECVERSION,
    );
    for (attribute, value) in event.attributes() {
        headers = match attribute {
            "id" => add(headers, "ce_id", value.text),
            "source" => add(headers, "ce_source", value.text),
            "type" => add(headers, "ce_type", value.text),
            "time" => add(headers, "ce_time", value.text),
            "subject" => add(headers, "ce_subject", value.text),
            "datacontenttype" => add(headers, CONTENT_TYPE, value.text),
            other => {
                name.clear();
                name.push_str(PREFIX);
                name.push_str(other);
                add(headers, name, value.text)
            }
        };
    }
    headers
}

fn add(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header {
        key,
        value: Some(value),
    })
}

fn check_topic(
    section: &EgressSection,
    node: &Node,
    template: Template,
    findings: &mut Vec<Finding>,
) -> Option<Topic> {
    for topic in section.topics.iter().flatten().filter(|topic| !legal(topic)) {
        findings.push(Finding::error(
            at(node, "topics"),
            format!("`{topic}` cannot be the name of a topic"),
            "1 to 249 letters, digits, `.`, `_` and `-`",
        ));
    }
    if section.partition.is_some_and(|partition| partition < 0) {
        findings.push(Finding::error(
            at(node, "partition"),
            "partitions count from 0",
            "leave it out to go by the key",
        ));
    }
    let Some(fixed) = template.as_constant() else {
        let allowed = section
            .topics
            .as_ref()
            .map(|topics| topics.iter().cloned().collect());
        return Some(Topic::Template { template, allowed });
    };
    if section.topics.is_some() {
        findings.push(Finding::error(
            at(node, "topics"),
            "an allow-list stands beside a template only, and `topic` is none",
            "leave `topics` out",
        ));
    }
    if !legal(fixed) {
        findings.push(Finding::error(
            at(node, "topic"),
            format!("`{fixed}` cannot be the name of a topic"),
            "1 to 249 letters, digits, `.`, `_` and `-`",
        ));
    }
    Some(Topic::Fixed(fixed.into()))
}

fn render(what: &str, template: &Template, event: &Event) -> Result<String, SendError> {
    let mut text = String::new();
    match template.render(event, &mut text) {
        Ok(()) => Ok(text),
        Err(missing) => Err(address(format!("`{what}`: {missing}"))),
    }
}

fn address(detail: String) -> SendError {
    SendError::event(Reason::Address, detail)
}
