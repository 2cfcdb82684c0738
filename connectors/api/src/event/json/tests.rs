//! The JSON format against its specification, against its own inverse, and against `serde_json` as the
//! scanner's twin.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::event::testing::any_event;
use crate::event::{AttrKind, Event, EventBuilder, Rule};

const HEAD: &str = r#""specversion":"1.0","id":"1","source":"/s","type":"t""#;

fn read(members: &str) -> Result<Event, DecodeError> {
    decode(&Bytes::from(format!("{{{HEAD}{members}}}")))
}

fn data(members: &str) -> (Option<String>, Option<String>) {
    let event = read(members).unwrap();
    let text = event.data().map(|data| String::from_utf8(data.to_vec()).unwrap());
    (text, event.datacontenttype().map(str::to_owned))
}

fn rule_of(members: &str) -> (String, Member) {
    match read(members) {
        Err(DecodeError::Member { name, rule }) => (name.into(), rule),
        other => panic!("{members}: {other:?}"),
    }
}

fn written(event: &Event) -> String {
    let mut out = Vec::new();
    encode(event, &mut out);
    String::from_utf8(out).unwrap()
}

/// The event as JSON can say it: types that JSON has no word for become String.
fn as_json_sees_it(event: &Event) -> Event {
    let mut builder = event.edit();
    for (name, value) in event.extensions() {
        if !matches!(value.kind, AttrKind::Boolean | AttrKind::Integer) {
            builder.set(name, AttrKind::String, value.text);
        }
    }
    builder.build().unwrap()
}

#[test]
fn json_data_is_a_slice_of_the_input_with_its_text_untouched() {
    let text = r#"{ "b" : 123456789012345678901234567890.10, "a":[1e400 , "\u00e9\uDEAD"] }"#;
    let input = Bytes::from(format!(
        "{{{HEAD},\"data\" : {text} ,\"datacontenttype\":\"application/json\"}}"
    ));
    let event = decode(&input).unwrap();
    assert_eq!(event.data().unwrap(), text);
    let range = input.as_ptr_range();
    assert!(
        range.contains(&event.data().unwrap().as_ptr()),
        "the data was copied"
    );
    assert!(written(&event).ends_with(&format!("\"data\":{text}}}")));
}

#[test]
fn a_small_slice_does_not_keep_a_large_input_alive() {
    let input = Bytes::from(format!("{{{HEAD},\"data\":[1]{}}}", " ".repeat(100_000)));
    let event = decode(&input).unwrap();
    assert!(!input.as_ptr_range().contains(&event.data().unwrap().as_ptr()));
}

