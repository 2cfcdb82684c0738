//! Generators of filters and events, over so few names and texts that filters do match.

use proptest::prelude::*;

use super::FilterExpr;
use crate::routing::AttrKind;
use crate::routing::fields::Fields;

const NAMES: [&str; 5] = ["type", "source", "subject", "n", "flag"];

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a", "ab", "abc", "b", "ba", "cab", "5", "05", "true", "-1", "ž",
    ])
    .prop_map(str::to_owned)
}

/// Any event over a few names and texts, so that filters do match.
pub(crate) fn event() -> impl Strategy<Value = Fields> {
    let value = prop_oneof![
        3 => text().prop_map(|text| (AttrKind::String, text)),
        1 => any::<bool>().prop_map(|value| (AttrKind::Boolean, value.to_string())),
        1 => (-2..8).prop_map(|value: i32| (AttrKind::Integer, value.to_string())),
        1 => Just((AttrKind::UriReference, "abc".to_owned())),
    ];
    prop::collection::vec(prop::option::of(value), NAMES.len()).prop_map(|values| {
        let mut event = Fields::of(&[]);
        for (name, value) in NAMES.into_iter().zip(values) {
            match value {
                // What CESQL sees as a String in every event is one.
                Some((_, text)) if matches!(name, "type" | "source" | "subject") => {
                    event.set(name, AttrKind::String, &text)
                }
                Some((kind, text)) => event.set(name, kind, &text),
                None => {}
            }
        }
        event
    })
}

fn condition() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(NAMES.to_vec());
    prop_oneof![
        (name(), prop::sample::select(vec!["=", "!="]), text())
            .prop_map(|(name, op, text)| format!("{name} {op} '{text}'")),
        (
            name(),
            prop::sample::select(vec!["=", "!=", "<", ">=", ">", "<="]),
            -2..8
        )
            .prop_map(|(name, op, n)| format!("{name} {op} {n}")),
        (-2..8, prop::sample::select(vec!["=", "<", ">="]), name())
            .prop_map(|(n, op, name)| format!("{n} {op} {name}")),
        (name(), text(), text(), prop::sample::select(vec!["IN", "NOT IN"]))
            .prop_map(|(name, a, b, op)| format!("{name} {op} ('{a}', '{b}')")),
        (name(), name(), prop::sample::select(vec!["=", "IN"])).prop_map(|(a, b, op)| match op {
            "=" => format!("{a} = {b}"),
            _ => format!("{a} IN ({b}, 5, 'ab')"),
        }),
        (
            name(),
            "[ab%_]{0,3}",
            prop::sample::select(vec!["LIKE", "NOT LIKE"])
        )
            .prop_map(|(name, pattern, op)| format!("{name} {op} '{pattern}'")),
        name().prop_map(|name| format!("EXISTS {name}")),
        name().prop_map(|name| format!("BOOL({name})")),
        name().prop_map(|name| format!("IS_INT({name})")),
        (name(), text()).prop_map(|(name, text)| format!("LEFT({name}, 1) = '{text}'")),
        (name(), -2..3).prop_map(|(name, n)| format!("10 / {name} > {n}")),
        Just("TRUE".to_owned()),
        Just("1 / 0 = 0".to_owned()),
    ]
}

fn sql() -> impl Strategy<Value = String> {
    condition().prop_recursive(3, 12, 3, |inner| {
        let next = (
            prop::sample::select(vec![" AND ", " OR ", " XOR "]),
            inner.clone(),
        );
        prop_oneof![
            2 => (inner.clone(), prop::collection::vec(next, 1..4)).prop_map(|(first, rest)| {
                rest.into_iter().fold(first, |left, (op, right)| format!("{left}{op}{right}"))
            }),
            1 => inner.clone().prop_map(|inner| format!("({inner})")),
            1 => inner.prop_map(|inner| format!("NOT ({inner})")),
        ]
    })
}

/// Any valid filter.
pub(crate) fn filter() -> impl Strategy<Value = FilterExpr> {
    let texts = || {
        prop::collection::btree_map(
            prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned),
            text(),
            1..3,
        )
    };
    let leaf = prop_oneof![
        2 => texts().prop_map(FilterExpr::Exact),
        1 => texts().prop_map(FilterExpr::Prefix),
        1 => texts().prop_map(FilterExpr::Suffix),
        3 => sql().prop_map(FilterExpr::Sql),
        1 => prop::sample::select(vec!["n", "flag"]).prop_map(|name| FilterExpr::Sql(name.into())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            some().prop_map(FilterExpr::All),
            some().prop_map(FilterExpr::Any),
            inner.clone().prop_map(|inner| FilterExpr::Not(Box::new(inner))),
        ]
    })
}

/// A list as a route has it.
pub(crate) fn filters() -> impl Strategy<Value = Vec<FilterExpr>> {
    prop::collection::vec(filter(), 0..3)
}
