//! The index: which of many rules an event matches, without asking each of them.
//!
//! Owns the choice of an access path for each rule and the look-up. A rule is filed under a condition on one
//! attribute without which its predicate cannot match (or under several, one of which must hold): a text that an
//! attribute equals, begins or ends with, or an attribute that must be there. What has no such condition is asked
//! every time. Invariants: a rule that matches is always among the candidates, so the result is exactly that of
//! asking every predicate in turn; results come in ascending order, each route once; the look-up allocates only
//! where more than a few dozen candidates turn up.
//!
//! Cost: a hash and a binary search for each attribute that any rule is filed under, and one predicate for each
//! candidate. Does not know what a route does.

mod affixes;
mod hash;
mod keys;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use smallvec::SmallVec;

use super::Attributes;
use super::filter::Predicate;
use affixes::Affixes;
use hash::Fast;
use keys::{Key, Kind};

/// Numbers of the routes that an event matched.
pub type Matches = SmallVec<[u32; 8]>;

/// One rule to be indexed.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The route's number; several rules may share one.
    pub route: u32,
    /// The ingresses from which events may come; `None` is any.
    pub from: Option<SmallVec<[u16; 4]>>,
    /// What the event must meet.
    pub predicate: Arc<Predicate>,
}

/// An immutable index over rules.
#[derive(Debug, Default)]
pub struct Index {
    /// In ascending order of routes; tables refer to rules by their place here.
    rules: Box<[(u32, Arc<Predicate>)]>,
    /// Rules that take events from any ingress.
    anywhere: Table,
    /// Rules that name their ingresses, once under each.
    by_ingress: HashMap<u16, Table, Fast>,
}

/// Rules by their access paths.
#[derive(Debug, Default)]
struct Table {
    attributes: Box<[Attribute]>,
    /// Rules without an access path.
    always: Box<[u32]>,
}

/// The access paths through one attribute.
#[derive(Debug)]
struct Attribute {
    name: Box<str>,
    exact: HashMap<Box<str>, Vec<u32>, Fast>,
    prefixes: Affixes,
    suffixes: Affixes,
    present: Vec<u32>,
}

impl Index {
    /// Builds the index.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|rule| rule.route);
        let (mut anywhere, mut by_ingress) = (Builder::default(), BTreeMap::<u16, Builder<'_>>::new());
        for (number, (rule, path)) in (0..).zip(rules.iter().zip(keys::paths(&rules))) {
            match &rule.from {
                None => anywhere.add(number, path.as_deref()),
                Some(from) => {
                    for ingress in from {
                        by_ingress
                            .entry(*ingress)
                            .or_default()
                            .add(number, path.as_deref());
                    }
                }
            }
        }
        let anywhere = anywhere.build();
        let by_ingress = by_ingress
            .into_iter()
            .map(|(ingress, builder)| (ingress, builder.build()))
            .collect();
        Self {
            rules: rules
                .into_iter()
                .map(|rule| (rule.route, rule.predicate))
                .collect(),
            anywhere,
            by_ingress,
        }
    }

    /// Appends the routes that the event matches, in ascending order.
    pub fn matches<E: Attributes + ?Sized>(&self, event: &E, ingress: u16, into: &mut Matches) {
        let mut candidates = SmallVec::<[u32; 64]>::new();
        self.anywhere.candidates(event, &mut candidates);
        if let Some(table) = self.by_ingress.get(&ingress) {
            table.candidates(event, &mut candidates);
        }
        // A rule can be found by several of its keys.
        candidates.sort_unstable();
        candidates.dedup();
        let start = into.len();
        for candidate in candidates {
            let (route, predicate) = &self.rules[candidate as usize];
            let again = into[start..].last() == Some(route);
            if !again && predicate.matches(event) {
                into.push(*route);
            }
        }
    }

    /// How many rules have no access path and are asked for every event of some ingress.
    #[must_use]
    pub fn unindexed(&self) -> usize {
        let tables = self.by_ingress.values().chain([&self.anywhere]);
        let mut rules: Vec<_> = tables.flat_map(|table| table.always.iter()).collect();
        rules.sort_unstable();
        rules.dedup();
        rules.len()
    }
}

impl Table {
    fn candidates<E: Attributes + ?Sized>(&self, event: &E, into: &mut SmallVec<[u32; 64]>) {
        into.extend_from_slice(&self.always);
        for attribute in &self.attributes {
            let Some(found) = event.get(&attribute.name) else {
                continue;
            };
            if let Some(rules) = attribute.exact.get(found.text) {
                into.extend_from_slice(rules);
            }
            attribute
                .prefixes
                .find(found.text.as_bytes(), |rules| into.extend_from_slice(rules));
            if !attribute.suffixes.is_empty() {
                let reversed: SmallVec<[u8; 128]> = found.text.bytes().rev().collect();
                attribute
                    .suffixes
                    .find(&reversed, |rules| into.extend_from_slice(rules));
            }
            into.extend_from_slice(&attribute.present);
        }
    }
}

/// A table under construction: the rules under each key.
#[derive(Default)]
struct Builder<'p> {
    keys: BTreeMap<Key<'p>, Vec<u32>>,
    always: Vec<u32>,
}

impl<'p> Builder<'p> {
    fn add(&mut self, rule: u32, path: Option<&[Key<'p>]>) {
        match path {
            None => self.always.push(rule),
            Some(keys) => keys
                .iter()
                .for_each(|key| self.keys.entry(*key).or_default().push(rule)),
        }
    }

    fn build(self) -> Table {
        let mut attributes = BTreeMap::<&str, (Attribute, [BTreeMap<Vec<u8>, Vec<u32>>; 2])>::new();
        for (key, rules) in self.keys {
            let (attribute, [prefixes, suffixes]) = attributes
                .entry(key.name)
                .or_insert_with(|| (Attribute::new(key.name), Default::default()));
            match key.kind {
                Kind::Exact => drop(attribute.exact.insert(key.text.into(), rules)),
                Kind::Prefix => drop(prefixes.insert(key.text.as_bytes().to_vec(), rules)),
                Kind::Suffix => drop(suffixes.insert(key.text.bytes().rev().collect(), rules)),
                Kind::Present => attribute.present.extend(rules),
            }
        }
        let attributes = attributes
            .into_values()
            .map(|(attribute, [prefixes, suffixes])| Attribute {
                prefixes: Affixes::new(prefixes),
                suffixes: Affixes::new(suffixes),
                ..attribute
            });
        Table {
            attributes: attributes.collect(),
            always: self.always.into(),
        }
    }
}

impl Attribute {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            exact: HashMap::default(),
            prefixes: Affixes::default(),
            suffixes: Affixes::default(),
            present: Vec::new(),
        }
    }
}
