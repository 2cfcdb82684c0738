//! Why a predicate matched an event, or did not.
//!
//! Owns the explanation of each part, down to the operands of CESQL's `AND`, `OR` and `XOR`. Invariant: the outcome
//! at the root is what `matches` says. Slow and allocating on purpose: this is for a person who asks, or for
//! `weft explain`, never for the path of every event.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::super::cesql::{EvalError, Expr, Expression, Level, Names, Operator, Reach, shorten};
use super::super::{AttrKind, Attributes};
use super::{Affix, Node, Sql, Test};

/// What became of one part of a filter, and of the parts within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The part, as text.
    pub part: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in terms of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The error of an evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<EvalError>,
    /// Attributes that this part names and the event does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The parts within.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Explanation>,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Matched,
    /// It does not hold.
    NotMatched,
    /// Its evaluation met an error; for a filter that is not a match.
    Failed,
    /// It was not evaluated, since what stands before it had decided.
    Skipped,
}

impl Explanation {
    /// Whether the part matched.
    #[must_use]
    pub fn matched(&self) -> bool {
        self.outcome == Outcome::Matched
    }

    fn new(part: String, outcome: Outcome) -> Self {
        Self {
            part,
            outcome,
            reason: None,
            error: None,
            missing: Vec::new(),
            parts: Vec::new(),
        }
    }

    fn of_parts(part: impl Into<String>, outcome: Outcome, parts: Vec<Self>) -> Self {
        let mut missing: Vec<_> = parts
            .iter()
            .flat_map(|part| part.missing.iter().cloned())
            .collect();
        missing.sort_unstable();
        missing.dedup();
        Self {
            missing,
            parts,
            ..Self::new(part.into(), outcome)
        }
    }

