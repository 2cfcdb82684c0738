//! The dialects, their errors, explanations and contradictions.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::generators::{event, filter, filters};
use super::{FilterExpr, Outcome, Predicate};
use crate::routing::AttrKind;
use crate::routing::cesql::LENGTH_MAX;
use crate::routing::fields::Fields;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn an_explanation_says_what_matching_says(filters in filters(), event in event()) {
        let predicate = Predicate::compile_all(&filters).unwrap();
        let explanation = predicate.explain(&event);
        prop_assert_eq!(explanation.matched(), predicate.matches(&event), "{}", explanation);
    }

    #[test]
    fn what_never_matches_matches_nothing(filters in filters(), events in prop::collection::vec(event(), 16)) {
        let predicate = Predicate::compile_all(&filters).unwrap();
        if let Some(reason) = predicate.never_matches() {
            for event in &events {
                prop_assert!(!predicate.matches(event), "{} and yet it matched", reason);
            }
        }
    }

    #[test]
    fn a_filter_survives_serde(filter in filter()) {
        let json = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<FilterExpr>(&json).unwrap(), filter);
    }
}

fn read(json: &str) -> Result<FilterExpr, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn predicate(json: &str) -> Predicate {
    Predicate::compile(&read(json).unwrap()).unwrap()
}

#[test]
fn each_dialect_means_what_the_specification_says() {
    let event = Fields::of(&[("type", "com.github.push"), ("subject", "repos/spec"), ("n", "5")]);
    let matching = [
        r#"{"exact": {"type": "com.github.push", "subject": "repos/spec"}}"#,
        r#"{"prefix": {"type": "com.github.", "subject": "repos"}}"#,
        r#"{"suffix": {"type": ".push"}}"#,
        r#"{"all": [{"exact": {"n": "5"}}, {"prefix": {"type": "com"}}]}"#,
        r#"{"any": [{"exact": {"n": "6"}}, {"prefix": {"type": "com"}}]}"#,
        r#"{"not": {"exact": {"type": "com.github.pull"}}}"#,
        r#"{"not": {"exact": {"nothere": "x"}}}"#,
        r#"{"sql": "type LIKE 'com.%' AND n > 4"}"#,
        // An error makes an expression fail as a filter; `not` turns that round.
        r#"{"not": {"sql": "nothere = 'x'"}}"#,
    ];
    let others = [
        r#"{"exact": {"type": "com.github.push", "subject": "repos"}}"#,
        r#"{"exact": {"type": "COM.GITHUB.PUSH"}}"#,
        r#"{"prefix": {"type": "com.github.", "nothere": "a"}}"#,
        r#"{"suffix": {"type": ".Push"}}"#,
        r#"{"all": [{"exact": {"n": "5"}}, {"prefix": {"type": "org"}}]}"#,
        r#"{"any": [{"exact": {"n": "6"}}, {"prefix": {"type": "org"}}]}"#,
        r#"{"not": {"prefix": {"type": "com."}}}"#,
        r#"{"sql": "nothere != 'x'"}"#,
        r#"{"sql": "n > 4 AND 1 / 0 = 0"}"#,
        // Not a Boolean: CESQL section 1.2.
        r#"{"sql": "n"}"#,
    ];
    for filter in matching {
        assert!(predicate(filter).matches(&event), "{filter}");
    }
    for filter in others {
        assert!(!predicate(filter).matches(&event), "{filter}");
    }
    assert!(Predicate::compile_all(&[]).unwrap().matches(&event));
}

