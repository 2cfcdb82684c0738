//! Writes values in their smallest form, straight into the output.
//!
//! Compounds are begun and closed by `Open`; an array has the widest constructor of its type.

use super::open::Open;
use super::{Array, Value, ValueRef, code};

/// A value whose form is fixed by its Rust type.
pub trait Put {
    /// Appends the value, constructor included.
    fn put(&self, out: &mut Vec<u8>);
}

impl<T: Put + ?Sized> Put for &T {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
}

impl Put for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(if *self { code::TRUE } else { code::FALSE });
    }
}

impl Put for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[code::UBYTE, *self]);
    }
}

impl Put for u16 {
    fn put(&self, out: &mut Vec<u8>) {
        let [a, b] = self.to_be_bytes();
        out.extend_from_slice(&[code::USHORT, a, b]);
    }
}

impl Put for u32 {
    fn put(&self, out: &mut Vec<u8>) {
        match *self {
            0 => out.push(code::UINT0),
            small @ 1..=0xff => out.extend_from_slice(&[code::SMALL_UINT, small as u8]),
            wide => fixed(out, code::UINT, wide.to_be_bytes()),
        }
    }
}

impl Put for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        match *self {
            0 => out.push(code::ULONG0),
            small @ 1..=0xff => out.extend_from_slice(&[code::SMALL_ULONG, small as u8]),
            wide => fixed(out, code::ULONG, wide.to_be_bytes()),
        }
    }
}

impl Put for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        match i8::try_from(*self) {
            Ok(small) => out.extend_from_slice(&[code::SMALL_INT, small.cast_unsigned()]),
            Err(_) => fixed(out, code::INT, self.to_be_bytes()),
        }
    }
}

impl Put for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        match i8::try_from(*self) {
            Ok(small) => out.extend_from_slice(&[code::SMALL_LONG, small.cast_unsigned()]),
            Err(_) => fixed(out, code::LONG, self.to_be_bytes()),
        }
    }
}

/// `binary`.
impl Put for [u8] {
    fn put(&self, out: &mut Vec<u8>) {
        variable(out, code::BINARY8, self);
    }
}

/// `binary`.
impl Put for bytes::Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        variable(out, code::BINARY8, self);
    }
}

/// `string`.
impl Put for str {
    fn put(&self, out: &mut Vec<u8>) {
        variable(out, code::STRING8, self.as_bytes());
    }
}

impl Put for super::Text {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }
}

impl Put for super::Symbol {
    fn put(&self, out: &mut Vec<u8>) {
        symbol(out, self.as_str());
    }
}

/// `symbol`. The text is ASCII: constants and checked input.
pub fn symbol(out: &mut Vec<u8>, symbol: &str) {
    variable(out, code::SYMBOL8, symbol.as_bytes());
}

/// An array of symbols.
pub fn symbols(out: &mut Vec<u8>, symbols: &[super::Symbol]) {
    let narrow = symbols.iter().all(|symbol| symbol.len() <= usize::from(u8::MAX));
    let open = Open::array(out);
    out.push(if narrow { code::SYMBOL8 } else { code::SYMBOL32 });
    for symbol in symbols {
        match u8::try_from(symbol.len()) {
            Ok(len) if narrow => out.push(len),
            _ => out.extend_from_slice(&wide(symbol.len())),
        }
        out.extend_from_slice(symbol.as_bytes());
    }
    open.close(out, symbols.len());
}

/// `timestamp`, in milliseconds since the Unix epoch.
pub fn timestamp(out: &mut Vec<u8>, millis: i64) {
    fixed(out, code::TIMESTAMP, millis.to_be_bytes());
}

/// The start of a described value: its descriptor. The value is to follow.
pub fn descriptor(out: &mut Vec<u8>, descriptor: u64) {
    out.push(code::DESCRIBED);
    descriptor.put(out);
}

#[inline]
fn fixed<const N: usize>(out: &mut Vec<u8>, code: u8, bytes: [u8; N]) {
    out.push(code);
    out.extend_from_slice(&bytes);
}

/// `short` is the constructor with a length of one byte; the one with four bytes is 0x10 above it.
#[inline]
fn variable(out: &mut Vec<u8>, short: u8, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(len) => out.extend_from_slice(&[short, len]),
        Err(_) => fixed(out, short + 0x10, wide(bytes.len())),
    }
    out.extend_from_slice(bytes);
}

