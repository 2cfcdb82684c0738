//! Values of application properties to attribute values and back (AMQP binding, 3.1.3.2).
//!
//! | CloudEvents | AMQP | back |
//! |---|---|---|
//! | Boolean | boolean | the same |
//! | Integer | long | the same; any integer type is read, one past 32 bits as a String of its digits |
//! | String, URI, URI-reference | string | a String of the same text (core attributes have their own type) |
//! | Binary | binary | the same |
//! | Timestamp | timestamp where [`millis::exact`] | the same |
//! | any other Timestamp | string | a String of the same text (`time` has its own type) |
//!
//! Invariant: the text of an attribute comes back byte for byte.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weft_amqp_wire::value::ValueRef;
use weft_api::event::{AttrKind, AttrValue, EventBuilder};

use super::millis;

/// Bytes of base64 that are decoded on the stack.
const SMALL: usize = 256;

/// Sets an attribute from a value. Null sets nothing: it is an absent attribute.
///
/// # Errors
/// What is wrong with the value.
pub(crate) fn set(
    builder: &mut EventBuilder,
    name: &str,
    value: ValueRef<'_>,
    scratch: &mut String,
) -> Result<(), &'static str> {
    // Some clients know no timestamps and send the number.
    let value = match (name, value.as_i64()) {
        ("time", Some(ms)) => ValueRef::Timestamp(ms),
        _ => value,
    };
    scratch.clear();
    let (kind, text) = match value {
        ValueRef::Null => return Ok(()),
        ValueRef::String(text) | ValueRef::Symbol(text) => (AttrKind::String, text),
        ValueRef::Timestamp(ms) => {
            let text = millis::Text::of(ms).ok_or("is a time outside of the years 0 to 9999")?;
            builder.set(name, AttrKind::Timestamp, text.as_str());
            return Ok(());
        }
        other => (text_of(other, scratch)?, scratch.as_str()),
    };
    builder.set(name, kind, text);
    Ok(())
}

/// Appends a scalar's text, and says which type it has.
///
/// # Errors
/// What is wrong with the value.
pub(crate) fn text_of(value: ValueRef<'_>, out: &mut String) -> Result<AttrKind, &'static str> {
    let kind = match value {
        ValueRef::Null => return Err("has no value"),
        ValueRef::String(text) | ValueRef::Symbol(text) => {
            out.push_str(text);
            AttrKind::String
        }
        ValueRef::Bool(value) => {
            out.push_str(if value { "true" } else { "false" });
            AttrKind::Boolean
        }
        ValueRef::Timestamp(ms) => {
            let text = millis::Text::of(ms).ok_or("is a time outside of the years 0 to 9999")?;
            out.push_str(text.as_str());
            AttrKind::Timestamp
        }
        ValueRef::Binary(bytes) => {
            STANDARD.encode_string(bytes, out);
            AttrKind::Binary
        }
        ValueRef::Char(char) => {
            out.push(char);
            AttrKind::String
        }
        ValueRef::Uuid(bytes) => {
            uuid(&bytes, out);
            AttrKind::String
        }
        // Writing to a `String` does not fail.
        ValueRef::Float(number) => {
            let _ = write!(out, "{number}");
            AttrKind::String
        }
        ValueRef::Double(number) => {
            let _ = write!(out, "{number}");
            AttrKind::String
        }
        ValueRef::Ulong(number) => {
            let _ = write!(out, "{number}");
            integer_or_text(i32::try_from(number).is_ok())
        }
        ValueRef::Decimal32(_) | ValueRef::Decimal64(_) | ValueRef::Decimal128(_) => {
            return Err("is a decimal, which no attribute can hold");
        }
        ValueRef::Compound(_) => {
            return Err("is a list, map, array or described value, which no attribute can hold");
        }
        whole => {
            let number = whole.as_i64().unwrap_or_default();
            let _ = write!(out, "{number}");
            integer_or_text(i32::try_from(number).is_ok())
        }
    };
    Ok(kind)
}

fn integer_or_text(fits: bool) -> AttrKind {
    if fits { AttrKind::Integer } else { AttrKind::String }
}

/// Appends a UUID in its usual form.
pub(crate) fn uuid(bytes: &[u8; 16], out: &mut String) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        hex(*byte, out);
    }
}

/// Appends two hexadecimal digits.
pub(crate) fn hex(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend([
        char::from(DIGITS[usize::from(byte >> 4)]),
        char::from(DIGITS[usize::from(byte & 15)]),
    ]);
}

