//! One event as one line.
//!
//! Invariant: a line has no line break but its last character and no character that a terminal would obey.
//! Must not know: where lines go.

use std::io::Write;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::event::{Event, json};

/// What a line holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// The whole event in the CloudEvents JSON format, for other programs.
    #[default]
    Json,
    /// Type, source, id, subject and the data's size, for people.
    Summary,
}

/// Appends the event's line.
pub(super) fn write(event: &Event, mode: Mode, out: &mut Vec<u8>) {
    match mode {
        Mode::Json => {
            let mut encoded = Vec::new();
            json::encode(event, &mut encoded);
            one_line(&encoded, out);
        }
        Mode::Summary => summary(event, out),
    }
    out.push(b'\n');
}

/// Data that is JSON stands in the event as it came, line breaks and all. Between values a control character is white
/// space; within a string JSON allows DEL and the C1 controls (U+0080 to U+009F) as they are, and an escape says the
/// same.
fn one_line(encoded: &[u8], out: &mut Vec<u8>) {
    let mut bytes = encoded.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (0x00..=0x1f, _) => out.push(b' '),
            (0x7f, _) => out.extend_from_slice(b"\\u007f"),
            (0xc2, Some(&second @ 0x80..=0x9f)) => {
                bytes.next();
                escape(second, out);
            }
            _ => out.push(byte),
        }
    }
}

fn escape(control: u8, out: &mut Vec<u8>) {
    write_to(out, format_args!("\\u00{control:02x}"));
}

/// Attributes have no control characters: their validator sees to it.
fn summary(event: &Event, out: &mut Vec<u8>) {
    write_to(
        out,
        format_args!("{} source={} id={}", event.ty(), event.source(), event.id()),
    );
    if let Some(subject) = event.subject() {
        write_to(out, format_args!(" subject={subject}"));
    }
    if let Some(time) = event.time() {
        write_to(out, format_args!(" time={time}"));
    }
    write_to(
        out,
        format_args!(" data={} B", event.data().map_or(0, Bytes::len)),
    );
}

fn write_to(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a vector cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_api::event::EventBuilder;

    fn event(data: &'static str) -> Event {
        let mut builder = EventBuilder::new();
        builder
            .id("1")
            .source("/s")
            .ty("t")
            .subject("a/b")
            .datacontenttype("application/json");
        builder
            .data(Bytes::from_static(data.as_bytes()))
            .build()
            .expect("a valid event")
    }

    #[test]
    fn a_line_has_one_line_break_and_reads_back_as_the_same_event() {
        let event = event("{\n\t\"a\": \"x\u{9b}31m\u{7f}é\"\r\n}");
        let mut line = Vec::new();
        write(&event, Mode::Json, &mut line);
        let text = std::str::from_utf8(&line).expect("JSON is text");
        assert!(text.ends_with('\n'));
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        let back = json::decode(&Bytes::from(line)).expect("the line is an event");
        let value = |event: &Event| -> serde_json::Value {
            serde_json::from_slice(event.data().expect("it has data")).expect("the data is JSON")
        };
        assert_eq!(value(&back), value(&event));
        assert_eq!((back.id(), back.subject()), ("1", Some("a/b")));
    }

    #[test]
    fn a_summary_names_the_event_and_its_size() {
        let mut line = Vec::new();
        write(&event("{}"), Mode::Summary, &mut line);
        assert_eq!(
            String::from_utf8(line).expect("text"),
            "t source=/s id=1 subject=a/b data=2 B\n"
        );
    }
}
