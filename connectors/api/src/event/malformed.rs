//! What could not become an event, kept as one: so that a poison message neither stops a stream unseen nor
//! disappears.
//!
//! Invariant: making it never fails, whatever the input: what an attribute cannot hold is escaped, cut or
//! left out, and the original bytes are always there as data.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::attr::AttrKind;
use super::builder::EventBuilder;
use super::layout::{Core, Event};
use super::rules;

/// The `type` of every such event.
pub const MALFORMED_TYPE: &str = "weft.malformed";

/// How many bytes of headers are kept: what common HTTP servers and brokers still take as one header.
const HEADERS_MAX: usize = 8 * 1024;
/// How many bytes of the reason, of an id and of a source are kept.
const TEXT_MAX: usize = 1024;

/// Where a message came from, for its identity: the same message has the same coordinates when it comes
/// again.
#[derive(Clone, Copy, Debug)]
pub struct Coordinates<'a> {
    /// A URI-reference, such as `weft://paris/plant`.
    pub source: &'a str,
    /// Unique within the source: a topic, partition and offset; where there is none leave it empty, and the
    /// digest of the message is taken.
    pub id: &'a str,
}

/// Makes the event: type `weft.malformed`, the original bytes as data and, as extensions of type String,
/// `weftreason` (why) and `weftheaders` (the headers as JSON, an array of `[name, value]`; a value that is
/// not UTF-8 is `{"base64": ...}`). Headers that no longer fit 8 KiB are counted in `weftheadersomitted`, an
/// Integer.
///
/// The caller leaves out headers that carry credentials: what is kept here travels on and is shown to
/// operators. A content type that is no media type, or that of a whole event (`application/cloudevents...`), is kept as
/// the first of the headers, under `content-type`.
pub fn malformed<'a>(
    coordinates: &Coordinates<'_>,
    original: Bytes,
    content_type: Option<&'a str>,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    why: &str,
) -> Event {
    let mut builder = EventBuilder::new();
    builder.ty(MALFORMED_TYPE).source(&reference(coordinates.source));
    match clean(coordinates.id, TEXT_MAX) {
        id if id.is_empty() => _ = builder.id(&digest(&original)),
        id => _ = builder.id(&id),
    }
    let typed = content_type
        .filter(|text| rules::core(Core::DataContentType, text, false).is_ok() && !is_structured(text));
    if let Some(text) = typed {
        builder.datacontenttype(text);
    }
    builder.extension("weftreason", &clean(why, TEXT_MAX));
    let odd = content_type
        .filter(|_| typed.is_none())
        .map(|text| ("content-type", text.as_bytes()));
    let (kept, omitted) = as_json(odd.into_iter().chain(headers));
    if let Some(kept) = kept {
        builder.extension("weftheaders", &kept);
    }
    if omitted > 0 {
        builder.set("weftheadersomitted", AttrKind::Integer, &omitted.to_string());
    }
    builder.data(original);
    builder.build().expect("every text was made to fit its attribute")
}

/// Whether a content type says that the whole event is in the body. On this event, in binary mode, it would say so of
/// the bytes that are no event, and whoever reads the dead letter would find it malformed again.
fn is_structured(content_type: &str) -> bool {
    const PREFIX: &str = "application/cloudevents";
    content_type
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The headers as a JSON array, and how many did not fit.
fn as_json<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> (Option<String>, i32) {
    let (mut out, mut omitted) = (String::new(), 0);
    for (name, value) in headers {
        let value = match std::str::from_utf8(value) {
            Ok(text) => escaped(text),
            Err(_) => format!("{{\"base64\":\"{}\"}}", STANDARD.encode(value)),
        };
        let pair = format!("[{},{value}]", escaped(name));
        if out.len() + pair.len() + 2 > HEADERS_MAX {
            omitted += 1;
            continue;
        }
        out.push(if out.is_empty() { '[' } else { ',' });
        out.push_str(&pair);
    }
    ((!out.is_empty()).then(|| out + "]"), omitted)
}

/// A JSON string in printable ASCII, so that any text fits an attribute of type String.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
    out
}

