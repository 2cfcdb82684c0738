//! Templates as `docs/templates.md` shows them.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::EventBuilder;

/// A message whose transport inputs are a map from `topic`, `topic[1]` or `headers.X` to text.
#[derive(Default)]
struct Message {
    roots: HashMap<String, String>,
    data: Option<Bytes>,
}

impl Inputs for Message {
    fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
        let key = match step {
            None => name.to_owned(),
            Some(Step::Element(n)) => format!("{name}[{n}]"),
            Some(Step::Member(member)) => format!("{name}.{member}"),
        };
        self.roots.get(&key).map(|text| Cow::Borrowed(text.as_str()))
    }

    fn data(&self) -> Option<&Bytes> {
        self.data.as_ref()
    }
}

fn message(roots: &[(&str, &str)], data: &str) -> Message {
    let roots = roots
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    Message {
        roots,
        data: Some(Bytes::copy_from_slice(data.as_bytes())),
    }
}

fn render(text: &str, scope: &Scope, inputs: &dyn Inputs) -> Result<String, MissingField> {
    let mut out = String::new();
    Template::parse(text, scope)
        .unwrap()
        .render(inputs, &mut out)
        .map(|()| out)
}

#[test]
fn each_protocols_inputs_are_put_in() {
    let data = r#"{"msgid":"m1","temp":21.5,"a":[{"b":"x"}],"odd name":1,"none":null,"ts":1709251199250}"#;
    let all = message(
        &[
            ("topic", "plant/7/temperature"),
            ("topic[1]", "7"),
            ("partition", "0"),
            ("offset", "42"),
            ("key", "k"),
            ("headers.x-trace.id", "h"),
            ("headers.a b", "spaced"),
            ("user.U", "u"),
            ("subject", "s"),
            ("properties.p", "pp"),
            ("path[2]", "seg"),
            ("query.q", "qq"),
        ],
        data,
    );
    for (text, scope, expected) in [
        (
            "{topic}/{partition}/{offset}",
            Scope::KAFKA_INGRESS,
            "plant/7/temperature/0/42",
        ),
        ("{key}-{headers.x-trace.id}", Scope::KAFKA_INGRESS, "k-h"),
        ("{headers[\"a b\"]}", Scope::KAFKA_INGRESS, "spaced"),
        ("{topic[1]} {user.U}", Scope::MQTT_INGRESS, "7 u"),
        (
            "com.acme.job.{subject | else unknown}",
            Scope::AMQP_INGRESS,
            "com.acme.job.s",
        ),
        ("{properties.p}", Scope::AMQP_INGRESS, "pp"),
        ("{path[2]}{query.q}", Scope::HTTP_INGRESS, "segqq"),
        ("{data.msgid | else uuid}", Scope::MQTT_INGRESS, "m1"),
        ("{data.temp | round}", Scope::MQTT_INGRESS, "22"),
        (
            "{data.a[0].b}{data[\"odd name\"]}{data['a'][0]['b']}",
            Scope::MQTT_INGRESS,
            "x1x",
        ),
        (
            "{data.ts | epoch_ms}",
            Scope::MQTT_INGRESS,
            "2024-02-29T23:59:59.25Z",
        ),
        ("{data.a}", Scope::MQTT_INGRESS, r#"[{"b":"x"}]"#),
        ("{ data.none|else 'a b' }", Scope::MQTT_INGRESS, "a b"),
        ("{data.none | else data.msgid}", Scope::MQTT_INGRESS, "m1"),
        (
            "{data.none | else {data.x} | else {data.msgid}}",
            Scope::MQTT_INGRESS,
            "m1",
        ),
        ("{data.msgid | int | else 0}", Scope::MQTT_INGRESS, "0"),
        ("{data.none | else X | lower}", Scope::MQTT_INGRESS, "x"),
        ("{data.none | else \"}|{\\\"\"}", Scope::MQTT_INGRESS, "}|{\""),
        ("{{literal}} {{{topic[1]}}}", Scope::MQTT_INGRESS, "{literal} {7}"),
        ("", Scope::MQTT_INGRESS, ""),
    ] {
        assert_eq!(render(text, &scope, &all).unwrap(), expected, "{text}");
    }
    let id = render("{data.absent | else uuid}", &Scope::MQTT_INGRESS, &all).unwrap();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 4);
    assert_eq!(
        render("{data | round}", &Scope::MQTT_INGRESS, &message(&[], "23.7")).unwrap(),
        "24"
    );
}

