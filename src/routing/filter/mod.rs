//! Predicates: filters checked and compiled, ready to be asked about events.
//!
//! Owns the meaning of the filter dialects (CloudEvents Subscriptions API, section 3.2.4). Invariants: a predicate
//! that exists is valid; `matches` is total, never allocates for the plain dialects, and agrees with `explain`; what
//! `never_matches` rejects can match no event. Does not know routes, and knows events by name and text only.

mod compile;
mod explain;
mod expr;
mod never;
mod shape;

#[cfg(test)]
pub(crate) mod generators;
#[cfg(test)]
mod tests;

pub use compile::{DEPTH_MAX, FilterError};
pub use explain::{Explanation, Outcome};
pub use expr::FilterExpr;

pub(crate) use shape::Shape;

use super::cesql::{Bool, Expr, notes};
use super::{AttrKind, Attributes};

/// A compiled filter.
#[derive(Debug, Clone)]
pub struct Predicate {
    root: Node,
}

/// One dialect, compiled.
#[derive(Debug, Clone)]
enum Node {
    Text(Affix, Box<[(Box<str>, Box<str>)]>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Sql(Box<Sql>),
}

/// How an attribute must agree with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affix {
    Exact,
    Prefix,
    Suffix,
}

#[derive(Debug, Clone)]
struct Sql {
    /// What was written, for explanations.
    expr: Expr,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    /// An expression that gives a Boolean.
    Program(Bool),
    /// A bare attribute: matches if it is of type Boolean, and true. CESQL section 1.2 forbids a cast here.
    Flag(Box<str>),
}

impl Predicate {
    /// Compiles one filter.
    ///
    /// # Errors
    /// What is wrong in the filter, where, and what to write.
    pub fn compile(filter: &FilterExpr) -> Result<Self, FilterError> {
        compile::filter(filter).map(|root| Self { root })
    }

    /// Compiles a list of filters, which must all match; an empty list matches every event.
    ///
    /// # Errors
    /// What is wrong in which filter, and what to write.
    pub fn compile_all(filters: &[FilterExpr]) -> Result<Self, FilterError> {
        compile::filters(filters).map(|root| Self { root })
    }

    /// Whether the event passes.
    #[must_use]
    pub fn matches<E: Attributes + ?Sized>(&self, event: &E) -> bool {
        self.root.matches(event)
    }

    /// Says for each part of the filter whether it matched, and why not.
    #[must_use]
    pub fn explain<E: Attributes + ?Sized>(&self, event: &E) -> Explanation {
        explain::explain(&self.root, event)
    }

    /// Why no event can ever pass, if that is certain. `None` promises nothing.
    #[must_use]
    pub fn never_matches(&self) -> Option<String> {
        never::reason(&self.shape())
    }

    /// What is right and yet seldom meant, each with what to write instead.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.root.collect_notes(&mut found);
        found
    }

    /// What is necessary for an event to pass.
    pub(crate) fn shape(&self) -> Shape<'_> {
        shape::of_node(&self.root)
    }
}

impl Node {
    fn matches<E: Attributes + ?Sized>(&self, event: &E) -> bool {
        match self {
            Self::Text(affix, texts) => texts
                .iter()
                .all(|(name, text)| event.get(name).is_some_and(|found| affix.fits(found.text, text))),
            Self::All(nodes) => nodes.iter().all(|node| node.matches(event)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(event)),
            Self::Not(node) => !node.matches(event),
            Self::Sql(sql) => sql.matches(event),
        }
    }

    fn collect_notes(&self, into: &mut Vec<String>) {
        match self {
            Self::Text(..) => {}
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.collect_notes(into)),
            Self::Not(node) => node.collect_notes(into),
            Self::Sql(sql) => into.extend(notes(&sql.expr)),
        }
    }
}

impl Sql {
    fn matches<E: Attributes + ?Sized>(&self, event: &E) -> bool {
        match &self.test {
            Test::Program(program) => program.test(event).unwrap_or(false),
            Test::Flag(name) => event
                .get(name)
                .is_some_and(|found| found.kind == AttrKind::Boolean && found.text == "true"),
        }
    }
}

impl Affix {
    fn fits(self, found: &str, wanted: &str) -> bool {
        match self {
            Self::Exact => found == wanted,
            Self::Prefix => found.starts_with(wanted),
            Self::Suffix => found.ends_with(wanted),
        }
    }

    fn dialect(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Suffix => "suffix",
        }
    }
}
