//! The cursor over a frame or message: every read is checked against the bytes that are there.
//!
//! It borrows the source as `&Bytes`, so that what it finds can be borrowed (`&'a [u8]`, `&'a str`) on the hot path
//! and shared without a copy (`Bytes`) where it has to live on.

use bytes::Bytes;

use super::view::{Raw, ValueRef};
use super::{Symbol, Text, code};
use crate::descriptor;
use crate::error::{ANY, DecodeError, Fault};

/// A place in a frame or message, and the end up to which may be read. A copy is a bookmark.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    source: &'a Bytes,
    /// Invariant: a part of `source`.
    rest: &'a [u8],
}

/// The inside of a list, map or array, behind its size and count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compound<'a> {
    pub(crate) kind: Kind,
    pub(crate) count: u32,
    pub(crate) inner: Reader<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    List,
    Map,
    Array,
}

impl<'a> Reader<'a> {
    /// At the first byte.
    #[must_use]
    pub fn new(source: &'a Bytes) -> Self {
        Self { source, rest: source }
    }

    /// Bytes read so far, counted from the start of the source.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.rest.as_ptr() as usize - self.source.as_ptr() as usize
    }

    /// What is left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What is left, shared.
    #[must_use]
    pub fn rest_bytes(&self) -> Bytes {
        self.share(self.rest)
    }

    /// Nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// An error at this place.
    #[cold]
    pub(crate) fn fault(&self, fault: Fault) -> DecodeError {
        DecodeError {
            what: ANY,
            offset: self.offset(),
            fault,
        }
    }

    /// A part of the source as a slice that shares it.
    pub(crate) fn share(&self, part: &'a [u8]) -> Bytes {
        self.source.slice_ref(part)
    }

    #[cold]
    fn truncated(&self, needed: u64) -> DecodeError {
        self.fault(Fault::Truncated {
            needed,
            left: self.rest.len(),
        })
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let Some((byte, rest)) = self.rest.split_first() else {
            return Err(self.truncated(1));
        };
        self.rest = rest;
        Ok(*byte)
    }

    #[inline]
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(N as u64));
        };
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(len as u64));
        };
        self.rest = rest;
        Ok(head)
    }

    fn u32_len(&mut self) -> Result<usize, DecodeError> {
        // A length that does not fit usize cannot be there either.
        Ok(usize::try_from(u32::from_be_bytes(self.take()?)).unwrap_or(usize::MAX))
    }

    /// Octets behind a one- or four-byte length.
    #[inline]
    pub(super) fn octets(&mut self, wide: bool) -> Result<&'a [u8], DecodeError> {
        let len = if wide {
            self.u32_len()?
        } else {
            self.byte()?.into()
        };
        self.slice(len)
    }

    #[inline]
    pub(crate) fn string(&mut self, wide: bool) -> Result<&'a str, DecodeError> {
        let at = *self;
        let octets = self.octets(wide)?;
        std::str::from_utf8(octets).map_err(|_| at.fault(Fault::Utf8))
    }

    #[inline]
    pub(crate) fn symbol(&mut self, wide: bool) -> Result<&'a str, DecodeError> {
        let at = *self;
        let octets = self.octets(wide)?;
        match std::str::from_utf8(octets) {
            Ok(symbol) if symbol.is_ascii() => Ok(symbol),
            _ => Err(at.fault(Fault::Ascii)),
        }
    }

    /// The value of a scalar constructor; `None` for compounds, which [`Self::compound`] opens. A constructor that
    /// does not exist is an error there.
    #[inline]
    pub(crate) fn scalar(&mut self, code: u8) -> Result<Option<ValueRef<'a>>, DecodeError> {
        Ok(Some(match code {
            code::STRING8 | code::STRING32 => ValueRef::String(self.string(code == code::STRING32)?),
            code::SYMBOL8 | code::SYMBOL32 => ValueRef::Symbol(self.symbol(code == code::SYMBOL32)?),
            code::BINARY8 | code::BINARY32 => ValueRef::Binary(self.octets(code == code::BINARY32)?),
            code::NULL => ValueRef::Null,
            code::TRUE => ValueRef::Bool(true),
            code::FALSE => ValueRef::Bool(false),
            code::BOOLEAN => match self.byte()? {
                0 => ValueRef::Bool(false),
                1 => ValueRef::Bool(true),
                other => return Err(self.fault(Fault::Boolean(other))),
            },
            code::UBYTE => ValueRef::Ubyte(self.byte()?),
            code::USHORT => ValueRef::Ushort(u16::from_be_bytes(self.take()?)),
            code::UINT0 => ValueRef::Uint(0),
            code::SMALL_UINT => ValueRef::Uint(self.byte()?.into()),
            code::UINT => ValueRef::Uint(u32::from_be_bytes(self.take()?)),
            code::ULONG0 => ValueRef::Ulong(0),
            code::SMALL_ULONG => ValueRef::Ulong(self.byte()?.into()),
            code::ULONG => ValueRef::Ulong(u64::from_be_bytes(self.take()?)),
            code::BYTE => ValueRef::Byte(self.byte()?.cast_signed()),
            code::SHORT => ValueRef::Short(i16::from_be_bytes(self.take()?)),
            code::SMALL_INT => ValueRef::Int(self.byte()?.cast_signed().into()),
            code::INT => ValueRef::Int(i32::from_be_bytes(self.take()?)),
            code::SMALL_LONG => ValueRef::Long(self.byte()?.cast_signed().into()),
            code::LONG => ValueRef::Long(i64::from_be_bytes(self.take()?)),
            code::FLOAT => ValueRef::Float(f32::from_be_bytes(self.take()?)),
            code::DOUBLE => ValueRef::Double(f64::from_be_bytes(self.take()?)),
            code::DECIMAL32 => ValueRef::Decimal32(u32::from_be_bytes(self.take()?)),
            code::DECIMAL64 => ValueRef::Decimal64(u64::from_be_bytes(self.take()?)),
            code::DECIMAL128 => ValueRef::Decimal128(self.take()?),
            code::CHAR => {
                let scalar = u32::from_be_bytes(self.take()?);
                let char = char::from_u32(scalar).ok_or_else(|| self.fault(Fault::Char(scalar)))?;
                ValueRef::Char(char)
            }
            code::TIMESTAMP => ValueRef::Timestamp(i64::from_be_bytes(self.take()?)),
            code::UUID => ValueRef::Uuid(self.take()?),
            _ => return Ok(None),
        }))
    }

    /// Opens a list, map or array behind its constructor, and moves past it. Its size lies within the bytes that are
    /// there; a list or map has a byte or more for each element that it announces, a map an even number. What an
    /// array announces is checked against the width of its elements, by those who read them.
    #[inline]
    pub(crate) fn compound(&mut self, code: u8) -> Result<Compound<'a>, DecodeError> {
        let at = *self;
        let (kind, wide) = match code {
            code::LIST0 => {
                let inner = Reader {
                    source: self.source,
                    rest: self.rest.get(..0).unwrap_or_default(),
                };
                return Ok(Compound {
                    kind: Kind::List,
                    count: 0,
                    inner,
                });
            }
            code::LIST8 => (Kind::List, false),
            code::LIST32 => (Kind::List, true),
            code::MAP8 => (Kind::Map, false),
            code::MAP32 => (Kind::Map, true),
            code::ARRAY8 => (Kind::Array, false),
            code::ARRAY32 => (Kind::Array, true),
            other => return Err(at.fault(Fault::UnknownCode(other))),
        };
        let octets = self.octets(wide)?;
        let mut inner = Reader {
            source: self.source,
            rest: octets,
        };
        let count = if wide {
            inner.take().map(u32::from_be_bytes)
        } else {
            inner.byte().map(u32::from)
        };
        let count = count.map_err(|_| at.fault(Fault::Size))?;
        if kind != Kind::Array && count as usize > inner.rest.len() {
            let bytes = inner.rest.len();
            return Err(at.fault(Fault::Count { count, bytes }));
        }
        if kind == Kind::Map && count % 2 == 1 {
            return Err(at.fault(Fault::OddMap));
        }
        Ok(Compound { kind, count, inner })
    }

    /// The next value: scalars as they are, text and binary borrowed, everything else as the bytes that it lies in.
    ///
    /// # Errors
    /// A value that is cut off or malformed. The inside of a compound is not looked at.
    #[inline]
    pub fn view(&mut self) -> Result<ValueRef<'a>, DecodeError> {
        let start = *self;
        let code = self.byte()?;
        if code != code::DESCRIBED
            && let Some(scalar) = self.scalar(code)?
        {
            return Ok(scalar);
        }
        *self = start;
        Ok(ValueRef::Compound(self.raw()?))
    }

    /// The next value as the bytes that it lies in.
    ///
    /// # Errors
    /// A value that is cut off. Its inside is not looked at.
    pub fn raw(&mut self) -> Result<Raw<'a>, DecodeError> {
        let start = *self;
        self.skip()?;
        let len = start.rest.len() - self.rest.len();
        let rest = start.rest.get(..len).unwrap_or_default();
        Ok(Raw(Reader {
            source: self.source,
            rest,
        }))
    }

    /// Moves past the next value without looking inside: one step for each constructor, no recursion, however deep.
    ///
    /// # Errors
    /// A value that is cut off, or a constructor that does not exist.
    pub fn skip(&mut self) -> Result<(), DecodeError> {
        let mut values = 1usize;
        while values > 0 {
            let at = *self;
            let code = self.byte()?;
            if code == code::DESCRIBED {
                // The descriptor and the value take the place of this one. Each step has read a byte: it ends.
                values += 1;
                continue;
            }
            values -= 1;
            if let Some(width) = code::fixed_width(code) {
                self.slice(width)?;
                continue;
            }
            match code {
                code::BINARY8 | code::STRING8 | code::SYMBOL8 | code::LIST8 | code::MAP8 | code::ARRAY8 => {
                    self.octets(false)?;
                }
                code::BINARY32
                | code::STRING32
                | code::SYMBOL32
                | code::LIST32
                | code::MAP32
                | code::ARRAY32 => {
                    self.octets(true)?;
                }
                other => return Err(at.fault(Fault::UnknownCode(other))),
            }
        }
        Ok(())
    }

    /// The descriptor of a described value, as a number; the value itself is next.
    ///
    /// # Errors
    /// No described value, or a descriptor that is neither a number nor a symbol of the specification.
    #[inline]
    pub(crate) fn descriptor(&mut self) -> Result<u64, DecodeError> {
        let at = *self;
        let code = self.byte()?;
        if code != code::DESCRIBED {
            return Err(at.fault(Fault::WrongType {
                expected: "described type",
                found: code,
            }));
        }
        let at = *self;
        match self.byte()? {
            code::SMALL_ULONG => Ok(self.byte()?.into()),
            code::ULONG => Ok(u64::from_be_bytes(self.take()?)),
            code::ULONG0 => Ok(0),
            code @ (code::SYMBOL8 | code::SYMBOL32) => {
                let symbol = self.symbol(code == code::SYMBOL32)?;
                descriptor::by_symbol(symbol.as_bytes()).ok_or_else(|| at.fault(Fault::SymbolicDescriptor))
            }
            found => Err(at.fault(Fault::WrongType {
                expected: "descriptor",
                found,
            })),
        }
    }

    /// Opens the list that is next.
    #[inline]
    pub(crate) fn list(&mut self, expected: &'static str) -> Result<Compound<'a>, DecodeError> {
        self.open(Kind::List, expected)
    }

    /// Opens the map that is next.
    #[inline]
    pub(crate) fn map(&mut self) -> Result<Compound<'a>, DecodeError> {
        self.open(Kind::Map, "map")
    }

    fn open(&mut self, kind: Kind, expected: &'static str) -> Result<Compound<'a>, DecodeError> {
        let at = *self;
        let found = self.byte()?;
        let fits = match found {
            code::LIST0 | code::LIST8 | code::LIST32 => kind == Kind::List,
            code::MAP8 | code::MAP32 => kind == Kind::Map,
            _ => false,
        };
        if !fits {
            return Err(at.fault(Fault::WrongType { expected, found }));
        }
        self.compound(found)
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(self.fault(Fault::Trailing(more))),
        }
    }

    pub(crate) fn text(&self, text: &'a str) -> Text {
        Text::shared(self.share(text.as_bytes()))
    }

    pub(crate) fn shared_symbol(&self, symbol: &'a str) -> Symbol {
        Symbol::shared(self.share(symbol.as_bytes()))
    }
}
