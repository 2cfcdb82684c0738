//! A value as it lies in the frame: scalars by value, text and binary borrowed, compounds as their bytes.
//!
//! This is what the hot path reads and writes; [`Value`] is built only where something has to live on.

use bytes::Bytes;

use super::{Reader, Symbol, Text, Value};
use crate::error::DecodeError;

/// A value that borrows from the frame it lies in (or from whoever wants it written).
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ValueRef<'a> {
    /// Absent.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `ubyte`.
    Ubyte(u8),
    /// `ushort`.
    Ushort(u16),
    /// `uint`.
    Uint(u32),
    /// `ulong`.
    Ulong(u64),
    /// `byte`.
    Byte(i8),
    /// `short`.
    Short(i16),
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `float`.
    Float(f32),
    /// `double`.
    Double(f64),
    /// `decimal32`, as its bits.
    Decimal32(u32),
    /// `decimal64`, as its bits.
    Decimal64(u64),
    /// `decimal128`, as its bytes in network order.
    Decimal128([u8; 16]),
    /// `char`.
    Char(char),
    /// `timestamp`: milliseconds since the Unix epoch.
    Timestamp(i64),
    /// `uuid`, in network order.
    Uuid([u8; 16]),
    /// `binary`.
    Binary(&'a [u8]),
    /// `string`.
    String(&'a str),
    /// `symbol`.
    Symbol(&'a str),
    /// A list, map, array or described value, not looked into.
    Compound(Raw<'a>),
}

/// An encoded value, constructor included. That it ends within its frame is known, what is inside it is not.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(pub(super) Reader<'a>);

impl<'a> Raw<'a> {
    /// The encoded bytes.
    #[must_use]
    pub fn as_slice(&self) -> &'a [u8] {
        self.0.rest()
    }

    /// The encoded bytes, shared with the frame.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.rest_bytes()
    }

    /// Where it begins, counted from the start of the frame body or message.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset()
    }

    /// A reader over exactly this value.
    #[must_use]
    pub fn reader(&self) -> Reader<'a> {
        self.0
    }

    /// One level of it.
    ///
    /// # Errors
    /// A malformed value.
    pub fn view(&self) -> Result<ValueRef<'a>, DecodeError> {
        self.reader().view()
    }

    /// The whole of it, built.
    ///
    /// # Errors
    /// A malformed value, or one past the bounds [`super::DEPTH_MAX`] and [`super::VALUES_MAX`].
    pub fn value(&self) -> Result<Value, DecodeError> {
        self.reader().value()
    }

    /// Looks into all of it without building anything.
    ///
    /// # Errors
    /// A malformed value, or one nested deeper than [`super::DEPTH_MAX`].
    pub fn check(&self) -> Result<(), DecodeError> {
        self.reader().check()
    }
}

impl PartialEq for Raw<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<'a> ValueRef<'a> {
    /// The text of a string or symbol.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::String(text) | Self::Symbol(text) => Some(text),
            _ => None,
        }
    }

    /// Any of the eight integer types, if it fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Ubyte(n) => Some(n.into()),
            Self::Ushort(n) => Some(n.into()),
            Self::Uint(n) => Some(n.into()),
            Self::Ulong(n) => i64::try_from(n).ok(),
            Self::Byte(n) => Some(n.into()),
            Self::Short(n) => Some(n.into()),
            Self::Int(n) => Some(n.into()),
            Self::Long(n) => Some(n),
            _ => None,
        }
    }

    /// Built, with copies of text and binary.
    ///
    /// # Errors
    /// As [`Raw::value`].
    pub fn to_value(&self) -> Result<Value, DecodeError> {
        Ok(match *self {
            Self::Binary(bytes) => Value::Binary(Bytes::copy_from_slice(bytes)),
            Self::String(text) => Value::String(Text::from(text)),
            // The frame's symbols are ASCII; one that a program made up is text at least.
            Self::Symbol(text) => {
                Symbol::new(text).map_or_else(|| Value::String(Text::from(text)), Value::Symbol)
            }
            Self::Compound(raw) => raw.value()?,
            scalar => scalar.number(),
        })
    }

    /// What holds no bytes.
    pub(super) fn number(self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(value),
            Self::Ubyte(value) => Value::Ubyte(value),
            Self::Ushort(value) => Value::Ushort(value),
            Self::Uint(value) => Value::Uint(value),
            Self::Ulong(value) => Value::Ulong(value),
            Self::Byte(value) => Value::Byte(value),
            Self::Short(value) => Value::Short(value),
            Self::Int(value) => Value::Int(value),
            Self::Long(value) => Value::Long(value),
            Self::Float(value) => Value::Float(value.to_bits()),
            Self::Double(value) => Value::Double(value.to_bits()),
            Self::Decimal32(value) => Value::Decimal32(value),
            Self::Decimal64(value) => Value::Decimal64(value),
            Self::Decimal128(value) => Value::Decimal128(value),
            Self::Char(value) => Value::Char(value),
            Self::Timestamp(value) => Value::Timestamp(value),
            Self::Uuid(value) => Value::Uuid(value),
            Self::Null | Self::Binary(_) | Self::String(_) | Self::Symbol(_) | Self::Compound(_) => {
                Value::Null
            }
        }
    }
}
