//! Bodies that are no bytes (maps, lists, numbers) as JSON, so that they become data without loss of what they say.
//!
//! | AMQP | JSON |
//! |---|---|
//! | null, boolean | null, `true`, `false` |
//! | integers, float, double | number, with the fewest digits that read back as the same; not-a-number and infinities as strings |
//! | string, symbol, char | string |
//! | timestamp | string, RFC 3339 |
//! | uuid | string |
//! | binary, decimals | string, base64 of the bytes |
//! | list, array | array |
//! | map whose keys are different strings or symbols | object, in the order of the map |
//! | any other map | array of `[key, value]` |
//! | described value, array of described values | `{"descriptor": ..., "value": ...}` |
//!
//! Invariant: recursion is bounded by the codec's own bound on depth, which a value has passed before it is here.

use std::collections::HashSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weft_amqp_wire::value::{Value, ValueRef};

use super::{millis, value};

/// Appends a value.
pub(crate) fn encode(value: &Value, out: &mut String) {
    if let Some(scalar) = value.scalar() {
        return encode_scalar(scalar, out);
    }
    match value {
        Value::List(items) => list(items, out),
        Value::Array(array) if array.descriptors().is_empty() => list(array.items(), out),
        // Described elements: the descriptors stand once, for all of them.
        Value::Array(array) => {
            for descriptor in array.descriptors() {
                out.push_str("{\"descriptor\":");
                encode(descriptor, out);
                out.push_str(",\"value\":");
            }
            list(array.items(), out);
            out.extend(array.descriptors().iter().map(|_| '}'));
        }
        Value::Map(entries) => map(entries, out),
        Value::Described(described) => {
            out.push_str("{\"descriptor\":");
            encode(&described.descriptor, out);
            out.push_str(",\"value\":");
            encode(&described.value, out);
            out.push('}');
        }
        // Scalars are written above.
        _ => out.push_str("null"),
    }
}

/// Appends a scalar.
fn encode_scalar(scalar: ValueRef<'_>, out: &mut String) {
    match scalar {
        ValueRef::Null => out.push_str("null"),
        ValueRef::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        ValueRef::String(text) | ValueRef::Symbol(text) => string(text, out),
        ValueRef::Char(char) => string(char.encode_utf8(&mut [0; 4]), out),
        ValueRef::Float(number) => float(f64::from(number), format_args!("{number}"), out),
        ValueRef::Double(number) => float(number, format_args!("{number}"), out),
        ValueRef::Timestamp(ms) => match millis::Text::of(ms) {
            Some(text) => string(text.as_str(), out),
            None => number(format_args!("{ms}"), out),
        },
        ValueRef::Uuid(bytes) => {
            out.push('"');
            value::uuid(&bytes, out);
            out.push('"');
        }
        ValueRef::Binary(bytes) => binary(bytes, out),
        ValueRef::Decimal32(bits) => binary(&bits.to_be_bytes(), out),
        ValueRef::Decimal64(bits) => binary(&bits.to_be_bytes(), out),
        ValueRef::Decimal128(bytes) => binary(&bytes, out),
        ValueRef::Ulong(whole) => number(format_args!("{whole}"), out),
        ValueRef::Compound(_) => out.push_str("null"),
        whole => number(format_args!("{}", whole.as_i64().unwrap_or_default()), out),
    }
}

fn number(text: std::fmt::Arguments<'_>, out: &mut String) {
    // Writing to a `String` does not fail.
    let _ = out.write_fmt(text);
}

fn float(value: f64, text: std::fmt::Arguments<'_>, out: &mut String) {
    if value.is_finite() {
        return number(text, out);
    }
    out.push_str(match () {
        () if value.is_nan() => "\"NaN\"",
        () if value > 0.0 => "\"Infinity\"",
        () => "\"-Infinity\"",
    });
}

fn binary(bytes: &[u8], out: &mut String) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

fn list<'a>(items: impl IntoIterator<Item = &'a Value>, out: &mut String) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        encode(item, out);
    }
    out.push(']');
}

/// Appends the elements of several lists as one array.
pub(crate) fn sequence<'a>(items: impl IntoIterator<Item = &'a Value>, out: &mut String) {
    list(items, out);
}

fn map(entries: &[(Value, Value)], out: &mut String) {
    let mut seen = HashSet::with_capacity(entries.len());
    let object = entries
        .iter()
        .all(|(key, _)| key.as_str().is_some_and(|name| seen.insert(name)));
    out.push(if object { '{' } else { '[' });
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if object {
            encode(key, out);
            out.push(':');
            encode(value, out);
        } else {
            out.push('[');
            encode(key, out);
            out.push(',');
            encode(value, out);
            out.push(']');
        }
    }
    out.push(if object { '}' } else { ']' });
}

/// Appends a JSON string.
fn string(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                out.push_str("\\u00");
                // A control character below the space is one byte.
                value::hex(control as u8, out);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weft_amqp_wire::value::{Array, Described, Symbol};

    use super::*;

    fn json(value: &Value) -> String {
        let mut out = String::new();
        encode(value, &mut out);
        assert!(weft_api::event::json::is_value(out.as_bytes()), "{out}");
        out
    }

    #[test]
    fn every_type_says_in_json_what_it_says_in_amqp() {
        let array = Array::new(vec![Value::Int(1), Value::Int(2)]).map(Box::new);
        for (value, expected) in [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Ubyte(255), "255"),
            (Value::Ulong(u64::MAX), "18446744073709551615"),
            (Value::Long(i64::MIN), "-9223372036854775808"),
            (Value::Float(0.1f32.to_bits()), "0.1"),
            (Value::Double(1e300f64.to_bits()), &format!("{}", 1e300)),
            (Value::Double(f64::NAN.to_bits()), "\"NaN\""),
            (Value::Double(f64::NEG_INFINITY.to_bits()), "\"-Infinity\""),
            (Value::Decimal32(1), "\"AAAAAQ==\""),
            (Value::Char('"'), "\"\\\"\""),
            (Value::Timestamp(0), "\"1970-01-01T00:00:00Z\""),
            (Value::Timestamp(i64::MAX), "9223372036854775807"),
            (Value::Uuid([0; 16]), "\"00000000-0000-0000-0000-000000000000\""),
            (Value::Binary(Bytes::from_static(b"\x00\xff")), "\"AP8=\""),
            (Value::from("a\n\u{1}é"), "\"a\\n\\u0001é\""),
            (Value::Symbol(Symbol::from_static("s")), "\"s\""),
            (Value::List(vec![Value::Null, Value::from("x")]), "[null,\"x\"]"),
            (array.map_or(Value::Null, Value::Array), "[1,2]"),
            (Value::map([("b", 1u8), ("a", 2u8)]), "{\"b\":1,\"a\":2}"),
            (Value::map([("b", 1u8), ("b", 2u8)]), "[[\"b\",1],[\"b\",2]]"),
            (Value::map([(1u8, true)]), "[[1,true]]"),
            (
                Value::Described(Box::new(Described {
                    descriptor: Value::Ulong(7),
                    value: Value::Null,
                })),
                "{\"descriptor\":7,\"value\":null}",
            ),
        ] {
            assert_eq!(json(&value), expected);
        }
    }
}
