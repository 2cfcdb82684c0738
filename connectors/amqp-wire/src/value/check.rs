//! Looks through a value without building it: what [`Reader::value`] would refuse for its form is refused here.

use super::decode::{closed, deeper, elements_fit};
use super::{DEPTH_MAX, Kind, Reader, code};
use crate::error::DecodeError;

impl Reader<'_> {
    /// Moves past the next value and looks at all of it: sizes, counts, text, nesting.
    ///
    /// # Errors
    /// A malformed value, or one nested deeper than [`DEPTH_MAX`].
    pub fn check(&mut self) -> Result<(), DecodeError> {
        value(self, DEPTH_MAX)
    }
}

fn value(reader: &mut Reader<'_>, depth: u32) -> Result<(), DecodeError> {
    let code = reader.byte()?;
    if code != code::DESCRIBED {
        return behind(reader, code, depth);
    }
    let depth = deeper(reader, depth)?;
    value(reader, depth)?;
    value(reader, depth)
}

fn behind(reader: &mut Reader<'_>, code: u8, depth: u32) -> Result<(), DecodeError> {
    if reader.scalar(code)?.is_some() {
        return Ok(());
    }
    let mut compound = reader.compound(code)?;
    let depth = deeper(reader, depth)?;
    let inner = &mut compound.inner;
    match compound.kind {
        Kind::List | Kind::Map => {
            for _ in 0..compound.count {
                value(inner, depth)?;
            }
        }
        Kind::Array => elements(inner, compound.count, depth)?,
    }
    closed(inner)
}

fn elements(inner: &mut Reader<'_>, count: u32, mut depth: u32) -> Result<(), DecodeError> {
    let code = loop {
        match inner.byte()? {
            code::DESCRIBED => {
                depth = deeper(inner, depth)?;
                value(inner, depth)?;
            }
            code => break code,
        }
    };
    elements_fit(inner, code, count)?;
    if code::fixed_width(code) == Some(0) {
        // They take no bytes: there is nothing to look at, however many are announced.
        return Ok(());
    }
    for _ in 0..count {
        behind(inner, code, depth)?;
    }
    Ok(())
}
