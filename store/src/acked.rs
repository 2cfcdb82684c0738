//! Which sequences of a log are acknowledged: all below a base, and runs beyond it.
//!
//! Owns: the set. Pure. Invariant: runs are apart from each other and beyond the base; nothing that is in ever leaves.

use std::collections::BTreeMap;
use std::ops::Range;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    /// Everything below.
    base: u64,
    /// From, and one past the last.
    runs: BTreeMap<u64, u64>,
}

impl Acked {
    /// One more than the highest that is acknowledged.
    pub(crate) fn next(&self) -> u64 {
        self.runs.last_key_value().map_or(self.base, |(_, to)| *to)
    }

    /// Adds a run.
    pub(crate) fn add(&mut self, run: Range<u64>) {
        let (mut from, mut to) = (run.start.max(self.base), run.end);
        if from >= to {
            return;
        }
        if let Some((before, end)) = self.runs.range(..from).next_back()
            && *end >= from
        {
            from = *before;
        }
        while let Some((next, end)) = self.runs.range(from..=to).next().map(|(a, b)| (*a, *b)) {
            to = to.max(end);
            self.runs.remove(&next);
        }
        if from <= self.base {
            self.base = to;
        } else {
            self.runs.insert(from, to);
        }
    }

    /// Everything below `base` is acknowledged, or was never there.
    pub(crate) fn raise(&mut self, base: u64) {
        self.add(self.base..base);
    }

    /// Whether this one is.
    pub(crate) fn has(&self, sequence: u64) -> bool {
        sequence < self.base
            || self
                .runs
                .range(..=sequence)
                .next_back()
                .is_some_and(|(_, to)| sequence < *to)
    }

    /// How many of a range are.
    pub(crate) fn count(&self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let within = |run: Range<u64>| run.end.min(range.end).saturating_sub(run.start.max(range.start));
        let before = self.runs.range(..range.start).next_back();
        let runs = before.into_iter().chain(self.runs.range(range.clone()));
        within(0..self.base) + runs.map(|(from, to)| within(*from..*to)).sum::<u64>()
    }

    /// The runs, the base first where there is one.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Range<u64>> {
        let base = (self.base > 0).then_some(0..self.base);
        base.into_iter()
            .chain(self.runs.iter().map(|(from, to)| *from..*to))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(runs in prop::collection::vec((0u64..200, 0u64..20), 0..40), look in 0u64..220) {
            let (mut acked, mut set) = (Acked::default(), BTreeSet::new());
            for (from, count) in runs {
                acked.add(from..from + count);
                set.extend(from..from + count);
            }
            for sequence in 0..230 {
                prop_assert_eq!(acked.has(sequence), set.contains(&sequence));
            }
            prop_assert_eq!(acked.count(look..look + 30), set.range(look..look + 30).count() as u64);
            prop_assert_eq!(acked.next(), set.last().map_or(0, |last| last + 1));
            let listed: Vec<u64> = acked.runs().flatten().collect();
            prop_assert_eq!(listed, set.into_iter().collect::<Vec<_>>());
            let runs: Vec<_> = acked.runs().collect();
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
