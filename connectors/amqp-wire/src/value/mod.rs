//! Values of AMQP (types 1.2 to 1.6): built ([`Value`]), borrowed ([`ValueRef`]), read ([`Reader`]) and written ([`mod@write`]).

mod check;
pub(crate) mod code;
mod decode;
mod fields;
mod map;
mod open;
mod reader;
mod text;
mod view;
pub mod write;

use bytes::Bytes;

pub(crate) use fields::{FieldReader, Get, Millis, SymbolRef};
pub use map::Fields;
pub(crate) use open::{FieldWriter, Open};
pub use reader::Reader;
pub(crate) use reader::{Compound, Kind};
pub use text::{Symbol, Text};
pub use view::{Raw, ValueRef};

use crate::error::DecodeError;

/// Levels of lists, maps, arrays and descriptions within each other. Real peers use three or four.
pub const DEPTH_MAX: u32 = 32;

/// Values that one [`Value`] may be built of, all levels together. What is not built is not counted.
pub const VALUES_MAX: u32 = 65_536;

/// A value that owns itself; text and binary share the frame they came in.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Value {
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
    /// `float`, as its bits.
    Float(u32),
    /// `double`, as its bits.
    Double(u64),
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
    Binary(Bytes),
    /// `string`.
    String(Text),
    /// `symbol`.
    Symbol(Symbol),
    /// `list`.
    List(Vec<Value>),
    /// `map`, in the order of the frame; keys are not compared.
    Map(Vec<(Value, Value)>),
    /// `array`.
    Array(Box<Array>),
    /// A value with a descriptor.
    Described(Box<Described>),
}

/// A value with a descriptor (types 1.3.1).
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Described {
    /// Which type it is: a number or a symbol, as a rule.
    pub descriptor: Value,
    /// The value of the underlying type.
    pub value: Value,
}

/// Values of one type (types 1.6.24).
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Array {
    /// Descriptors of the element type, outermost first; empty as a rule.
    descriptors: Vec<Value>,
    /// Constructor of the elements, the widest of their type.
    code: u8,
    /// Invariant: all of the type of `code`.
    items: Vec<Value>,
}

impl Array {
    /// An array of `items`; `None` where they are of several types or described. An empty one is an array of null.
    #[must_use]
    pub fn new(items: Vec<Value>) -> Option<Self> {
        let code = items.first().map_or(Some(code::NULL), write::element_code)?;
        items
            .iter()
            .all(|item| write::element_code(item) == Some(code))
            .then_some(Self {
                descriptors: Vec::new(),
                code,
                items,
            })
    }

    /// The elements; described ones without their descriptor.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// Descriptors of the element type, outermost first; empty as a rule.
    #[must_use]
    pub fn descriptors(&self) -> &[Value] {
        &self.descriptors
    }
}

impl Value {
    /// Reads the one value that `source` holds.
    ///
    /// # Errors
    /// As [`Reader::value`], and bytes behind the value.
    pub fn decode(source: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(source);
        let value = reader.value()?;
        reader.end()?;
        Ok(value)
    }

    /// A value with a descriptor.
    #[must_use]
    pub fn described(descriptor: Value, value: Value) -> Self {
        Self::Described(Box::new(Described { descriptor, value }))
    }

    /// A map; an alternative to writing out its pairs.
    #[must_use]
    pub fn map<K: Into<Value>, V: Into<Value>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// The text of a string or symbol.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    /// A scalar, text or binary as what can be written and compared without owning; `None` for compounds.
    #[must_use]
    pub fn scalar(&self) -> Option<ValueRef<'_>> {
        Some(match self {
            Self::Null => ValueRef::Null,
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Ubyte(value) => ValueRef::Ubyte(*value),
            Self::Ushort(value) => ValueRef::Ushort(*value),
            Self::Uint(value) => ValueRef::Uint(*value),
            Self::Ulong(value) => ValueRef::Ulong(*value),
            Self::Byte(value) => ValueRef::Byte(*value),
            Self::Short(value) => ValueRef::Short(*value),
            Self::Int(value) => ValueRef::Int(*value),
            Self::Long(value) => ValueRef::Long(*value),
            Self::Float(bits) => ValueRef::Float(f32::from_bits(*bits)),
            Self::Double(bits) => ValueRef::Double(f64::from_bits(*bits)),
            Self::Decimal32(bits) => ValueRef::Decimal32(*bits),
            Self::Decimal64(bits) => ValueRef::Decimal64(*bits),
            Self::Decimal128(bytes) => ValueRef::Decimal128(*bytes),
            Self::Char(value) => ValueRef::Char(*value),
            Self::Timestamp(value) => ValueRef::Timestamp(*value),
            Self::Uuid(value) => ValueRef::Uuid(*value),
            Self::Binary(bytes) => ValueRef::Binary(bytes),
            Self::String(text) => ValueRef::String(text),
            Self::Symbol(symbol) => ValueRef::Symbol(symbol),
            Self::List(_) | Self::Map(_) | Self::Array(_) | Self::Described(_) => return None,
        })
    }
}

macro_rules! into_value {
    ($($from:ty => $variant:ident,)*) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

into_value! {
    bool => Bool,
    u8 => Ubyte,
    u16 => Ushort,
    u32 => Uint,
    u64 => Ulong,
    i8 => Byte,
    i16 => Short,
    i32 => Int,
    i64 => Long,
    char => Char,
    Bytes => Binary,
    &str => String,
    String => String,
    Text => String,
    Symbol => Symbol,
}
