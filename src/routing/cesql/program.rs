//! What an expression is compiled to: a tree with every type and cast made explicit, and its evaluation.
//!
//! Owns the run-time meaning of CESQL (sections 3.2 to 3.7). Evaluation is fail-fast, as section 4.1 advises for
//! filters: the first fault ends it, and whatever stands around the fault gives its zero value. Invariants: the
//! tree is at most a few times as high as the syntax tree, so recursion is bounded; nothing is allocated but by
//! the string functions that build new text. Does not know syntax.

use super::ast::Operator;
use super::dynamic::{castable, compare_attribute};
use super::error::{Cause, Fault};
use super::functions;
use super::like::Pattern;
use super::value::{self, Text, Type};
use crate::routing::{AttrValue, Attributes};

pub(crate) type Name = Box<str>;

/// A node that gives a Boolean.
#[derive(Debug, Clone)]
#[expect(
    clippy::enum_variant_names,
    reason = "a comparison is named after the type that it compares"
)]
pub(crate) enum Bool {
    Const(bool),
    Attr(Name),
    FromInt(Box<Int>),
    FromStr(Box<Str>),
    Not(Box<Bool>),
    /// From left to right; `AND` and `OR` leave out what cannot matter.
    Logic(Box<Bool>, Box<[(Operator, Bool)]>),
    Exists(Name),
    CompareStr(Equality, Str, Str),
    CompareBool(Equality, Box<(Bool, Bool)>),
    CompareInt(Operator, Int, Int),
    /// The right attribute's own type decides which cast the left operand gets.
    CompareAttr(Equality, Box<Any>, Name),
    Like(Equality, Str, Pattern),
    InStr(Equality, Str, Set<Str, Box<str>>),
    InInt(Equality, Int, Set<Int, i32>),
    InBool(Equality, Box<(Bool, Set<Bool, bool>)>),
    /// The left attribute's own type decides which cast the elements get.
    InAttr(Equality, Name, Box<Sets>),
    /// `IS_INT` and `IS_BOOL`: whether a cast would succeed.
    Castable(Box<Any>, Type),
    NoSuchFunction(Name),
}

/// A node that gives an Integer.
#[derive(Debug, Clone)]
pub(crate) enum Int {
    Const(i32),
    Attr(Name),
    FromBool(Box<Bool>),
    FromStr(Box<Str>),
    Negate(Box<Int>),
    Arithmetic(Box<Int>, Box<[(Operator, Int)]>),
    Length(Box<Str>),
    Absolute(Box<Int>),
}

/// A node that gives a String.
#[derive(Debug, Clone)]
pub(crate) enum Str {
    Const(Box<str>),
    Attr(Name),
    FromInt(Box<Int>),
    FromBool(Box<Bool>),
    Concat(Box<[Str]>),
    ConcatWith(Box<Str>, Box<[Str]>),
    Lower(Box<Str>),
    Upper(Box<Str>),
    Trim(Box<Str>),
    Left(Box<Str>, Box<Int>),
    Right(Box<Str>, Box<Int>),
    Substring(Box<Str>, Box<Int>, Option<Box<Int>>),
}

/// A node of any type; an attribute's type is known only with the event.
#[derive(Debug, Clone)]
pub(crate) enum Any {
    Bool(Bool),
    Int(Int),
    Str(Str),
    Attr(Name),
}

/// Whether to be equal or to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Equality {
    Equal,
    Differ,
}

/// The elements of an `IN`: constants sorted, the others in the order of writing.
#[derive(Debug, Clone)]
pub(crate) struct Set<Node, Value> {
    pub(crate) constants: Box<[Value]>,
    pub(crate) others: Box<[Node]>,
}

/// One set for each type that the left attribute may turn out to have.
#[derive(Debug, Clone)]
pub(crate) struct Sets {
    pub(crate) strings: Set<Str, Box<str>>,
    pub(crate) integers: Set<Int, i32>,
    pub(crate) booleans: Set<Bool, bool>,
}

