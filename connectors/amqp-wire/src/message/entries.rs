//! The maps of a message, read entry by entry: application-properties, annotations, footer.
//!
//! That a map lies within its message is known when the message is read; a malformed entry is found when it is reached,
//! and ends the iteration.

use crate::error::{DecodeError, Fault};
use crate::value::{Reader, ValueRef};

/// Any map of a message: keys and values as they are.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'a> {
    inner: Reader<'a>,
    pairs: u32,
    what: &'static str,
}

impl<'a> Entries<'a> {
    pub(super) fn open(reader: &mut Reader<'a>, what: &'static str) -> Result<Self, DecodeError> {
        let map = reader.map().map_err(|e| e.within(what))?;
        Ok(Self {
            inner: map.inner,
            pairs: map.count / 2,
            what,
        })
    }

    /// Entries that are still to come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs as usize
    }

    /// Whether none are to come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    fn pair(&mut self) -> Result<(ValueRef<'a>, ValueRef<'a>), DecodeError> {
        let key = self.inner.view()?;
        let value = self.inner.view()?;
        if self.pairs == 1 && !self.inner.is_empty() {
            return Err(self.inner.fault(Fault::Size));
        }
        Ok((key, value))
    }

    /// The next entry by a function that takes its key for what it is.
    #[inline]
    fn with<K>(
        &mut self,
        expected: &'static str,
        key: impl FnOnce(ValueRef<'a>) -> Option<K>,
    ) -> Option<Result<(K, ValueRef<'a>), DecodeError>> {
        if self.pairs == 0 {
            return None;
        }
        let at = self.inner;
        let read = self.pair().and_then(|(found, value)| {
            key(found).map(|key| (key, value)).ok_or_else(|| {
                let found = at.rest().first().copied().unwrap_or_default();
                at.fault(Fault::WrongType { expected, found })
            })
        });
        self.pairs = if read.is_ok() { self.pairs - 1 } else { 0 };
        Some(read.map_err(|e| e.within(self.what)))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(ValueRef<'a>, ValueRef<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.with("key", Some)
    }
}

/// Application properties: the keys are strings. The specification allows simple values only; others come as
/// [`ValueRef::Compound`].
#[derive(Clone, Copy, Debug)]
pub struct ApplicationProperties<'a>(pub(super) Entries<'a>);

/// Annotations: the keys are symbols (or, reserved, numbers, which are passed over).
#[derive(Clone, Copy, Debug)]
pub struct Annotations<'a>(pub(super) Entries<'a>);

macro_rules! by_text {
    ($name:ident, $next:expr) => {
        impl<'a> $name<'a> {
            /// Entries that are still to come.
            #[must_use]
            pub fn len(&self) -> usize {
                self.0.len()
            }

            /// Whether none are to come.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }

            /// The value of a key, from here on.
            ///
            /// # Errors
            /// A malformed entry before it.
            pub fn find(mut self, key: &str) -> Result<Option<ValueRef<'a>>, DecodeError> {
                self.find_map(|entry| match entry {
                    Ok((found, value)) => (found == key).then_some(Ok(value)),
                    Err(e) => Some(Err(e)),
                })
                .transpose()
            }
        }

        impl<'a> Iterator for $name<'a> {
            type Item = Result<(&'a str, ValueRef<'a>), DecodeError>;

            #[inline]
            fn next(&mut self) -> Option<Self::Item> {
                let next: fn(&mut Entries<'a>) -> Option<Self::Item> = $next;
                next(&mut self.0)
            }
        }
    };
}

by_text!(ApplicationProperties, |entries| entries
    .with("string", |key| key.as_str()));

by_text!(Annotations, |entries| loop {
    let read = entries.with("symbol", |key| match key {
        ValueRef::Ulong(_) => Some(None),
        key => key.as_str().map(Some),
    })?;
    match read {
        Ok((Some(key), value)) => return Some(Ok((key, value))),
        Ok((None, _)) => {}
        Err(e) => return Some(Err(e)),
    }
});
