//! What holds for every expression, and the bounds and words of parse errors.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{Chain, Column, DEPTH_MAX, Expr, Expression, LENGTH_MAX, Literal, Operator, notes, parse};
use crate::routing::fields::Fields;

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["id", "type", "subject", "celsius", "a1", "1a"]).prop_map(str::to_owned)
}

/// Texts that a literal can spell: a backslash only in front of what is no quote.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z%_ '\"]{0,6}", r"(\\[a-z%_]|ž){0,3}", r#"(\\"|\\\\'){0,2}"#]
}

fn literal() -> impl Strategy<Value = Expr> {
    prop_oneof![
        any::<bool>().prop_map(Literal::Boolean),
        any::<i32>().prop_map(Literal::Integer),
        (-3..3).prop_map(Literal::Integer),
        text().prop_map(Literal::String),
    ]
    .prop_map(Expr::Literal)
}

fn operators() -> impl Strategy<Value = &'static [Operator]> {
    use Operator::{
        Add, And, Divide, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Multiply, NotEqual, Or,
        Remainder, Subtract, Xor,
    };
    const LEVELS: [&[Operator]; 4] = [
        &[And, Or, Xor],
        &[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual],
        &[Add, Subtract],
        &[Multiply, Divide, Remainder],
    ];
    prop::sample::select(LEVELS.to_vec())
}

