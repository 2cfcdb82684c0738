//! What is necessary for an event to match: the part of a predicate that an index and a contradiction check can use.
//!
//! Owns the translation from filters and CESQL programs to conditions on single attributes. Invariant: whenever a
//! predicate matches an event, its shape holds for that event; the reverse is not promised. So a shape may always be
//! weaker, and [`Shape::Unknown`] is always right.

use super::super::cesql::{Bool, Equality, Int, Names, NoAttributes, Operator, REQUIRED, Reach, Str};
use super::{Affix, Node, Test};

/// A necessary condition. Texts are the attribute's canonical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape<'p> {
    /// Nothing is known.
    Unknown,
    /// It cannot hold, for this reason.
    Never(String),
    /// The attribute is there, with one of these texts.
    OneOf(&'p str, Vec<&'p str>),
    /// The attribute is there and begins with the text.
    Prefix(&'p str, &'p str),
    /// The attribute is there and ends with the text.
    Suffix(&'p str, &'p str),
    /// The attribute is there, and as an Integer lies between these, both included.
    Between(&'p str, i32, i32),
    /// The attribute is there.
    Present(&'p str),
    /// The attribute is not there.
    Absent(&'p str),
    /// All of these hold.
    And(Vec<Shape<'p>>),
    /// At least one of these holds.
    Or(Vec<Shape<'p>>),
}

pub(super) fn of_node(node: &Node) -> Shape<'_> {
    match node {
        Node::Text(affix, texts) => Shape::And(
            texts
                .iter()
                .map(|(name, text)| match affix {
                    Affix::Exact => Shape::OneOf(name, vec![text]),
                    Affix::Prefix => Shape::Prefix(name, text),
                    Affix::Suffix => Shape::Suffix(name, text),
                })
                .collect(),
        ),
        Node::All(nodes) => Shape::And(nodes.iter().map(of_node).collect()),
        Node::Any(nodes) => Shape::Or(nodes.iter().map(of_node).collect()),
        Node::Not(node) => of_negation(node),
        Node::Sql(sql) => match &sql.test {
            Test::Flag(name) => Shape::OneOf(name, vec!["true"]),
            Test::Program(program) => of_program(program),
        },
    }
}

/// A filter fails without an error, so `not` knows little: only what always matches can never fail to.
fn of_negation(node: &Node) -> Shape<'_> {
    match node {
        Node::Not(inner) => of_node(inner),
        Node::Sql(sql) => match &sql.test {
            Test::Program(Bool::Const(true)) => {
                Shape::Never("`not` of an expression that is always true".into())
            }
            Test::Program(Bool::Exists(name)) => Shape::Absent(name),
            _ => Shape::Unknown,
        },
        _ => Shape::Unknown,
    }
}

fn of_program(program: &Bool) -> Shape<'_> {
    if program.is_constant() {
        return match program.test(&NoAttributes) {
            Ok(true) => Shape::Unknown,
            Ok(false) => Shape::Never("the expression is always false".into()),
            Err(fault) => Shape::Never(format!("the expression always fails: {}", fault.explain())),
        };
    }
    let own = match program {
        Bool::Logic(first, rest) => {
            return of_chain(first, rest);
        }
        Bool::Exists(name) => return Shape::Present(name),
        Bool::Not(inner) => match &**inner {
            Bool::Exists(name) => return Shape::Absent(name),
            _ => Shape::Unknown,
        },
        Bool::CompareStr(Equality::Equal, Str::Attr(name), Str::Const(text))
        | Bool::CompareStr(Equality::Equal, Str::Const(text), Str::Attr(name)) => {
            Shape::OneOf(name, vec![text])
        }
        Bool::InStr(Equality::Equal, Str::Attr(name), set) if set.others.is_empty() => {
            Shape::OneOf(name, set.constants.iter().map(|text| &**text).collect())
        }
        Bool::Like(Equality::Equal, Str::Attr(name), pattern) => match pattern.literal() {
            Some(text) => Shape::OneOf(name, vec![text]),
            None => Shape::And(vec![
                Shape::Prefix(name, pattern.prefix()),
                Shape::Suffix(name, pattern.suffix()),
            ]),
        },
        Bool::CompareInt(operator, Int::Attr(name), Int::Const(bound)) => between(name, *operator, *bound),
        Bool::CompareInt(operator, Int::Const(bound), Int::Attr(name)) => {
            between(name, mirrored(*operator), *bound)
        }
        _ => Shape::Unknown,
    };
    // Whatever is evaluated in any case must be there, or the evaluation fails.
    let mut names = Names::new();
    program.attributes(Reach::Required, &mut names);
    let mut all = vec![own];
    all.extend(
        names
            .into_iter()
            .filter(|name| !REQUIRED.contains(name))
            .map(Shape::Present),
    );
    Shape::And(all)
}

/// A chain reads from left to right. Where it changes often between `AND` and `OR`, each change nests the shape one
/// deeper; past a bound the left part counts as unknown, so that whatever walks a shape may recurse.
fn of_chain<'p>(first: &'p Bool, rest: &'p [(Operator, Bool)]) -> Shape<'p> {
    const CHANGES_MAX: usize = 16;
    let mut changes = 0;
    rest.iter().fold(of_program(first), |left, (operator, right)| {
        let right = of_program(right);
        match (operator, left) {
            (Operator::And, Shape::And(mut all)) => {
                all.push(right);
                Shape::And(all)
            }
            // One of the two sides of XOR is true.
            (Operator::Or | Operator::Xor, Shape::Or(mut any)) => {
                any.push(right);
                Shape::Or(any)
            }
            (operator, left) => {
                changes += 1;
                let both = vec![
                    if changes > CHANGES_MAX {
                        Shape::Unknown
                    } else {
                        left
                    },
                    right,
                ];
                if *operator == Operator::And {
                    Shape::And(both)
                } else {
                    Shape::Or(both)
                }
            }
        }
    })
}

fn between(name: &str, operator: Operator, bound: i32) -> Shape<'_> {
    let (least, most) = match operator {
        Operator::Equal => (Some(bound), Some(bound)),
        Operator::Less => (Some(i32::MIN), bound.checked_sub(1)),
        Operator::LessOrEqual => (Some(i32::MIN), Some(bound)),
        Operator::Greater => (bound.checked_add(1), Some(i32::MAX)),
        Operator::GreaterOrEqual => (Some(bound), Some(i32::MAX)),
        _ => return Shape::Unknown,
    };
    match (least, most) {
        (Some(least), Some(most)) => Shape::Between(name, least, most),
        _ => Shape::Never(format!("no Integer is {} {bound}", operator.symbol())),
    }
}

fn mirrored(operator: Operator) -> Operator {
    match operator {
        Operator::Less => Operator::Greater,
        Operator::LessOrEqual => Operator::GreaterOrEqual,
        Operator::Greater => Operator::Less,
        Operator::GreaterOrEqual => Operator::LessOrEqual,
        same => same,
    }
}
