//! The validator's rules one by one, for a connector that must know before it sets an attribute: a property of the
//! transport that fits becomes one, and one that does not stays behind and spoils nothing.

use super::attr::AttrKind;
use super::rules;

/// Whether an attribute may have this name (Naming Conventions): for protocols whose properties have no prefix that
/// tells attributes from the rest. `data` is none, and `specversion` is every event's.
pub fn name(name: &str) -> bool {
    rules::name(name).is_ok()
}

/// Whether the text is a value of this type in its canonical form (Type System).
pub fn value(kind: AttrKind, text: &str) -> bool {
    rules::value(kind, text, false).is_ok()
}

/// Whether the text is a media type (RFC 2046), as `datacontenttype` must be.
pub fn media_type(text: &str) -> bool {
    rules::Media::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_rules_of_the_validator() {
        assert!(name("traceparent") && name("id"));
        assert!(!name("data") && !name("specversion") && !name("Upper") && !name(""));
        assert!(value(AttrKind::String, "caf\u{e9}") && !value(AttrKind::String, "a\nb"));
        assert!(value(AttrKind::Integer, "-1") && !value(AttrKind::Integer, "1.5"));
        assert!(media_type("text/plain; charset=utf-8") && !media_type("json") && !media_type(""));
    }
}
