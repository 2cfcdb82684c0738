//! The JSON event format of CloudEvents 1.0.2, structured and batch.
//!
//! Owns: how an event is read from and written as JSON. Its own scanner walks the text once, without
//! recursion and without building values; the alternative, `serde_json::value::RawValue`, scans the data
//! twice and does not bound its depth.
//!
//! Invariants
//! - `decode(encode(event)) == event`, data bytes included, but for one thing that JSON cannot say: an
//!   extension of type Binary, URI, URI-reference or Timestamp comes back as a String of the same text.
//! - JSON data passes untouched: a slice of the input, big numbers and order of members as they were.
//! - No input recurses, and none allocates by a length that it merely claims (C33).
//!
//! Must not know: transports and their headers.

mod decode;
mod encode;
mod error;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use decode::{decode, decode_batch, decode_with};
pub use encode::{encode, encode_batch};
pub use error::{DecodeError, Member};
pub use scan::DEPTH_MAX;

/// The media type of one event.
pub const CLOUDEVENTS_JSON: &str = "application/cloudevents+json";
/// The media type of a batch.
pub const CLOUDEVENTS_BATCH_JSON: &str = "application/cloudevents-batch+json";

/// Whether the bytes are exactly one JSON value, at most [`DEPTH_MAX`] deep, with no space around it.
pub fn is_value(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut scanner = scan::Scanner::new(text);
    !text.starts_with(scan::is_space) && scanner.value().is_ok() && scanner.at() == text.len()
}

/// Walks a JSON document to the value under `path` and gives its text: a string's content unescaped, anything
/// else as it is written. `None` where the path leads nowhere, the value is `null`, or the document is no
/// JSON.
///
/// Of members with the same name the first one counts. The walk reads no further than the value and its
/// container needs.
pub fn lookup<'a>(document: &'a [u8], path: &[Step]) -> Option<Cow<'a, str>> {
    let text = std::str::from_utf8(document).ok()?;
    let mut scanner = scan::Scanner::new(text);
    for step in path {
        match step {
            Step::Member(name) => scanner.enter_member(name).ok()??,
            Step::Element(index) => scanner.enter_element(*index).ok()??,
        }
    }
    scanner.text().ok()?
}

/// One step of a path into a JSON document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A member of an object.
    Member(Box<str>),
    /// An element of an array, counted from 0.
    Element(usize),
}
