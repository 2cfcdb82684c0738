//! The headers that a destination's file adds to each request.
//!
//! Invariant: a value of an event cannot end a header: whatever is not printable ASCII is percent-encoded.

use http::{HeaderMap, HeaderName, HeaderValue};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};
use weft_api::template::{Scope, Template};

use super::target::Fault;

/// Headers that the connector or the protocol sets itself.
const OWN: [&str; 11] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
];

/// Compiled once, rendered for each event.
#[derive(Clone, Default, Debug)]
pub(crate) struct Headers {
    fixed: Vec<(HeaderName, HeaderValue)>,
    made: Vec<(HeaderName, Template)>,
}

impl Headers {
    /// Adds one from the file.
    pub(crate) fn add(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        let fault = |what: String, remedy: &str| Err((what, remedy.to_owned()));
        let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
            return fault(format!("{name:?} is no header name"), "use letters, digits and -");
        };
        if OWN.contains(&header.as_str()) || header.as_str().starts_with("ce-") {
            return fault(
                format!("header {header} is made from the event or by the protocol"),
                "take it away; use a route's `add` for attributes",
            );
        }
        let template = Template::parse(value, &Scope::EGRESS)
            .map_err(|error| (format!("column {}: {}", error.column, error.what), error.remedy))?;
        match template.as_constant() {
            None => self.made.push((header, template)),
            Some(text) => {
                let mut safe = String::new();
                // It may be a secret: never shown.
                let _ = printable(text, &mut safe);
                match HeaderValue::from_str(&safe) {
                    Ok(mut value) => {
                        value.set_sensitive(header == http::header::AUTHORIZATION);
                        self.fixed.push((header, value));
                    }
                    Err(_) => return fault("the value is not one line of text".into(), "write one line"),
                }
            }
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.fixed.len() + self.made.len()
    }

    /// Renders them for an event.
    pub(crate) fn render(&self, event: &Event, headers: &mut HeaderMap) -> Result<(), SendError> {
        for (name, value) in &self.fixed {
            headers.insert(name.clone(), value.clone());
        }
        for (name, template) in &self.made {
            let mut text = String::new();
            let fault = |why: String| {
                SendError::event(
                    Reason::Address,
                    format!("filling header {name}: {why}; correct the event, or give the template an else"),
                )
            };
            template
                .render_guarded(event, &printable, &mut text)
                .map_err(|error| fault(error.to_string()))?;
            let value =
                HeaderValue::from_str(&text).map_err(|_| fault("it is not one line of text".into()))?;
            headers.insert(name.clone(), value);
        }
        Ok(())
    }
}

/// A guard: printable ASCII and space pass, every other byte is percent-encoded.
fn printable(value: &str, out: &mut String) -> Result<(), &'static str> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if matches!(byte, 0x20..=0x7e) {
            out.push(char::from(byte));
        } else {
            out.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use weft_api::event::EventBuilder;

    #[test]
    fn values_are_rendered_as_one_printable_line() {
        let event = EventBuilder::new()
            .id("1")
            .source("/s")
            .ty("t")
            .subject("caf\u{e9} au lait")
            .build()
            .unwrap();
        let mut headers = Headers::default();
        headers.add("X-Who", "for {subject}").unwrap();
        headers.add("authorization", "Bearer abc").unwrap();
        let mut map = HeaderMap::new();
        headers.render(&event, &mut map).unwrap();
        assert_eq!(map["x-who"], "for caf%C3%A9 au lait");
        assert!(map["authorization"].is_sensitive());
    }

    #[test]
    fn a_line_break_cannot_be_put_in() {
        let mut out = String::new();
        printable("a\r\nx: y\u{85}", &mut out).unwrap();
        assert_eq!(out, "a%0D%0Ax: y%C2%85");
    }

    #[test]
    fn our_own_headers_cannot_be_overwritten() {
        for name in ["ce-id", "Content-Type", "HOST", "transfer-encoding", "no good"] {
            assert!(Headers::default().add(name, "x").is_err(), "{name}");
        }
    }
}