#[test]
fn data_without_a_content_type_is_json_and_says_so_from_then_on() {
    let json = Some("application/json".to_owned());
    assert_eq!(
        data(r#","data":"I'm just a string""#),
        (Some(r#""I'm just a string""#.into()), json.clone())
    );
    assert_eq!(data(r#","data":null"#), (Some("null".into()), json.clone()));
    assert_eq!(
        data(r#","datacontenttype":null,"data":1"#),
        (Some("1".into()), json)
    );
    assert_eq!(data(r#","data_base64":"AQ==""#), (Some("\u{1}".into()), None));
    assert_eq!(data(""), (None, None));
}

#[test]
fn data_of_another_content_type_is_the_strings_content() {
    let xml = r#","datacontenttype":"application/xml","data":"<much wow=\"xml\"/>\n""#;
    assert_eq!(data(xml).0.unwrap(), "<much wow=\"xml\"/>\n");
    assert_eq!(
        data(r#","data":"plain","datacontenttype":"text/plain""#)
            .0
            .unwrap(),
        "plain"
    );
    assert_eq!(data(r#","data":null,"datacontenttype":"text/plain""#).0, None);
    assert_eq!(
        data(r#","data":"abc","datacontenttype":"text/plain; charset=iso-8859-1""#)
            .0
            .unwrap(),
        "abc"
    );
    assert_eq!(
        rule_of(r#","data":{},"datacontenttype":"text/plain""#),
        ("data".into(), Member::DataNotString)
    );
    let foreign = r#","data":"caf\u00e9","datacontenttype":"text/plain; charset=iso-8859-1""#;
    assert_eq!(rule_of(foreign), ("data".into(), Member::ForeignCharset));
    let wide = r#","data":"abc","datacontenttype":"text/plain; charset=utf-16""#;
    assert_eq!(rule_of(wide), ("data".into(), Member::ForeignCharset));
}

#[test]
fn base64_is_bytes_padded_or_not() {
    for text in ["/+8=", "/+8"] {
        let event = read(&format!(
            r#","datacontenttype":"application/json","data_base64":"{text}""#
        ))
        .unwrap();
        assert_eq!(event.data().unwrap().as_ref(), [0xff, 0xef]);
    }
    assert_eq!(read(r#","data_base64":null"#).unwrap().data(), None);
    assert_eq!(rule_of(r#","data_base64":"a b""#).1, Member::NotBase64);
    assert_eq!(rule_of(r#","data_base64":1"#).1, Member::NotString);
    assert_eq!(
        rule_of(r#","data":null,"data_base64":"AQ==""#).1,
        Member::BothData
    );
}

#[test]
fn attributes_map_by_the_table_of_section_2_2() {
    let event = read(r#","a":true,"b":false,"c":-7,"d":"x","e":null,"f":-0,"g":2147483647"#).unwrap();
    let found: Vec<_> = event
        .extensions()
        .map(|(name, value)| (name, value.kind, value.text))
        .collect();
    let expected = [
        ("a", AttrKind::Boolean, "true"),
        ("b", AttrKind::Boolean, "false"),
        ("c", AttrKind::Integer, "-7"),
        ("d", AttrKind::String, "x"),
        ("f", AttrKind::Integer, "0"),
        ("g", AttrKind::Integer, "2147483647"),
    ];
    assert_eq!(found, expected);
    assert_eq!(read(r#","subject":null,"time":null"#).unwrap().subject(), None);
}

#[test]
fn a_wrong_member_is_named_with_its_rule() {
    for (members, name, rule) in [
        (r#","a":1.0"#, "a", Member::NotInteger),
        (r#","a":1e3"#, "a", Member::NotInteger),
        (r#","a":2147483648"#, "a", Member::NotInteger),
        (r#","a":{"b":1}"#, "a", Member::Structured),
        (r#","a":[]"#, "a", Member::Structured),
        (r#","subject":5"#, "subject", Member::NotString),
        (r#","time":true"#, "time", Member::NotString),
        (r#","a":1,"a":1"#, "a", Member::Duplicate),
        (r#","a":1,"\u0061":1"#, "a", Member::Duplicate),
        (r#","a":null,"a":1"#, "a", Member::Duplicate),
        (r#","a":1,"a":null"#, "a", Member::Duplicate),
        (r#","a":null,"a":null"#, "a", Member::Duplicate),
        (r#","id":"2""#, "id", Member::Duplicate),
        (r#","specversion":"1.0""#, "specversion", Member::Duplicate),
        (r#","data":1,"data":1"#, "data", Member::Duplicate),
        (
            r#","data_base64":null,"data_base64":null"#,
            "data_base64",
            Member::Duplicate,
        ),
    ] {
        assert_eq!(rule_of(members), (name.to_owned(), rule), "{members}");
    }
    let error = read(r#","a":1.5"#).unwrap_err().to_string();
    assert!(
        error.contains("member \"a\"") && error.contains("section 2.2") && error.contains("as a string"),
        "{error}"
    );
}

#[test]
fn the_events_rules_hold_for_json_too() {
    for (text, attribute, rule) in [
        (
            r#"{"id":"1","source":"/s","type":"t"}"#,
            "specversion",
            Rule::Required,
        ),
        (
            r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#,
            "specversion",
            Rule::SpecVersion,
        ),
        (
            r#"{"specversion":"1.0","id":null,"source":"/s","type":"t"}"#,
            "id",
            Rule::Required,
        ),
        (
            r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#,
            "id",
            Rule::Empty,
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"a\u0000"}"#,
            "type",
            Rule::ControlCharacter,
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","a_b":1}"#,
            "a_b",
            Rule::Name,
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"x","data":1}"#,
            "datacontenttype",
            Rule::MediaType,
        ),
    ] {
        match decode(&Bytes::from_static(text.as_bytes())) {
            Err(DecodeError::Invalid(error)) => {
                assert_eq!((&*error.attribute, error.rule), (attribute, rule), "{text}")
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(
        read(r#","subject":"\uDEAD""#),
        Err(DecodeError::Syntax { .. })
    ));
    assert_eq!(
        read(r#","subject":"\uD83D\ude00""#).unwrap().subject(),
        Some("\u{1f600}")
    );
}

#[test]
fn what_is_no_json_object_is_refused_with_its_place() {
    for (text, at) in [
        ("", 0),
        ("[]", 0),
        ("{", 1),
        ("{}x", 2),
        ("{\"a\" 1}", 5),
        ("{\"a\":1,}", 7),
        ("{\"a\":tru}", 5),
    ] {
        match decode(&Bytes::from_static(text.as_bytes())) {
            Err(DecodeError::Syntax { at: found, .. } | DecodeError::Shape { at: found, .. }) => {
                assert_eq!(found, at, "{text}")
            }
            // The object is complete, so that its attributes are looked at first.
            Err(DecodeError::Invalid(error)) => assert_eq!((text, error.rule), ("{}x", Rule::Required)),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(
        decode(&Bytes::from_static(b"{\"\xff\":1}")),
        Err(DecodeError::Utf8 { at: 2 })
    );
    assert!(matches!(
        decode(&Bytes::from(format!("{{{HEAD}}} {{}}"))),
        Err(DecodeError::Syntax { .. })
    ));
}

#[test]
fn depth_is_bounded_without_recursion() {
    let nested = |depth: usize| read(&format!(",\"data\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(nested(128).is_ok());
    assert!(nested(129).unwrap_err().to_string().contains("deeper than 128"));
    assert!(nested(1_000_000).is_err());
    assert!(read(&format!(",\"data\":{}", "{\"a\":".repeat(1_000_000))).is_err());
    assert!(decode(&Bytes::from("[".repeat(1_000_000))).is_err());
}

#[test]
fn data_is_written_so_that_it_comes_back() {
    let with = |content_type: Option<&str>, data: &[u8]| {
        let mut builder = EventBuilder::new();
        builder
            .id("1")
            .source("/s")
            .ty("t")
            .data(Bytes::copy_from_slice(data));
        if let Some(content_type) = content_type {
            builder.datacontenttype(content_type);
        }
        builder.build().unwrap()
    };
    for (content_type, data, end) in [
        (Some("application/json"), &b"{\"a\":1}"[..], r#""data":{"a":1}}"#),
        (Some("application/vnd.x+json"), b"null", r#""data":null}"#),
        (Some("application/json"), b" 1", r#""data_base64":"IDE="}"#),
        (Some("application/json"), b"1\n", r#""data_base64":"MQo="}"#),
        (
            Some("application/json"),
            b"{broken",
            r#""data_base64":"e2Jyb2tlbg=="}"#,
        ),
        (Some("application/json"), b"", r#""data_base64":""}"#),
        (Some("application/json"), b"\"\xff\"", r#""data_base64":"Iv8i"}"#),
        (None, b"1", r#""data_base64":"MQ=="}"#),
        (Some("text/plain"), b"a\"\\\n\x01", r#""data":"a\"\\\n\u0001"}"#),
        (Some("text/plain"), b"", r#""data":""}"#),
        (Some("text/plain"), b"\xff", r#""data_base64":"/w=="}"#),
        (
            Some("text/plain; charset=latin1"),
            b"x",
            r#""data_base64":"eA=="}"#,
        ),
        (Some("application/octet-stream"), b"x", r#""data_base64":"eA=="}"#),
    ] {
        let event = with(content_type, data);
        let text = written(&event);
        assert!(text.ends_with(end), "{text} does not end with {end}");
        assert_eq!(decode(&Bytes::from(text)).unwrap(), event);
    }
    let deep = "[".repeat(129) + &"]".repeat(129);
    let event = with(Some("application/json"), deep.as_bytes());
    assert_eq!(decode(&Bytes::from(written(&event))).unwrap(), event);
}

#[test]
fn a_batch_comes_back_in_order_and_is_bounded() {
    let events: Vec<_> = (0..5)
        .map(|n| read(&format!(",\"n\":{n},\"data\":{{\"x\":{n}}}")).unwrap())
        .collect();
    let mut out = Vec::new();
    encode_batch(&events, &mut out);
    let input = Bytes::from(out);
    assert_eq!(decode_batch(&input, 5).unwrap(), events);
    assert_eq!(decode_batch(&input, 4), Err(DecodeError::TooMany { max: 4 }));
    assert_eq!(decode_batch(&Bytes::from_static(b" [ ] "), 0), Ok(Vec::new()));
    let one_bad = Bytes::from(format!("[{{{HEAD}}},{{{HEAD},\"a\":1.5}}]"));
    let error = decode_batch(&one_bad, 9).unwrap_err().to_string();
    assert!(error.starts_with("event 1 of the batch: member \"a\""), "{error}");
    for bad in ["", "{}", "[", "[1]", "[{}", "[]]"] {
        assert!(
            decode_batch(&Bytes::from_static(bad.as_bytes()), 9).is_err(),
            "{bad}"
        );
    }
    let trailing = Bytes::from(format!("[{{{HEAD}}},]"));
    assert!(decode_batch(&trailing, 9).is_err());
}

#[test]
fn a_path_leads_to_the_values_text() {
    let document = br#"{"a":[{"b":"x\n\u00e9"},{"b":1.50}],"n":null,"o":{"p":[1, 2]},"a.b":true,"":0,"e":[],"\u0066":1}"#;
    let member = |name: &str| Step::Member(name.into());
    let get = |path: &[Step]| lookup(document, path).map(Cow::into_owned);
    assert_eq!(
        get(&[member("a"), Step::Element(0), member("b")]).unwrap(),
        "x\n\u{e9}"
    );
    assert_eq!(
        get(&[member("a"), Step::Element(1), member("b")]).unwrap(),
        "1.50"
    );
    assert_eq!(get(&[member("o"), member("p")]).unwrap(), "[1, 2]");
    assert_eq!(get(&[member("a.b")]).unwrap(), "true");
    assert_eq!(get(&[member("")]).unwrap(), "0");
    assert_eq!(get(&[member("f")]).unwrap(), "1");
    for nowhere in [
        vec![member("n")],
        vec![member("z")],
        vec![member("n"), member("x")],
        vec![member("a"), Step::Element(2)],
        vec![member("e"), Step::Element(0)],
        vec![Step::Element(0)],
        vec![member("a"), member("b")],
    ] {
        assert_eq!(get(&nowhere), None, "{nowhere:?}");
    }
    assert_eq!(lookup(b"\xff", &[]), None);
    assert_eq!(lookup(b"{\"a\":", &[member("a")]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn decoding_undoes_encoding(event in any_event()) {
        let text = written(&event);
        // Raw, since serde_json refuses to make a value of a number with 65,536 digits, which JSON allows.
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
        let id: String = serde_json::from_str(members["id"].get()).unwrap();
        prop_assert_eq!(id, event.id());
        let again = decode(&Bytes::from(text)).unwrap();
        prop_assert_eq!(again, as_json_sees_it(&event));
    }

    #[test]
    fn the_decoder_never_panics(bytes in any::<Vec<u8>>(), text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,60}") {
        let bytes = Bytes::from(bytes);
        let _ = decode(&bytes);
        let _ = decode_batch(&bytes, 10);
        let _ = read(&format!(",{text}"));
        let _ = read(&format!(",\"data\":{text}"));
        let _ = lookup(text.as_bytes(), &[Step::Member("a".into()), Step::Element(1)]);
    }

    #[test]
    fn a_damaged_event_never_panics_and_never_passes_as_something_invalid(event in any_event(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = written(&event).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(event) = decode(&Bytes::from(bytes)) {
            prop_assert!(event.edit().build().is_ok());
        }
    }

    /// The scanner's naive twin is serde_json; they may differ in depth and in numbers and surrogates, which
    /// it interprets.
    #[test]
    fn the_scanner_agrees_with_serde_json(text in "(\\PC|[\\[\\]{}\",:0-9a-f.eE+\\\\ntrueals-]){0,24}") {
        let ours = is_value(text.as_bytes());
        let theirs = serde_json::from_str::<&RawValue>(&text).is_ok_and(|raw| raw.get() == text);
        prop_assert_eq!(ours, theirs, "{:?}", text);
    }

    #[test]
    fn the_word_at_a_time_search_agrees_with_the_plain_one(bytes in proptest::collection::vec(prop_oneof![Just(b'a'), Just(0xe9), any::<u8>()], 0..40)) {
        let naive = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len());
        prop_assert_eq!(scan::plain_length(&bytes), naive);
    }

    #[test]
    fn any_json_value_is_one_value(value in any_json()) {
        let text = value.to_string();
        prop_assert!(is_value(text.as_bytes()));
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert!(is_value(pretty.as_bytes()));
        let padded = format!(" {text}");
        prop_assert!(!is_value(padded.as_bytes()));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}