impl Equality {
    fn of(self, equal: bool) -> bool {
        equal == (self == Self::Equal)
    }
}

pub(super) fn attribute<'a, E: Attributes + ?Sized>(
    name: &'a str,
    event: &'a E,
) -> Result<AttrValue<'a>, Fault<'a>> {
    event.get(name).ok_or(Fault::new(Cause::Missing, name))
}

impl Bool {
    pub(crate) fn test<'a, E: Attributes + ?Sized>(&'a self, event: &'a E) -> Result<bool, Fault<'a>> {
        match self {
            Self::Const(value) => Ok(*value),
            Self::Attr(name) => value::attribute_boolean(attribute(name, event)?),
            Self::FromInt(inner) => inner.number(event).map(|n| n != 0),
            Self::FromStr(inner) => to_boolean(&inner.text(event)?),
            Self::Not(inner) => inner.test(event).map(|value| !value),
            Self::Logic(first, rest) => {
                let mut left = first.test(event)?;
                for (operator, right) in rest {
                    left = match (operator, left) {
                        (Operator::And, false) => false,
                        (Operator::Or, true) => true,
                        (Operator::Xor, true) => !right.test(event)?,
                        _ => right.test(event)?,
                    };
                }
                Ok(left)
            }
            Self::Exists(name) => Ok(event.get(name).is_some()),
            Self::CompareStr(how, left, right) => {
                let (left, right) = (left.text(event)?, right.text(event)?);
                Ok(how.of(left.as_str() == right.as_str()))
            }
            Self::CompareBool(how, sides) => Ok(how.of(sides.0.test(event)? == sides.1.test(event)?)),
            Self::CompareInt(operator, left, right) => {
                let order = left.number(event)?.cmp(&right.number(event)?);
                Ok(match operator {
                    Operator::Equal => order.is_eq(),
                    Operator::NotEqual => order.is_ne(),
                    Operator::Less => order.is_lt(),
                    Operator::LessOrEqual => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    _ => order.is_ge(),
                })
            }
            Self::CompareAttr(how, left, right) => {
                compare_attribute(left, right, event).map(|equal| how.of(equal))
            }
            Self::Like(how, inner, pattern) => Ok(how.of(pattern.matches(inner.text(event)?.as_str()))),
            Self::InStr(how, left, set) => set
                .has_text(left.text(event)?.as_str(), event)
                .map(|found| how.of(found)),
            Self::InInt(how, left, set) => set
                .has_number(left.number(event)?, event)
                .map(|found| how.of(found)),
            Self::InBool(how, inner) => inner
                .1
                .has_boolean(inner.0.test(event)?, event)
                .map(|found| how.of(found)),
            Self::InAttr(how, name, sets) => {
                let left = attribute(name, event)?;
                let found = match value::type_of(left) {
                    Type::Boolean => sets.booleans.has_boolean(value::attribute_boolean(left)?, event),
                    Type::Integer => sets.integers.has_number(value::attribute_integer(left)?, event),
                    Type::String => sets.strings.has_text(left.text, event),
                };
                found.map(|found| how.of(found))
            }
            Self::Castable(inner, to) => castable(inner, *to, event),
            Self::NoSuchFunction(name) => Err(Fault::new(Cause::NoSuchFunction, name)),
        }
    }
}

impl Int {
    pub(crate) fn number<'a, E: Attributes + ?Sized>(&'a self, event: &'a E) -> Result<i32, Fault<'a>> {
        match self {
            Self::Const(value) => Ok(*value),
            Self::Attr(name) => value::attribute_integer(attribute(name, event)?),
            Self::FromBool(inner) => inner.test(event).map(i32::from),
            Self::FromStr(inner) => {
                let text = inner.text(event)?;
                value::integer(text.as_str()).ok_or(Fault::new(Cause::Cast(Type::Integer), text.subject()))
            }
            Self::Negate(inner) => inner
                .number(event)?
                .checked_neg()
                .ok_or(Fault::new(Cause::Overflow, "")),
            Self::Arithmetic(first, rest) => {
                let mut left = first.number(event)?;
                for (operator, right) in rest {
                    left = arithmetic(*operator, left, right.number(event)?)?;
                }
                Ok(left)
            }
            Self::Length(inner) => {
                let count = inner.text(event)?.as_str().chars().count();
                i32::try_from(count).map_err(|_| Fault::new(Cause::Overflow, ""))
            }
            Self::Absolute(inner) => inner
                .number(event)?
                .checked_abs()
                .ok_or(Fault::new(Cause::Overflow, "")),
        }
    }
}

