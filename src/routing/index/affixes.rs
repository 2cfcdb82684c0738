//! Which of many prefixes a text begins with.
//!
//! Owns sorted prefixes, each with the next shorter one that it begins with itself. Every prefix of a text sorts at
//! or before the text, and between such a prefix and the text there are only strings that begin with it; so the
//! nearest entry at or before the text leads, by its chain of shorter ones, to all prefixes of the text. Suffixes
//! are prefixes of reversed texts.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Affixes {
    /// With what all entries begin.
    common: usize,
    /// For each entry the eight bytes after the common ones, to search without a look at the texts.
    heads: Box<[u64]>,
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
            entries.push(Entry {
                text: text.into(),
                rules: rules.into(),
                shorter,
            });
        }
        // Of sorted texts the first and the last differ the most.
        let common = match (entries.first(), entries.last()) {
            (Some(first), Some(last)) => first
                .text
                .iter()
                .zip(&last.text)
                .take_while(|(a, b)| a == b)
                .count(),
            _ => 0,
        };
        let heads = entries.iter().map(|entry| head(&entry.text[common..])).collect();
        Self {
            common,
            heads,
            entries: entries.into(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls `found` with the rules of each entry with which `text` begins.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(&[u32])) {
        let mut at = self.nearest(text);
        while let Some(entry) = at.map(|at| &self.entries[at]) {
            if text.starts_with(&entry.text) {
                found(&entry.rules);
            }
            at = entry.shorter;
        }
    }

    /// The last entry at or before `text`, if any entry can be a prefix of it.
    fn nearest(&self, text: &[u8]) -> Option<usize> {
        if !text.starts_with(&self.entries.first()?.text[..self.common]) {
            return None;
        }
        let head = head(&text[self.common..]);
        let below = self.heads.partition_point(|other| *other < head);
        let same = self.heads[below..].partition_point(|other| *other == head);
        // Equal heads may hide a difference further on.
        let before = self.entries[below..below + same].partition_point(|entry| *entry.text <= *text);
        (below + before).checked_sub(1)
    }
}

/// The first eight bytes as a number that sorts as they do; what is not there counts as zeros.
fn head(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = bytes.len().min(8);
    head[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(head)
}
