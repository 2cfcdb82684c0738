//! Which offset may be committed: the books of one partition, without a client.
//!
//! Owns: the way from a lane's sequences to Kafka's offsets, which have gaps (compaction, transaction markers).
//! Invariants: the watermark is the offset after the last record of the settled prefix, and never moves past a record
//! that is not settled (C5); it never moves back.
//! Does not know: why something is settled, nor how an offset is stored.

use std::collections::VecDeque;

/// The unsettled records of one partition, in order.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    /// The sequence of the front of `unsettled`.
    front: u64,
    unsettled: VecDeque<Slot>,
    watermark: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The record's own offset: where a rewind seeks to.
    offset: i64,
    /// What may be committed once it is settled: past the records that were skipped behind it.
    next: i64,
}

impl Offsets {
    /// How many records are delivered and not settled.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// What may be committed; `None` until something is settled or skipped.
    pub(crate) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// The record at `offset` goes to the lane; `next` is the offset after it and after what was skipped behind it.
    /// Returns the sequence that the lane must have given it.
    pub(crate) fn delivered(&mut self, offset: i64, next: i64) -> u64 {
        self.unsettled.push_back(Slot { offset, next });
        self.front + self.unsettled.len() as u64 - 1
    }

    /// Records before `next` were left out behind everything that was delivered.
    pub(crate) fn skipped(&mut self, next: i64) {
        match self.unsettled.back_mut() {
            Some(slot) => slot.next = slot.next.max(next),
            None => self.advance(next),
        }
    }

    /// Sequences up to `last` are settled. Returns how many records that were; 0 for what was settled before.
    pub(crate) fn settled(&mut self, last: u64) -> u64 {
        let Some(count) = (last + 1).checked_sub(self.front) else {
            return 0;
        };
        let count = (usize::try_from(count).unwrap_or(usize::MAX)).min(self.unsettled.len());
        let last = self.unsettled.drain(..count).next_back();
        if let Some(slot) = last {
            self.front += count as u64;
            self.advance(slot.next);
        }
        count as u64
    }

    /// The lane starts again at sequence `from`. Returns the offset to seek to, or `None` when nothing was delivered
    /// from there on, so that the consumer's position is right as it is.
    pub(crate) fn rewind(&mut self, from: u64) -> Option<i64> {
        if let Some(last) = from.checked_sub(1) {
            self.settled(last);
        }
        let seek = self.unsettled.front().map(|slot| slot.offset);
        self.unsettled.clear();
        seek
    }

    fn advance(&mut self, next: i64) {
        self.watermark = Some(self.watermark.map_or(next, |now| now.max(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::Offsets;

    fn with(records: &[(i64, i64)]) -> Offsets {
        let mut offsets = Offsets::default();
        for (seq, (offset, next)) in records.iter().enumerate() {
            assert_eq!(offsets.delivered(*offset, *next), seq as u64);
        }
        offsets
    }

    #[test]
    fn the_watermark_follows_the_settled_prefix_and_its_gaps() {
        let mut offsets = with(&[(5, 6), (9, 10), (10, 11)]);
        assert_eq!(offsets.watermark(), None);
        assert_eq!(offsets.settled(1), 2);
        assert_eq!(offsets.watermark(), Some(10));
        assert_eq!(offsets.unsettled(), 1);
    }

    #[test]
    fn a_settlement_that_comes_again_moves_nothing() {
        let mut offsets = with(&[(5, 6), (6, 7)]);
        assert_eq!(offsets.settled(0), 1);
        assert_eq!(offsets.settled(0), 0);
        assert_eq!(offsets.watermark(), Some(6));
    }

    #[test]
    fn a_settlement_past_the_end_moves_to_the_end_only() {
        let mut offsets = with(&[(5, 6)]);
        assert_eq!(offsets.settled(u64::MAX - 1), 1);
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
        assert_eq!(offsets.delivered(8, 9), 1);
    }

    #[test]
    fn a_rewind_with_nothing_unsettled_seeks_nowhere() {
        let mut offsets = with(&[(5, 6)]);
        assert_eq!(offsets.rewind(1), None);
        assert_eq!(offsets.watermark(), Some(6));
    }
}
