//! Builds a [`Value`]: recursion ends at [`DEPTH_MAX`], the number of values at [`VALUES_MAX`].

use super::{Array, Compound, DEPTH_MAX, Kind, Reader, VALUES_MAX, Value, ValueRef, code};
use crate::error::{DecodeError, Fault};

/// Room that is made before the first element is seen. More comes as they are really read, so that open lists which
/// announce much cost little.
const ROOM_AHEAD: usize = 64;

impl Reader<'_> {
    /// Builds the next value; text and binary share the source.
    ///
    /// # Errors
    /// A malformed value, or one past the bounds [`DEPTH_MAX`] and [`VALUES_MAX`].
    pub fn value(&mut self) -> Result<Value, DecodeError> {
        Builder { left: VALUES_MAX }.value(self, DEPTH_MAX)
    }

    /// One of several values that share a budget.
    pub(super) fn value_within(&mut self, left: &mut u32) -> Result<Value, DecodeError> {
        let mut builder = Builder { left: *left };
        let value = builder.value(self, DEPTH_MAX)?;
        *left = builder.left;
        Ok(value)
    }
}

struct Builder {
    /// Values that may still be built.
    left: u32,
}

impl Builder {
    fn value(&mut self, reader: &mut Reader<'_>, depth: u32) -> Result<Value, DecodeError> {
        let code = reader.byte()?;
        if code != code::DESCRIBED {
            return self.behind(reader, code, depth);
        }
        let depth = deeper(reader, depth)?;
        let descriptor = self.value(reader, depth)?;
        let value = self.value(reader, depth)?;
        Ok(Value::described(descriptor, value))
    }

    /// The value behind a constructor that was read: of its own, or of the array around it.
    fn behind(&mut self, reader: &mut Reader<'_>, code: u8, depth: u32) -> Result<Value, DecodeError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| reader.fault(Fault::Values))?;
        if let Some(scalar) = reader.scalar(code)? {
            return Ok(shared(reader, scalar));
        }
        let compound = reader.compound(code)?;
        let depth = deeper(reader, depth)?;
        match compound.kind {
            Kind::List => self.list(compound, depth),
            Kind::Map => self.map(compound, depth),
            Kind::Array => self.array(compound, depth),
        }
    }

    fn list(&mut self, mut list: Compound<'_>, depth: u32) -> Result<Value, DecodeError> {
        let mut items = Vec::with_capacity(ROOM_AHEAD.min(list.count as usize));
        for _ in 0..list.count {
            items.push(self.value(&mut list.inner, depth)?);
        }
        closed(&list.inner)?;
        Ok(Value::List(items))
    }

    fn map(&mut self, mut map: Compound<'_>, depth: u32) -> Result<Value, DecodeError> {
        let pairs = map.count / 2;
        let mut entries = Vec::with_capacity(ROOM_AHEAD.min(pairs as usize));
        for _ in 0..pairs {
            let key = self.value(&mut map.inner, depth)?;
            entries.push((key, self.value(&mut map.inner, depth)?));
        }
        closed(&map.inner)?;
        Ok(Value::Map(entries))
    }

    fn array(&mut self, mut array: Compound<'_>, mut depth: u32) -> Result<Value, DecodeError> {
        let inner = &mut array.inner;
        let mut descriptors = Vec::new();
        let code = loop {
            match inner.byte()? {
                code::DESCRIBED => {
                    depth = deeper(inner, depth)?;
                    descriptors.push(self.value(inner, depth)?);
                }
                code => break code,
            }
        };
        elements_fit(inner, code, array.count)?;
        if array.count > self.left {
            // Elements may be of no size: their number is bounded by nothing else.
            return Err(inner.fault(Fault::Values));
        }
        let mut items = Vec::with_capacity(ROOM_AHEAD.min(array.count as usize));
        for _ in 0..array.count {
            items.push(self.behind(inner, code, depth)?);
        }
        closed(inner)?;
        Ok(Value::Array(Box::new(Array {
            descriptors,
            code: code::canonical(code),
            items,
        })))
    }
}

/// One level down, if there is one.
pub(super) fn deeper(reader: &Reader<'_>, depth: u32) -> Result<u32, DecodeError> {
    depth.checked_sub(1).ok_or_else(|| reader.fault(Fault::Depth))
}

/// A compound ends where its size says.
pub(super) fn closed(inner: &Reader<'_>) -> Result<(), DecodeError> {
    if inner.is_empty() {
        return Ok(());
    }
    Err(inner.fault(Fault::Size))
}

/// An array has room for the elements that it announces: exactly, where their width is known, or else a byte or more
/// for each.
pub(super) fn elements_fit(inner: &Reader<'_>, code: u8, count: u32) -> Result<(), DecodeError> {
    let bytes = inner.rest().len();
    let fits = match code::fixed_width(code) {
        Some(width) => u64::from(count) * width as u64 == bytes as u64,
        None => count as usize <= bytes,
    };
    if fits {
        return Ok(());
    }
    Err(inner.fault(Fault::Count { count, bytes }))
}

fn shared<'a>(reader: &Reader<'a>, scalar: ValueRef<'a>) -> Value {
    match scalar {
        ValueRef::Binary(bytes) => Value::Binary(reader.share(bytes)),
        ValueRef::String(text) => Value::String(reader.text(text)),
        ValueRef::Symbol(symbol) => Value::Symbol(reader.shared_symbol(symbol)),
        number => number.number(),
    }
}
