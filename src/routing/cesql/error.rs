//! What can go wrong with an expression: in its text, and in its evaluation.
//!
//! Owns the words that a person reads about either. A [`ParseError`] is the fault of whoever wrote the expression
//! and says the column, what stands there, what was expected and what to write. A [`Fault`] belongs to one event:
//! it is small and borrowed, since a filter meets faults at full speed; [`EvalError`] is its owned form.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::value::Type;

/// The text is not a CESQL expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// Where, in characters from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What could stand there.
    pub expected: String,
    /// What to write instead, if we can tell.
    pub advice: Option<String>,
}

/// The classes of error of CESQL section 3.3 that an evaluation can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Division by zero, or a result that does not fit into 32 bits.
    Math,
    /// A value that cannot become the type which an operator or function needs.
    Cast,
    /// An attribute that the event does not have.
    MissingAttribute,
    /// A function that does not exist with this number of arguments.
    MissingFunction,
    /// A function that was given an argument out of its range.
    FunctionEvaluation,
}

/// An error of one evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// The class of the error.
    pub kind: ErrorKind,
    /// What happened, with the value or the name at fault.
    pub message: String,
}

/// An error of one evaluation, before it is put into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault<'a> {
    pub(super) cause: Cause,
    /// The attribute, function or text at fault; empty where the text was computed.
    pub(super) subject: &'a str,
}

/// Why an evaluation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Missing,
    NoSuchFunction,
    Cast(Type),
    DivisionByZero,
    Overflow,
    NegativeLength,
    OutOfString,
}

impl ParseError {
    /// An error at a byte offset of `source`.
    pub(super) fn at(source: &str, offset: usize, found: &str, expected: &str) -> Self {
        Self {
            column: column(source, offset),
            found: found.into(),
            expected: expected.into(),
            advice: None,
        }
    }

    pub(super) fn advice(mut self, advice: &str) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// The column of a byte offset, in characters from 1.
pub(super) fn column(source: &str, offset: usize) -> usize {
    source.get(..offset).unwrap_or(source).chars().count() + 1
}

impl Display for ParseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "column {}: found {}, expected {}",
            self.column, self.found, self.expected
        )?;
        self.advice.iter().try_for_each(|advice| write!(f, "; {advice}"))
    }
}

impl<'a> Fault<'a> {
    pub(super) fn new(cause: Cause, subject: &'a str) -> Self {
        Self { cause, subject }
    }

    /// The owned form, in words.
    pub(crate) fn explain(self) -> EvalError {
        let subject = super::value::shorten(self.subject);
        let (kind, message) = match self.cause {
            Cause::Missing => (
                ErrorKind::MissingAttribute,
                format!("the event has no attribute `{subject}`"),
            ),
            Cause::NoSuchFunction => (
                ErrorKind::MissingFunction,
                format!("there is no function {subject} with this number of arguments"),
            ),
            Cause::Cast(to) if self.subject.is_empty() => (ErrorKind::Cast, format!("a text is not {to}")),
            Cause::Cast(to) => (ErrorKind::Cast, format!("{subject:?} is not {to}")),
            Cause::DivisionByZero => (ErrorKind::Math, "division by zero".into()),
            Cause::Overflow => (ErrorKind::Math, "the result does not fit into 32 bits".into()),
            Cause::NegativeLength => (
                ErrorKind::FunctionEvaluation,
                format!("the length given to {subject} is negative"),
            ),
            Cause::OutOfString => (
                ErrorKind::FunctionEvaluation,
                format!("the position given to {subject} lies outside of the string"),
            ),
        };
        EvalError { kind, message }
    }
}