/// Any expression that a text could have been parsed to.
pub(crate) fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        literal(),
        name().prop_map(Expr::Attribute),
        name().prop_map(Expr::Exists)
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let function = prop::sample::select(vec![
            "ABS",
            "LENGTH",
            "CONCAT_WS",
            "LEFT",
            "SUBSTRING",
            "IS_INT",
            "NOSUCH",
        ]);
        prop_oneof![
            boxed.clone().prop_map(Expr::Not),
            boxed.clone().prop_map(Expr::Negate),
            (boxed.clone(), text(), any::<bool>()).prop_map(|(value, pattern, negated)| Expr::Like {
                value,
                pattern,
                negated
            }),
            (
                boxed.clone(),
                prop::collection::vec(inner.clone(), 1..4),
                any::<bool>()
            )
                .prop_map(|(value, set, negated)| Expr::In { value, set, negated }),
            (function, prop::collection::vec(inner.clone(), 0..4)).prop_map(|(name, args)| Expr::Call {
                name: name.into(),
                args,
                at: Column(1)
            }),
            operators().prop_flat_map(move |level| {
                let pair = (prop::sample::select(level), inner.clone());
                (boxed.clone(), prop::collection::vec(pair, 1..4))
                    .prop_map(|(first, rest)| Expr::Chain(Chain { first, rest }))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_printed_tree_parses_to_itself(expr in expr()) {
        let text = expr.to_string();
        prop_assert_eq!(parse(&text), Ok(expr), "{}", text);
    }

    #[test]
    fn any_text_parses_or_says_why(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn any_mix_of_tokens_parses_or_says_why_and_evaluates(words in prop::collection::vec(prop::sample::select(vec![
        "(", ")", ",", "+", "-", "*", "/", "%", "=", "!=", "<>", "<", ">=", "AND", "or", "XOR", "NOT", "LIKE", "IN", "EXISTS",
        "TRUE", "1", "-2147483648", "99999999999", "'a%'", "\"\\\"\"", "'", "\\", "id", "Type", "LENGTH", "CONCAT_WS", "ž", "==",
    ]), 0..24), glue in prop::sample::select(vec!["", " "])) {
        let text = words.join(glue);
        match parse(&text) {
            Ok(expr) => {
                prop_assert_eq!(&parse(&expr.to_string()).unwrap(), &expr);
                let _ = Expression::new(&expr).evaluate(&Fields::of(&[]));
            }
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1),
        }
    }

    #[test]
    fn folding_constants_changes_nothing(expr in expr(), subject in prop::option::of("[a-c]?[0-9]{0,2}|true")) {
        // The same tree with each literal behind an attribute has nothing left to fold.
        let mut event = Fields::of(&[]);
        if let Some(subject) = subject {
            event.set("subject", crate::routing::AttrKind::String, &subject);
        }
        let mut hidden = 0;
        let unfolded = hide_literals(&expr, &mut event, &mut hidden);
        let (folded, unfolded) = (Expression::new(&expr).evaluate(&event), Expression::new(&unfolded).evaluate(&event));
        prop_assert_eq!(folded.error.is_some(), unfolded.error.is_some(), "{}", expr);
        prop_assert_eq!(folded.value, unfolded.value, "{}", expr);
    }
}

/// Puts each literal into an attribute of its type; that leaves a tree without constants.
fn hide_literals(expr: &Expr, event: &mut Fields, hidden: &mut usize) -> Expr {
    use crate::routing::AttrKind;
    let mut each = |expr: &Expr| hide_literals(expr, event, hidden);
    match expr {
        Expr::Literal(literal) => {
            let (kind, text) = match literal {
                Literal::Boolean(value) => (AttrKind::Boolean, value.to_string()),
                Literal::Integer(value) => (AttrKind::Integer, value.to_string()),
                Literal::String(value) => (AttrKind::String, value.clone()),
            };
            *hidden += 1;
            let name = format!("hidden{hidden}");
            event.set(&name, kind, &text);
            Expr::Attribute(name)
        }
        Expr::Attribute(_) | Expr::Exists(_) => expr.clone(),
        Expr::Not(inner) => Expr::Not(each(inner).into()),
        Expr::Negate(inner) => Expr::Negate(each(inner).into()),
        Expr::Like {
            value,
            pattern,
            negated,
        } => Expr::Like {
            value: each(value).into(),
            pattern: pattern.clone(),
            negated: *negated,
        },
        Expr::In { value, set, negated } => Expr::In {
            value: each(value).into(),
            set: set.iter().map(each).collect(),
            negated: *negated,
        },
        Expr::Call { name, args, at } => Expr::Call {
            name: name.clone(),
            args: args.iter().map(each).collect(),
            at: *at,
        },
        Expr::Chain(chain) => Expr::Chain(Chain {
            first: each(&chain.first).into(),
            rest: chain
                .rest
                .iter()
                .map(|(operator, expr)| (*operator, each(expr)))
                .collect(),
        }),
    }
}

#[test]
fn hostile_depth_and_length_are_refused_before_they_recurse() {
    let n = LENGTH_MAX / 4;
    let ladders = [
        "(".repeat(n),
        format!("{}1{}", "(".repeat(n), ")".repeat(n)),
        "NOT ".repeat(n),
        "-".repeat(n),
        "ABS(".repeat(n),
        "1 IN (".repeat(n / 2),
        format!("x{}", " LIKE 'a'".repeat(n / 3)),
        format!("1{}", " = 1".repeat(n / 2)),
        format!("1{}", " IN (1)".repeat(n / 2)),
        "x".repeat(LENGTH_MAX + 1),
    ];
    for ladder in ladders {
        let error = parse(&ladder).unwrap_err().to_string();
        assert!(error.contains("nest") || error.contains("bytes"), "{error}");
    }
}

#[test]
fn the_deepest_nesting_is_read_printed_and_evaluated() {
    for (open, leaf, close) in [
        ("(", "1", ")"),
        ("NOT ", "TRUE", ""),
        ("-", "x", ""),
        ("LENGTH(", "x", ")"),
        ("1 + (", "1", ")"),
    ] {
        let text = |depth| format!("{}{leaf}{}", open.repeat(depth), close.repeat(depth));
        let deepest = (1..=DEPTH_MAX)
            .rev()
            .find(|depth| parse(&text(*depth)).is_ok())
            .unwrap();
        assert!(deepest >= DEPTH_MAX / 2, "{open} nests {deepest} deep");
        let expr = parse(&text(deepest)).unwrap();
        assert_eq!(parse(&expr.to_string()).unwrap(), expr);
        let _ = Expression::new(&expr).evaluate(&Fields::of(&[("x", "1")]));
    }
}

#[test]
fn a_long_chain_side_by_side_is_not_deep() {
    let text = vec!["subject = 'a'"; 2_000].join(" OR ");
    let expr = parse(&text).unwrap();
    let value = Expression::new(&expr)
        .evaluate(&Fields::of(&[("subject", "b")]))
        .value;
    assert_eq!(value, super::Value::Boolean(false));
}

#[test]
fn a_parse_error_says_where_what_and_what_to_write() {
    let cases = [
        (
            "type == 'a'",
            "column 6: found `==`, expected an operator; write =",
        ),
        (
            "ž = 1",
            "column 1: found `ž`, expected an attribute, a value or an operator",
        ),
        ("'žž' &&", "column 6: found `&&`, expected an operator; write AND"),
        (
            "Type = 'a'",
            "column 1: found `Type`, expected the name of an attribute; names of attributes are in lower case: write type",
        ),
        (
            "type = 'a",
            "column 8: found a string that has no end, expected a closing '; close it with ', and write \\' for a quote within",
        ),
        (
            "(a = 1",
            "column 7: found the end of the expression, expected an operator, `,` or `)`; close the ( of column 1",
        ),
        (
            "a LIKE 5",
            "column 8: found `5`, expected a quoted pattern; LIKE takes a string literal, such as 'com.acme.%'",
        ),
        (
            "a = 1)",
            "column 6: found `)`, expected the end of the expression; remove the ), or open it before",
        ),
        (
            "a = 3000000000",
            "column 5: found `3000000000`, expected an integer of 32 bits; integers go from -2147483648 to 2147483647; compare longer numbers as strings",
        ),
        (
            "a IN ()",
            "column 7: found `)`, expected an expression; a set has at least one element",
        ),
        (
            "a = 1 b",
            "column 7: found `b`, expected an operator or the end of the expression",
        ),
    ];
    for (text, want) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), want, "{text}");
    }
}

#[test]
fn notes_name_what_differs_from_sql() {
    let count = |text| notes(&parse(text).unwrap()).len();
    assert_eq!(count("a = 1 OR b = 2 AND c = 3"), 1);
    assert_eq!(count("a = 1 OR (b = 2 AND c = 3)"), 0);
    assert_eq!(count("NOT a = 'b'"), 1);
    assert_eq!(count("NOT a LIKE 'b'"), 1);
    assert_eq!(count("NOT (a = 'b') AND NOT EXISTS c AND a NOT IN ('b')"), 0);
}
