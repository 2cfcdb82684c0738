//! The `event` section of an ingress: a template for each attribute, compiled once, applied to each plain
//! message.

use bytes::Bytes;

use crate::event::{AttrKind, Event, EventBuilder, InvalidEvent};
use crate::template::{Inputs, MissingField, Scope, Template, TemplateError};

/// What an ingress sets where the file says nothing.
#[derive(Clone, Copy, Debug)]
pub struct PlainDefaults<'a> {
    /// The `type`, as template text.
    pub ty: &'a str,
    /// The `source`, as template text: `weft://CLUSTER/INGRESS`.
    pub source: &'a str,
    /// The `id`, as template text: deterministic where the transport numbers its messages, else `{uuid}`.
    pub id: &'a str,
}

/// A compiled `event` section.
#[derive(Clone, Debug)]
pub struct PlainMapping {
    /// From the file: these replace what is there.
    set: Vec<Rule>,
    /// Defaults: these fill gaps.
    fill: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    attribute: Box<str>,
    kind: AttrKind,
    template: Template,
}

/// The fault of the file's author, in one attribute of an `event` section.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("attribute {attribute}, column {column}: {what}; {remedy}")]
pub struct MappingError {
    /// The attribute that the template is for.
    pub attribute: String,
    /// Counted in characters, from 1; 1 where the attribute's name or a constant is at fault.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

/// The message's fault: it cannot become an event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MapError {
    /// A template lacks an input.
    #[error("the message makes no event: attribute {attribute}: {source}")]
    Missing {
        /// The attribute that the template is for.
        attribute: Box<str>,
        /// The input.
        source: MissingField,
    },
    /// What the templates made breaks a rule of CloudEvents.
    #[error("the message makes no event: {0}")]
    Invalid(#[from] InvalidEvent),
}

impl PlainMapping {
    /// Compiles the section: attribute names to template texts.
    ///
    /// # Errors
    /// All faults at once: names that no attribute may have, templates that do not parse, constants that
    /// break the attribute's rule.
    pub fn compile<'a>(
        event: impl IntoIterator<Item = (&'a str, &'a str)>,
        defaults: PlainDefaults<'_>,
        scope: &Scope,
    ) -> Result<PlainMapping, Vec<MappingError>> {
        let mut errors = Vec::new();
        let mut all = |texts: &mut dyn Iterator<Item = (&str, &str)>| -> Vec<Rule> {
            texts
                .filter_map(|(attribute, text)| {
                    rule(attribute, text, scope)
                        .map_err(|error| errors.push(error))
                        .ok()
                })
                .collect()
        };
        let set = all(&mut event.into_iter());
        let defaults = [
            ("type", defaults.ty),
            ("source", defaults.source),
            ("id", defaults.id),
        ];
        let missing = |name: &str| set.iter().all(|rule| *rule.attribute != *name);
        let fill = all(&mut defaults.into_iter().filter(|(name, _)| missing(name)));
        if errors.is_empty() {
            Ok(PlainMapping { set, fill })
        } else {
            Err(errors)
        }
    }

    /// Makes the event. What `builder` already holds (a time or subject of the transport's own) stays where
    /// the section does not set it; the builder is empty afterwards, also on an error.
    ///
    /// `content_type` becomes `datacontenttype`, unless the section or the builder sets that.
    ///
    /// # Errors
    /// The message's fault, naming the attribute and the input or rule.
    pub fn apply(
        &self,
        inputs: &dyn Inputs,
        data: Option<Bytes>,
        content_type: Option<&str>,
        builder: &mut EventBuilder,
    ) -> Result<Event, MapError> {
        let rendered = self.render(inputs, builder);
        if let Err(error) = rendered {
            builder.clear();
            return Err(error);
        }
        if let Some(content_type) =
            content_type.filter(|text| !text.is_empty() && !builder.has("datacontenttype"))
        {
            builder.datacontenttype(content_type);
        }
        if let Some(data) = data {
            builder.data(data);
        }
        Ok(builder.build()?)
    }

    fn render(&self, inputs: &dyn Inputs, builder: &mut EventBuilder) -> Result<(), MapError> {
        let mut scratch = String::new();
        let defaults = self.fill.iter().map(|rule| (rule, true));
        for (rule, gap) in self.set.iter().map(|rule| (rule, false)).chain(defaults) {
            if gap && builder.has(&rule.attribute) {
                continue;
            }
            if let Some(text) = rule.template.as_constant() {
                builder.set(&rule.attribute, rule.kind, text);
                continue;
            }
            scratch.clear();
            let attribute = || rule.attribute.clone();
            rule.template
                .render(inputs, &mut scratch)
                .map_err(|source| MapError::Missing {
                    attribute: attribute(),
                    source,
                })?;
            builder.set(&rule.attribute, rule.kind, &scratch);
        }
        Ok(())
    }
}

