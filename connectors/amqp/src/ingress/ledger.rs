//! Which deliveries of a link the lane has not settled yet: the lane counts sequences, AMQP counts deliveries.
//!
//! Invariants: a sequence has one delivery; a delivery is answered at most once, and only on the connection that it came
//! by: what is open when that is lost is forgotten here, and the broker brings it again.

use std::collections::VecDeque;

/// One link's deliveries in the order of their sequences.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The sequence of the first entry.
    first: u64,
    entries: VecDeque<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    /// The broker waits for its outcome.
    Open(u32),
    /// Nobody waits: it came settled, or by a connection that is gone.
    Silent,
    /// Answered.
    Done,
}

impl Ledger {
    /// The next sequence belongs to this delivery; `None` for one that came settled.
    pub(crate) fn delivered(&mut self, delivery: Option<u32>) {
        self.entries
            .push_back(delivery.map_or(Entry::Silent, Entry::Open));
    }

    /// The sequence that the next delivery will have.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Sequences `first..=last` are settled: gives `answer` the deliveries as ranges of neighbours.
    pub(crate) fn settled(&mut self, first: u64, last: u64, mut answer: impl FnMut(u32, u32)) {
        let mut run: Option<(u32, u32)> = None;
        for sequence in first.max(self.first)..=last {
            let index = usize::try_from(sequence - self.first).unwrap_or(usize::MAX);
            let Some(entry) = self.entries.get_mut(index) else {
                break;
            };
            let Entry::Open(delivery) = std::mem::replace(entry, Entry::Done) else {
                continue;
            };
            run = Some(match run {
                Some((from, to)) if to.wrapping_add(1) == delivery => (from, delivery),
                Some((from, to)) => {
                    answer(from, to);
                    (delivery, delivery)
                }
                None => (delivery, delivery),
            });
        }
        if let Some((from, to)) = run {
            answer(from, to);
        }
        while self.entries.front() == Some(&Entry::Done) {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// The connection is gone: nobody waits any more.
    pub(crate) fn forget(&mut self) {
        for entry in &mut self.entries {
            if matches!(entry, Entry::Open(_)) {
                *entry = Entry::Silent;
            }
        }
    }

    /// Gives `answer` all that is open, as ranges of neighbours, and forgets it.
    pub(crate) fn give_up(&mut self, mut answer: impl FnMut(u32, u32)) {
        let mut run: Option<(u32, u32)> = None;
        for entry in &mut self.entries {
            let Entry::Open(delivery) = *entry else { continue };
            *entry = Entry::Silent;
            run = Some(match run {
                Some((from, to)) if to.wrapping_add(1) == delivery => (from, delivery),
                Some((from, to)) => {
                    answer(from, to);
                    (delivery, delivery)
                }
                None => (delivery, delivery),
            });
        }
        if let Some((from, to)) = run {
            answer(from, to);
        }
    }

    /// Whether the lane has settled everything.
    pub(crate) fn is_settled(&self) -> bool {
        // Settled ones at the front are gone, so that one at the front is not settled.
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(deliveries: impl IntoIterator<Item = Option<u32>>) -> Ledger {
        let mut ledger = Ledger::default();
        for delivery in deliveries {
            ledger.delivered(delivery);
        }
        ledger
    }

    fn settle(ledger: &mut Ledger, first: u64, last: u64) -> Vec<(u32, u32)> {
        let mut said = Vec::new();
        ledger.settled(first, last, |from, to| said.push((from, to)));
        said
    }

    #[test]
    fn neighbours_are_answered_as_one_range_and_each_once() {
        let mut ledger = ledger([Some(5), Some(6), Some(9), Some(10)]);
        assert_eq!(settle(&mut ledger, 0, 3), [(5, 6), (9, 10)]);
        assert_eq!(settle(&mut ledger, 0, 3), []);
        assert!(ledger.is_settled());
        assert_eq!(ledger.next(), 4);
        ledger.delivered(Some(11));
        assert_eq!(settle(&mut ledger, 4, 4), [(11, 11)]);
    }

    #[test]
    fn numbers_of_deliveries_go_round() {
        let mut ledger = ledger([Some(u32::MAX), Some(0), Some(1)]);
        assert_eq!(settle(&mut ledger, 0, 2), [(u32::MAX, 1)]);
    }

    #[test]
    fn what_came_settled_is_not_answered() {
        let mut ledger = ledger([Some(1), None, Some(3)]);
        assert_eq!(settle(&mut ledger, 0, 2), [(1, 1), (3, 3)]);
    }

    #[test]
    fn nothing_is_answered_on_another_connection_than_its_own() {
        let mut ledger = ledger([Some(1), Some(2)]);
        ledger.forget();
        ledger.delivered(Some(0));
        assert!(!ledger.is_settled());
        assert_eq!(settle(&mut ledger, 0, 2), [(0, 0)]);
    }

    #[test]
    fn what_is_given_up_is_what_is_open() {
        let mut ledger = ledger([Some(1), Some(2), Some(3), None]);
        assert_eq!(settle(&mut ledger, 1, 1), [(2, 2)]);
        let mut said = Vec::new();
        ledger.give_up(|from, to| said.push((from, to)));
        assert_eq!(said, [(1, 1), (3, 3)]);
        assert_eq!(settle(&mut ledger, 0, 3), []);
    }
}
