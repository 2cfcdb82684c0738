//! Notes on expressions that are right and yet seldom meant.
//!
//! Owns the two places where the precedence of CESQL (section 3.6) differs from SQL's. Does not change meaning.

use super::ast::{Expr, Level};
use super::value::shorten;

/// What is right by the specification and yet is seldom meant, each with what to write.
#[must_use]
pub fn notes(expr: &Expr) -> Vec<String> {
    let mut notes = Vec::new();
    note(expr, &mut notes);
    notes
}

fn note(expr: &Expr, notes: &mut Vec<String>) {
    match expr {
        Expr::Literal(_) | Expr::Attribute(_) | Expr::Exists(_) => {}
        Expr::Not(inner) | Expr::Negate(inner) => note(inner, notes),
        Expr::Like { value, .. } => {
            note_not(value, expr, notes);
            note(value, notes);
        }
        Expr::In { value, set, .. } => {
            note_not(value, expr, notes);
            note(value, notes);
            set.iter().for_each(|item| note(item, notes));
        }
        Expr::Call { args, .. } => args.iter().for_each(|arg| note(arg, notes)),
        Expr::Chain(chain) => {
            if chain.level() == Level::Comparison {
                note_not(&chain.first, expr, notes);
            }
            if chain.level() == Level::Logic && chain.rest.windows(2).any(|pair| pair[0].0 != pair[1].0) {
                notes.push(format!(
                    "`{}` mixes AND, OR and XOR, which CESQL reads from left to right: write parentheses",
                    shorten(&expr.to_string())
                ));
            }
            note(&chain.first, notes);
            chain.rest.iter().for_each(|(_, operand)| note(operand, notes));
        }
    }
}

fn note_not(first: &Expr, whole: &Expr, notes: &mut Vec<String>) {
    if let Expr::Not(negated) = first {
        notes.push(format!(
            "in `{}` NOT applies to `{}` alone, as it binds tighter than what follows: write NOT (...)",
            shorten(&whole.to_string()),
            shorten(&negated.to_string())
        ));
    }
}
