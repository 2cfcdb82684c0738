//! Reads the fields of a composite type in order: absent ones and nulls are `None`, more than are known are ignored.

use bytes::Bytes;

use super::{Compound, Kind, Reader, Symbol, Text, ValueRef, code};
use crate::error::{DecodeError, Fault};

/// A value that a field can have.
pub(crate) trait Get<'a>: Sized {
    /// The type, as the specification calls it.
    const EXPECTED: &'static str;

    /// The value behind the constructor `code`; `None` if this is another type.
    fn get(code: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError>;
}

/// The fields of one composite value that are still to be read.
#[derive(Clone, Copy)]
pub(crate) struct FieldReader<'a> {
    inner: Reader<'a>,
    left: u32,
    what: &'static str,
}

impl<'a> FieldReader<'a> {
    /// Opens the list of the composite type `what`, whose descriptor has been read.
    #[inline]
    pub(crate) fn open(reader: &mut Reader<'a>, what: &'static str) -> Result<Self, DecodeError> {
        let list = reader.list("list").map_err(|e| e.within(what))?;
        Ok(Self {
            inner: list.inner,
            left: list.count,
            what,
        })
    }

    /// The constructor of the next field, unless it is absent or null.
    #[inline]
    fn constructor(&mut self) -> Result<Option<u8>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        match self.inner.byte().map_err(|e| e.within(self.what))? {
            code::NULL => Ok(None),
            code => Ok(Some(code)),
        }
    }

    /// The next field.
    #[inline]
    pub(crate) fn opt<T: Get<'a>>(&mut self) -> Result<Option<T>, DecodeError> {
        let at = self.inner;
        let Some(found) = self.constructor()? else {
            return Ok(None);
        };
        match T::get(found, &mut self.inner) {
            Ok(Some(value)) => Ok(Some(value)),
            Ok(None) => Err(self.at(
                &at,
                Fault::WrongType {
                    expected: T::EXPECTED,
                    found,
                },
            )),
            Err(e) => Err(e.within(self.what)),
        }
    }

    /// The next field, or what the specification says where it is absent.
    #[inline]
    pub(crate) fn or<T: Get<'a>>(&mut self, default: T) -> Result<T, DecodeError> {
        Ok(self.opt()?.unwrap_or(default))
    }

    /// The next field, which is mandatory.
    #[inline]
    pub(crate) fn must<T: Get<'a>>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        let at = self.inner;
        self.opt()?.ok_or_else(|| self.at(&at, Fault::Missing(name)))
    }

    /// Passes over the next field; whether it was there.
    pub(crate) fn skip(&mut self) -> Result<bool, DecodeError> {
        let start = self.inner;
        if self.constructor()?.is_none() {
            return Ok(false);
        }
        self.inner = start;
        self.inner.skip().map_err(|e| e.within(self.what))?;
        Ok(true)
    }

    /// The next field by a function that reads a whole value, constructor included.
    pub(crate) fn with<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let start = self.inner;
        if self.constructor()?.is_none() {
            return Ok(None);
        }
        self.inner = start;
        read(&mut self.inner).map(Some).map_err(|e| e.within(self.what))
    }

    /// The field `name` has a value that it may not have.
    #[cold]
    pub(crate) fn invalid(&self, name: &'static str) -> DecodeError {
        self.at(&self.inner, Fault::Invalid(name))
    }

    #[cold]
    fn at(&self, place: &Reader<'a>, fault: Fault) -> DecodeError {
        place.fault(fault).within(self.what)
    }
}

