//! The index against its naive twin, and the access paths that rules get.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use smallvec::smallvec;
use weft_api::event::{AttrKind, EventBuilder};

use super::{Index, Matches, Rule};
use crate::routing::fields::Fields;
use crate::routing::filter::generators::{event, filters};
use crate::routing::filter::{FilterExpr, Predicate};

/// The naive twin: every rule in turn.
fn scan(rules: &[Rule], event: &Fields, ingress: u16) -> Vec<u32> {
    let from = |rule: &&Rule| rule.from.as_ref().is_none_or(|from| from.contains(&ingress));
    let matching = rules
        .iter()
        .filter(from)
        .filter(|rule| rule.predicate.matches(event));
    let mut routes: Vec<_> = matching.map(|rule| rule.route).collect();
    routes.sort_unstable();
    routes.dedup();
    routes
}

fn look_up(index: &Index, event: &Fields, ingress: u16) -> Vec<u32> {
    let mut found = Matches::new();
    index.matches(event, ingress, &mut found);
    found.to_vec()
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let from = prop::option::weighted(0.4, prop::collection::vec(0..3_u16, 0..3));
    let rule = (0..30_u32, from, filters()).prop_map(|(route, from, filters)| Rule {
        route,
        from: from.map(Into::into),
        predicate: Arc::new(Predicate::compile_all(&filters).unwrap()),
    });
    prop::collection::vec(rule, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_index_finds_what_asking_every_rule_finds(rules in rules(), events in prop::collection::vec(event(), 8), ingress in 0..4_u16) {
        let index = Index::new(rules.clone());
        for event in &events {
            prop_assert_eq!(look_up(&index, event, ingress), scan(&rules, event, ingress));
        }
    }
}

fn rule(route: u32, filter: &str) -> Rule {
    let filter: FilterExpr = serde_json::from_str(filter).unwrap();
    Rule {
        route,
        from: None,
        predicate: Arc::new(Predicate::compile(&filter).unwrap()),
    }
}

#[test]
fn conditions_within_expressions_are_access_paths() {
    let indexed = [
        r#"{"exact": {"type": "a"}}"#,
        r#"{"sql": "type = 'a' AND n > 5"}"#,
        r#"{"sql": "type IN ('a', 'b')"}"#,
        r#"{"sql": "type LIKE 'com.%' AND NOT (n = 5)"}"#,
        r#"{"sql": "n > 5"}"#,
        r#"{"any": [{"exact": {"type": "a"}}, {"exact": {"subject": "b"}}, {"sql": "source LIKE '%.ca'"}]}"#,
        r#"{"not": {"not": {"exact": {"type": "a"}}}}"#,
        r#"{"sql": "FALSE"}"#,
        r#"{"sql": "NOT EXISTS n OR EXISTS flag AND type = 'a'"}"#,
    ];
    let asked = [
        r#"{"not": {"exact": {"type": "a"}}}"#,
        r#"{"sql": "NOT EXISTS n"}"#,
        r#"{"sql": "type = 'a' AND EXISTS flag OR NOT EXISTS n"}"#,
        r#"{"sql": "type != 'a'"}"#,
        r#"{"any": [{"exact": {"type": "a"}}, {"not": {"exact": {"type": "b"}}}]}"#,
    ];
    for filter in indexed {
        assert_eq!(Index::new([rule(1, filter)]).unindexed(), 0, "{filter}");
    }
    for filter in asked {
        assert_eq!(Index::new([rule(1, filter)]).unindexed(), 1, "{filter}");
    }
}

#[test]
fn routes_come_in_ascending_order_and_once() {
    let any = r#"{"any": [{"exact": {"type": "a"}}, {"prefix": {"subject": "a"}}]}"#;
    let rules = [
        rule(9, r#"{"exact": {"type": "a"}}"#),
        rule(3, any),
        rule(9, any),
        rule(1, r#"{"sql": "n = 5"}"#),
    ];
    let index = Index::new(rules);
    let event = Fields::of(&[("type", "a"), ("subject", "ab"), ("n", "5")]);
    assert_eq!(look_up(&index, &event, 0), [1, 3, 9]);
}

#[test]
fn a_real_event_is_found_by_its_attributes_and_their_types() {
    let rules = [
        rule(1, r#"{"exact": {"type": "order"}}"#),
        rule(2, r#"{"sql": "urgent"}"#),
        rule(3, r#"{"sql": "n > 4 AND specversion = '1.0'"}"#),
    ];
    let event = EventBuilder::new()
        .id("1")
        .source("/shop")
        .ty("order")
        .set("urgent", AttrKind::Boolean, "true")
        .set("n", AttrKind::Integer, "5")
        .build()
        .unwrap();
    let mut found = Matches::new();
    Index::new(rules).matches(&event, 0, &mut found);
    assert_eq!(found.as_slice(), [1, 2, 3]);
}

#[test]
fn results_are_appended_to_what_is_there() {
    let index = Index::new([rule(7, r#"{"exact": {"type": "a"}}"#)]);
    let mut found: Matches = smallvec![7];
    index.matches(&Fields::of(&[("type", "a")]), 0, &mut found);
    assert_eq!(found.as_slice(), [7, 7]);
}

#[test]
fn rules_that_share_a_type_are_filed_under_what_tells_them_apart() {
    let rules: Vec<_> = (0..100)
        .map(|i| {
            rule(
                i,
                &format!(r#"{{"exact": {{"type": "order", "subject": "s{i}"}}}}"#),
            )
        })
        .collect();
    let paths = super::keys::paths(&rules);
    assert!(paths.iter().flatten().flatten().all(|key| key.name == "subject"));
}

fn prefixes_agree_with_a_scan(texts: &[String], text: &str) -> Result<(), TestCaseError> {
    let unique: std::collections::BTreeSet<_> = texts.iter().collect();
    let numbered: Vec<_> = (0..).zip(unique).collect();
    let affixes = super::Affixes::new(
        numbered
            .iter()
            .map(|(i, text)| (text.as_bytes().to_vec(), vec![*i]))
            .collect(),
    );
    let mut found = Vec::new();
    affixes.find(text.as_bytes(), |rules| found.extend_from_slice(rules));
    found.sort_unstable();
    let want: Vec<u32> = numbered
        .iter()
        .filter(|(_, prefix)| text.starts_with(*prefix))
        .map(|(i, _)| *i)
        .collect();
    prop_assert_eq!(found, want);
    Ok(())
}

proptest! {
    #[test]
    fn all_prefixes_of_a_text_are_found_and_no_others(texts in prop::collection::vec("[ab\0]{0,12}", 0..30), text in "[ab\0]{0,14}") {
        prefixes_agree_with_a_scan(&texts, &text)?;
    }

    #[test]
    fn a_common_beginning_hides_no_prefix(texts in prop::collection::vec("com\\.(acme\\.)?[ab]{0,3}ž?", 0..30), text in "com\\.(acme\\.)?[ab]{0,4}ž?u?") {
        prefixes_agree_with_a_scan(&texts, &text)?;
    }
}
