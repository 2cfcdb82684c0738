//! The values of CESQL and the casts between them (sections 3.1 and 3.7).
//!
//! Owns the three types, their zero values, and each cast. Invariant: neither a cast between numbers, booleans and
//! text nor the reading of an attribute allocates. Does not know operators.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::error::{Cause, Fault};
use crate::routing::{AttrKind, AttrValue};

/// A type of CESQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Boolean,
    /// A signed 32-bit integer.
    Integer,
    /// Text; URIs and timestamps are text.
    String,
}

/// What an expression evaluates to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A Boolean.
    Boolean(bool),
    /// An Integer.
    Integer(i32),
    /// A String.
    String(String),
}

impl Value {
    /// The type of the value.
    #[must_use]
    pub fn type_of(&self) -> Type {
        match self {
            Self::Boolean(_) => Type::Boolean,
            Self::Integer(_) => Type::Integer,
            Self::String(_) => Type::String,
        }
    }

    /// The zero value of a type: what an operator gives when it fails.
    #[must_use]
    pub fn zero(of: Type) -> Self {
        match of {
            Type::Boolean => Self::Boolean(false),
            Type::Integer => Self::Integer(0),
            Type::String => Self::String(String::new()),
        }
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "a Boolean",
            Self::Integer => "an Integer",
            Self::String => "a String",
        })
    }
}

/// Text in evaluation: borrowed wherever that can be.
#[derive(Debug)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Owned(String),
    /// An integer's digits: `-2147483648` is the longest.
    Number([u8; 11], u8),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
            Self::Number(digits, start) => std::str::from_utf8(&digits[usize::from(*start)..])
                .expect("only ASCII digits and a sign are written"),
        }
    }
}

impl<'a> Text<'a> {
    /// The part of the text that can outlive it, to name in a fault.
    pub(super) fn subject(&self) -> &'a str {
        match self {
            Self::Borrowed(text) => text,
            _ => "",
        }
    }

    pub(super) fn of_boolean(value: bool) -> Self {
        Self::Borrowed(if value { "true" } else { "false" })
    }

    pub(super) fn of_integer(value: i32) -> Self {
        let mut digits = [0; 11];
        let mut start = digits.len();
        let mut left = value.unsigned_abs();
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(left % 10).expect("a decimal digit");
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if value < 0 {
            start -= 1;
            digits[start] = b'-';
        }
        Self::Number(digits, u8::try_from(start).expect("below 11"))
    }

    /// Applies a function that keeps a part of the text, without a copy where the text is borrowed.
    pub(super) fn cut(self, keep: impl FnOnce(&str) -> std::ops::Range<usize>) -> Self {
        let range = keep(self.as_str());
        match self {
            Self::Borrowed(text) => Self::Borrowed(&text[range]),
            other => Self::Owned(other.as_str()[range].to_owned()),
        }
    }
}

/// `String -> Integer`: an optional sign and decimal digits that fit into 32 bits.
pub(super) fn integer(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// `String -> Boolean`: `true` or `false` in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The CESQL type that an attribute has: its own if that is a primitive type, else String (section 3.2).
pub(super) fn type_of(value: AttrValue<'_>) -> Type {
    match value.kind {
        AttrKind::Boolean => Type::Boolean,
        AttrKind::Integer => Type::Integer,
        _ => Type::String,
    }
}

/// An attribute cast to Integer.
pub(super) fn attribute_integer(value: AttrValue<'_>) -> Result<i32, Fault<'_>> {
    match value.kind {
        AttrKind::Boolean => Ok(i32::from(value.text == "true")),
        _ => integer(value.text).ok_or(Fault::new(Cause::Cast(Type::Integer), value.text)),
    }
}

/// An attribute cast to Boolean.
pub(super) fn attribute_boolean(value: AttrValue<'_>) -> Result<bool, Fault<'_>> {
    match value.kind {
        AttrKind::Integer => attribute_integer(value).map(|n| n != 0),
        _ => boolean(value.text).ok_or(Fault::new(Cause::Cast(Type::Boolean), value.text)),
    }
}

/// Cuts a text that goes into a message: events may carry long values.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 128;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
