//! The built-in functions that build or cut text (CESQL section 3.5.1), and the table of all built-in functions.
//!
//! Owns their names, arities and edge cases. Lengths and positions count characters, not bytes. Functions that cut
//! borrow from their argument; only those that make new text allocate. Does not know how arguments are evaluated.

use super::ast::Expr;
use super::error::{Cause, Fault};
use super::program::Str;
use super::value::Text;
use crate::routing::Attributes;

/// Every built-in function with its fewest and most arguments (`None`: as many as there are). `INT`, `BOOL` and
/// `STRING` are the casts of section 3.7 by name; `IS_INT` and `IS_BOOL` are from the drafts before 1.0 and say
/// whether a cast would succeed.
pub(super) const FUNCTIONS: [(&str, usize, Option<usize>); 15] = [
    ("ABS", 1, Some(1)),
    ("LENGTH", 1, Some(1)),
    ("CONCAT", 0, None),
    ("CONCAT_WS", 1, None),
    ("LOWER", 1, Some(1)),
    ("UPPER", 1, Some(1)),
    ("TRIM", 1, Some(1)),
    ("LEFT", 2, Some(2)),
    ("RIGHT", 2, Some(2)),
    ("SUBSTRING", 2, Some(3)),
    ("INT", 1, Some(1)),
    ("BOOL", 1, Some(1)),
    ("STRING", 1, Some(1)),
    ("IS_INT", 1, Some(1)),
    ("IS_BOOL", 1, Some(1)),
];

pub(super) fn concat<'a, E: Attributes + ?Sized>(
    delimiter: Option<&'a Str>,
    parts: &'a [Str],
    event: &'a E,
) -> Result<Text<'a>, Fault<'a>> {
    let delimiter = delimiter.map(|delimiter| delimiter.text(event)).transpose()?;
    let mut all = String::new();
    for (i, part) in parts.iter().enumerate() {
        if let (Some(delimiter), true) = (&delimiter, i > 0) {
            all.push_str(delimiter.as_str());
        }
        all.push_str(part.text(event)?.as_str());
    }
    Ok(Text::Owned(all))
}

pub(super) fn trim(text: Text<'_>) -> Text<'_> {
    text.cut(|text| {
        let start = text.len() - text.trim_start().len();
        start..start + text.trim().len()
    })
}

pub(super) fn left<'a>(text: Text<'a>, count: i32) -> Result<Text<'a>, Fault<'a>> {
    let count = usize::try_from(count).map_err(|_| Fault::new(Cause::NegativeLength, "LEFT"))?;
    Ok(text.cut(|text| 0..offset(text, count)))
}

pub(super) fn right<'a>(text: Text<'a>, count: i32) -> Result<Text<'a>, Fault<'a>> {
    let count = usize::try_from(count).map_err(|_| Fault::new(Cause::NegativeLength, "RIGHT"))?;
    Ok(text.cut(|text| {
        let skip = text.chars().count().saturating_sub(count);
        offset(text, skip)..text.len()
    }))
}

/// `position` counts from 1, or from the end if it is negative; 0 gives the empty string.
pub(super) fn substring(text: Text<'_>, position: i32, length: Option<i32>) -> Result<Text<'_>, Fault<'_>> {
    let length = match length.map(usize::try_from) {
        None => usize::MAX,
        Some(Ok(length)) => length,
        Some(Err(_)) => return Err(Fault::new(Cause::NegativeLength, "SUBSTRING")),
    };
    let distance = usize::try_from(position.unsigned_abs()).expect("32 bits fit into usize");
    let count = text.as_str().chars().count();
    if distance > count {
        return Err(Fault::new(Cause::OutOfString, "SUBSTRING"));
    }
    let skip = match position {
        0 => return Ok(Text::Borrowed("")),
        1.. => distance - 1,
        _ => count - distance,
    };
    Ok(text.cut(|text| {
        let start = offset(text, skip);
        start..start + offset(&text[start..], length)
    }))
}

/// The byte offset of the character number `count` from 0, or the end.
fn offset(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(at, _)| at)
}

/// The first call in a tree to a function that does not exist with that number of arguments.
pub(crate) fn missing_function(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Literal(_) | Expr::Attribute(_) | Expr::Exists(_) => None,
        Expr::Not(inner) | Expr::Negate(inner) | Expr::Like { value: inner, .. } => missing_function(inner),
        Expr::In { value, set, .. } => {
            missing_function(value).or_else(|| set.iter().find_map(missing_function))
        }
        Expr::Call { name, args, .. } if exists(name, args.len()) => args.iter().find_map(missing_function),
        Expr::Call { .. } => Some(expr),
        Expr::Chain(chain) => missing_function(&chain.first)
            .or_else(|| chain.rest.iter().find_map(|(_, expr)| missing_function(expr))),
    }
}

/// Whether a function can be called with so many arguments.
pub(super) fn exists(name: &str, arguments: usize) -> bool {
    FUNCTIONS.iter().any(|(known, least, most)| {
        *known == name && arguments >= *least && most.is_none_or(|most| arguments <= most)
    })
}

/// How to call the function whose name is nearest to `name`, if one is near.
pub(crate) fn functions_like(name: &str) -> Option<String> {
    let near = |known: &str| {
        let common = known
            .bytes()
            .zip(name.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        (known == name || common >= 3 || (common > 0 && known.len().abs_diff(name.len()) <= 1))
            .then_some(common)
    };
    let best = FUNCTIONS
        .iter()
        .filter_map(|row| near(row.0).map(|common| (row.0 == name, common, row)))
        .max_by_key(|found| (found.0, found.1))?;
    let (known, least, most) = best.2;
    Some(match most {
        Some(most) if most == least => format!(
            "{known} with {least} argument{}",
            if *least == 1 { "" } else { "s" }
        ),
        Some(most) => format!("{known} with {least} to {most} arguments"),
        None => format!(
            "{known} with at least {least} argument{}",
            if *least == 1 { "" } else { "s" }
        ),
    })
}
