//! The attribute rules of CloudEvents 1.0.2, sections "Naming Conventions" and "Type System": the one
//! validator (C34).
//!
//! Each function is pure and takes one value; [`super::EventBuilder`] calls them once for each attribute.

mod media_type;
mod timestamp;
mod uri;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::attr::AttrKind;
use super::invalid::Rule;
use super::layout::{Core, NAME_MAX};

pub(super) use media_type::Media;

/// The name of an extension.
pub(super) fn name(name: &str) -> Result<(), Rule> {
    if name.len() > NAME_MAX {
        Err(Rule::NameLength)
    } else if matches!(name, "data" | "specversion") {
        Err(Rule::Reserved)
    } else if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        Err(Rule::Name)
    } else {
        Ok(())
    }
}

/// The value of a core attribute. `printable`: the caller knows that the text is printable ASCII.
pub(super) fn core(core: Core, value: &str, printable: bool) -> Result<(), Rule> {
    if value.is_empty() {
        return Err(Rule::Empty);
    }
    self::value(core.kind(), value, printable)?;
    match core {
        Core::DataContentType if Media::parse(value).is_none() => Err(Rule::MediaType),
        _ => Ok(()),
    }
}

/// A value by its type. `printable`: the caller knows that the text is printable ASCII.
pub(super) fn value(kind: AttrKind, value: &str, printable: bool) -> Result<(), Rule> {
    let (holds, rule) = match kind {
        AttrKind::String if printable => return Ok(()),
        AttrKind::String => return string(value),
        AttrKind::Boolean => (matches!(value, "true" | "false"), Rule::Boolean),
        AttrKind::Integer => (integer(value), Rule::Integer),
        AttrKind::Binary => (binary(value), Rule::Binary),
        AttrKind::Uri => (uri::is_uri(value), Rule::Uri),
        AttrKind::UriReference => (uri::is_reference(value), Rule::UriReference),
        AttrKind::Timestamp => (timestamp::is_rfc3339(value), Rule::Timestamp),
    };
    if holds { Ok(()) } else { Err(rule) }
}

/// Whether all of it is printable ASCII, which no rule for text forbids: one fast pass instead of one a
/// value.
pub(super) fn printable(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// A table of bytes: the ASCII letters and digits, and these.
const fn allowed(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

fn string(value: &str) -> Result<(), Rule> {
    for character in value.chars() {
        if character.is_control() {
            return Err(Rule::ControlCharacter);
        }
        let code = character as u32;
        if code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code) {
            return Err(Rule::Noncharacter);
        }
    }
    Ok(())
}

fn integer(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let canonical = value == "0"
        || digits
            .bytes()
            .next()
            .is_some_and(|first| matches!(first, b'1'..=b'9'));
    canonical && value.parse::<i32>().is_ok()
}

/// The decoder says whether it is base64; decoding in pieces of whole quanta needs no allocation.
fn binary(value: &str) -> bool {
    const QUANTA: usize = 256;
    let mut room = [0; QUANTA];
    let mut pieces = value.as_bytes().chunks(QUANTA).peekable();
    while let Some(piece) = pieces.next() {
        // Padding ends a text, so that a piece in the middle must not have any.
        let middle = pieces.peek().is_some();
        if middle && piece.contains(&b'=') || STANDARD.decode_slice(piece, &mut room).is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn holds(kind: AttrKind, text: &str) -> bool {
        value(kind, text, false).is_ok()
    }

    #[test]
    fn names_are_lower_case_letters_and_digits() {
        for good in ["a", "9lives", "comexampleextension1", &"a".repeat(255)] {
            assert_eq!(name(good), Ok(()), "{good}");
        }
        for (bad, rule) in [
            ("", Rule::Name),
            ("Upper", Rule::Name),
            ("with-dash", Rule::Name),
            ("with_underscore", Rule::Name),
            ("caf\u{e9}", Rule::Name),
            ("data", Rule::Reserved),
            ("specversion", Rule::Reserved),
            (&*"a".repeat(256), Rule::NameLength),
        ] {
            assert_eq!(name(bad), Err(rule), "{bad}");
        }
    }

    #[test]
    fn strings_have_no_control_characters_and_no_noncharacters() {
        for good in [
            "",
            " ",
            "caf\u{e9}",
            "\u{a0}",
            "\u{1f600}",
            "\u{10fffd}",
            "\u{fdcf}\u{fdf0}",
            "~!@",
        ] {
            assert_eq!(string(good), Ok(()), "{good:?}");
        }
        for bad in ["\0", "a\nb", "\u{1f}", "\u{7f}", "\u{80}", "\u{9f}"] {
            assert_eq!(string(bad), Err(Rule::ControlCharacter), "{bad:?}");
        }
        for bad in [
            "\u{fffe}",
            "\u{ffff}",
            "\u{fdd0}",
            "\u{fdef}",
            "\u{1fffe}",
            "\u{10ffff}",
        ] {
            assert_eq!(string(bad), Err(Rule::Noncharacter), "{bad:?}");
        }
    }

    #[test]
    fn integers_are_canonical_and_of_32_bits() {
        for good in ["0", "7", "-7", "2147483647", "-2147483648"] {
            assert!(holds(AttrKind::Integer, good), "{good}");
        }
        for bad in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "-01",
            "1.0",
            "1e3",
            "2147483648",
            "-2147483649",
            " 1",
            "--1",
            "\u{663}",
        ] {
            assert!(!holds(AttrKind::Integer, bad), "{bad}");
        }
    }

    #[test]
    fn booleans_are_case_sensitive() {
        assert!(holds(AttrKind::Boolean, "true") && holds(AttrKind::Boolean, "false"));
        assert!(
            !holds(AttrKind::Boolean, "True")
                && !holds(AttrKind::Boolean, "1")
                && !holds(AttrKind::Boolean, "")
        );
    }

    #[test]
    fn binary_is_padded_base64_of_any_length() {
        for length in [0, 1, 2, 3, 191, 192, 193, 384, 1000] {
            let text = STANDARD.encode(vec![0xa5; length]);
            assert!(holds(AttrKind::Binary, &text), "{length}");
        }
        for bad in ["A", "AA", "AAA", "AA==AA==", "AB==", "A-_A", "AAA\n", "===="] {
            assert!(!holds(AttrKind::Binary, bad), "{bad}");
        }
        let inner = format!("{}AA=={}", "A".repeat(252), "A".repeat(8));
        assert!(!holds(AttrKind::Binary, &inner));
    }

    #[test]
    fn printable_text_is_text_that_no_string_rule_forbids() {
        assert!(printable("plain ~ text"));
        assert!(!printable("caf\u{e9}") && !printable("a\tb") && !printable("\u{7f}"));
    }
}
