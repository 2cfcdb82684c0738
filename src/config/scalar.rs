//! YAML 1.2's core schema: which type a scalar without quotes has.

use weft_api::config::Value;

/// Specification 1.2.2, section 10.3.2. A whole number beyond 64 bits is a float.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    integer(text)
        .or_else(|| float(text))
        .unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn integer(text: &str) -> Option<Value> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let plain = !digits.starts_with(['+', '-']);
            return i64::from_str_radix(digits, radix)
                .ok()
                .filter(|_| plain)
                .map(Value::Int);
        }
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !whole {
        return None;
    }
    text.parse()
        .map(Value::Int)
        .or_else(|_| text.parse().map(Value::Float))
        .ok()
}

fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Value::Float(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }));
    }
    // Rust would take `inf`, `nan` and `infinity`, too: the schema's numbers hold digits, point and exponent only.
    let digits = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || unsigned
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let plain = unsigned
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if digits && plain {
        text.parse().map(Value::Float).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, resolve};

    #[test]
    fn the_core_schema_and_nothing_older() {
        assert!(matches!(resolve("~"), Value::Null));
        assert!(matches!(resolve("true"), Value::Bool(true)));
        assert!(matches!(resolve("0x1F"), Value::Int(31)));
        assert!(matches!(resolve("0o17"), Value::Int(15)));
        assert!(matches!(resolve("-12"), Value::Int(-12)));
        assert!(matches!(resolve("1e3"), Value::Float(f) if f == 1000.0));
        assert!(matches!(resolve(".inf"), Value::Float(f) if f.is_infinite()));
        assert!(matches!(resolve("18446744073709551615"), Value::Float(_)));
        for text in [
            "yes", "no", "on", "off", "inf", "nan", "1_000", "0b1", "12:30:00", "1h30m", "-", ".", "0x-1",
        ] {
            assert!(matches!(resolve(text), Value::Text(_)), "{text}");
        }
    }
}
