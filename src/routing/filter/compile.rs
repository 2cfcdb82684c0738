//! From a filter as written to a predicate's nodes, with every check.
//!
//! Owns what the specification demands of a filter (Subscriptions API section 3.2.4.1: nothing empty; CESQL: the
//! expression gives a Boolean) and the bound on nesting. Invariant: recursion stops at [`DEPTH_MAX`].

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::super::cesql::{Any, Expr, Expression, ParseError, Type, functions_like, missing_function, parse};
use super::{Affix, FilterExpr, Node, Sql, Test};

/// How deep filters may nest in each other.
pub const DEPTH_MAX: usize = 32;

/// A filter that cannot be: the fault of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// Where in the filter, such as `any[1].exact.type`.
    pub at: String,
    /// The column of a CESQL expression, from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub advice: Option<String>,
}

impl Display for FilterError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.at)?;
        self.column
            .iter()
            .try_for_each(|column| write!(f, "column {column}: "))?;
        f.write_str(&self.message)?;
        self.advice.iter().try_for_each(|advice| write!(f, "; {advice}"))
    }
}

impl FilterError {
    fn new(at: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            column: None,
            message: message.into(),
            advice: Some(advice.into()),
        }
    }

    fn parse(at: &str, error: ParseError) -> Self {
        let message = format!("found {}, expected {}", error.found, error.expected);
        Self {
            at: at.into(),
            column: Some(error.column),
            message,
            advice: error.advice,
        }
    }
}

pub(super) fn filter(filter: &FilterExpr) -> Result<Node, FilterError> {
    node(filter, "", DEPTH_MAX)
}

pub(super) fn filters(filters: &[FilterExpr]) -> Result<Node, FilterError> {
    list(filters, "", DEPTH_MAX + 1).map(Node::All)
}

fn node(filter: &FilterExpr, parent: &str, depth: usize) -> Result<Node, FilterError> {
    let dialect = filter.dialect();
    let at = if parent.is_empty() {
        dialect.to_owned()
    } else {
        format!("{parent}.{dialect}")
    };
    if depth == 0 {
        return Err(FilterError::new(
            &at,
            format!("filters nest deeper than {DEPTH_MAX}"),
            "flatten them, or write sql",
        ));
    }
    match filter {
        FilterExpr::Exact(wanted) => texts(Affix::Exact, wanted, &at),
        FilterExpr::Prefix(wanted) => texts(Affix::Prefix, wanted, &at),
        FilterExpr::Suffix(wanted) => texts(Affix::Suffix, wanted, &at),
        FilterExpr::All(filters) => some(filters, &at, depth).map(Node::All),
        FilterExpr::Any(filters) => some(filters, &at, depth).map(Node::Any),
        FilterExpr::Not(inner) => node(inner, &at, depth - 1).map(|node| Node::Not(node.into())),
        FilterExpr::Sql(text) => sql(text, &at).map(|sql| Node::Sql(sql.into())),
    }
}

fn some(filters: &[FilterExpr], at: &str, depth: usize) -> Result<Box<[Node]>, FilterError> {
    if filters.is_empty() {
        return Err(FilterError::new(
            at,
            "an empty list",
            "write at least one filter in it",
        ));
    }
    list(filters, at, depth)
}

fn list(filters: &[FilterExpr], at: &str, depth: usize) -> Result<Box<[Node]>, FilterError> {
    filters
        .iter()
        .enumerate()
        .map(|(i, filter)| node(filter, &format!("{at}[{i}]"), depth - 1))
        .collect()
}

fn texts(affix: Affix, texts: &BTreeMap<String, String>, at: &str) -> Result<Node, FilterError> {
    if texts.is_empty() {
        return Err(FilterError::new(
            at,
            "no attribute",
            "write at least one, such as `type: com.acme.order`",
        ));
    }
    for (name, text) in texts {
        let at = format!("{at}.{name}");
        attribute_name(name, &at)?;
        if text.is_empty() {
            let advice = match affix {
                Affix::Exact => {
                    format!("write the text, or `not: {{ sql: EXISTS {name} }}` if it is to be absent")
                }
                _ => format!("write the text, or `sql: EXISTS {name}` if it is to be there"),
            };
            return Err(FilterError::new(&at, "an empty text", advice));
        }
    }
    Ok(Node::Text(
        affix,
        texts
            .iter()
            .map(|(name, text)| (name.as_str().into(), text.as_str().into()))
            .collect(),
    ))
}

/// Names of attributes are lower-case ASCII letters and digits (CloudEvents, "Naming conventions").
fn attribute_name(name: &str, at: &str) -> Result<(), FilterError> {
    if name == "data" {
        let advice = "set an attribute from it at the ingress, and filter on that";
        return Err(FilterError::new(at, "filters see attributes, not data", advice));
    }
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Ok(());
    }
    let lower: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let advice = match lower.as_str() {
        "" => "names have lower-case letters a-z and digits only".into(),
        _ => format!("names have lower-case letters a-z and digits only: write {lower}"),
    };
    Err(FilterError::new(
        at,
        format!("`{name}` is no name of an attribute"),
        advice,
    ))
}

fn sql(text: &str, at: &str) -> Result<Sql, FilterError> {
    let expr = parse(text).map_err(|error| FilterError::parse(at, error))?;
    if let Some(Expr::Call {
        name,
        args,
        at: column,
    }) = missing_function(&expr)
    {
        let advice = match functions_like(name) {
            Some(usage) => format!("write {usage}"),
            None => "functions are those of CESQL 1.0, section 3.5".into(),
        };
        let message = format!("there is no function {name} with {} arguments", args.len());
        return Err(FilterError {
            column: Some(column.0),
            ..FilterError::new(at, message, advice)
        });
    }
    let test = match Expression::new(&expr).into_program() {
        Any::Bool(program) => Test::Program(program),
        other => match (other.known_type(), other) {
            (None, Any::Attr(name)) => Test::Flag(name),
            (Some(Type::Integer), _) => {
                return Err(FilterError::new(
                    at,
                    "the expression gives an Integer",
                    "a filter gives a Boolean: compare it, such as `... > 0`",
                ));
            }
            _ => {
                return Err(FilterError::new(
                    at,
                    "the expression gives a String",
                    "a filter gives a Boolean: compare it, such as `... = 'text'`",
                ));
            }
        },
    };
    Ok(Sql { expr, test })
}