/// A size or count in its wide form. What is written here was in memory as a whole and passes for a frame's size
/// afterwards: 4 GiB never comes here, and would be a frame that the peer refuses, not one that it misreads.
pub(super) fn wide(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

impl Put for ValueRef<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Null => out.push(code::NULL),
            Self::Bool(value) => value.put(out),
            Self::Ubyte(value) => value.put(out),
            Self::Ushort(value) => value.put(out),
            Self::Uint(value) => value.put(out),
            Self::Ulong(value) => value.put(out),
            Self::Byte(value) => out.extend_from_slice(&[code::BYTE, value.cast_unsigned()]),
            Self::Short(value) => fixed(out, code::SHORT, value.to_be_bytes()),
            Self::Int(value) => value.put(out),
            Self::Long(value) => value.put(out),
            Self::Float(value) => fixed(out, code::FLOAT, value.to_be_bytes()),
            Self::Double(value) => fixed(out, code::DOUBLE, value.to_be_bytes()),
            Self::Decimal32(bits) => fixed(out, code::DECIMAL32, bits.to_be_bytes()),
            Self::Decimal64(bits) => fixed(out, code::DECIMAL64, bits.to_be_bytes()),
            Self::Decimal128(bytes) => fixed(out, code::DECIMAL128, bytes),
            Self::Char(value) => fixed(out, code::CHAR, u32::from(value).to_be_bytes()),
            Self::Timestamp(millis) => timestamp(out, millis),
            Self::Uuid(bytes) => fixed(out, code::UUID, bytes),
            Self::Binary(bytes) => bytes.put(out),
            Self::String(text) => text.put(out),
            Self::Symbol(text) => symbol(out, text),
            Self::Compound(raw) => out.extend_from_slice(raw.as_slice()),
        }
    }
}

/// Recursion follows the value, which the program or a bounded decoder has made.
impl Put for Value {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::List(items) => list(out, items),
            Self::Map(entries) => {
                let open = Open::map(out);
                for (key, value) in entries {
                    key.put(out);
                    value.put(out);
                }
                open.close(out, entries.len() * 2);
            }
            Self::Array(array) => {
                let open = Open::array(out);
                elements(out, array);
                open.close(out, array.items.len());
            }
            Self::Described(described) => {
                out.push(code::DESCRIBED);
                described.descriptor.put(out);
                described.value.put(out);
            }
            scalar => scalar.scalar().unwrap_or(ValueRef::Null).put(out),
        }
    }
}

fn list(out: &mut Vec<u8>, items: &[Value]) {
    let open = Open::list(out);
    for item in items {
        item.put(out);
    }
    open.close(out, items.len());
}

/// The constructor that an array with this element is written with; `None` for described values.
pub(super) fn element_code(value: &Value) -> Option<u8> {
    Some(match value {
        Value::Null => code::NULL,
        Value::Bool(_) => code::BOOLEAN,
        Value::Ubyte(_) => code::UBYTE,
        Value::Ushort(_) => code::USHORT,
        Value::Uint(_) => code::UINT,
        Value::Ulong(_) => code::ULONG,
        Value::Byte(_) => code::BYTE,
        Value::Short(_) => code::SHORT,
        Value::Int(_) => code::INT,
        Value::Long(_) => code::LONG,
        Value::Float(_) => code::FLOAT,
        Value::Double(_) => code::DOUBLE,
        Value::Decimal32(_) => code::DECIMAL32,
        Value::Decimal64(_) => code::DECIMAL64,
        Value::Decimal128(_) => code::DECIMAL128,
        Value::Char(_) => code::CHAR,
        Value::Timestamp(_) => code::TIMESTAMP,
        Value::Uuid(_) => code::UUID,
        Value::Binary(_) => code::BINARY32,
        Value::String(_) => code::STRING32,
        Value::Symbol(_) => code::SYMBOL32,
        Value::List(_) => code::LIST32,
        Value::Map(_) => code::MAP32,
        Value::Array(_) => code::ARRAY32,
        Value::Described(_) => return None,
    })
}

/// The constructor of an array, and its elements without theirs.
fn elements(out: &mut Vec<u8>, array: &Array) {
    for descriptor in &array.descriptors {
        out.push(code::DESCRIBED);
        descriptor.put(out);
    }
    out.push(array.code);
    for item in &array.items {
        element(out, item);
    }
}

fn element(out: &mut Vec<u8>, item: &Value) {
    let octets = |out: &mut Vec<u8>, bytes: &[u8]| {
        out.extend_from_slice(&wide(bytes.len()));
        out.extend_from_slice(bytes);
    };
    match item {
        Value::Bool(value) => out.push((*value).into()),
        Value::Uint(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Ulong(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Int(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Long(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Binary(bytes) => octets(out, bytes),
        Value::String(text) => octets(out, text.as_bytes()),
        Value::Symbol(symbol) => octets(out, symbol.as_bytes()),
        Value::List(_) | Value::Map(_) | Value::Array(_) => {
            // Written apart, since its own form may be any: rare enough for an allocation.
            let mut whole = Vec::new();
            item.put(&mut whole);
            widened(out, &whole);
        }
        // One form only: the constructor is the first byte.
        other => {
            let start = out.len();
            other.put(out);
            out.remove(start);
        }
    }
}

/// Size, count and inside of a compound in its wide form, from any of its forms.
fn widened(out: &mut Vec<u8>, whole: &[u8]) {
    match whole {
        [code::LIST32 | code::MAP32 | code::ARRAY32, inside @ ..] => out.extend_from_slice(inside),
        [_, _, count, inside @ ..] => {
            out.extend_from_slice(&wide(inside.len() + 4));
            out.extend_from_slice(&u32::from(*count).to_be_bytes());
            out.extend_from_slice(inside);
        }
        // list0
        _ => out.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0]),
    }
}
