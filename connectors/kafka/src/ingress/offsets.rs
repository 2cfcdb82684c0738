//! Which offset may be committed, and how much is not yet: the books of one partition, without a client.
//!
//! Owns: the way from a lane's sequences to Kafka's offsets, which have gaps (compaction, transaction markers).
//! Invariants: the watermark is the offset after the last record of the settled prefix, and never moves past a record
//! that is not settled (C5); it moves back only when the log itself went back (a topic made anew, a log that was cut), and
//! then it has to: an offset of the old log would skip records of the new one. What is delivered counts as uncommitted
//! until a commit that covers it has been answered: a crash brings it again (C4).
//! Does not know: why something is settled, nor how an offset is stored.

use std::collections::VecDeque;

/// The records of one partition that are delivered and not committed.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    /// The sequence of the front of `unsettled`.
    front: u64,
    unsettled: VecDeque<Slot>,
    watermark: Option<i64>,
    /// Delivered, and not known to be committed.
    uncommitted: Load,
    /// The part of `uncommitted` that is settled.
    settled: Load,
    committed: Option<i64>,
    asked: Option<Asked>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The record's own offset: where a rewind seeks to.
    offset: i64,
    /// What may be committed once it is settled: past the records that were skipped behind it.
    next: i64,
    bytes: u64,
}

/// So many records, of so many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Load {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Load {
    fn add(&mut self, slot: &Slot) {
        self.events += 1;
        self.bytes += slot.bytes;
    }

    fn less(self, other: Load) -> Load {
        Load {
            events: self.events - other.events,
            bytes: self.bytes - other.bytes,
        }
    }
}

/// A commit that has not been answered.
#[derive(Clone, Copy, Debug)]
struct Asked {
    watermark: i64,
    /// What was settled by then.
    settled: Load,
}

impl Offsets {
    /// Books of a partition whose first offset was chosen, and is to be committed like a watermark; `None` if the
    /// group's own offset holds.
    pub(crate) fn starting_at(first: Option<i64>) -> Offsets {
        Offsets {
            watermark: first,
            ..Offsets::default()
        }
    }

    /// How many records are delivered and not settled.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// What is delivered and not known to be committed.
    pub(crate) fn uncommitted(&self) -> Load {
        self.uncommitted
    }

    /// The part of [`Offsets::uncommitted`] that waits for nothing but a commit.
    pub(crate) fn settled_uncommitted(&self) -> Load {
        self.settled
    }

    /// What may be committed; `None` until something is settled or skipped.
    pub(crate) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// The record at `offset` goes to the lane; `next` is the offset after it and after what was skipped behind it.
    /// Returns the sequence that the lane must have given it.
    pub(crate) fn delivered(&mut self, offset: i64, next: i64, bytes: u64) -> u64 {
        let slot = Slot { offset, next, bytes };
        self.uncommitted.add(&slot);
        self.unsettled.push_back(slot);
        self.front + self.unsettled.len() as u64 - 1
    }

    /// Records before `next` were left out behind everything that was delivered.
    pub(crate) fn skipped(&mut self, next: i64) {
        match self.unsettled.back_mut() {
            Some(slot) => slot.next = next,
            None => self.watermark = Some(next),
        }
    }

    /// Sequences up to `last` are settled; what was settled before is passed over.
    pub(crate) fn settled(&mut self, last: u64) {
        let Some(count) = (last + 1).checked_sub(self.front) else {
            return;
        };
        let count = (usize::try_from(count).unwrap_or(usize::MAX)).min(self.unsettled.len());
        let mut next = None;
        for slot in self.unsettled.drain(..count) {
            self.settled.add(&slot);
            next = Some(slot.next);
        }
        if let Some(next) = next {
            self.front += count as u64;
            self.watermark = Some(next);
        }
    }

    /// The lane starts again at sequence `from`. Returns the offset to seek to, or `None` when nothing was delivered
    /// from there on, so that the consumer's position is right as it is. Where the log went back meanwhile, that is the
    /// lowest: what came before it is not there any more.
    pub(crate) fn rewind(&mut self, from: u64) -> Option<i64> {
        if let Some(last) = from.checked_sub(1) {
            self.settled(last);
        }
        let seek = self.unsettled.iter().map(|slot| slot.offset).min();
        self.unsettled.clear();
        self.uncommitted = self.settled;
        seek
    }

