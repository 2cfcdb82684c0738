//! The words in which mistakes are told: what was found, what is expected, an example, the nearest name.
//!
//! Invariant: what is shown of a file's text is bounded, and has no control characters.

use super::node::{Node, Value};
use super::suggest::nearest;

/// Most keys that a message lists.
const LISTED_MAX: usize = 24;

/// Most characters of the file's text that a message shows.
const SHOWN_MAX: usize = 60;

/// What the value looks like, for the remedy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hint {
    Nothing,
    Number,
    QuotedNumber,
    Braces,
    Single,
    Other,
}

/// A type's own message, parted into what is wrong and what to write instead.
pub(super) fn in_two(message: &str, key: &str, found: &str) -> (String, String) {
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

pub(super) fn hint(node: &Node) -> Hint {
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
pub(super) fn in_words(expected: &str) -> (String, &'static str) {
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
        other if other.starts_with("struct ") => ("a mapping".to_owned(), ""),
        other if other.starts_with("enum ") || other.contains("variant of enum") => ("a word".to_owned(), ""),
        other => (other.to_owned(), ""),
    }
}

pub(super) fn remedy(expected: &str, hint: Hint, key: &str, example: &str) -> String {
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
            None if expected.starts_with("struct ") => {
                format!("write the keys of `{key}` in it (docs/configuration.md), or leave it out")
            }
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

pub(super) fn did_you_mean(word: &str, known: &[&str], which: &str) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it: nothing may stand here".to_owned(),
        None => format!("{which}: {}", list(known)),
    }
}

pub(super) fn list(known: &[&str]) -> String {
    let mut text = known
        .iter()
        .take(LISTED_MAX)
        .map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if known.len() > LISTED_MAX {
        text.push_str(", ...");
    }
    text
}

/// Bounded, and with control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(SHOWN_MAX)
        .flat_map(char::escape_debug)
        .collect();
    // Quotes need no escape where they are only looked at.
    out = out.replace("\\'", "'").replace("\\\"", "\"");
    if text.chars().nth(SHOWN_MAX).is_some() {
        out.push_str("...");
    }
    out
}