fn rule(attribute: &str, text: &str, scope: &Scope) -> Result<Rule, MappingError> {
    let error = |column, what: String, remedy: &str| MappingError {
        attribute: attribute.to_owned(),
        column,
        what,
        remedy: remedy.to_owned(),
    };
    let template = Template::parse(text, scope)
        .map_err(|TemplateError { column, what, remedy }| error(column, what, &remedy))?;
    let kind = template.kind();
    if attribute == "specversion" {
        return Err(error(1, "specversion is always 1.0".to_owned(), "leave it out"));
    }
    // The validator itself judges the name, and the value where it is known already.
    let sample = template
        .as_constant()
        .unwrap_or(if kind == AttrKind::Integer { "0" } else { "x" });
    let verdict = EventBuilder::new()
        .id("x")
        .source("x")
        .ty("x")
        .set(attribute, kind, sample)
        .build();
    match verdict {
        Err(invalid) if template.as_constant().is_some() || invalid.rule.is_about_names() => Err(error(
            1,
            invalid.to_string(),
            "correct it in the file; the same would fail for every message",
        )),
        _ => Ok(Rule {
            attribute: attribute.into(),
            kind,
            template,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::borrow::Cow;

    use super::*;
    use crate::event::{Attributes, Rule as Broken};
    use crate::template::{Step, Why};

    struct Message(Bytes);

    impl Inputs for Message {
        fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
            match (name, step) {
                ("topic", Some(Step::Element(level))) => {
                    "plant/7/temperature".split('/').nth(*level).map(Cow::Borrowed)
                }
                _ => None,
            }
        }

        fn data(&self) -> Option<&Bytes> {
            Some(&self.0)
        }
    }

    const DEFAULTS: PlainDefaults<'_> = PlainDefaults {
        ty: "weft.mqtt",
        source: "weft://paris/plant",
        id: "{uuid}",
    };

    fn plant() -> PlainMapping {
        let section = [
            ("type", "com.acme.temperature"),
            ("id", "{data.msgid | else uuid}"),
            ("subject", "{topic[1]}"),
            ("celsius", "{data.temp | round}"),
        ];
        PlainMapping::compile(section, DEFAULTS, &Scope::MQTT_INGRESS).unwrap()
    }

    fn apply(
        mapping: &PlainMapping,
        body: &'static str,
        builder: &mut EventBuilder,
    ) -> Result<Event, MapError> {
        let data = Bytes::from_static(body.as_bytes());
        mapping.apply(
            &Message(data.clone()),
            Some(data),
            Some("application/json"),
            builder,
        )
    }

    #[test]
    fn a_plain_message_becomes_the_event_that_the_section_says() {
        let event = apply(
            &plant(),
            r#"{"msgid":"m1","temp":21.5}"#,
            &mut EventBuilder::new(),
        )
        .unwrap();
        assert_eq!(
            (event.id(), event.ty(), event.source()),
            ("m1", "com.acme.temperature", "weft://paris/plant")
        );
        assert_eq!(event.subject(), Some("7"));
        assert_eq!(event.datacontenttype(), Some("application/json"));
        let celsius = event.get("celsius").unwrap();
        assert_eq!((celsius.kind, celsius.text), (AttrKind::Integer, "22"));
        assert_eq!(event.data().unwrap(), r#"{"msgid":"m1","temp":21.5}"#);
        let generated = apply(&plant(), r#"{"temp":1}"#, &mut EventBuilder::new()).unwrap();
        assert_eq!(generated.id().len(), 36);
    }

    #[test]
    fn a_missing_value_rejects_the_message_and_names_the_field() {
        let mut builder = EventBuilder::new();
        let error = apply(&plant(), "{}", &mut builder).unwrap_err();
        let MapError::Missing { attribute, source } = &error else {
            panic!("{error}")
        };
        assert_eq!(
            (&**attribute, &*source.field, source.why),
            ("celsius", "data.temp", Why::Missing)
        );
        assert!(
            error
                .to_string()
                .contains("attribute celsius: {data.temp} is missing"),
            "{error}"
        );
        assert!(!builder.has("type"), "the builder was not emptied");
        let hostile = apply(&plant(), r#"{"msgid":"a\nb","temp":1}"#, &mut builder).unwrap_err();
        assert!(matches!(hostile, MapError::Invalid(invalid) if invalid.rule == Broken::ControlCharacter));
    }

    #[test]
    fn what_the_transport_set_stays_unless_the_section_sets_it() {
        let mut builder = EventBuilder::new();
        builder
            .id("transport")
            .subject("transport")
            .time("2026-01-01T00:00:00Z")
            .source("/own")
            .datacontenttype("text/plain");
        let event = apply(&plant(), r#"{"msgid":"m1","temp":1}"#, &mut builder).unwrap();
        assert_eq!(
            (event.id(), event.subject(), event.source()),
            ("m1", Some("7"), "/own")
        );
        assert_eq!(event.time(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(event.datacontenttype(), Some("text/plain"));
    }

    #[test]
    fn compiling_names_all_faults_at_once() {
        let section = [
            ("Bad", "x"),
            ("data", "{topic}"),
            ("specversion", "1.0"),
            ("time", "yesterday"),
            ("source", "a b"),
            ("subject", "{nothing}"),
            ("good", "{topic}"),
        ];
        let errors = PlainMapping::compile(section, DEFAULTS, &Scope::MQTT_INGRESS).unwrap_err();
        let attributes: Vec<_> = errors.iter().map(|error| error.attribute.as_str()).collect();
        assert_eq!(
            attributes,
            ["Bad", "data", "specversion", "time", "source", "subject"]
        );
        assert_eq!(errors[5].column, 2);
        assert!(errors[3].what.contains("RFC 3339"), "{}", errors[3]);
    }

    #[test]
    fn accept_reads_its_three_words() {
        use crate::mapping::Accept;
        for (word, accept, plain, cloudevents) in [
            ("\"cloudevents\"", Accept::CloudEvents, false, true),
            ("\"plain\"", Accept::Plain, true, false),
            ("\"both\"", Accept::Both, true, true),
        ] {
            let read: Accept = serde_json::from_str(word).unwrap();
            assert_eq!(
                (read, read.plain(), read.cloudevents()),
                (accept, plain, cloudevents)
            );
        }
    }
}