#[test]
fn a_bare_attribute_passes_only_as_a_true_boolean() {
    let flag = predicate(r#"{"sql": "flag"}"#);
    let with = |kind, text| flag.matches(&Fields::event(&[("flag", kind, text)]));
    assert!(with(AttrKind::Boolean, "true"));
    assert!(!with(AttrKind::Boolean, "false"));
    assert!(!with(AttrKind::String, "true"));
    assert!(!with(AttrKind::Integer, "1"));
    assert!(predicate(r#"{"sql": "BOOL(flag)"}"#).matches(&Fields::of(&[("flag", "true")])));
}

#[test]
fn a_filter_that_cannot_be_read_names_the_dialects() {
    for (json, want) in [
        (
            r#"{"exakt": {"type": "a"}}"#,
            "unknown filter dialect `exakt`: write one of exact, prefix, suffix, all, any, not or sql",
        ),
        (
            "{}",
            "an empty filter: write one of exact, prefix, suffix, all, any, not or sql",
        ),
        (
            r#"{"sql": "TRUE", "not": {"sql": "TRUE"}}"#,
            "a filter has one dialect, and this has `sql` and `not`: write two filters in the list, or `all`",
        ),
        ("[]", "expected a filter: a map with one of exact, prefix"),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.contains(want), "{json}: {error}");
    }
}

#[test]
fn a_wrong_filter_says_where_what_and_what_to_write() {
    for (json, want) in [
        (
            r#"{"exact": {}}"#,
            "exact: no attribute; write at least one, such as `type: com.acme.order`",
        ),
        (
            r#"{"prefix": {"type": ""}}"#,
            "prefix.type: an empty text; write the text, or `sql: EXISTS type` if it is to be there",
        ),
        (
            r#"{"exact": {"Sub_Ject": "a"}}"#,
            "exact.Sub_Ject: `Sub_Ject` is no name of an attribute; names have lower-case letters a-z and digits only: write subject",
        ),
        (
            r#"{"exact": {"data": "a"}}"#,
            "exact.data: filters see attributes, not data; set an attribute from it at the ingress, and filter on that",
        ),
        (
            r#"{"all": []}"#,
            "all: an empty list; write at least one filter in it",
        ),
        (
            r#"{"any": [{"sql": "TRUE"}, {"not": {"any": []}}]}"#,
            "any[1].not.any: an empty list; write at least one filter in it",
        ),
        (
            r#"{"not": {"sql": "type == 'a'"}}"#,
            "not.sql: column 6: found `==`, expected an operator; write =",
        ),
        (
            r#"{"sql": "1 + 1"}"#,
            "sql: the expression gives an Integer; a filter gives a Boolean: compare it, such as `... > 0`",
        ),
        (
            r#"{"sql": "type"}"#,
            "sql: the expression gives a String; a filter gives a Boolean: compare it, such as `... = 'text'`",
        ),
        (
            r#"{"sql": "TRUE OR LENGHT(type) > 3"}"#,
            "sql: column 9: there is no function LENGHT with 1 arguments; write LENGTH with 1 argument",
        ),
        (
            r#"{"sql": "LEFT(type) = 'a'"}"#,
            "sql: column 1: there is no function LEFT with 1 arguments; write LEFT with 2 arguments",
        ),
    ] {
        assert_eq!(
            Predicate::compile(&read(json).unwrap()).unwrap_err().to_string(),
            want,
            "{json}"
        );
    }
    let second = [
        read(r#"{"sql": "TRUE"}"#).unwrap(),
        read(r#"{"sql": ""}"#).unwrap(),
    ];
    assert!(
        Predicate::compile_all(&second)
            .unwrap_err()
            .at
            .starts_with("[1].sql")
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth| {
        (1..depth).fold(FilterExpr::Sql("TRUE".into()), |inner, _| {
            FilterExpr::Not(inner.into())
        })
    };
    assert!(Predicate::compile(&nested(super::DEPTH_MAX)).is_ok());
    let error = Predicate::compile(&nested(super::DEPTH_MAX + 1)).unwrap_err();
    assert!(error.message.contains("nest deeper than 32"), "{error}");
}

#[test]
fn chains_that_change_their_operator_all_the_time_are_analysed_without_depth() {
    let text = format!("a{}", " AND a OR a".repeat(LENGTH_MAX / 11 - 1));
    let predicate = Predicate::compile(&FilterExpr::Sql(text)).unwrap();
    assert_eq!(predicate.never_matches(), None);
    assert!(predicate.matches(&Fields::of(&[("a", "true")])));
    assert!(predicate.explain(&Fields::of(&[("a", "true")])).matched());
}

#[test]
fn contradictions_are_found_with_their_reason() {
    for (json, want) in [
        (
            r#"{"all": [{"exact": {"type": "a"}}, {"exact": {"type": "b"}}]}"#,
            "`type` cannot be both \"a\" and \"b\"",
        ),
        (
            r#"{"all": [{"exact": {"type": "a"}}, {"prefix": {"type": "com."}}]}"#,
            "`type` cannot be \"a\" and begin with \"com.\"",
        ),
        (
            r#"{"all": [{"suffix": {"type": ".x"}}, {"exact": {"type": "a"}}]}"#,
            "`type` cannot be \"a\" and end with \".x\"",
        ),
        (
            r#"{"all": [{"prefix": {"type": "com."}}, {"prefix": {"type": "org."}}]}"#,
            "`type` cannot begin with both \"com.\" and \"org.\"",
        ),
        (r#"{"sql": "FALSE"}"#, "the expression is always false"),
        (
            r#"{"sql": "1 = 2 OR 'a' = 'b'"}"#,
            "the expression is always false",
        ),
        (
            r#"{"sql": "5 / 0 = 1"}"#,
            "the expression always fails: division by zero",
        ),
        (
            r#"{"sql": "type = 'a' AND type IN ('b', 'c')"}"#,
            "`type` cannot be both \"a\" and one of 2 texts such as \"b\"",
        ),
        (
            r#"{"sql": "n > 5 AND n < 3"}"#,
            "`n` cannot be at least 6 and at most 2",
        ),
        (r#"{"sql": "n > 2147483647"}"#, "no Integer is > 2147483647"),
        (
            r#"{"sql": "NOT EXISTS n AND n = 5"}"#,
            "`n` cannot be both there and absent",
        ),
        (r#"{"sql": "NOT EXISTS id"}"#, "the expression is always false"),
        (
            r#"{"not": {"sql": "TRUE"}}"#,
            "`not` of an expression that is always true",
        ),
        (
            r#"{"all": [{"exact": {"type": "a"}}, {"any": [{"exact": {"type": "b"}}, {"sql": "type LIKE 'c%'"}]}]}"#,
            "no alternative can match: `type` cannot be \"a\" and begin with \"c\"",
        ),
    ] {
        assert_eq!(predicate(json).never_matches().as_deref(), Some(want), "{json}");
    }
    for json in [
        r#"{"exact": {"type": "a"}}"#,
        r#"{"sql": "type = 'a' OR type = 'b'"}"#,
        r#"{"sql": "n >= 5 AND n <= 5"}"#,
        r#"{"all": [{"prefix": {"type": "com."}}, {"prefix": {"type": "com.acme."}}, {"exact": {"type": "com.acme.x"}}]}"#,
        r#"{"sql": "n = 5 AND n = '05'"}"#,
    ] {
        assert_eq!(predicate(json).never_matches(), None, "{json}");
    }
}

#[test]
fn an_explanation_names_each_part_for_people_and_machines() {
    let filters: Vec<FilterExpr> = serde_json::from_str(
        r#"[{"exact": {"type": "order", "subject": "s"}}, {"sql": "celsius > 80 OR (n = 5 AND x = 'y') OR TRUE"}, {"sql": "type = 'a' AND n > 3"}]"#,
    )
    .unwrap();
    let event = Fields::of(&[("type", "order"), ("celsius", "hot"), ("n", "6")]);
    let explanation = Predicate::compile_all(&filters).unwrap().explain(&event);
    let want = "\
- all
  - exact
    - exact subject \"s\": subject is missing
    + exact type \"order\": type is \"order\"
  ! sql celsius > 80 OR (n = 5 AND x = 'y') OR TRUE
    ! celsius > 80: \"hot\" is not an Integer: celsius is \"hot\"
    . n = 5 AND x = 'y' (not evaluated)
    . TRUE (not evaluated)
  - sql type = 'a' AND n > 3
    - type = 'a': type is \"order\"
    . n > 3 (not evaluated)";
    assert_eq!(explanation.to_string(), want);
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["outcome"], "not_matched");
    assert_eq!(json["missing"], serde_json::json!(["subject"]));
    assert_eq!(json["parts"][1]["parts"][0]["error"]["kind"], "cast");
    assert_eq!(explanation.parts[1].outcome, Outcome::Failed);
}

#[test]
fn the_schema_allows_one_dialect_and_nothing_else() {
    let schema = serde_json::to_value(schemars::schema_for!(FilterExpr)).unwrap();
    let dialects = schema["oneOf"].as_array().unwrap();
    let names: Vec<_> = dialects
        .iter()
        .map(|dialect| dialect["required"][0].as_str().unwrap())
        .collect();
    assert_eq!(names, ["exact", "prefix", "suffix", "all", "any", "not", "sql"]);
    assert!(
        dialects
            .iter()
            .all(|dialect| dialect["additionalProperties"] == false)
    );
}