#[test]
fn at_a_destination_any_attribute_and_the_key_are_inputs() {
    let mut builder = EventBuilder::new();
    builder
        .id("1")
        .source("/s")
        .ty("t")
        .extension("partitionkey", "p")
        .extension("tenant", "acme");
    let event = builder.build().unwrap();
    for (text, expected) in [
        ("{type}.{tenant}.{id}", "t.acme.1"),
        ("{key}", "p"),
        ("{subject | else tenant}", "tenant"),
        ("{subject | else {tenant}}", "acme"),
        ("{subject | else source}", "/s"),
        ("{subject | else \"source\"}", "source"),
        ("{specversion}", "1.0"),
    ] {
        assert_eq!(render(text, &Scope::EGRESS, &event).unwrap(), expected, "{text}");
    }
    let keyed = event.with_key(Some(Bytes::from_static(b"\xff")));
    assert_eq!(
        render("{key}", &Scope::EGRESS, &keyed).unwrap_err().why,
        Why::Missing
    );
}

#[test]
fn a_missing_value_names_its_field() {
    let empty = message(&[], "{\"n\":\"five\"}");
    for (text, field, why) in [
        ("x{data.a[0].b}", "data.a[0].b", Why::Missing),
        ("{topic[9]}", "topic[9]", Why::Missing),
        ("{user.X | lower}", "user.X", Why::Missing),
        ("{data.n | int}", "data.n", Why::NotInteger),
        ("{data.n | epoch_s}", "data.n", Why::NotEpoch),
        ("{data.a | else {data.b}}", "data.a", Why::Missing),
    ] {
        let error = render(text, &Scope::MQTT_INGRESS, &empty).unwrap_err();
        assert_eq!((&*error.field, error.why), (field, why), "{text}");
    }
    let error = render("{data.msgid}", &Scope::MQTT_INGRESS, &empty).unwrap_err();
    assert_eq!(
        error.to_string(),
        "{data.msgid} is missing: the message must have it, or the template needs `| else ...`"
    );
    assert_eq!(
        render("{data}", &Scope::MQTT_INGRESS, &Message::default())
            .unwrap_err()
            .why,
        Why::Missing
    );
}

#[test]
fn what_is_rendered_is_bounded() {
    let long = message(&[], &format!("{{\"x\":\"{}\"}}", "y".repeat(40_000)));
    assert_eq!(
        render("{data.x}", &Scope::MQTT_INGRESS, &long).unwrap().len(),
        40_000
    );
    assert_eq!(
        render("{data.x}{data.x}", &Scope::MQTT_INGRESS, &long)
            .unwrap_err()
            .why,
        Why::TooLong
    );
    assert!(Template::parse(&"x".repeat(4097), &Scope::EGRESS).is_err());
}

#[test]
fn a_wrong_template_says_where_what_and_what_instead() {
    for (text, scope, column, what, remedy) in [
        ("abc{", Scope::EGRESS, 5, "an input is missing", "any attribute"),
        ("\u{e9}{id", Scope::EGRESS, 2, "a `{` without its `}`", "`{{`"),
        ("a}b", Scope::EGRESS, 2, "a `}` that closes nothing", "`}}`"),
        ("{}", Scope::EGRESS, 2, "an input is missing", "key"),
        (
            "{partiton}",
            Scope::KAFKA_INGRESS,
            2,
            "a Kafka ingress has no input `partiton`",
            "partition",
        ),
        (
            "{type}",
            Scope::KAFKA_INGRESS,
            2,
            "a Kafka ingress has no input `type`",
            "headers.NAME",
        ),
        (
            "{data.x}",
            Scope::EGRESS,
            2,
            "a destination has no data",
            "attributes",
        ),
        ("{Upper}", Scope::EGRESS, 2, "no input `Upper`", "any attribute"),
        ("{topic.x}", Scope::MQTT_INGRESS, 7, "takes a number", "topic[0]"),
        (
            "{offset[1]}",
            Scope::KAFKA_INGRESS,
            8,
            "nothing can follow `offset`",
            "leave it out",
        ),
        (
            "{id.x}",
            Scope::EGRESS,
            4,
            "nothing can follow `id`",
            "leave it out",
        ),
        (
            "{headers}",
            Scope::HTTP_INGRESS,
            9,
            "`headers` needs a name",
            "headers.NAME",
        ),
        (
            "{headers.}",
            Scope::HTTP_INGRESS,
            9,
            "`headers` needs a name",
            "headers.NAME",
        ),
        ("{id | upper}", Scope::EGRESS, 7, "no function `upper`", "lower"),
        ("{id | }", Scope::EGRESS, 7, "no function ``", "else"),
        ("{id lower}", Scope::EGRESS, 5, "something else than", "`|`"),
        ("{id | else }", Scope::EGRESS, 12, "nothing after else", "word"),
        (
            "{id | else \"x}",
            Scope::EGRESS,
            12,
            "a quote without its end",
            "close it",
        ),
        (
            "{id | else {type | lower}}",
            Scope::EGRESS,
            12,
            "without its `}`",
            "behind",
        ),
        ("{data.}", Scope::HTTP_INGRESS, 6, "a `.` without a name", "name"),
        ("{data[x]}", Scope::HTTP_INGRESS, 6, "brackets", "[0]"),
        ("{data[0}", Scope::HTTP_INGRESS, 6, "brackets", "[0]"),
        ("{data[-1]}", Scope::HTTP_INGRESS, 6, "brackets", "[0]"),
        (
            "{data.x | int | else none}",
            Scope::HTTP_INGRESS,
            22,
            "no whole number",
            "`| int`",
        ),
        (
            "{data.x | round | else data.y}",
            Scope::HTTP_INGRESS,
            24,
            "no whole number",
            "`| int`",
        ),
    ] {
        let error = Template::parse(text, &scope).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.what.contains(what), "{text}: {error}");
        assert!(error.remedy.contains(remedy), "{text}: {error}");
    }
}

