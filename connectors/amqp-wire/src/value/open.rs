//! Compounds whose size is not known until they are written: begun in the short form, made long where they need it.

use super::code;
use super::write::{Put, descriptor, wide};

/// A compound that has been begun.
#[must_use = "a compound that is not closed has no size"]
pub(crate) struct Open {
    /// Where its constructor lies.
    start: usize,
}

/// Constructor, size, count.
const SHORT_HEAD: usize = 3;
const WIDE_HEAD: usize = 9;

impl Open {
    pub(crate) fn list(out: &mut Vec<u8>) -> Self {
        Self::begin(out, code::LIST8)
    }

    pub(crate) fn map(out: &mut Vec<u8>) -> Self {
        Self::begin(out, code::MAP8)
    }

    pub(crate) fn array(out: &mut Vec<u8>) -> Self {
        Self::begin(out, code::ARRAY8)
    }

    #[inline]
    fn begin(out: &mut Vec<u8>, short: u8) -> Self {
        let start = out.len();
        out.extend_from_slice(&[short, 0, 0]);
        Self { start }
    }

    /// Writes size and count over the room that was left for them.
    #[inline]
    pub(crate) fn close(self, out: &mut Vec<u8>, count: usize) {
        let inside = out.len() - self.start - SHORT_HEAD;
        match (u8::try_from(inside + 1), u8::try_from(count)) {
            (_, Ok(0)) if out[self.start] == code::LIST8 => {
                out.truncate(self.start);
                out.push(code::LIST0);
            }
            (Ok(size), Ok(count)) => {
                out[self.start + 1] = size;
                out[self.start + 2] = count;
            }
            _ => self.widen(out, inside, count),
        }
    }

    #[cold]
    fn widen(self, out: &mut Vec<u8>, inside: usize, count: usize) {
        let from = self.start + SHORT_HEAD;
        out.resize(out.len() + WIDE_HEAD - SHORT_HEAD, 0);
        out.copy_within(from..from + inside, self.start + WIDE_HEAD);
        out[self.start] += 0x10;
        out[self.start + 1..self.start + 5].copy_from_slice(&wide(inside + 4));
        out[self.start + 5..self.start + 9].copy_from_slice(&wide(count));
    }
}

/// Writes the fields of a composite type in order; nulls at the end are left out.
pub(crate) struct FieldWriter<'o> {
    out: &'o mut Vec<u8>,
    open: Open,
    written: usize,
    nulls: usize,
}

impl<'o> FieldWriter<'o> {
    /// Begins the described list of a composite type.
    #[inline]
    pub(crate) fn begin(out: &'o mut Vec<u8>, code: u64) -> Self {
        descriptor(out, code);
        let open = Open::list(out);
        Self {
            out,
            open,
            written: 0,
            nulls: 0,
        }
    }

    /// A field that is there.
    #[inline]
    pub(crate) fn put(&mut self, value: impl Put) -> &mut Self {
        self.with(|out| value.put(out))
    }

    /// A field that may be absent.
    #[inline]
    pub(crate) fn opt(&mut self, value: Option<impl Put>) -> &mut Self {
        match value {
            Some(value) => self.put(value),
            None => self.null(),
        }
    }

    /// A field that is left out where it has its default value.
    #[inline]
    pub(crate) fn unless<T: Put + PartialEq>(&mut self, value: T, default: T) -> &mut Self {
        if value == default {
            self.null()
        } else {
            self.put(value)
        }
    }

    /// A field that `write` writes.
    #[inline]
    pub(crate) fn with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        for _ in 0..self.nulls {
            self.out.push(code::NULL);
        }
        self.written += self.nulls + 1;
        self.nulls = 0;
        write(self.out);
        self
    }

    /// An absent field.
    #[inline]
    pub(crate) fn null(&mut self) -> &mut Self {
        self.nulls += 1;
        self
    }

    /// Ends the list.
    #[inline]
    pub(crate) fn end(self) {
        self.open.close(self.out, self.written);
    }
}
