//! Media types, RFC 2046 with the token and parameter syntax of RFC 2045 section 5.1.
//!
//! NOTE: an empty parameter (`application/json;`) is allowed, as RFC 9110 section 5.6.6 has it: it means
//! nothing and occurs.

/// A media type taken apart. Names are compared without case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::event) struct Media<'a> {
    kind: &'a str,
    subtype: &'a str,
    charset: Option<&'a str>,
}

impl<'a> Media<'a> {
    /// `None` where the text is no media type.
    pub(in crate::event) fn parse(text: &'a str) -> Option<Media<'a>> {
        // Nearly all events say this, and each is asked at least twice.
        if text == "application/json" {
            return Some(Media {
                kind: "application",
                subtype: "json",
                charset: None,
            });
        }
        let (kind, rest) = text.split_once('/')?;
        let (subtype, mut rest) = rest.split_at(token_length(rest));
        if token_length(kind) != kind.len() || kind.is_empty() || subtype.is_empty() {
            return None;
        }
        let mut charset = None;
        while !rest.trim_matches([' ', '\t']).is_empty() {
            rest = rest
                .trim_start_matches([' ', '\t'])
                .strip_prefix(';')?
                .trim_start_matches([' ', '\t']);
            if rest.is_empty() || rest.starts_with(';') {
                continue;
            }
            let (name, after) = rest.split_at(token_length(rest));
            let after = after.strip_prefix('=')?;
            let length = value_length(after)?;
            if name.is_empty() {
                return None;
            }
            if name.eq_ignore_ascii_case("charset") {
                charset = charset.or(Some(after[..length].trim_matches('"')));
            }
            rest = &after[length..];
        }
        Some(Media {
            kind,
            subtype,
            charset,
        })
    }

    /// Declares JSON (JSON format section 3.1.1): `*/json` or `*/*+json`.
    pub(in crate::event) fn is_json(&self) -> bool {
        self.subtype_is("json") || self.suffix_is("+json")
    }

    /// Text by its registration: `text/*`, XML, YAML, forms, scripts. Anything else may hold bytes that only
    /// look like text.
    pub(in crate::event) fn is_text(&self) -> bool {
        self.kind.eq_ignore_ascii_case("text")
            || [
                "xml",
                "yaml",
                "x-www-form-urlencoded",
                "javascript",
                "ecmascript",
                "graphql",
                "sql",
                "x-ndjson",
                "csv",
            ]
            .into_iter()
            .any(|subtype| self.subtype_is(subtype))
            || self.suffix_is("+xml")
            || self.suffix_is("+yaml")
    }

    /// The type and subtype are these two, without regard to case or parameters.
    pub(in crate::event) fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype_is(subtype)
    }

    /// The character set, where it is one whose bytes are not those of UTF-8.
    pub(in crate::event) fn foreign_charset(&self) -> Option<&'a str> {
        self.charset.filter(|name| {
            !["utf-8", "utf8", "us-ascii", "ascii"]
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own))
        })
    }

    fn subtype_is(&self, subtype: &str) -> bool {
        self.subtype.eq_ignore_ascii_case(subtype)
    }

    fn suffix_is(&self, suffix: &str) -> bool {
        let (subtype, suffix) = (self.subtype.as_bytes(), suffix.as_bytes());
        subtype.len() > suffix.len() && subtype[subtype.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
    }
}

/// How many bytes at the start make up a token.
fn token_length(text: &str) -> usize {
    text.bytes()
        .position(|byte| !TOKEN[usize::from(byte)])
        .unwrap_or(text.len())
}

/// RFC 2045 section 5.1: printable ASCII without the space and the `tspecials`.
const TOKEN: [bool; 256] = super::allowed(b"!#$%&'*+-.^_`{|}~");

/// How many bytes at the start make up a parameter's value: a token or a quoted string.
fn value_length(text: &str) -> Option<usize> {
    if !text.starts_with('"') {
        return Some(token_length(text)).filter(|length| *length > 0);
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn media_types_are_type_subtype_and_parameters() {
        for good in [
            "application/json",
            "text/plain; charset=utf-8",
            "text/plain;charset=\"UTF-8\"",
            "multipart/mixed; boundary=\"a b;c=\\\"d\"; x=y",
            "application/vnd.acme+json ; v=1",
            "application/json;",
            "application/json; ; a=b",
            "APPLICATION/JSON",
        ] {
            assert!(Media::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "json",
            "/json",
            "application/",
            "application/json x",
            "application/json; charset",
            "application/json; charset=",
            "application/json; =x",
            "application/json; charset=\"open",
            "a b/c",
            "a/b/c",
            "application/json, text/plain",
            "text/pl\u{e4}in",
        ] {
            assert!(Media::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn json_is_told_by_the_subtype_or_its_suffix() {
        for (text, json) in [
            ("application/json", true),
            ("text/JSON; charset=utf-8", true),
            ("application/vnd.acme+Json", true),
            ("application/jsonx", false),
            ("application/json+xml", false),
            ("x/+json", false),
            ("application/x-ndjson", false),
        ] {
            assert_eq!(Media::parse(text).unwrap().is_json(), json, "{text}");
        }
    }

    #[test]
    fn a_foreign_charset_is_one_whose_bytes_are_not_utf_8() {
        let foreign = |text| Media::parse(text).unwrap().foreign_charset();
        assert_eq!(foreign("text/plain"), None);
        assert_eq!(foreign("text/plain; charset=UTF-8"), None);
        assert_eq!(
            foreign("text/plain; a=b; Charset=\"iso-8859-1\""),
            Some("iso-8859-1")
        );
    }

    #[test]
    fn text_is_told_by_registered_types() {
        for (text, expected) in [
            ("text/csv", true),
            ("application/soap+XML", true),
            ("application/octet-stream", false),
            ("a/protobuf", false),
        ] {
            assert_eq!(Media::parse(text).unwrap().is_text(), expected, "{text}");
        }
    }
}