/// The text's start, with what an attribute may not hold replaced.
fn clean(text: &str, max: usize) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if out.len() + character.len_utf8() > max {
            break;
        }
        let allowed = rules::value(AttrKind::String, character.encode_utf8(&mut [0; 4]), false).is_ok();
        out.push(if allowed {
            character
        } else {
            char::REPLACEMENT_CHARACTER
        });
    }
    out
}

/// The text if it is a URI-reference; else the same with everything that a path may not hold percent-encoded.
fn reference(source: &str) -> String {
    if rules::core(Core::Source, source, false).is_ok() {
        return source.to_owned();
    }
    let mut out = String::from("weft:");
    for byte in source.bytes().take(TEXT_MAX) {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) && !(out.ends_with('/') && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::Attributes;
    use super::*;

    #[test]
    fn the_message_is_all_there() {
        let at = Coordinates {
            source: "weft://paris/plant",
            id: "t/0/42",
        };
        let headers = [("a", &b"x\n\xc3\xa9"[..]), ("a", b"\xff")];
        let event = malformed(
            &at,
            Bytes::from_static(b"{broken"),
            Some("application/json"),
            headers.into_iter(),
            "no\r\nJSON",
        );
        assert_eq!(
            (event.ty(), event.source(), event.id()),
            ("weft.malformed", "weft://paris/plant", "t/0/42")
        );
        assert_eq!(event.datacontenttype(), Some("application/json"));
        assert_eq!(event.data().unwrap(), "{broken");
        assert_eq!(event.get("weftreason").unwrap().text, "no\u{fffd}\u{fffd}JSON");
        let kept = event.get("weftheaders").unwrap().text;
        assert_eq!(kept, r#"[["a","x\u000a\u00e9"],["a",{"base64":"/w=="}]]"#);
        assert!(serde_json::from_str::<serde_json::Value>(kept).is_ok());
        assert_eq!(event.get("weftheadersomitted"), None);
    }

    #[test]
    fn what_is_no_event_does_not_call_itself_a_whole_one() {
        let at = Coordinates {
            source: "/s",
            id: "1",
        };
        for media in [
            "application/cloudevents+json",
            "Application/CloudEvents-Batch+json; charset=utf-8",
        ] {
            let event = malformed(
                &at,
                Bytes::from_static(b"{"),
                Some(media),
                std::iter::empty(),
                "no JSON",
            );
            assert_eq!(event.datacontenttype(), None);
            let headers = event.get("weftheaders").unwrap().text.to_owned();
            assert_eq!(headers, format!("[[\"content-type\",\"{media}\"]]"));
        }
    }

    #[test]
    fn without_an_id_the_digest_makes_the_same_message_the_same_event() {
        let at = Coordinates { source: "/s", id: "" };
        let make =
            |data: &'static [u8]| malformed(&at, Bytes::from_static(data), None, std::iter::empty(), "w");
        assert_eq!(make(b"x"), make(b"x"));
        assert_ne!(make(b"x").id(), make(b"y").id());
    }

    #[test]
    fn headers_are_bounded_and_the_rest_is_counted() {
        let at = Coordinates {
            source: "/s",
            id: "1",
        };
        let value = [b'v'; 1000];
        let event = malformed(
            &at,
            Bytes::new(),
            Some("not a type"),
            (0..20).map(|_| ("n", &value[..])),
            "w",
        );
        assert!(
            event
                .get("weftheaders")
                .unwrap()
                .text
                .starts_with(r#"[["content-type","not a type"],"#)
        );
        assert_eq!(event.get("weftheadersomitted").unwrap().text, "12");
        assert_eq!(event.datacontenttype(), None);
    }

    proptest! {
        #[test]
        fn making_it_never_fails(
            source in any::<String>(), id in any::<String>(), why in any::<String>(), content_type in any::<Option<String>>(),
            headers in proptest::collection::vec((any::<String>(), any::<Vec<u8>>()), 0..4), data in any::<Vec<u8>>(),
        ) {
            let at = Coordinates { source: &source, id: &id };
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            let event = malformed(&at, data.clone().into(), content_type.as_deref(), headers, &why);
            prop_assert_eq!(event.data().unwrap(), &data);
        }
    }
}
