//! Message ids and correlation ids as text, and back.
//!
//! AMQP has ids of four types. The text of each is the convention that JMS clients follow: a string is its own text,
//! the others carry their type (`ID:AMQP_ULONG:42`). Invariant: what [`text`] makes, [`parse`] reads as the same id.

use std::fmt::Write;

use weft_amqp_wire::message::MessageId;

use super::value::{hex, uuid};

const PREFIX: &str = "ID:AMQP_";
const STRING: &str = "ID:AMQP_STRING:";
const ULONG: &str = "ID:AMQP_ULONG:";
const UUID: &str = "ID:AMQP_UUID:";
const BINARY: &str = "ID:AMQP_BINARY:";

/// Appends the text of an id.
pub(crate) fn text(id: MessageId<'_>, out: &mut String) {
    match id {
        MessageId::String(text) => {
            if text.starts_with(PREFIX) {
                out.push_str(STRING);
            }
            out.push_str(text);
        }
        MessageId::Ulong(number) => {
            out.push_str(ULONG);
            // Writing to a `String` does not fail.
            let _ = write!(out, "{number}");
        }
        MessageId::Uuid(bytes) => {
            out.push_str(UUID);
            uuid(&bytes, out);
        }
        MessageId::Binary(bytes) => {
            out.push_str(BINARY);
            for byte in bytes {
                hex(*byte, out);
            }
        }
    }
}

/// Whether an id has this text; a string has also its own.
pub(crate) fn is(id: MessageId<'_>, expected: &str) -> bool {
    match id {
        MessageId::String(own) if own == expected => true,
        MessageId::String(own) if !own.starts_with(PREFIX) => false,
        other => {
            let mut own = String::new();
            text(other, &mut own);
            own == expected
        }
    }
}

/// The id that has this text; a text that no id has is a string. `room` holds the bytes of a binary one.
pub(crate) fn parse<'a>(text: &'a str, room: &'a mut Vec<u8>) -> MessageId<'a> {
    if text.starts_with(PREFIX) {
        if let Some(number) = text.strip_prefix(ULONG).and_then(ulong) {
            return MessageId::Ulong(number);
        }
        if let Some(bytes) = text.strip_prefix(UUID).and_then(uuid_bytes) {
            return MessageId::Uuid(bytes);
        }
        if let Some(bytes) = text.strip_prefix(BINARY).and_then(unhex) {
            *room = bytes;
            return MessageId::Binary(room);
        }
        if let Some(string) = text.strip_prefix(STRING).filter(|rest| rest.starts_with(PREFIX)) {
            return MessageId::String(string);
        }
    }
    MessageId::String(text)
}

/// Only as [`text`] writes it.
fn ulong(digits: &str) -> Option<u64> {
    let number: u64 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let bare: String = text.chars().filter(|c| *c != '-').collect();
    let bytes: [u8; 16] = unhex(&bare)?.try_into().ok()?;
    let mut again = String::with_capacity(36);
    uuid(&bytes, &mut again);
    (again == text).then_some(bytes)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_any_type_comes_back_from_its_text() {
        let uuid = *b"\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00";
        for (id, expected) in [
            (MessageId::String("order-1"), "order-1"),
            (
                MessageId::String("ID:AMQP_ULONG:1"),
                "ID:AMQP_STRING:ID:AMQP_ULONG:1",
            ),
            (MessageId::Ulong(42), "ID:AMQP_ULONG:42"),
            (MessageId::Ulong(u64::MAX), "ID:AMQP_ULONG:18446744073709551615"),
            (
                MessageId::Uuid(uuid),
                "ID:AMQP_UUID:123e4567-e89b-12d3-a456-426614174000",
            ),
            (MessageId::Binary(b"\x00\xff"), "ID:AMQP_BINARY:00ff"),
            (MessageId::Binary(b""), "ID:AMQP_BINARY:"),
        ] {
            let mut out = String::new();
            text(id, &mut out);
            assert_eq!(out, expected);
            assert!(is(id, expected));
            assert_eq!(parse(&out, &mut Vec::new()), id, "{expected}");
        }
    }

    #[test]
    fn a_text_that_no_id_has_is_a_string_and_is_its_own() {
        for text in [
            "ID:AMQP_ULONG:042",
            "ID:AMQP_ULONG:-1",
            "ID:AMQP_UUID:123E4567-e89b-12d3-a456-426614174000",
            "ID:AMQP_UUID:12-3e4567-e89b-12d3-a456-426614174000",
            "ID:AMQP_BINARY:0",
            "ID:AMQP_BINARY:FF",
            "ID:AMQP_BINARY:é",
            "ID:AMQP_STRING:x",
            "ID:AMQP_",
            "",
        ] {
            let mut room = Vec::new();
            let id = parse(text, &mut room);
            assert_eq!(id, MessageId::String(text));
            assert!(is(id, text));
        }
        assert!(!is(MessageId::String("a"), "b"));
    }
}
