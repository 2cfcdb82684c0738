//! Which of many prefixes a text begins with.
//!
//! Owns sorted prefixes, each with the next shorter one that it begins with itself. Every prefix of a text sorts at
//! or before the text, and between such a prefix and the text there are only strings that begin with it; so the
//! nearest entry at or before the text leads, by its chain of shorter ones, to all prefixes of the text. Suffixes
//! are prefixes of reversed texts.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Affixes {
    /// Sorted by text.
    entries: Box<[Entry]>,
}

#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    rules: Box<[u32]>,
    /// The longest other entry with which this one begins.
    shorter: Option<usize>,
}

impl Affixes {
    pub(super) fn new(texts: BTreeMap<Vec<u8>, Vec<u32>>) -> Self {
        let mut entries: Vec<Entry> = Vec::with_capacity(texts.len());
        for (text, rules) in texts {
            // What the entry before begins with are the only ones that this one can begin with.
            let mut shorter = entries.len().checked_sub(1);
            while let Some(at) = shorter
                && !text.starts_with(&entries[at].text)
            {
                shorter = entries[at].shorter;
            }
            entries.push(Entry { text: text.into(), rules: rules.into(), shorter });
        }
        Self { entries: entries.into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `found` with the rules of each entry with which `text` begins.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(&[u32])) {
        let mut at = self.entries.partition_point(|entry| *entry.text <= *text).checked_sub(1);
        while let Some(entry) = at.map(|at| &self.entries[at]) {
            if text.starts_with(&entry.text) {
                found(&entry.rules);
            }
            at = entry.shorter;
        }
    }
}
