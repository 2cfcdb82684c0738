//! What is wrong with the peer's bytes, where, and which condition to answer with.

use thiserror::Error;

use crate::condition;
use crate::value::{DEPTH_MAX, VALUES_MAX};

/// Bytes of the peer that are no valid AMQP. It is the peer's fault; trying again with the same bytes is no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("in {what}, at byte {offset}: {fault}")]
pub struct DecodeError {
    /// The innermost composite type that was being read, as the specification names it.
    pub what: &'static str,
    /// Where, counted from the first byte of the frame body or of the message.
    pub offset: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// A length points past the end.
    #[error("{needed} bytes are announced, {left} are there")]
    Truncated {
        /// Bytes that the value asks for.
        needed: u64,
        /// Bytes that are left in the frame or in the value around it.
        left: usize,
    },
    /// A list or map announces more elements than it has bytes.
    #[error("{count} elements are announced in {bytes} bytes")]
    Count {
        /// The announced number.
        count: u32,
        /// The bytes that hold them.
        bytes: usize,
    },
    /// A compound value has bytes that belong to no element, or its size has no room for its own count.
    #[error("the size of a compound value does not agree with its elements")]
    Size,
    /// A map with a key that has no value.
    #[error("a map has an odd number of elements")]
    OddMap,
    /// A constructor that the specification does not have.
    #[error("0x{0:02x} is no format code")]
    UnknownCode(u8),
    /// Another type than the field has.
    #[error("format code 0x{found:02x} is no {expected}")]
    WrongType {
        /// What the specification has here.
        expected: &'static str,
        /// The constructor that came.
        found: u8,
    },
    /// A string that is no UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A symbol that is no ASCII.
    #[error("a symbol is not ASCII")]
    Ascii,
    /// A boolean other than 0 and 1.
    #[error("0x{0:02x} is no boolean")]
    Boolean(u8),
    /// A char outside of Unicode.
    #[error("0x{0:08x} is no Unicode character")]
    Char(u32),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("values are nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// More than [`VALUES_MAX`] values.
    #[error("more than {VALUES_MAX} values in one")]
    Values,
    /// A mandatory field is absent or null.
    #[error("the mandatory field {0} is missing")]
    Missing(&'static str),
    /// A field has a value that its type allows but its meaning does not.
    #[error("the field {0} has a value that is not allowed")]
    Invalid(&'static str),
    /// A descriptor that is unknown here.
    #[error("the descriptor 0x{0:x} is unknown here")]
    Descriptor(u64),
    /// A symbolic descriptor that is unknown.
    #[error("a symbolic descriptor is unknown")]
    SymbolicDescriptor,
    /// A message section that may not follow the one before it.
    #[error("the section 0x{0:x} is out of order or comes twice")]
    SectionOrder(u64),
    /// Bytes behind the last value where none may be.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

impl DecodeError {
    /// The condition to answer with (transport 2.8.15).
    #[must_use]
    pub fn condition(&self) -> &'static str {
        match self.fault {
            Fault::Missing(_) | Fault::Invalid(_) => condition::INVALID_FIELD,
            Fault::Descriptor(_) | Fault::SymbolicDescriptor => condition::NOT_IMPLEMENTED,
            Fault::Depth | Fault::Values => condition::RESOURCE_LIMIT_EXCEEDED,
            _ => condition::DECODE_ERROR,
        }
    }

    /// The same error with the composite type that it was met in, unless a more inner one is named.
    #[must_use]
    #[cold]
    pub(crate) fn within(mut self, what: &'static str) -> Self {
        if self.what == ANY {
            self.what = what;
        }
        self
    }
}

/// The name of what is read while no composite type is known.
pub(crate) const ANY: &str = "a value";