macro_rules! scalars {
    ($($ty:ty, $expected:literal, $($code:pat => $read:expr),+;)*) => {
        $(impl<'a> Get<'a> for $ty {
            const EXPECTED: &'static str = $expected;

            #[inline]
            fn get(code: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError> {
                match code {
                    $($code => {
                        let read: fn(&mut Reader<'a>) -> Result<Self, DecodeError> = $read;
                        read(reader).map(Some)
                    })+
                    _ => Ok(None),
                }
            }
        })*
    };
}

scalars! {
    u8, "ubyte", code::UBYTE => |r| r.byte();
    u16, "ushort", code::USHORT => |r| r.take().map(u16::from_be_bytes);
    u32, "uint",
        code::UINT0 => |_| Ok(0),
        code::SMALL_UINT => |r| r.byte().map(u32::from),
        code::UINT => |r| r.take().map(u32::from_be_bytes);
    u64, "ulong",
        code::ULONG0 => |_| Ok(0),
        code::SMALL_ULONG => |r| r.byte().map(u64::from),
        code::ULONG => |r| r.take().map(u64::from_be_bytes);
    Millis, "timestamp", code::TIMESTAMP => |r| r.take().map(|bytes| Millis(i64::from_be_bytes(bytes)));
    &'a [u8], "binary",
        code::BINARY8 => |r| r.octets(false),
        code::BINARY32 => |r| r.octets(true);
    Bytes, "binary",
        code::BINARY8 => |r| r.octets(false).map(|octets| r.share(octets)),
        code::BINARY32 => |r| r.octets(true).map(|octets| r.share(octets));
    &'a str, "string",
        code::STRING8 => |r| r.string(false),
        code::STRING32 => |r| r.string(true);
    Text, "string",
        code::STRING8 => |r| r.string(false).map(Text::from),
        code::STRING32 => |r| r.string(true).map(Text::from);
    SymbolRef<'a>, "symbol",
        code::SYMBOL8 => |r| r.symbol(false).map(SymbolRef),
        code::SYMBOL32 => |r| r.symbol(true).map(SymbolRef),
        code::STRING8 => |r| r.string(false).map(SymbolRef),
        code::STRING32 => |r| r.string(true).map(SymbolRef);
    Symbol, "symbol",
        code::SYMBOL8 => |r| r.symbol(false).map(copied),
        code::SYMBOL32 => |r| r.symbol(true).map(copied);
}

/// A copy: names outlive the frame they came in, and shall not keep it in memory.
fn copied(symbol: &str) -> Symbol {
    // The reader has checked that it is ASCII.
    Symbol::new(symbol).unwrap_or_default()
}

/// `timestamp`.
pub(crate) struct Millis(pub(crate) i64);

/// `symbol`, borrowed. A string is taken for one: some clients write a content type so, and its message is sound.
pub(crate) struct SymbolRef<'a>(pub(crate) &'a str);

impl<'a> Get<'a> for bool {
    const EXPECTED: &'static str = "boolean";

    #[inline]
    fn get(code: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError> {
        match code {
            code::TRUE => Ok(Some(true)),
            code::FALSE => Ok(Some(false)),
            code::BOOLEAN => Ok(reader.scalar(code)?.map(|value| value == ValueRef::Bool(true))),
            _ => Ok(None),
        }
    }
}

/// A field of symbols with `multiple="true"`: an array, one alone, or (as some peers write) a list.
impl<'a> Get<'a> for Vec<Symbol> {
    const EXPECTED: &'static str = "symbol or array of symbols";

    fn get(code: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError> {
        if let Some(one) = Symbol::get(code, reader)? {
            return Ok(Some(vec![one]));
        }
        if !matches!(
            code,
            code::ARRAY8 | code::ARRAY32 | code::LIST0 | code::LIST8 | code::LIST32
        ) {
            return Ok(None);
        }
        let Compound {
            kind,
            count,
            mut inner,
        } = reader.compound(code)?;
        let of_array = match kind {
            Kind::Array => Some(inner.byte()?),
            _ => None,
        };
        let mut symbols = Vec::new();
        for _ in 0..count {
            let at = inner;
            let found = match of_array {
                Some(code) => code,
                None => inner.byte()?,
            };
            // A symbol takes a byte or more, or it is an error: the count alone never turns this loop.
            let symbol = Symbol::get(found, &mut inner)?.ok_or_else(|| {
                at.fault(Fault::WrongType {
                    expected: "symbol",
                    found,
                })
            })?;
            symbols.push(symbol);
        }
        super::decode::closed(&inner)?;
        Ok(Some(symbols))
    }
}

/// A `fields` map: its keys are symbols; a string is taken for one, since some peers write it so.
impl<'a> Get<'a> for super::Fields {
    const EXPECTED: &'static str = "map";

    fn get(code: u8, reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError> {
        if !matches!(code, code::MAP8 | code::MAP32) {
            return Ok(None);
        }
        let Compound { count, mut inner, .. } = reader.compound(code)?;
        let mut budget = super::VALUES_MAX;
        let mut entries = Vec::new();
        for _ in 0..count / 2 {
            let at = inner;
            let found = inner.byte()?;
            let key = match inner.scalar(found)? {
                Some(ValueRef::Symbol(key) | ValueRef::String(key)) => Symbol::new(key),
                _ => None,
            };
            let key = key.ok_or_else(|| {
                at.fault(Fault::WrongType {
                    expected: "symbol",
                    found,
                })
            })?;
            entries.push((key, inner.value_within(&mut budget)?));
        }
        super::decode::closed(&inner)?;
        Ok(Some(Self(entries)))
    }
}
