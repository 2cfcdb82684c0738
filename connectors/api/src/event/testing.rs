//! Generated events for property tests: every type, unicode, junk, no data, empty data, and 64 KiB of it.

#![allow(clippy::unwrap_used)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use proptest::prelude::*;

use super::{AttrKind, Event, EventBuilder};

fn text(range: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    // Letters and marks of all planes that are neither control characters nor noncharacters.
    let character = prop_oneof![
        4 => proptest::char::range(' ', '~'),
        1 => proptest::char::range('\u{a0}', '\u{d7ff}'),
        1 => proptest::char::range('\u{1f300}', '\u{1f9ff}'),
    ];
    proptest::collection::vec(character, range).prop_map(|all| all.into_iter().collect())
}

fn uri(absolute: bool) -> impl Strategy<Value = String> {
    let scheme = if absolute {
        "[a-z][a-z0-9+.-]{0,5}://[a-z0-9.]{0,8}"
    } else {
        "([a-z]{1,5}://[a-z]{1,8})?"
    };
    (
        scheme,
        "/([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2}){0,20}",
        "(\\?[a-z=&/?]{0,8})?",
    )
        .prop_map(|(a, b, c)| a + &b + &c)
}

fn time() -> impl Strategy<Value = String> {
    "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
}

fn attribute() -> impl Strategy<Value = (AttrKind, String)> {
    prop_oneof![
        text(0..40).prop_map(|text| (AttrKind::String, text)),
        any::<bool>().prop_map(|value| (AttrKind::Boolean, value.to_string())),
        any::<i32>().prop_map(|value| (AttrKind::Integer, value.to_string())),
        any::<Vec<u8>>().prop_map(|bytes| (AttrKind::Binary, STANDARD.encode(bytes))),
        uri(true).prop_map(|text| (AttrKind::Uri, text)),
        uri(false).prop_map(|text| (AttrKind::UriReference, text)),
        time().prop_map(|text| (AttrKind::Timestamp, text)),
    ]
}

fn payload() -> impl Strategy<Value = (Option<String>, Option<Bytes>)> {
    let content_type = prop_oneof![
        Just(None),
        Just(Some("application/json".to_owned())),
        Just(Some("application/vnd.acme+json; v=2".to_owned())),
        Just(Some("text/plain".to_owned())),
        Just(Some("text/plain; charset=iso-8859-1".to_owned())),
        Just(Some("application/xml; charset=\"UTF-8\"".to_owned())),
        Just(Some("application/octet-stream".to_owned())),
    ];
    let data = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Vec::new())),
        4 => any::<Vec<u8>>().prop_map(Some),
        4 => any::<String>().prop_map(|text| Some(text.into_bytes())),
        4 => "\\{\"[a-z]{0,3}\":(-?[0-9]{1,30}|\"[a-z \\\\n]{0,5}\"|\\[\\]|null)\\} ?".prop_map(|text| Some(text.into_bytes())),
        1 => any::<u8>().prop_map(|byte| Some(vec![byte; 65_536])),
    ];
    (content_type, data.prop_map(|data| data.map(Bytes::from)))
}

/// Any event that the specification allows, in the shapes that codecs trip over.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let extensions = proptest::collection::vec(("x[a-z0-9]{0,20}", attribute()), 0..12);
    let optional = (
        proptest::option::of(text(1..20)),
        proptest::option::of(time()),
        proptest::option::of(uri(true)),
    );
    (
        text(1..40),
        uri(false),
        text(1..40),
        optional,
        extensions,
        payload(),
    )
        .prop_map(
            |(id, source, ty, (subject, time, schema), extensions, (content_type, data))| {
                let mut builder = EventBuilder::new();
                builder.id(&id).source(&source).ty(&ty);
                let optional = [
                    ("subject", subject),
                    ("time", time),
                    ("dataschema", schema),
                    ("datacontenttype", content_type),
                ];
                for (name, value) in optional {
                    if let Some(value) = value {
                        builder.set(name, AttrKind::String, &value);
                    }
                }
                for (name, (kind, value)) in extensions {
                    builder.set(&name, kind, &value);
                }
                if let Some(data) = data {
                    builder.data(data);
                }
                builder.build().unwrap()
            },
        )
}
