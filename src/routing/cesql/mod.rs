//! CloudEvents SQL, the whole of version 1.0.0: expressions over the attributes of an event.
//!
//! Owns the language: [`parse`] reads text into an [`Expr`], [`Expression`] is its compiled form. Invariants: the
//! length and the depth of an expression are bounded before anything recurses; evaluation is total, it always
//! returns a value, and the error beside it if there was one; the same event always gives the same result. Does not
//! know filters, routes or how an event is stored.
//!
//! ```text
//! text -> lexer -> parser -> ast -> compile -> program -> value, error
//! ```
//!
//! Where the specification leaves a choice, this is ours:
//! - the first error ends the evaluation (fail-fast, section 4.1), and what stands around it gives its zero value;
//! - arithmetic that leaves 32 bits is a math error with the value 0;
//! - all elements of an `IN` are evaluated, so their order does not matter;
//! - a `\` in a string matters only before the string's own quote, and in a pattern before `%` and `_` too.

mod ast;
mod compile;
mod cursor;
mod dynamic;
mod error;
mod functions;
mod lexer;
mod like;
mod notes;
mod parser;
mod program;
mod reach;
mod value;

#[cfg(test)]
#[rustfmt::skip]
mod conformance;
#[cfg(test)]
mod properties;

pub use ast::{Chain, Column, Expr, Level, Literal, Operator};
pub use error::{ErrorKind, EvalError, ParseError};
pub use notes::notes;
pub use parser::{DEPTH_MAX, LENGTH_MAX, parse};
pub use value::{Type, Value};

pub(crate) use compile::{NoAttributes, REQUIRED};
pub(crate) use error::Fault;
pub(crate) use functions::{functions_like, missing_function};
pub(crate) use program::{Any, Bool, Equality, Int, Str};
pub(crate) use reach::{Names, Reach};
pub(crate) use value::shorten;

use super::Attributes;
use value::{Text, type_of};

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    program: Any,
}

/// What an evaluation gave: always a value, and an error if there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The value; beside an error, what section 3 of the specification names for it, mostly a zero value.
    pub value: Value,
    /// The first error that was met.
    pub error: Option<EvalError>,
}

impl Expression {
    /// Compiles a syntax tree.
    #[must_use]
    pub fn new(expr: &Expr) -> Self {
        Self {
            program: compile::compile(expr),
        }
    }

    /// Evaluates the expression for one event.
    #[must_use]
    pub fn evaluate<E: Attributes + ?Sized>(&self, event: &E) -> Evaluation {
        let result = match &self.program {
            Any::Bool(node) => node.test(event).map(Value::Boolean),
            Any::Int(node) => node.number(event).map(Value::Integer),
            Any::Str(node) => node
                .text(event)
                .map(|text| Value::String(text.as_str().to_owned())),
            Any::Attr(name) => match event.get(name) {
                None => Err(Fault::new(error::Cause::Missing, name)),
                Some(found) => match type_of(found) {
                    Type::Boolean => value::attribute_boolean(found).map(Value::Boolean),
                    Type::Integer => value::attribute_integer(found).map(Value::Integer),
                    Type::String => Ok(Value::String(found.text.to_owned())),
                },
            },
        };
        match result {
            Ok(value) => Evaluation { value, error: None },
            Err(fault) => Evaluation {
                value: self.value_beside_error(event),
                error: Some(fault.explain()),
            },
        }
    }

    /// The type, where it does not depend on the event.
    #[must_use]
    pub fn known_type(&self) -> Option<Type> {
        self.program.known_type()
    }

    /// The compiled tree.
    pub(crate) fn into_program(self) -> Any {
        self.program
    }

    /// The compiled tree, cast to Boolean.
    pub(crate) fn into_condition(self) -> Bool {
        self.program.into_bool()
    }

    /// The functions that name a value of their own for their errors; all else gives its zero value.
    fn value_beside_error<E: Attributes + ?Sized>(&self, event: &E) -> Value {
        let own = match &self.program {
            Any::Int(Int::Absolute(inner)) => inner.number(event).ok().map(|_| Value::Integer(i32::MAX)),
            Any::Str(Str::Left(inner, count) | Str::Right(inner, count)) => {
                match (inner.text(event), count.number(event)) {
                    (Ok(text), Ok(_)) => Some(Value::String(Text::as_str(&text).to_owned())),
                    _ => None,
                }
            }
            _ => None,
        };
        // A bare attribute that is not there has no type, and section 3.2 says to take Boolean then.
        own.unwrap_or_else(|| match &self.program {
            Any::Bool(_) | Any::Attr(_) => Value::zero(Type::Boolean),
            Any::Int(_) => Value::zero(Type::Integer),
            Any::Str(_) => Value::zero(Type::String),
        })
    }
}
