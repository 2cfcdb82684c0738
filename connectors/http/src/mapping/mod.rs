//! Between HTTP messages and events: the HTTP binding of CloudEvents 1.0.2.
//!
//! Owns: which of the binding's modes a message is in, and the two directions of each mode. Pure: no sockets, no
//! configuration beyond what is passed in. The error of every decoder is one bounded line about the sender's message.

pub mod binary;
pub mod structured;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use weft_api::event::{CLOUDEVENTS_BATCH_JSON, CLOUDEVENTS_JSON};
use weft_api::mapping::Accept;

/// How a message carries its event or events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Attributes in `ce-` headers, the data as the body (section 3.1).
    Binary,
    /// The whole event in the body (section 3.2).
    Structured,
    /// Several events in the body (section 3.3).
    Batch,
    /// No CloudEvent: the ingress' mapping makes it one.
    Plain,
}

/// A message whose mode is not spoken here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ModeError {
    /// An event format other than JSON.
    Format(String),
    /// JSON in another charset than UTF-8.
    Charset(String),
    /// No CloudEvent, where only those are taken.
    Plain,
    /// Two `content-type` headers, or one that is no text.
    ContentType,
}

/// Tells a message's mode by its headers (section 3).
///
/// Any `ce-` header says that a CloudEvent was meant: one that is incomplete is an error, never a plain message.
///
/// # Errors
/// A mode that cannot be read, or plain where `accept` wants CloudEvents.
pub fn mode(headers: &HeaderMap, accept: Accept) -> Result<Mode, ModeError> {
    if accept == Accept::Plain {
        return Ok(Mode::Plain);
    }
    if let Some(media) = content_type(headers)? {
        let (essence, parameters) = media.split_once(';').unwrap_or((media, ""));
        let essence = essence.trim();
        // Both media types and those of other formats begin alike (section 3).
        if starts_with_ignore_case(essence, "application/cloudevents") {
            let found = if essence.eq_ignore_ascii_case(CLOUDEVENTS_JSON) {
                Mode::Structured
            } else if essence.eq_ignore_ascii_case(CLOUDEVENTS_BATCH_JSON) {
                Mode::Batch
            } else {
                return Err(ModeError::Format(excerpt(essence)));
            };
            return match charset(parameters) {
                Some(name) if !name.eq_ignore_ascii_case("utf-8") => Err(ModeError::Charset(excerpt(name))),
                _ => Ok(found),
            };
        }
    }
    if headers.keys().any(|name| name.as_str().starts_with("ce-")) {
        return Ok(Mode::Binary);
    }
    if accept == Accept::Both {
        Ok(Mode::Plain)
    } else {
        Err(ModeError::Plain)
    }
}

/// The one `content-type`, where there is one.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Option<&str>, ModeError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ModeError::ContentType);
    }
    first
        .to_str()
        .map(|text| Some(text.trim()))
        .map_err(|_| ModeError::ContentType)
}

fn starts_with_ignore_case(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn charset(parameters: &str) -> Option<&str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    })
}

/// At most 64 characters of a stranger's text, without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    const EXCERPT_MAX: usize = 64;
    let mut out: String = text
        .chars()
        .take(EXCERPT_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(EXCERPT_MAX).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn the_content_type_tells_the_mode() {
        let both = Accept::Both;
        for (media, expected) in [
            ("application/cloudevents+json", Ok(Mode::Structured)),
            (
                "Application/CloudEvents+JSON ; charset=UTF-8",
                Ok(Mode::Structured),
            ),
            (
                "application/cloudevents+json; charset=\"utf-8\"",
                Ok(Mode::Structured),
            ),
            ("application/cloudevents-batch+json", Ok(Mode::Batch)),
            (
                "application/cloudevents+avro",
                Err(ModeError::Format("application/cloudevents+avro".into())),
            ),
            (
                "application/cloudevents",
                Err(ModeError::Format("application/cloudevents".into())),
            ),
            (
                "application/cloudevents+json; charset=utf-16",
                Err(ModeError::Charset("utf-16".into())),
            ),
            ("application/json", Ok(Mode::Plain)),
        ] {
            assert_eq!(
                mode(&headers(&[("content-type", media)]), both),
                expected,
                "{media}"
            );
        }
    }

    #[test]
    fn a_single_ce_header_makes_it_a_cloudevent() {
        let some = headers(&[("ce-id", "1"), ("content-type", "text/plain")]);
        assert_eq!(mode(&some, Accept::Both), Ok(Mode::Binary));
        assert_eq!(mode(&some, Accept::Plain), Ok(Mode::Plain));
        assert_eq!(mode(&headers(&[]), Accept::Both), Ok(Mode::Plain));
        assert_eq!(mode(&headers(&[]), Accept::CloudEvents), Err(ModeError::Plain));
    }

    #[test]
    fn two_content_types_are_refused() {
        let twice = headers(&[("content-type", "text/plain"), ("content-type", "text/html")]);
        assert_eq!(mode(&twice, Accept::Both), Err(ModeError::ContentType));
    }
}
