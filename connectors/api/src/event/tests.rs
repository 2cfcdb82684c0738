//! The layout and the builder: what goes in comes out, and what breaks a rule does not.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn minimal() -> EventBuilder {
    let mut builder = EventBuilder::new();
    builder.id("1").source("/s").ty("t");
    builder
}

fn rule_of(builder: &mut EventBuilder) -> (String, Rule) {
    let error = builder.build().unwrap_err();
    (error.attribute.into(), error.rule)
}

#[test]
fn an_event_gives_back_what_was_set() {
    let event = minimal()
        .extension("zeta", "z")
        .subject("sub")
        .set("count", AttrKind::Integer, "-5")
        .time("2026-01-31T12:00:00.5+01:00")
        .datacontenttype("application/json")
        .dataschema("https://example.com/s")
        .data(Bytes::from_static(b"{}"))
        .build()
        .unwrap();
    let all: Vec<_> = event
        .attributes()
        .map(|(name, value)| (name, value.text))
        .collect();
    let expected = [
        ("id", "1"),
        ("source", "/s"),
        ("type", "t"),
        ("subject", "sub"),
        ("time", "2026-01-31T12:00:00.5+01:00"),
        ("datacontenttype", "application/json"),
        ("dataschema", "https://example.com/s"),
        ("zeta", "z"),
        ("count", "-5"),
    ];
    assert_eq!(all, expected);
    for (name, text) in expected {
        assert_eq!(event.get(name).map(|value| value.text), Some(text), "{name}");
    }
    assert_eq!(event.get("count").unwrap().kind, AttrKind::Integer);
    assert_eq!(event.get("specversion").unwrap().text, "1.0");
    assert_eq!(event.get("absent"), None);
    assert_eq!(event.data().unwrap(), "{}");
    assert_eq!((event.id(), event.source(), event.ty()), ("1", "/s", "t"));
    assert_eq!(event.extensions().count(), 2);
}

#[test]
fn an_event_is_small_and_its_size_counts_all_bytes() {
    assert!(size_of::<Event>() <= 128, "{}", size_of::<Event>());
    let small = minimal().build().unwrap();
    let data = minimal()
        .data(Bytes::from(vec![0; 1000]))
        .key(Bytes::from_static(b"12345"))
        .build()
        .unwrap();
    assert_eq!(data.size() - small.size(), 1005);
    let attribute = minimal().extension("abc", &"x".repeat(500)).build().unwrap();
    assert!(attribute.size() - small.size() >= 503);
}

#[test]
fn required_attributes_are_required_and_not_empty() {
    for (left_out, set) in [("id", 0b110), ("source", 0b101), ("type", 0b011)] {
        let mut builder = EventBuilder::new();
        for (bit, name) in ["id", "source", "type"].into_iter().enumerate() {
            if set & (1 << bit) != 0 {
                builder.set(name, AttrKind::String, "x");
            }
        }
        assert_eq!(rule_of(&mut builder), (left_out.to_owned(), Rule::Required));
    }
    for name in [
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
    ] {
        assert_eq!(
            rule_of(minimal().set(name, AttrKind::String, "")),
            (name.to_owned(), Rule::Empty)
        );
    }
    assert!(minimal().extension("empty", "").build().is_ok());
}

#[test]
fn each_attribute_is_held_to_its_own_rule() {
    for (name, kind, text, rule) in [
        ("id", AttrKind::String, "a\nb", Rule::ControlCharacter),
        ("type", AttrKind::String, "a\u{ffff}", Rule::Noncharacter),
        ("source", AttrKind::String, "a b", Rule::UriReference),
        ("time", AttrKind::String, "yesterday", Rule::Timestamp),
        ("datacontenttype", AttrKind::String, "json", Rule::MediaType),
        ("dataschema", AttrKind::String, "/relative", Rule::Uri),
        ("specversion", AttrKind::String, "0.3", Rule::SpecVersion),
        ("data", AttrKind::String, "x", Rule::Reserved),
        ("Bad", AttrKind::String, "x", Rule::Name),
        ("a", AttrKind::Integer, "1.5", Rule::Integer),
        ("a", AttrKind::Boolean, "yes", Rule::Boolean),
        ("a", AttrKind::Binary, "?", Rule::Binary),
        ("a", AttrKind::Uri, "x", Rule::Uri),
        ("a", AttrKind::UriReference, "%", Rule::UriReference),
        ("a", AttrKind::Timestamp, "x", Rule::Timestamp),
        ("a", AttrKind::String, "\u{85}", Rule::ControlCharacter),
    ] {
        assert_eq!(
            rule_of(minimal().set(name, kind, text)),
            (name.to_owned(), rule),
            "{name} {text:?}"
        );
    }
}

