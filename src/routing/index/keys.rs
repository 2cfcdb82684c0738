//! The access path of each rule: the keys under which the index files it.
//!
//! Owns the choice. A path is a set of keys of which at least one holds whenever the rule's predicate matches; a
//! conjunction offers one path a condition, an alternative needs one for each of its branches. Among a rule's paths
//! the one is taken whose keys the fewest other rules could use too: thousands of rules on one `type` that differ
//! in `subject` are then filed under `subject`.

use std::collections::HashMap;

use super::super::filter::Shape;
use super::Rule;
use super::hash::Fast;

/// A condition on one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key<'p> {
    pub(super) name: &'p str,
    pub(super) kind: Kind,
    pub(super) text: &'p str,
}

/// What the condition is, the most selective first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Exact,
    Prefix,
    Suffix,
    Present,
}

type Path<'p> = Vec<Key<'p>>;

/// A path with more keys costs more memory than it saves time.
const KEYS_MAX: usize = 1024;

/// More ways to file one rule than are worth comparing.
const PATHS_MAX: usize = 16;

/// The path of each rule, in their order; `None` where there is none, empty where the rule can never match.
pub(super) fn paths(rules: &[Rule]) -> Vec<Option<Path<'_>>> {
    let offers: Vec<_> = rules.iter().map(|rule| offered(rule.predicate.shape())).collect();
    let mut uses = HashMap::<Key<'_>, usize, Fast>::default();
    for key in offers.iter().flatten().flatten() {
        *uses.entry(*key).or_default() += 1;
    }
    let cost = |path: &Path<'_>| {
        path.iter()
            .map(|key| uses[key] * (key.kind as usize + 1))
            .sum::<usize>()
    };
    offers
        .into_iter()
        .map(|offer| offer.into_iter().min_by_key(cost))
        .collect()
}

/// The paths that a shape offers.
fn offered(shape: Shape<'_>) -> Vec<Path<'_>> {
    let key = |name, kind, text| vec![vec![Key { name, kind, text }]];
    match shape {
        Shape::Unknown | Shape::Between(..) | Shape::Absent(_) => Vec::new(),
        Shape::Never(_) => vec![Vec::new()],
        Shape::OneOf(_, texts) if texts.len() > KEYS_MAX => Vec::new(),
        Shape::OneOf(name, texts) => {
            vec![
                texts
                    .into_iter()
                    .map(|text| Key {
                        name,
                        kind: Kind::Exact,
                        text,
                    })
                    .collect(),
            ]
        }
        Shape::Prefix(_, "") | Shape::Suffix(_, "") => Vec::new(),
        Shape::Prefix(name, text) => key(name, Kind::Prefix, text),
        Shape::Suffix(name, text) => key(name, Kind::Suffix, text),
        Shape::Present(name) => key(name, Kind::Present, ""),
        Shape::And(shapes) => {
            let mut paths: Vec<_> = shapes.into_iter().flat_map(offered).collect();
            paths.sort_by_key(weakest);
            paths.truncate(PATHS_MAX);
            paths
        }
        Shape::Or(shapes) => {
            let mut all = Vec::new();
            for shape in shapes {
                match offered(shape).into_iter().min_by_key(weakest) {
                    Some(path) => all.extend(path),
                    None => return Vec::new(),
                }
            }
            all.sort_unstable();
            all.dedup();
            if all.len() > KEYS_MAX {
                Vec::new()
            } else {
                vec![all]
            }
        }
    }
}

/// What a path is worth before it is known what other rules do.
fn weakest(path: &Path<'_>) -> (Option<Kind>, usize) {
    (path.iter().map(|key| key.kind).max(), path.len())
}