    fn write(&self, f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
        let mark = match self.outcome {
            Outcome::Matched => '+',
            Outcome::NotMatched => '-',
            Outcome::Failed => '!',
            Outcome::Skipped => '.',
        };
        write!(f, "{:indent$}{mark} {}", "", self.part, indent = depth * 2)?;
        if self.outcome == Outcome::Skipped {
            f.write_str(" (not evaluated)")?;
        }
        self.error.iter().try_for_each(|error| write!(f, ": {error}"))?;
        self.reason
            .iter()
            .try_for_each(|reason| write!(f, ": {reason}"))?;
        self.parts.iter().try_for_each(|part| {
            f.write_str("\n")?;
            part.write(f, depth + 1)
        })
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

fn outcome(matched: bool) -> Outcome {
    if matched {
        Outcome::Matched
    } else {
        Outcome::NotMatched
    }
}

pub(super) fn explain<E: Attributes + ?Sized>(node: &Node, event: &E) -> Explanation {
    match node {
        Node::Text(affix, texts) => {
            let mut parts: Vec<_> = texts
                .iter()
                .map(|(name, text)| compare(*affix, name, text, event))
                .collect();
            if parts.len() == 1 {
                return parts.remove(0);
            }
            let all = parts.iter().all(Explanation::matched);
            Explanation::of_parts(affix.dialect(), outcome(all), parts)
        }
        Node::All(nodes) => {
            let mut parts: Vec<_> = nodes.iter().map(|node| explain(node, event)).collect();
            if parts.is_empty() {
                return Explanation::new("no filter: every event".into(), Outcome::Matched);
            }
            if parts.len() == 1 {
                return parts.remove(0);
            }
            Explanation::of_parts("all", outcome(parts.iter().all(Explanation::matched)), parts)
        }
        Node::Any(nodes) => {
            let parts: Vec<_> = nodes.iter().map(|node| explain(node, event)).collect();
            Explanation::of_parts("any", outcome(parts.iter().any(Explanation::matched)), parts)
        }
        Node::Not(node) => {
            let part = explain(node, event);
            Explanation::of_parts("not", outcome(!part.matched()), vec![part])
        }
        Node::Sql(sql) => explain_sql(sql, event),
    }
}

fn compare<E: Attributes + ?Sized>(affix: Affix, name: &str, wanted: &str, event: &E) -> Explanation {
    let part = format!("{} {name} {:?}", affix.dialect(), shorten(wanted));
    match event.get(name) {
        None => Explanation {
            reason: Some(format!("{name} is missing")),
            missing: vec![name.to_owned()],
            ..Explanation::new(part, Outcome::NotMatched)
        },
        Some(found) => Explanation {
            reason: Some(format!("{name} is {:?}", shorten(found.text))),
            ..Explanation::new(part, outcome(affix.fits(found.text, wanted)))
        },
    }
}

fn explain_sql<E: Attributes + ?Sized>(sql: &Sql, event: &E) -> Explanation {
    if let Test::Flag(name) = &sql.test {
        let mut flag = Explanation::new(format!("sql {name}"), outcome(sql.matches(event)));
        flag.reason = Some(match event.get(name) {
            None => {
                flag.missing.push(name.to_string());
                format!("{name} is missing")
            }
            Some(found) if found.kind == AttrKind::Boolean => format!("{name} is {}", found.text),
            Some(_) => format!("{name} is not of type Boolean; write BOOL({name}) to cast it"),
        });
        return flag;
    }
    let inner = explain_expr(&sql.expr, event);
    Explanation {
        part: format!("sql {}", inner.part),
        ..inner
    }
}

fn explain_expr<E: Attributes + ?Sized>(expr: &Expr, event: &E) -> Explanation {
    match expr {
        Expr::Chain(chain) if chain.level() == Level::Logic => {
            let first = explain_expr(&chain.first, event);
            let mut so_far = first.outcome;
            let mut parts = vec![first];
            for (operator, operand) in &chain.rest {
                let (explanation, after) = step(so_far, *operator, operand, event);
                so_far = after;
                parts.push(explanation);
            }
            Explanation::of_parts(shorten(&expr.to_string()), so_far, parts)
        }
        Expr::Not(inner) if matches!(**inner, Expr::Chain(_) | Expr::Not(_)) => {
            let part = explain_expr(inner, event);
            let outcome = match part.outcome {
                Outcome::Matched => Outcome::NotMatched,
                Outcome::NotMatched => Outcome::Matched,
                other => other,
            };
            Explanation::of_parts(shorten(&expr.to_string()), outcome, vec![part])
        }
        _ => explain_leaf(expr, event),
    }
}

/// The next operand of a chain, and what the chain amounts to after it.
fn step<E: Attributes + ?Sized>(
    so_far: Outcome,
    operator: Operator,
    operand: &Expr,
    event: &E,
) -> (Explanation, Outcome) {
    let decided = match so_far {
        Outcome::Matched => operator == Operator::Or,
        Outcome::NotMatched => operator == Operator::And,
        Outcome::Failed | Outcome::Skipped => true,
    };
    if decided {
        return (
            Explanation::new(shorten(&operand.to_string()), Outcome::Skipped),
            so_far,
        );
    }
    let explanation = explain_expr(operand, event);
    let after = match explanation.outcome {
        Outcome::Matched | Outcome::NotMatched if operator == Operator::Xor => {
            outcome(so_far != explanation.outcome)
        }
        other => other,
    };
    (explanation, after)
}

fn explain_leaf<E: Attributes + ?Sized>(expr: &Expr, event: &E) -> Explanation {
    let program = Expression::new(expr).into_condition();
    let mut explanation = Explanation::new(shorten(&expr.to_string()), Outcome::Failed);
    match program.test(event) {
        Ok(matched) => explanation.outcome = outcome(matched),
        Err(fault) => explanation.error = Some(fault.explain()),
    }
    let mut names = Names::new();
    program.attributes(Reach::All, &mut names);
    names.sort_unstable();
    names.dedup();
    let mut values = Vec::new();
    for name in names {
        match event.get(name) {
            Some(found) => values.push(format!("{name} is {:?}", shorten(found.text))),
            None => {
                values.push(format!("{name} is missing"));
                explanation.missing.push(name.to_owned());
            }
        }
    }
    explanation.reason = (!values.is_empty()).then(|| values.join(", "));
    explanation
}