/// Gives `put` an attribute's value in its native type where that says the same, else as its canonical text.
pub(crate) fn native<R>(value: AttrValue<'_>, put: impl FnOnce(ValueRef<'_>) -> R) -> R {
    let text = ValueRef::String(value.text);
    match value.kind {
        AttrKind::Boolean => put(ValueRef::Bool(value.text == "true")),
        AttrKind::Integer => put(value.text.parse().map_or(text, ValueRef::Long)),
        AttrKind::Timestamp => put(millis::exact(value.text).map_or(text, ValueRef::Timestamp)),
        AttrKind::Binary => {
            let mut room = [0; SMALL];
            match STANDARD.decode_slice(value.text, &mut room) {
                Ok(length) => put(ValueRef::Binary(room.get(..length).unwrap_or_default())),
                // Too long for the stack.
                Err(_) => match STANDARD.decode(value.text) {
                    Ok(bytes) => put(ValueRef::Binary(&bytes)),
                    // An attribute of type Binary is base64; its text would say the same.
                    Err(_) => put(text),
                },
            }
        }
        AttrKind::String | AttrKind::Uri | AttrKind::UriReference => put(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weft_api::event::Attributes;

    use super::*;

    fn take(name: &str, value: ValueRef<'_>) -> Option<(AttrKind, String)> {
        let mut builder = EventBuilder::new();
        builder.id("1").source("/s").ty("t");
        set(&mut builder, name, value, &mut String::new()).unwrap();
        let event = builder.build().unwrap();
        event.get(name).map(|value| (value.kind, value.text.to_owned()))
    }

    #[test]
    fn every_amqp_type_is_an_attribute_type() {
        let uuid = [
            0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00,
        ];
        for (value, kind, text) in [
            (ValueRef::Bool(true), AttrKind::Boolean, "true"),
            (ValueRef::Ubyte(7), AttrKind::Integer, "7"),
            (ValueRef::Ushort(7), AttrKind::Integer, "7"),
            (ValueRef::Uint(u32::MAX), AttrKind::String, "4294967295"),
            (
                ValueRef::Ulong(u64::MAX),
                AttrKind::String,
                "18446744073709551615",
            ),
            (ValueRef::Ulong(8), AttrKind::Integer, "8"),
            (ValueRef::Byte(-7), AttrKind::Integer, "-7"),
            (ValueRef::Short(-7), AttrKind::Integer, "-7"),
            (ValueRef::Int(i32::MIN), AttrKind::Integer, "-2147483648"),
            (
                ValueRef::Long(i64::from(i32::MAX)),
                AttrKind::Integer,
                "2147483647",
            ),
            (ValueRef::Long(i64::MIN), AttrKind::String, "-9223372036854775808"),
            (ValueRef::Float(0.5), AttrKind::String, "0.5"),
            (ValueRef::Double(-1.25), AttrKind::String, "-1.25"),
            (ValueRef::Char('é'), AttrKind::String, "é"),
            (
                ValueRef::Timestamp(1_522_949_460_250),
                AttrKind::Timestamp,
                "2018-04-05T17:31:00.250Z",
            ),
            (
                ValueRef::Uuid(uuid),
                AttrKind::String,
                "123e4567-e89b-12d3-a456-426614174000",
            ),
            (ValueRef::Binary(b"\x00\xff"), AttrKind::Binary, "AP8="),
            (ValueRef::String("x"), AttrKind::String, "x"),
            (ValueRef::Symbol("y"), AttrKind::String, "y"),
        ] {
            assert_eq!(take("ext", value), Some((kind, text.to_owned())), "{value:?}");
        }
        assert_eq!(take("ext", ValueRef::Null), None);
    }

    #[test]
    fn a_time_that_comes_as_a_number_is_milliseconds() {
        let expected = Some((AttrKind::Timestamp, "2018-04-05T17:31:00Z".to_owned()));
        for value in [
            ValueRef::Long(1_522_949_460_000),
            ValueRef::Ulong(1_522_949_460_000),
            ValueRef::Timestamp(1_522_949_460_000),
            ValueRef::String("2018-04-05T17:31:00Z"),
        ] {
            assert_eq!(take("time", value), expected, "{value:?}");
        }
    }

    #[test]
    fn what_no_attribute_can_hold_is_named() {
        let mut builder = EventBuilder::new();
        for value in [
            ValueRef::Decimal32(1),
            ValueRef::Decimal64(1),
            ValueRef::Decimal128([0; 16]),
            ValueRef::Timestamp(i64::MAX),
        ] {
            assert!(
                set(&mut builder, "ext", value, &mut String::new()).is_err(),
                "{value:?}"
            );
        }
    }

    #[test]
    fn the_text_of_every_attribute_type_comes_back() {
        let long = STANDARD.encode(vec![7u8; 1000]);
        for (kind, text, back) in [
            (AttrKind::String, "Euro €", AttrKind::String),
            (AttrKind::String, "", AttrKind::String),
            (AttrKind::Boolean, "true", AttrKind::Boolean),
            (AttrKind::Boolean, "false", AttrKind::Boolean),
            (AttrKind::Integer, "0", AttrKind::Integer),
            (AttrKind::Integer, "-2147483648", AttrKind::Integer),
            (AttrKind::Binary, "AP8=", AttrKind::Binary),
            (AttrKind::Binary, "", AttrKind::Binary),
            (AttrKind::Binary, &long, AttrKind::Binary),
            (AttrKind::Uri, "https://a/b", AttrKind::String),
            (AttrKind::UriReference, "/b", AttrKind::String),
            (AttrKind::Timestamp, "2018-04-05T17:31:00Z", AttrKind::Timestamp),
            (AttrKind::Timestamp, "2018-04-05T17:31:00.000Z", AttrKind::String),
            (AttrKind::Timestamp, "2018-04-05T17:31:00+02:00", AttrKind::String),
        ] {
            let taken = native(AttrValue { kind, text }, |value| take("ext", value));
            assert_eq!(taken, Some((back, text.to_owned())), "{kind:?} {text}");
        }
    }
}