    /// The watermark, if it is another one than what is committed, or came there a second time (the log went back); it
    /// counts as committed once [`Offsets::answered`] says so.
    pub(crate) fn ask(&mut self) -> Option<i64> {
        let news = self.watermark != self.committed || self.settled.events > 0;
        let watermark = self.watermark.filter(|_| news)?;
        self.asked = Some(Asked {
            watermark,
            settled: self.settled,
        });
        Some(watermark)
    }

    /// What was asked for and is not answered.
    pub(crate) fn asked(&self) -> Option<i64> {
        self.asked.map(|asked| asked.watermark)
    }

    /// What was asked for, if that is no step forward from what is committed: the log went back.
    pub(crate) fn asked_back(&self) -> Option<i64> {
        self.asked()
            .filter(|asked| self.committed.is_some_and(|committed| *asked <= committed))
    }

    /// The commit of what was asked for last is answered. One that failed is asked for again.
    pub(crate) fn answered(&mut self, done: bool) {
        if let Some(asked) = self.asked.take()
            && done
        {
            self.committed = Some(asked.watermark);
            self.settled = self.settled.less(asked.settled);
            self.uncommitted = self.uncommitted.less(asked.settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, Offsets};

    fn with(records: &[(i64, i64)]) -> Offsets {
        let mut offsets = Offsets::default();
        for (seq, (offset, next)) in records.iter().enumerate() {
            assert_eq!(offsets.delivered(*offset, *next, 100), seq as u64);
        }
        offsets
    }

    fn load(events: u64) -> Load {
        Load {
            events,
            bytes: 100 * events,
        }
    }

    #[test]
    fn the_watermark_follows_the_settled_prefix_and_its_gaps() {
        let mut offsets = with(&[(5, 6), (9, 10), (10, 11)]);
        assert_eq!(offsets.watermark(), None);
        offsets.settled(1);
        assert_eq!(offsets.watermark(), Some(10));
        assert_eq!(offsets.unsettled(), 1);
    }

    #[test]
    fn a_settlement_that_comes_again_moves_nothing() {
        let mut offsets = with(&[(5, 6), (6, 7)]);
        offsets.settled(0);
        offsets.settled(0);
        assert_eq!(offsets.watermark(), Some(6));
        assert_eq!(offsets.settled_uncommitted(), load(1));
    }

    #[test]
    fn a_settlement_past_the_end_moves_to_the_end_only() {
        let mut offsets = with(&[(5, 6)]);
        offsets.settled(u64::MAX - 1);
        assert_eq!(offsets.watermark(), Some(6));
    }

    #[test]
    fn what_is_skipped_waits_for_what_is_before_it() {
        let mut offsets = with(&[(5, 6)]);
        offsets.skipped(9);
        assert_eq!(offsets.watermark(), None);
        offsets.settled(0);
        assert_eq!(offsets.watermark(), Some(9));
        offsets.skipped(12);
        assert_eq!(offsets.watermark(), Some(12));
    }

    #[test]
    fn a_rewind_seeks_to_the_first_unsettled_record_and_keeps_the_count() {
        let mut offsets = with(&[(5, 6), (8, 9), (12, 13)]);
        offsets.settled(0);
        assert_eq!(offsets.rewind(1), Some(8));
        assert_eq!(offsets.unsettled(), 0);
        assert_eq!(offsets.watermark(), Some(6));
        assert_eq!(offsets.delivered(8, 9, 100), 1);
    }

    #[test]
    fn a_rewind_with_nothing_unsettled_seeks_nowhere() {
        let mut offsets = with(&[(5, 6)]);
        assert_eq!(offsets.rewind(1), None);
        assert_eq!(offsets.watermark(), Some(6));
    }

    #[test]
    fn what_is_settled_counts_until_a_commit_that_covers_it_is_answered() {
        let mut offsets = with(&[(0, 1), (1, 2), (2, 3), (3, 4)]);
        offsets.settled(1);
        assert_eq!(offsets.uncommitted(), load(4));
        assert_eq!(offsets.ask(), Some(2));
        // Settled after the question: the answer does not speak of it.
        offsets.settled(2);
        offsets.answered(true);
        assert_eq!(offsets.uncommitted(), load(2));
        assert_eq!(offsets.settled_uncommitted(), load(1));
        assert_eq!(offsets.ask(), Some(3));
    }

    #[test]
    fn a_commit_that_failed_frees_nothing_and_is_asked_for_again() {
        let mut offsets = with(&[(0, 1), (1, 2)]);
        offsets.settled(1);
        assert_eq!(offsets.ask(), Some(2));
        offsets.answered(false);
        assert_eq!(offsets.uncommitted(), load(2));
        assert_eq!(offsets.ask(), Some(2));
        offsets.answered(true);
        assert_eq!(offsets.uncommitted(), load(0));
        assert_eq!(offsets.ask(), None);
    }

    #[test]
    fn a_rewind_gives_back_what_was_not_settled_and_no_more() {
        let mut offsets = with(&[(0, 1), (1, 2), (2, 3)]);
        offsets.settled(0);
        assert_eq!(offsets.ask(), Some(1));
        offsets.rewind(2);
        assert_eq!(offsets.uncommitted(), load(2));
        offsets.answered(true);
        assert_eq!(offsets.uncommitted(), load(1));
    }

    #[test]
    fn an_answer_that_nobody_asked_for_changes_nothing() {
        let mut offsets = with(&[(0, 1)]);
        offsets.settled(0);
        offsets.answered(true);
        assert_eq!(offsets.uncommitted(), load(1));
    }

    #[test]
    fn what_is_committed_follows_a_log_that_went_back() {
        let mut offsets = with(&[(998, 999), (999, 1000)]);
        offsets.settled(1);
        assert_eq!((offsets.ask(), offsets.asked_back()), (Some(1000), None));
        offsets.answered(true);
        offsets.delivered(0, 1, 100);
        offsets.delivered(1, 2, 100);
        assert_eq!(offsets.ask(), None, "nothing of the new log is settled");
        offsets.settled(2);
        assert_eq!((offsets.ask(), offsets.asked_back()), (Some(1), Some(1)));
        offsets.answered(true);
        assert_eq!(offsets.uncommitted(), load(1));
        offsets.settled(3);
        assert_eq!((offsets.ask(), offsets.asked_back()), (Some(2), None));
    }

    #[test]
    fn a_log_that_went_back_frees_its_window_even_if_it_ends_where_the_old_one_did() {
        let mut offsets = with(&[(0, 1), (1, 2)]);
        offsets.settled(1);
        offsets.ask();
        offsets.answered(true);
        offsets.delivered(0, 1, 100);
        offsets.delivered(1, 2, 100);
        offsets.settled(3);
        assert_eq!((offsets.ask(), offsets.asked_back()), (Some(2), Some(2)));
        offsets.answered(true);
        assert_eq!((offsets.uncommitted(), offsets.ask()), (load(0), None));
    }

    #[test]
    fn a_log_that_went_back_behind_something_unsettled_waits_for_it_and_is_read_from_its_own_beginning() {
        let mut offsets = with(&[(50, 51), (10, 11)]);
        offsets.skipped(12);
        assert_eq!(offsets.watermark(), None);
        offsets.settled(0);
        assert_eq!(offsets.watermark(), Some(51));
        let mut offsets = with(&[(50, 51), (10, 11), (11, 12)]);
        assert_eq!(
            offsets.rewind(0),
            Some(10),
            "50 would skip records of the new log"
        );
    }

    #[test]
    fn a_first_offset_that_was_chosen_is_committed_once() {
        let mut offsets = Offsets::starting_at(Some(7));
        assert_eq!(offsets.ask(), Some(7));
        offsets.answered(true);
        assert_eq!(offsets.ask(), None);
        assert_eq!(Offsets::starting_at(None).ask(), None);
    }
}
