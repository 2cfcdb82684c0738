//! An event for tests: attributes in a list, and nothing else.

use super::{AttrKind, AttrValue, Attributes};

/// Attributes by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, AttrKind, String)>);

impl Fields {
    /// An event with the required attributes and these.
    pub(crate) fn event(attributes: &[(&str, AttrKind, &str)]) -> Self {
        let mut fields = Self::default();
        for (name, text) in [
            ("id", "1"),
            ("source", "/test"),
            ("specversion", "1.0"),
            ("type", "com.acme.test"),
        ] {
            fields.set(name, AttrKind::String, text);
        }
        attributes
            .iter()
            .for_each(|(name, kind, text)| fields.set(name, *kind, text));
        fields
    }

    /// An event with the required attributes and these, all Strings.
    pub(crate) fn of(attributes: &[(&str, &str)]) -> Self {
        let typed: Vec<_> = attributes
            .iter()
            .map(|(name, text)| (*name, AttrKind::String, *text))
            .collect();
        Self::event(&typed)
    }

    pub(crate) fn set(&mut self, name: &str, kind: AttrKind, text: &str) {
        self.0.retain(|(known, ..)| known != name);
        self.0.push((name.into(), kind, text.into()));
    }
}

impl Attributes for Fields {
    fn get(&self, name: &str) -> Option<AttrValue<'_>> {
        let (_, kind, text) = self.0.iter().find(|(known, ..)| known == name)?;
        Some(AttrValue { kind: *kind, text })
    }
}