#[test]
fn a_template_knows_whether_it_is_constant_and_of_which_type() {
    let parse = |text| Template::parse(text, &Scope::HTTP_INGRESS).unwrap();
    assert_eq!(parse("plain {{text}}").as_constant(), Some("plain {text}"));
    assert_eq!(parse("").as_constant(), Some(""));
    assert_eq!(parse("{path}").as_constant(), None);
    for (text, kind) in [
        ("{data.t | round}", AttrKind::Integer),
        ("{data.t | else 5 | int}", AttrKind::Integer),
        ("{data.t | int | else -1}", AttrKind::Integer),
        ("{data.t | int | sha256}", AttrKind::String),
        ("x{data.t | int}", AttrKind::String),
        ("{data.t}", AttrKind::String),
        ("5", AttrKind::String),
    ] {
        assert_eq!(parse(text).kind(), kind, "{text}");
    }
}

#[test]
fn a_template_gives_nothing_without_its_own_text() {
    let may = |template: &str, text: &str| Template::parse(template, &Scope::EGRESS).unwrap().may_give(text);
    for (template, text) in [
        ("a", "a"),
        ("{subject}", "a"),
        ("{subject}", ""),
        ("a.{subject}", "a."),
        ("a.{subject}", "a.b"),
        ("{subject}.a", "b.a"),
        ("{subject}.a", "a.a.a"),
        ("a.{subject}.b.{id}.c", "a.x.b.b.y.c"),
        ("{subject}{id}", "a"),
    ] {
        assert!(may(template, text), "{template} {text}");
    }
    for (template, text) in [
        ("a", "ab"),
        ("a", "b"),
        ("a.{subject}", "b.a."),
        ("{subject}.a", "b.ab"),
        ("ab{subject}ba", "aba"),
        ("a.{subject}.b.{id}.c", "a.x.y.c"),
    ] {
        assert!(!may(template, text), "{template} {text}");
    }
}

#[test]
fn a_guard_sees_values_and_never_the_templates_own_text() {
    let mut builder = EventBuilder::new();
    builder
        .id("a/b+\u{e9} ..")
        .source("/s")
        .ty("..")
        .key(Bytes::from_static(b"x\r\ny"));
    let event = builder.build().unwrap();
    let guarded = |text: &str, guard: &guard::Guard| {
        let mut out = String::new();
        let template = Template::parse(text, &Scope::EGRESS).unwrap();
        template
            .render_guarded(&event, guard, &mut out)
            .map(|()| out)
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        guarded("/v1/{id}/x", &guard::path_segment).unwrap(),
        "/v1/a%2Fb%2B%C3%A9%20../x"
    );
    assert!(
        guarded("/v1/{type}", &guard::path_segment)
            .unwrap_err()
            .starts_with("{type} cannot be put there: it is empty")
    );
    assert!(
        guarded("plant/{id}", &guard::level(&['/', '+', '#']))
            .unwrap_err()
            .contains("separator or wildcard")
    );
    assert_eq!(
        guarded("plant/{type}", &guard::level(&['/', '+', '#'])).unwrap(),
        "plant/.."
    );
    assert!(
        guarded("{key}", &guard::plain)
            .unwrap_err()
            .contains("control character")
    );
    assert_eq!(guarded("{key}", &guard::any).unwrap(), "x\r\ny");
}

proptest! {
    #[test]
    fn parsing_and_rendering_never_panic(text in "([{}|.\\[\\]\"'\\\\ ]|data|else|topic|int|\\PC){0,20}", data in any::<Vec<u8>>()) {
        let inputs = Message { roots: HashMap::new(), data: Some(data.into()) };
        for scope in [Scope::EGRESS, Scope::KAFKA_INGRESS, Scope::MQTT_INGRESS, Scope::AMQP_INGRESS, Scope::HTTP_INGRESS] {
            match Template::parse(&text, &scope) {
                Ok(template) => _ = template.render(&inputs, &mut String::new()),
                Err(error) => prop_assert!(error.column <= text.chars().count() + 1),
            }
        }
    }

    #[test]
    fn escaped_text_is_constant(text in "\\PC{0,40}") {
        let escaped = text.replace('{', "{{").replace('}', "}}");
        let template = Template::parse(&escaped, &Scope::EGRESS).unwrap();
        prop_assert_eq!(template.as_constant(), Some(text.as_str()));
    }
}
