//! Reads `event:` of an ingress: the same for every connector, with the place of every mistake.

use std::borrow::Cow;

use super::plain::{PlainDefaults, PlainMapping};
use crate::config::{Finding, Node, Value};
use crate::connector::IngressSettings;
use crate::template::Scope;

impl PlainMapping {
    /// Reads and compiles `event:` for a connector whose messages are, unless the file says otherwise, of type `ty`
    /// and identified by `id`; both are template texts. The default source is [`IngressSettings::default_source`].
    ///
    /// `section` is the connector's own: the place of a mistake in a file that has no `event:`.
    ///
    /// # Errors
    /// Every mistake, each at its attribute.
    pub fn read(
        settings: &IngressSettings,
        section: &Node,
        ty: &str,
        id: &str,
        scope: &Scope,
    ) -> Result<PlainMapping, Vec<Finding>> {
        let (texts, mut findings) = settings.event.as_ref().map(texts).unwrap_or_default();
        // The names of cluster and ingress have no braces; a template takes them as they are.
        let source = settings.default_source();
        let defaults = PlainDefaults {
            ty,
            source: &source,
            id,
        };
        let pairs = texts.iter().map(|(name, text)| (*name, text.as_ref()));
        match PlainMapping::compile(pairs, defaults, scope) {
            Ok(mapping) if findings.is_empty() => Ok(mapping),
            Ok(_) => Err(findings),
            Err(errors) => {
                let event = settings.event.as_ref().unwrap_or(section);
                findings.extend(errors.into_iter().map(|error| {
                    let what = format!("{} (column {} of the template)", error.what, error.column);
                    Finding::error(event.get(&error.attribute).unwrap_or(event), what, error.remedy)
                }));
                Err(findings)
            }
        }
    }
}

/// The attributes with their template texts, and what is none.
fn texts(event: &Node) -> (Vec<(&str, Cow<'_, str>)>, Vec<Finding>) {
    let (mut texts, mut findings) = (Vec::new(), Vec::new());
    match &event.value {
        Value::Null => {}
        Value::Map(entries) => {
            for (key, value) in entries {
                match text(value) {
                    Some(text) => texts.push((key.name.as_str(), text)),
                    None => findings.push(Finding::error(
                        value,
                        "an attribute is made from text",
                        "write a template such as \"{data.id}\"",
                    )),
                }
            }
        }
        _ => findings.push(Finding::error(
            event,
            "expected a mapping of attributes to templates",
            "write type: com.example.hello",
        )),
    }
    (texts, findings)
}

/// A scalar as it would be written.
fn text(node: &Node) -> Option<Cow<'_, str>> {
    match &node.value {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Int(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Owned(flag.to_string())),
        Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;
    use crate::config::{Key, Span};
    use crate::event::EventBuilder;
    use crate::template::Inputs;

    struct Nothing;

    impl Inputs for Nothing {}

    fn node(path: &str, value: Value) -> Node {
        Node {
            value,
            span: span(),
            path: Arc::from(path),
            secret: false,
        }
    }

    fn span() -> Span {
        Span {
            file: Arc::from("test.yaml"),
            line: 1,
            column: 1,
        }
    }

    fn read(event: Option<Value>) -> Result<PlainMapping, Vec<Finding>> {
        let settings = IngressSettings {
            name: Arc::from("plant"),
            node: Arc::from("n"),
            cluster: Arc::from("paris"),
            accept: None,
            event: event.map(|value| node("event", value)),
            window: None,
            event_max: 1000,
            client_memory: 0,
            log: false,
        };
        let section = node("mqtt", Value::Map(Vec::new()));
        PlainMapping::read(&settings, &section, "weft.test", "{uuid}", &Scope::MQTT_INGRESS)
    }

    fn map(entries: Vec<(&str, Value)>) -> Value {
        let entry = |(name, value): (&str, Value)| {
            let key = Key {
                name: name.to_owned(),
                span: span(),
            };
            (key, node(&format!("event.{name}"), value))
        };
        Value::Map(entries.into_iter().map(entry).collect())
    }

    #[test]
    fn a_file_without_the_section_has_the_defaults() {
        for event in [None, Some(Value::Null), Some(map(vec![]))] {
            let mapping = read(event).unwrap();
            let event = mapping
                .apply(&Nothing, None, None, &mut EventBuilder::new())
                .unwrap();
            assert_eq!((event.ty(), event.source()), ("weft.test", "weft://paris/plant"));
            assert_eq!(event.id().len(), 36);
        }
    }

    #[test]
    fn scalars_stand_for_their_text() {
        let section = map(vec![
            ("type", Value::Text("a".into())),
            ("n", Value::Int(7)),
            ("b", Value::Bool(true)),
        ]);
        let event = read(Some(section))
            .unwrap()
            .apply(&Nothing, None, None, &mut EventBuilder::new())
            .unwrap();
        let all: Vec<_> = event
            .extensions()
            .map(|(name, value)| (name, value.text))
            .collect();
        assert_eq!((event.ty(), all), ("a", vec![("n", "7"), ("b", "true")]));
    }

    #[test]
    fn every_mistake_is_told_at_its_attribute() {
        let section = map(vec![
            ("type", Value::List(Vec::new())),
            ("subject", Value::Text("{nothing}".into())),
            ("ok", Value::Text("{topic}".into())),
            ("BAD", Value::Text("x".into())),
        ]);
        let findings = read(Some(section)).unwrap_err();
        let paths: Vec<_> = findings.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["event.type", "event.subject", "event.BAD"]);
        assert!(
            findings[1].what.ends_with("(column 2 of the template)"),
            "{}",
            findings[1]
        );
        let findings = read(Some(Value::Int(1))).unwrap_err();
        assert_eq!(findings[0].path, "event");
    }
}