#[test]
fn an_error_names_attribute_and_clause_and_quotes_a_bounded_escaped_excerpt() {
    let error = minimal()
        .time(&format!("\r\n{}", "x".repeat(5000)))
        .build()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("attribute \"time\" must be an RFC 3339 timestamp"),
        "{text}"
    );
    assert!(text.contains(r#"it is "\r\nxxx"#) && text.len() < 300, "{text}");
    let error = minimal()
        .set(&"N\u{e9}".repeat(999), AttrKind::String, "")
        .build()
        .unwrap_err();
    assert!(error.to_string().len() < 400, "{error}");
}

#[test]
fn set_replaces_in_place_with_few_and_with_many_extensions() {
    for count in [3, 24, 25, 300] {
        let mut builder = minimal();
        for round in ["old", "new"] {
            for n in 0..count {
                builder.extension(&format!("x{n}"), round);
            }
        }
        assert!(builder.has("x2") && !builder.has("y"));
        assert_eq!(builder.get("x1").unwrap().text, "new");
        let event = builder.build().unwrap();
        let names: Vec<_> = event
            .extensions()
            .map(|(name, value)| (name.to_owned(), value.text))
            .collect();
        assert_eq!(
            names,
            (0..count).map(|n| (format!("x{n}"), "new")).collect::<Vec<_>>()
        );
    }
}

#[test]
fn build_leaves_the_builder_empty_even_after_an_error() {
    let mut builder = minimal();
    builder
        .data(Bytes::from_static(b"secret"))
        .extension("Bad", "x")
        .key(Bytes::from_static(b"k"));
    assert!(builder.build().is_err());
    builder.id("2").source("/s").ty("t");
    let event = builder.build().unwrap();
    assert_eq!(
        (event.data(), event.key(), event.extensions().count()),
        (None, None, 0)
    );
}

#[test]
fn the_key_is_the_transports_else_partitionkey() {
    let event = minimal().extension("partitionkey", "p").build().unwrap();
    assert_eq!(event.key(), Some(&b"p"[..]));
    let keyed = event.clone().with_key(Some(Bytes::from_static(b"k")));
    assert_eq!(keyed.key(), Some(&b"k"[..]));
    assert_eq!(keyed.transport_key().unwrap(), "k");
    assert_eq!(keyed, event);
}

#[test]
fn equality_is_of_type_and_text_in_any_order_of_extensions() {
    let ab = minimal().extension("a", "1").extension("b", "2").build().unwrap();
    let ba = minimal().extension("b", "2").extension("a", "1").build().unwrap();
    let integer = minimal()
        .set("a", AttrKind::Integer, "1")
        .extension("b", "2")
        .build()
        .unwrap();
    assert_eq!(ab, ba);
    assert_ne!(ab, integer);
    assert_ne!(ab, minimal().extension("a", "1").build().unwrap());
    assert_ne!(
        minimal().build().unwrap(),
        minimal().data(Bytes::new()).build().unwrap()
    );
    assert_ne!(
        minimal().subject("x").build().unwrap(),
        minimal().dataschema("x:").build().unwrap()
    );
}

#[test]
fn sixty_four_kibibytes_pass_in_one_attribute_and_in_data() {
    let long = "\u{20ac}".repeat(22_000);
    let event = minimal()
        .extension("long", &long)
        .data(Bytes::from(vec![7; 65_536]))
        .build()
        .unwrap();
    assert_eq!(event.get("long").unwrap().text, long);
    assert_eq!(event.data().unwrap().len(), 65_536);
}

proptest! {
    #[test]
    fn editing_without_a_change_gives_the_same_event(
        id in "\\PC{1,20}", exts in proptest::collection::vec(("[a-z0-9]{1,30}", "\\PC{0,300}"), 0..40), data in any::<Option<Vec<u8>>>(),
    ) {
        let mut builder = EventBuilder::new();
        builder.id(&id).source("/s").ty("t");
        for (name, value) in &exts {
            builder.extension(&format!("x{name}"), value);
        }
        if let Some(data) = data {
            builder.data(data.into());
        }
        // A private-use or unassigned code point may be a noncharacter; those are refused.
        let Ok(event) = builder.build() else { return Ok(()) };
        let again = event.edit().build().unwrap();
        prop_assert_eq!(&again.block, &event.block);
        prop_assert_eq!(&again, &event);
        for (name, value) in &exts {
            prop_assert!(event.get(&format!("x{name}")).is_some(), "{}", value);
        }
    }

    #[test]
    fn the_builder_never_panics(name in any::<String>(), kind in 0u8..7, text in any::<String>()) {
        let kind = AttrKind::from_code(kind);
        if let Ok(event) = minimal().set(&name, kind, &text).build() {
            prop_assert_eq!(event.get(&name).map(|value| value.text), Some(text.as_str()));
        }
    }
}

#[test]
fn an_extension_that_is_taken_out_leaves_the_others_and_no_core_attribute_can_be() {
    for count in [3, 40] {
        let mut builder = EventBuilder::new();
        builder.id("1").source("/s").ty("t");
        for number in 0..count {
            builder.extension(&format!("x{number}"), &number.to_string());
        }
        builder.remove("x1").remove("id").remove("absent");
        let event = builder.build().expect("a valid event");
        let names: Vec<String> = event.extensions().map(|(name, _)| name.to_owned()).collect();
        let others = (0..count).filter(|number| *number != 1);
        assert_eq!(
            names,
            others.map(|number| format!("x{number}")).collect::<Vec<_>>()
        );
        assert_eq!(event.id(), "1");
    }
}
