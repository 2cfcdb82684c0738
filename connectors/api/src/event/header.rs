//! Attribute values in HTTP headers: the HTTP binding of CloudEvents 1.0.2, section 3.1.3.2.

use std::borrow::Cow;

/// Writes a value so that it is printable ASCII: space, `"`, `%` and everything outside U+0021-U+007E
/// percent-encoded.
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'%');
    let Some(first) = value.bytes().position(|byte| !plain(&byte)) else {
        return Cow::Borrowed(value);
    };
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(value.len() + 32);
    out.push_str(&value[..first]);
    for byte in value[first..].bytes() {
        if plain(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(out)
}

/// The sender's fault: the header's value is not UTF-8 once percent-decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the header's value is not UTF-8 after percent-decoding (HTTP binding of CloudEvents 1.0.2, section 3.1.3.2)"
)]
pub struct HeaderError;

/// Reads a value: a value in double quotes is unquoted (RFC 7230 section 3.2.6), then percent-decoded once.
///
/// Liberal where senders are known to differ: a `%` that begins no escape stands for itself, as do raw UTF-8
/// and quotes that do not enclose the whole value.
///
/// # Errors
/// [`HeaderError`]: bytes that are not UTF-8, overlong forms included.
pub fn decode_value(value: &[u8]) -> Result<Cow<'_, str>, HeaderError> {
    let value = value.trim_ascii();
    let decoded = match unquote(value) {
        Some(inner) => Cow::Owned(percent_decode(&inner).into_owned()),
        None => percent_decode(value),
    };
    match decoded {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| HeaderError),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| HeaderError),
    }
}

/// The content of a value that is one quoted string, as a whole.
fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            // A backslash before the end would escape the closing quote.
            b'\\' => out.push(*bytes.next()?),
            _ => out.push(*byte),
        }
    }
    Some(out)
}

fn percent_decode(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'%') {
        return Cow::Borrowed(value);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escape = match tail {
            [high, low, after @ ..] if *first == b'%' => {
                digit(*high).zip(digit(*low)).map(|pair| (pair, after))
            }
            _ => None,
        };
        match escape {
            Some(((high, low), after)) => {
                out.push((high << 4 | low) as u8);
                rest = after;
            }
            None => out.push(*first),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let text = "Euro \u{20ac} \u{1f600}";
        let encoded = "Euro%20%E2%82%AC%20%F0%9F%98%80";
        assert_eq!(encode_value(text), encoded);
        assert_eq!(decode_value(encoded.as_bytes()).unwrap(), text);
        assert_eq!(
            decode_value(encoded.to_lowercase().as_bytes()).unwrap(),
            text.to_lowercase()
        );
    }

    #[test]
    fn decoding_is_liberal_in_form() {
        for (value, text) in [
            (&b"plain"[..], "plain"),
            (b"\"a \\\"quoted\\\" \\\\ b\"", "a \"quoted\" \\ b"),
            (b"\"caf%C3%A9\"", "caf\u{e9}"),
            (b"say \"hi\"", "say \"hi\""),
            (b"\"open", "\"open"),
            (b"\"a\" \"b\"", "\"a\" \"b\""),
            (b"\"escaped end\\\"", "\"escaped end\\\""),
            (b"100%", "100%"),
            (b"%zz%2", "%zz%2"),
            (b"%%41", "%A"),
            (b"%2541", "%41"),
            (b"%41", "A"),
            (b"caf\xc3\xa9", "caf\u{e9}"),
            (b" padded\t", "padded"),
            (b"", ""),
            (b"\"", "\""),
        ] {
            assert_eq!(decode_value(value).unwrap(), text, "{value:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        for bad in [&b"%C0%A0"[..], b"%ff", b"caf\xe9", b"\"%e2%82\"", b"%ED%A0%80"] {
            assert_eq!(decode_value(bad), Err(HeaderError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in any::<String>()) {
            let encoded = encode_value(&text);
            prop_assert!(encoded.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'"'));
            prop_assert_eq!(&*decode_value(encoded.as_bytes()).unwrap(), &text);
        }

        #[test]
        fn decoding_never_panics(bytes in any::<Vec<u8>>(), text in "[\"\\\\%a-f0-9]{0,12}") {
            let _ = decode_value(&bytes);
            let _ = decode_value(text.as_bytes());
        }
    }
}