impl Str {
    pub(super) fn text<'a, E: Attributes + ?Sized>(&'a self, event: &'a E) -> Result<Text<'a>, Fault<'a>> {
        match self {
            Self::Const(value) => Ok(Text::Borrowed(value)),
            Self::Attr(name) => attribute(name, event).map(|value| Text::Borrowed(value.text)),
            Self::FromInt(inner) => inner.number(event).map(Text::of_integer),
            Self::FromBool(inner) => inner.test(event).map(Text::of_boolean),
            Self::Concat(parts) => functions::concat(None, parts, event),
            Self::ConcatWith(delimiter, parts) => functions::concat(Some(delimiter), parts, event),
            Self::Lower(inner) => Ok(Text::Owned(inner.text(event)?.as_str().to_lowercase())),
            Self::Upper(inner) => Ok(Text::Owned(inner.text(event)?.as_str().to_uppercase())),
            Self::Trim(inner) => Ok(functions::trim(inner.text(event)?)),
            Self::Left(inner, count) => functions::left(inner.text(event)?, count.number(event)?),
            Self::Right(inner, count) => functions::right(inner.text(event)?, count.number(event)?),
            Self::Substring(inner, position, length) => {
                let (text, position) = (inner.text(event)?, position.number(event)?);
                let length = length.as_ref().map(|length| length.number(event)).transpose()?;
                functions::substring(text, position, length)
            }
        }
    }
}

impl Set<Str, Box<str>> {
    fn has_text<'a, E: Attributes + ?Sized>(&'a self, wanted: &str, event: &'a E) -> Result<bool, Fault<'a>> {
        let mut found = self
            .constants
            .binary_search_by(|constant| (**constant).cmp(wanted))
            .is_ok();
        for other in &self.others {
            found |= other.text(event)?.as_str() == wanted;
        }
        Ok(found)
    }
}

impl Set<Int, i32> {
    fn has_number<'a, E: Attributes + ?Sized>(
        &'a self,
        wanted: i32,
        event: &'a E,
    ) -> Result<bool, Fault<'a>> {
        let mut found = self.constants.binary_search(&wanted).is_ok();
        for other in &self.others {
            found |= other.number(event)? == wanted;
        }
        Ok(found)
    }
}

impl Set<Bool, bool> {
    fn has_boolean<'a, E: Attributes + ?Sized>(
        &'a self,
        wanted: bool,
        event: &'a E,
    ) -> Result<bool, Fault<'a>> {
        let mut found = self.constants.contains(&wanted);
        for other in &self.others {
            found |= other.test(event)? == wanted;
        }
        Ok(found)
    }
}

pub(super) fn to_boolean<'a>(text: &Text<'a>) -> Result<bool, Fault<'a>> {
    value::boolean(text.as_str()).ok_or(Fault::new(Cause::Cast(Type::Boolean), text.subject()))
}

/// One step of arithmetic. The specification leaves overflow open; a filter that wrapped around would match the
/// wrong events in silence, so it is a math error here.
fn arithmetic<'a>(operator: Operator, left: i32, right: i32) -> Result<i32, Fault<'a>> {
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        _ if right == 0 => return Err(Fault::new(Cause::DivisionByZero, "")),
        Operator::Divide => left.checked_div(right),
        // i32::MIN % -1 is 0, though the processor's division behind it overflows.
        _ => Some(left.wrapping_rem(right)),
    };
    result.ok_or(Fault::new(Cause::Overflow, ""))
}
