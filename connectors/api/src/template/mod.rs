//! Templates: text with inputs in braces, such as `com.acme.job.{subject | else unknown}`. Users read
//! `docs/templates.md`.
//!
//! Owns: the grammar, the closed list of functions, and what a missing value means.
//! Invariants
//! - What parses renders, or says which input the message lacks; rendering never panics and is bounded in
//!   size.
//! - A value that is put in passes the caller's [`guard`], so that it cannot become syntax of the place it
//!   goes to (C34).
//!
//! Must not know: which protocol it serves; a [`Scope`] says which inputs a place has, [`Inputs`] gives them.

mod error;
mod function;
pub mod guard;
mod inputs;
mod parse;
mod scope;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::event::AttrKind;
use crate::event::json;
use function::Function;

pub use crate::event::json::Step;
pub use error::{MissingField, TemplateError, Why};
pub use inputs::Inputs;
pub use scope::{Root, Scope, StepRule};

/// The longest template text, in bytes.
pub const TEMPLATE_MAX: usize = 4096;
/// The longest result, in bytes: what fits an event that every CloudEvents intermediary must take.
pub const RENDER_MAX: usize = 64 * 1024;

/// A parsed template: every input is known to exist in its scope, every function is known.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    /// Literals are never empty and never stand side by side.
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Debug)]
enum Part {
    Literal(Box<str>),
    Expression { input: Reference, stages: Vec<Stage> },
}

/// One input, as it was resolved in its scope.
#[derive(Clone, PartialEq, Debug)]
struct Reference {
    /// As it was written, for errors.
    text: Box<str>,
    from: From,
}

#[derive(Clone, PartialEq, Debug)]
enum From {
    Attribute(Box<str>),
    Root(&'static str, Option<Step>),
    /// A path into the data; an empty one is all of it.
    Data(Vec<Step>),
    /// A generated id.
    Uuid,
}

/// One step after a `|`.
#[derive(Clone, PartialEq, Debug)]
enum Stage {
    ElseLiteral(Box<str>),
    ElseInput(Reference),
    Apply(Function),
}

impl Template {
    /// Parses the text for a place whose inputs are those of `scope`.
    ///
    /// # Errors
    /// The first fault, with its column, what is wrong and what to write instead.
    pub fn parse(text: &str, scope: &Scope) -> Result<Template, TemplateError> {
        parse::parse(text, scope)
    }

    /// The text, where it has no inputs.
    pub fn as_constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The type of the attribute that it makes: Integer where it is one expression that ends in `int` or
    /// `round`.
    pub fn kind(&self) -> AttrKind {
        match self.parts.as_slice() {
            [Part::Expression { stages, .. }] => {
                let last = stages.iter().rev().find_map(|stage| match stage {
                    Stage::Apply(function) => Some(*function),
                    _ => None,
                });
                if last.is_some_and(Function::makes_integer) {
                    AttrKind::Integer
                } else {
                    AttrKind::String
                }
            }
            _ => AttrKind::String,
        }
    }

    /// Whether there may be inputs for which this gives `text`: its own text stands there, in order. What an expression
    /// can give is not looked at.
    #[must_use]
    pub fn may_give(&self, text: &str) -> bool {
        let (mut rest, mut anything) = (text, false);
        for (at, part) in self.parts.iter().enumerate() {
            let Part::Literal(literal) = part else {
                anything = true;
                continue;
            };
            let last = at + 1 == self.parts.len();
            let found = match anything {
                false => rest.starts_with(&**literal).then_some(0),
                true if last => rest.ends_with(&**literal).then(|| rest.len() - literal.len()),
                true => rest.find(&**literal),
            };
            let Some(found) = found else { return false };
            rest = &rest[found + literal.len()..];
            anything = false;
        }
        anything || rest.is_empty()
    }

    /// Appends the text for these inputs.
    ///
    /// # Errors
    /// The message's fault: the input that is missing or does not fit. What was appended so far stays in
    /// `out`.
    pub fn render(&self, inputs: &dyn Inputs, out: &mut String) -> Result<(), MissingField> {
        self.render_guarded(inputs, &guard::any, out)
    }

    /// As [`Template::render`]; each value that is put in goes through `guard`, the template's own text does
    /// not.
    ///
    /// # Errors
    /// As [`Template::render`], and what the guard refuses.
    pub fn render_guarded(
        &self,
        inputs: &dyn Inputs,
        guard: &guard::Guard,
        out: &mut String,
    ) -> Result<(), MissingField> {
        let start = out.len();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Expression { input, stages } => {
                    let fault = |why| MissingField {
                        field: input.text.clone(),
                        why,
                    };
                    let value = evaluate(input, stages, inputs).map_err(fault)?;
                    if value.len() > RENDER_MAX {
                        return Err(fault(Why::TooLong));
                    }
                    guard(&value, out).map_err(|why| fault(Why::Refused(why)))?;
                    if out.len() - start > RENDER_MAX {
                        return Err(fault(Why::TooLong));
                    }
                }
            }
        }
        Ok(())
    }
}

fn evaluate<'a>(
    input: &'a Reference,
    stages: &'a [Stage],
    inputs: &'a dyn Inputs,
) -> Result<Cow<'a, str>, Why> {
    let mut value = fetch(input, inputs);
    for stage in stages {
        value = match (stage, value) {
            (Stage::Apply(function), Ok(value)) => function.apply(value),
            (Stage::ElseLiteral(text), Err(_)) => Ok(Cow::Borrowed(&**text)),
            (Stage::ElseInput(other), Err(_)) => fetch(other, inputs),
            (_, value) => value,
        };
    }
    value
}

fn fetch<'a>(input: &'a Reference, inputs: &'a dyn Inputs) -> Result<Cow<'a, str>, Why> {
    let value = match &input.from {
        From::Attribute(name) => inputs.attribute(name).map(|value| Cow::Borrowed(value.text)),
        From::Root(name, step) => inputs.root(name, step.as_ref()),
        From::Data(path) => inputs.data().and_then(|data| match path.as_slice() {
            [] => std::str::from_utf8(data).ok().map(Cow::Borrowed),
            path => json::lookup(data, path),
        }),
        From::Uuid => Some(Cow::Owned(uuid::Uuid::new_v4().to_string())),
    };
    value.ok_or(Why::Missing)
}
