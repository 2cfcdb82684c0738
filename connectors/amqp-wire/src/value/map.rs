//! The `fields` type (transport 2.8.13): a map from symbols to anything, as properties and filters use it.

use super::write::Put;
use super::{Open, Symbol, Value};

/// A map with symbols for keys; absent and empty are the same.
#[derive(Clone, PartialEq, Eq, Debug, Default, Hash)]
pub struct Fields(pub Vec<(Symbol, Value)>);

impl Fields {
    /// The value of a key; the first one where it comes twice.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| value)
    }

    /// No entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an entry with a constant key.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((Symbol::from_static(key), value.into()));
        self
    }

    /// `None` where there are no entries: how an empty map is written as a field.
    pub(crate) fn some(&self) -> Option<&Self> {
        (!self.is_empty()).then_some(self)
    }
}

impl FromIterator<(Symbol, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Symbol, Value)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Put for Fields {
    fn put(&self, out: &mut Vec<u8>) {
        let open = Open::map(out);
        for (key, value) in &self.0 {
            key.put(out);
            value.put(out);
        }
        open.close(out, self.0.len() * 2);
    }
}
