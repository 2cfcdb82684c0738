//! Events that every connector must carry: every attribute type, every size, junk and unicode; and what "equal" means
//! after a way that keeps types and one that does not.

use std::collections::BTreeMap;

use bytes::Bytes;
use weft_api::event::{AttrKind, Event, EventBuilder};

/// The corpus; `data_max` is the largest data in it.
///
/// # Panics
/// Never: all of it is valid.
#[must_use]
pub fn corpus(data_max: usize) -> Vec<Event> {
    let junk = |length: usize| -> Bytes {
        (0..length)
            .map(|at| (at * 151 % 256) as u8)
            .collect::<Vec<_>>()
            .into()
    };
    let mut all = vec![plain("none"), typed("types"), unicode("unicode")];
    for length in [0, 1, 255, 64 * 1024, data_max] {
        let id = format!("binary-{length}");
        all.push(with_data(&id, "application/octet-stream", junk(length)));
    }
    all.push(with_data(
        "text",
        "text/plain; charset=utf-8",
        Bytes::from("tab\tline\r\n\u{1F980} \u{0} end"),
    ));
    all.push(with_data(
        "json",
        "application/json",
        Bytes::from_static(b" { \"a\" : [1e2, \"\\u0000\", 12345678901234567890] }\n"),
    ));
    all.push(with_data(
        "junk",
        "application/json",
        Bytes::from_static(b"\xff\xfe{not json"),
    ));
    all
}

/// An event without data.
///
/// # Panics
/// If `id` is no id.
#[must_use]
pub fn plain(id: &str) -> Event {
    base(id).build().expect("a valid event")
}

/// An event with a transport key.
///
/// # Panics
/// If `id` is no id.
#[must_use]
pub fn keyed(id: &str, key: &str) -> Event {
    base(id)
        .extension("partitionkey", key)
        .key(Bytes::from(key.to_owned()))
        .build()
        .expect("a valid event")
}

/// An event with data.
///
/// # Panics
/// If `id` is no id, or `content_type` no media type.
#[must_use]
pub fn with_data(id: &str, content_type: &str, data: Bytes) -> Event {
    base(id)
        .datacontenttype(content_type)
        .data(data)
        .build()
        .expect("a valid event")
}

/// How two events differ after a way in or out; `None` where they are equal. Without `types` an extension is equal if its
/// canonical text is, and empty data equals none. `weft...` extensions do not count.
#[must_use]
pub fn difference(sent: &Event, got: &Event, types: bool) -> Option<String> {
    let attributes = |event: &Event| -> BTreeMap<String, (Option<AttrKind>, String)> {
        let own = event.attributes().filter(|(name, _)| !name.starts_with("weft"));
        own.map(|(name, value)| {
            (
                name.to_owned(),
                (types.then_some(value.kind), value.text.to_owned()),
            )
        })
        .collect()
    };
    let data = |event: &Event| event.data().filter(|data| types || !data.is_empty()).cloned();
    let (a, b) = (attributes(sent), attributes(got));
    if a != b {
        return Some(format!("attributes {a:?} became {b:?}"));
    }
    let (a, b) = (data(sent), data(got));
    let show = |data: &Option<Bytes>| {
        data.as_ref()
            .map(|data| (data.len(), data.slice(..data.len().min(64))))
    };
    (a != b).then(|| format!("data {:?} became {:?}", show(&a), show(&b)))
}

fn base(id: &str) -> EventBuilder {
    let mut builder = EventBuilder::new();
    builder
        .id(id)
        .source("/weft/conformance")
        .ty("com.acme.conformance");
    builder
}

fn typed(id: &str) -> Event {
    let mut builder = base(id);
    builder
        .subject("a/b c")
        .time("2026-11-21T08:25:47.123456789+05:30")
        .dataschema("https://acme.com/schema?v=1#x");
    let attributes = [
        ("text", AttrKind::String, "two words, \"quotes\" & 100 %"),
        ("yes", AttrKind::Boolean, "true"),
        ("low", AttrKind::Integer, "-2147483648"),
        ("high", AttrKind::Integer, "2147483647"),
        ("bytes", AttrKind::Binary, "AP/+fw=="),
        ("link", AttrKind::Uri, "https://acme.com/a%20b"),
        ("ref", AttrKind::UriReference, "../c?d=e"),
        ("at", AttrKind::Timestamp, "1985-04-12T23:20:50.52Z"),
        ("a23456789012345678901234567890", AttrKind::String, "a long name"),
    ];
    for (name, kind, text) in attributes {
        builder.set(name, kind, text);
    }
    builder.build().expect("a valid event")
}

fn unicode(id: &str) -> Event {
    let mut builder = base(id);
    builder
        .subject("Euro \u{20AC} \u{1F600} caf\u{E9}")
        .extension("name", "\u{65E5}\u{672C} \u{05D0}\u{05D1} e\u{301}");
    builder.build().expect("a valid event")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_seen_in_data_in_text_and_where_types_count_in_types() {
        let (a, b) = (typed("x"), plain("x"));
        assert!(difference(&a, &a, true).is_none());
        assert!(difference(&a, &b, false).is_some());
        let mut untyped = a.edit();
        let untyped = untyped
            .set("low", AttrKind::String, "-2147483648")
            .build()
            .expect("valid");
        assert!(difference(&a, &untyped, true).is_some() && difference(&a, &untyped, false).is_none());
        let (one, two) = (
            with_data("x", "a/b", Bytes::from("1")),
            with_data("x", "a/b", Bytes::from("2")),
        );
        assert!(difference(&one, &two, false).is_some());
    }
}
