//! Why attributes do not make an event: the rule that was broken, with the attribute and a bounded excerpt of
//! its value.
//!
//! Invariant: what an error prints is bounded and has no control characters, since the value is a stranger's.

use std::fmt;

use super::layout::{BLOCK_MAX, NAME_MAX};

/// How much of a name or value an error quotes, in bytes.
const EXCERPT_MAX: usize = 64;

/// A rule of CloudEvents 1.0.2 (or a stated bound of Weft) that an attribute broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// `id`, `source`, `type` or (in a format that has it) `specversion` is missing.
    Required,
    /// The value is empty where it must not be.
    Empty,
    /// `specversion` is not `1.0`.
    SpecVersion,
    /// The name has other characters than `a-z` and `0-9`, or none.
    Name,
    /// The name is longer than 255 bytes.
    NameLength,
    /// The name is one that event formats use themselves.
    Reserved,
    /// A control character, U+0000-U+001F or U+007F-U+009F.
    ControlCharacter,
    /// A code point that Unicode calls a noncharacter.
    Noncharacter,
    /// Not `true` or `false`.
    Boolean,
    /// Not an integer of 32 bits in its canonical form.
    Integer,
    /// Not base64.
    Binary,
    /// Not a URI with a scheme.
    Uri,
    /// Not a URI-reference.
    UriReference,
    /// Not an RFC 3339 timestamp.
    Timestamp,
    /// Not an RFC 2046 media type.
    MediaType,
    /// All attributes together are larger than an event's block can be.
    TooLarge,
}

impl Rule {
    /// Whether the attribute's name is at fault, whatever its value.
    pub fn is_about_names(self) -> bool {
        matches!(self, Rule::Name | Rule::NameLength | Rule::Reserved)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Required => "is required (CloudEvents 1.0.2, REQUIRED Attributes) and is missing",
            Rule::Empty => "must not be empty (CloudEvents 1.0.2, Context Attributes)",
            Rule::SpecVersion => "must be 1.0, the only version that is spoken here",
            Rule::Name => "is no attribute name: use only a-z and 0-9 (CloudEvents 1.0.2, Naming Conventions)",
            Rule::NameLength => return write!(f, "has a name of more than {NAME_MAX} bytes; 20 are advised"),
            Rule::Reserved => "is a reserved name, no attribute may have it (CloudEvents 1.0.2, Naming Conventions)",
            Rule::ControlCharacter => {
                "has a control character, U+0000-U+001F or U+007F-U+009F (CloudEvents 1.0.2, Type System: String)"
            }
            Rule::Noncharacter => "has a Unicode noncharacter (CloudEvents 1.0.2, Type System: String)",
            Rule::Boolean => "must be true or false (CloudEvents 1.0.2, Type System: Boolean)",
            Rule::Integer => {
                "must be a whole number from -2147483648 to 2147483647, without sign +, leading zeros, fraction or \
                 exponent (CloudEvents 1.0.2, Type System: Integer)"
            }
            Rule::Binary => "must be base64, RFC 4648 section 4 with padding (CloudEvents 1.0.2, Type System: Binary)",
            Rule::Uri => "must be a URI with a scheme, RFC 3986 (CloudEvents 1.0.2, Type System: URI)",
            Rule::UriReference => {
                "must be a URI-reference, RFC 3986 section 4.1: percent-encode spaces and what is not ASCII \
                 (CloudEvents 1.0.2, Type System: URI-reference)"
            }
            Rule::Timestamp => {
                "must be an RFC 3339 timestamp like 2026-01-31T12:00:00Z (CloudEvents 1.0.2, Type System: Timestamp)"
            }
            Rule::MediaType => "must be a media type like application/json, RFC 2046 (CloudEvents 1.0.2, datacontenttype)",
            Rule::TooLarge => return write!(f, "makes the attributes larger than {BLOCK_MAX} bytes"),
        })
    }
}

/// The producer's fault: these attributes are no CloudEvent. To send the same again will fail the same way.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("attribute {attribute:?} {rule}{}", quoted(.value))]
pub struct InvalidEvent {
    /// The attribute's name, at most 64 bytes of it, escaped.
    pub attribute: Box<str>,
    /// What it broke.
    pub rule: Rule,
    /// The value's start, at most 64 bytes of it, escaped; empty where the name is at fault or nothing was
    /// there.
    pub value: Box<str>,
}

impl InvalidEvent {
    /// Cuts and escapes both texts.
    pub(super) fn new(attribute: &str, rule: Rule, value: &str) -> InvalidEvent {
        InvalidEvent {
            attribute: excerpt(attribute),
            rule,
            value: excerpt(value),
        }
    }
}

fn quoted(value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else {
        format!(", it is \"{value}\"")
    }
}

/// The text's start without control characters, for an error or a log.
pub(super) fn excerpt(text: &str) -> Box<str> {
    let mut end = text.len().min(EXCERPT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out: String = text[..end].escape_debug().collect();
    if end < text.len() {
        out.push_str("...");
    }
    out.into()
}
