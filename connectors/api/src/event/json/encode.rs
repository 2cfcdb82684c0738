//! Writes events as JSON.
//!
//! How data is written (section 3.1.1), so that it comes back byte for byte:
//! | content type | data | member |
//! |---|---|---|
//! | declares JSON | exactly one JSON value | `data`, the text as it is |
//! | declares text, in UTF-8 | UTF-8 | `data`, a string |
//! | any other, or none | any | `data_base64` |
//!
//! Without a content type a reader must assume JSON and set it, which would add an attribute; so that data
//! goes as base64. JSON with space around it goes as base64, too: readers drop the space.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::is_value;
use super::scan::plain_length;
use crate::event::rules::Media;
use crate::event::{AttrKind, Event};

/// Appends the event (JSON event format 1.0.2, section 3). It never fails: an [`Event`] is valid.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"specversion":"1.0""#);
    for (name, value) in event.attributes() {
        // A name has only letters and digits.
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match value.kind {
            AttrKind::Boolean | AttrKind::Integer => out.extend_from_slice(value.text.as_bytes()),
            _ => string(value.text, out),
        }
    }
    if let Some(data) = event.data() {
        member(event, data, out);
    }
    out.push(b'}');
}

/// Appends a batch (section 4).
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode(event, out);
    }
    out.push(b']');
}

fn member(event: &Event, data: &[u8], out: &mut Vec<u8>) {
    let media = event.datacontenttype().and_then(Media::parse);
    match media {
        Some(media) if media.is_json() && (event.json_data || is_value(data)) => {
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data);
            return;
        }
        Some(media) if !media.is_json() && media.is_text() && media.foreign_charset().is_none() => {
            if let Ok(text) = std::str::from_utf8(data) {
                out.extend_from_slice(b",\"data\":");
                string(text, out);
                return;
            }
        }
        _ => {}
    }
    out.extend_from_slice(b",\"data_base64\":\"");
    base64(data, out);
    out.push(b'"');
}

/// In pieces of whole quanta, since the engine appends to a `String` or a slice, never to a `Vec`.
fn base64(data: &[u8], out: &mut Vec<u8>) {
    let mut room = [0; 1024];
    for piece in data.chunks(768) {
        let length = STANDARD
            .encode_slice(piece, &mut room)
            .expect("768 bytes make 1024 of base64");
        out.extend_from_slice(&room[..length]);
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((first, after)) = special.split_first() else {
            break;
        };
        match first {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
        }
        rest = after;
    }
    out.push(b'"');
}
