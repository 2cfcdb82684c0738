//! Evaluation where only the event tells a type.
//!
//! Owns the casts of [`Any`] and the two operators that need them: a comparison whose right operand is an attribute,
//! and the question whether a cast would succeed. Does not know where such nodes come from.

use super::error::{Cause, Fault};
use super::program::{Any, attribute, to_boolean};
use super::value::{self, Text, Type};
use crate::routing::Attributes;

pub(super) fn compare_attribute<'a, E: Attributes + ?Sized>(
    left: &'a Any,
    right: &'a str,
    event: &'a E,
) -> Result<bool, Fault<'a>> {
    if let Any::Attr(name) = left {
        // Both attributes must be there before either is cast.
        attribute(name, event)?;
    }
    let right = attribute(right, event)?;
    match value::type_of(right) {
        Type::Boolean => Ok(left.boolean(event)? == value::attribute_boolean(right)?),
        Type::Integer => Ok(left.integer(event)? == value::attribute_integer(right)?),
        Type::String => Ok(left.string(event)?.as_str() == right.text),
    }
}

pub(super) fn castable<'a, E: Attributes + ?Sized>(
    inner: &'a Any,
    to: Type,
    event: &'a E,
) -> Result<bool, Fault<'a>> {
    let cast = match to {
        Type::Boolean => inner.boolean(event).map(|_| true),
        Type::Integer => inner.integer(event).map(|_| true),
        Type::String => Ok(true),
    };
    let own_cast = match inner {
        Any::Str(_) | Any::Attr(_) => true,
        Any::Bool(_) | Any::Int(_) => false,
    };
    match cast {
        Err(Fault {
            cause: Cause::Cast(_),
            ..
        }) if own_cast => match inner {
            // The fault may be from within the text's own computation, which is a fault still.
            Any::Str(node) => node.text(event).map(|_| false),
            _ => Ok(false),
        },
        other => other,
    }
}

impl Any {
    fn boolean<'a, E: Attributes + ?Sized>(&'a self, event: &'a E) -> Result<bool, Fault<'a>> {
        match self {
            Self::Bool(node) => node.test(event),
            Self::Int(node) => node.number(event).map(|n| n != 0),
            Self::Str(node) => to_boolean(&node.text(event)?),
            Self::Attr(name) => value::attribute_boolean(attribute(name, event)?),
        }
    }

    fn integer<'a, E: Attributes + ?Sized>(&'a self, event: &'a E) -> Result<i32, Fault<'a>> {
        match self {
            Self::Bool(node) => node.test(event).map(i32::from),
            Self::Int(node) => node.number(event),
            Self::Str(node) => {
                let text = node.text(event)?;
                value::integer(text.as_str()).ok_or(Fault::new(Cause::Cast(Type::Integer), text.subject()))
            }
            Self::Attr(name) => value::attribute_integer(attribute(name, event)?),
        }
    }

    fn string<'a, E: Attributes + ?Sized>(&'a self, event: &'a E) -> Result<Text<'a>, Fault<'a>> {
        match self {
            Self::Bool(node) => node.test(event).map(Text::of_boolean),
            Self::Int(node) => node.number(event).map(Text::of_integer),
            Self::Str(node) => node.text(event),
            Self::Attr(name) => attribute(name, event).map(|value| Text::Borrowed(value.text)),
        }
    }
}
