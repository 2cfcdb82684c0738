//! What serde says went wrong, with the place where it did.
//!
//! Invariant: no text that came out of `${...}` gets into a message.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::node::{Node, Span, Value};
use super::words::{Hint, describe, did_you_mean, hint, in_two, in_words, list, remedy, shown};
use super::{Finding, Severity};

/// One step from a node to the node below it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Under this key of a mapping.
    Key(String),
    /// At this place of a list.
    Index(usize),
}

/// serde's error: gets its place from the innermost node that it passes on its way up, and a step from each.
#[derive(Debug)]
pub(super) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    place: Option<Place>,
    trail: Vec<Step>,
}

/// Which rule was broken.
#[derive(Debug)]
pub(super) enum Kind {
    /// A mapping has a key that nobody reads.
    Unknown {
        key: String,
        span: Option<Span>,
        known: &'static [&'static str],
    },
    /// A mapping lacks a key.
    Missing { key: &'static str },
    /// A word that is none of those that may stand here.
    Variant {
        found: String,
        known: &'static [&'static str],
    },
    /// Another type or range.
    Wrong { expected: String },
    /// Whatever a type's own code objects to.
    Other { message: String },
}

#[derive(Debug)]
struct Place {
    span: Span,
    path: String,
    found: String,
    hint: Hint,
    secrets: Vec<String>,
}

impl Fault {
    fn new(kind: Kind) -> Fault {
        Fault(Box::new(Inner {
            kind,
            place: None,
            trail: Vec::new(),
        }))
    }

    /// Which rule was broken.
    pub(super) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Says where, unless a node further in has said it.
    pub(super) fn at(mut self, node: &Node) -> Fault {
        if self.0.place.is_none() {
            if let (Kind::Unknown { key, span, .. }, Value::Map(entries)) = (&mut self.0.kind, &node.value) {
                *span = entries
                    .iter()
                    .find(|(k, _)| k.name == *key)
                    .map(|(k, _)| k.span.clone());
            }
            let mut secrets = Vec::new();
            collect_secrets(node, &mut secrets);
            self.0.place = Some(Place {
                span: node.span.clone(),
                path: node.path.to_string(),
                found: describe(node),
                hint: hint(node),
                secrets,
            });
        }
        self
    }

    /// Notes one step of the way from the root.
    pub(super) fn under(mut self, step: Step) -> Fault {
        self.0.trail.push(step);
        self
    }

    /// The way from the root to the node at fault.
    pub(super) fn trail(&self) -> Vec<Step> {
        self.0.trail.iter().rev().cloned().collect()
    }

    /// The path of the node at fault.
    pub(super) fn path(&self) -> &str {
        self.0.place.as_ref().map_or("", |place| &place.path)
    }

    /// In words. `root` stands in where no node was reached.
    pub(super) fn finding(self, root: &Node) -> Finding {
        let Inner { kind, place, .. } = *self.at(root).0;
        let Some(Place {
            span,
            path,
            found,
            hint,
            secrets,
        }) = place
        else {
            unreachable!("at() has just set the place")
        };
        let key = path.rsplit('.').next().unwrap_or_default().to_owned();
        let (span, path, what, remedy) = match kind {
            Kind::Unknown { key, span: at, known } => {
                let remedy = did_you_mean(&key, known, "keys that may stand here");
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                (
                    at.unwrap_or(span),
                    path,
                    format!("unknown key `{}`", shown(&key)),
                    remedy,
                )
            }
            Kind::Missing { key } => {
                let of = if path.is_empty() {
                    "the file".to_owned()
                } else {
                    format!("`{path}`")
                };
                let remedy = format!("add `{key}: ...` to it");
                (span, path, format!("{of} needs the key `{key}`"), remedy)
            }
            Kind::Variant { found: word, known } => {
                let word = if secrets.is_empty() {
                    format!("`{}`", shown(&word))
                } else {
                    found
                };
                let remedy = match secrets.is_empty() {
                    true => did_you_mean(word.trim_matches('`'), known, "words that may stand here"),
                    false => format!("words that may stand here: {}", list(known)),
                };
                (
                    span,
                    path,
                    format!("{word} is not one of the words that may stand here"),
                    remedy,
                )
            }
            Kind::Wrong { expected } => {
                let (human, example) = in_words(&expected);
                let remedy = remedy(&expected, hint, &key, example);
                (span, path, format!("expected {human}, found {found}"), remedy)
            }
            Kind::Other { message } => {
                let (what, remedy) = in_two(&message, &key, &found);
                (span, path, masked(what, &secrets), masked(remedy, &secrets))
            }
        };
        Finding {
            severity: Severity::Error,
            span,
            path,
            what,
            remedy,
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Fault {
        Fault::new(Kind::Other {
            message: message.to_string(),
        })
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::new(Kind::Wrong {
            expected: expected.to_string(),
        })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::new(Kind::Wrong {
            expected: expected.to_string(),
        })
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Fault {
        Fault::new(Kind::Wrong {
            expected: expected.to_string(),
        })
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Fault {
        Fault::new(Kind::Variant {
            found: found.to_owned(),
            known,
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Fault {
        Fault::new(Kind::Unknown {
            key: key.to_owned(),
            span: None,
            known,
        })
    }

    fn missing_field(key: &'static str) -> Fault {
        Fault::new(Kind::Missing { key })
    }
}

fn collect_secrets(node: &Node, into: &mut Vec<String>) {
    match &node.value {
        Value::Text(text) if node.secret && !text.is_empty() => into.push(text.clone()),
        Value::List(nodes) => nodes.iter().for_each(|node| collect_secrets(node, into)),
        Value::Map(entries) => entries.iter().for_each(|(_, node)| collect_secrets(node, into)),
        _ => {}
    }
}

fn masked(mut message: String, secrets: &[String]) -> String {
    for secret in secrets {
        message = message.replace(secret.as_str(), "***");
    }
    message
}
