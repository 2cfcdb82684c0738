//! What serde says went wrong, with the place where it did, put into words.
//!
//! Invariant: no text that came out of `${...}` gets into a message.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::node::{Node, Span, Value};
use super::suggest::nearest;
use super::{Finding, Severity};

/// Most keys that a message lists.
const LISTED_MAX: usize = 24;

/// Most characters of the file's text that a message shows.
const SHOWN_MAX: usize = 60;

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
    Unknown { key: String, span: Option<Span>, known: &'static [&'static str] },
    /// A mapping lacks a key.
    Missing { key: &'static str },
    /// A word that is none of those that may stand here.
    Variant { found: String, known: &'static [&'static str] },
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

/// What the value looks like, for the remedy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hint {
    Nothing,
    Number,
    QuotedNumber,
    Braces,
    Single,
    Other,
}

impl Fault {
    fn new(kind: Kind) -> Fault {
        Fault(Box::new(Inner { kind, place: None, trail: Vec::new() }))
    }

    /// Which rule was broken.
    pub(super) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Says where, unless a node further in has said it.
    pub(super) fn at(mut self, node: &Node) -> Fault {
        if self.0.place.is_none() {
            if let (Kind::Unknown { key, span, .. }, Value::Map(entries)) = (&mut self.0.kind, &node.value) {
                *span = entries.iter().find(|(k, _)| k.name == *key).map(|(k, _)| k.span.clone());
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
        let Some(Place { span, path, found, hint, secrets }) = place else {
            unreachable!("at() has just set the place")
        };
        let key = path.rsplit('.').next().unwrap_or_default().to_owned();
        let (span, path, what, remedy) = match kind {
            Kind::Unknown { key, span: at, known } => {
                let remedy = did_you_mean(&key, known, "keys that may stand here");
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                (at.unwrap_or(span), path, format!("unknown key `{}`", shown(&key)), remedy)
            }
            Kind::Missing { key } => {
                let of = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
                let remedy = format!("add `{key}: ...` to it");
                (span, path, format!("{of} needs the key `{key}`"), remedy)
            }
            Kind::Variant { found: word, known } => {
                let word = if secrets.is_empty() { format!("`{}`", shown(&word)) } else { found };
                let remedy = match secrets.is_empty() {
                    true => did_you_mean(word.trim_matches('`'), known, "words that may stand here"),
                    false => format!("words that may stand here: {}", list(known)),
                };
                (span, path, format!("{word} is not one of the words that may stand here"), remedy)
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
        Finding { severity: Severity::Error, span, path, what, remedy }
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
        Fault::new(Kind::Other { message: message.to_string() })
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::new(Kind::Wrong { expected: expected.to_string() })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::new(Kind::Wrong { expected: expected.to_string() })
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Fault {
        Fault::new(Kind::Wrong { expected: expected.to_string() })
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Fault {
        Fault::new(Kind::Variant { found: found.to_owned(), known })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Fault {
        Fault::new(Kind::Unknown { key: key.to_owned(), span: None, known })
    }

    fn missing_field(key: &'static str) -> Fault {
        Fault::new(Kind::Missing { key })
    }
}

/// A type's own message, parted into what is wrong and what to write instead.
fn in_two(message: &str, key: &str, found: &str) -> (String, String) {
    // The standard library's words for an address that is none do not say what would be.
    if message == "invalid socket address syntax" {
        let what = format!("expected an address with a port, found {found}");
        return (what, format!("for example `{key}: 127.0.0.1:8080`"));
    }
    let parted = message.split_once("; ").or_else(|| {
        let at = message.find(": write ")?;
        Some((&message[..at], &message[at + 2..]))
    });
    let (what, remedy) = parted.unwrap_or((message, ""));
    (what.to_owned(), remedy.to_owned())
}

/// What stands at `node`, as a message may show it.
pub(super) fn describe(node: &Node) -> String {
    if node.secret {
        return "a value out of `${...}`".to_owned();
    }
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Int(value) => format!("the number {value}"),
        Value::Float(value) => format!("the number {value}"),
        Value::Text(text) => format!("the text \"{}\"", shown(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

fn hint(node: &Node) -> Hint {
    match &node.value {
        Value::Null => Hint::Nothing,
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Hint::Number,
        Value::Text(text) if text.trim().parse::<f64>().is_ok() => Hint::QuotedNumber,
        Value::Text(_) => Hint::Single,
        // `{data.id}` without quotes.
        Value::Map(entries) if matches!(entries.as_slice(), [(_, only)] if matches!(only.value, Value::Null)) => {
            Hint::Braces
        }
        Value::List(_) | Value::Map(_) => Hint::Other,
    }
}

/// serde's name of a type in words, and an example of a value.
fn in_words(expected: &str) -> (String, &'static str) {
    let whole = |low: &str, high: &str| format!("a whole number from {low} to {high}");
    match expected {
        "a boolean" => ("`true` or `false`".to_owned(), "true"),
        "a string" | "a character" => ("text".to_owned(), "some text"),
        "u8" => (whole("0", "255"), "1"),
        "u16" => (whole("0", "65535"), "8080"),
        "u32" => (whole("0", "4294967295"), "1000"),
        "u64" | "usize" => ("a whole number, 0 or more".to_owned(), "1000"),
        "i8" | "i16" | "i32" | "i64" | "isize" => ("a whole number".to_owned(), "1000"),
        "f32" | "f64" => ("a number".to_owned(), "0.5"),
        "a sequence" => ("a list".to_owned(), "[first, second]"),
        "a map" => ("a mapping".to_owned(), "{ name: value }"),
        // A non-zero type says `a nonzero u32`.
        other if other.starts_with("a nonzero ") => ("a whole number, 1 or more".to_owned(), "1"),
        other if other.starts_with("struct ") => ("a mapping".to_owned(), "{ name: value }"),
        other if other.starts_with("enum ") || other.contains("variant of enum") => ("a word".to_owned(), ""),
        other => (other.to_owned(), ""),
    }
}

fn remedy(expected: &str, hint: Hint, key: &str, example: &str) -> String {
    let text = matches!(expected, "a string" | "a character");
    let number = example.parse::<f64>().is_ok();
    match hint {
        Hint::Nothing => format!("give `{key}` a value, or leave the key out"),
        Hint::Number if text => "put it in quotes".to_owned(),
        Hint::Braces if text => "put it in quotes: without them, braces are a mapping".to_owned(),
        Hint::QuotedNumber if number => "check its range, and write it without quotes".to_owned(),
        Hint::Single if expected == "a sequence" => "put it in brackets: `[...]`".to_owned(),
        _ if example.is_empty() => match such_as(expected) {
            Some(example) => format!("for example `{key}: {example}`"),
            None => String::new(),
        },
        _ => match key.split_once('[') {
            Some((list, _)) => format!("for example `{list}: [{example}]`"),
            None => format!("for example `{key}: {example}`"),
        },
    }
}

/// The first example that an expectation names itself.
fn such_as(expected: &str) -> Option<&str> {
    let examples = expected.split_once("such as ")?.1;
    examples.split([',', ' ']).next()
}

fn did_you_mean(word: &str, known: &[&str], which: &str) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it: nothing may stand here".to_owned(),
        None => format!("{which}: {}", list(known)),
    }
}

fn list(known: &[&str]) -> String {
    let mut text = known.iter().take(LISTED_MAX).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    if known.len() > LISTED_MAX {
        text.push_str(", ...");
    }
    text
}

/// Bounded, and with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    // Quotes need no escape where they are only looked at.
    out = out.replace("\\'", "'").replace("\\\"", "\"");
    if text.chars().nth(SHOWN_MAX).is_some() {
        out.push_str("...");
    }
    out
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
