//! One assigned partition: its lane, its books, and the records that wait for credit.
//!
//! Owns: the spill, bounded in bytes by the caller's limit, and the state of the flow from the broker.
//! Invariants: records reach the lane in the order of their offsets; while a seek is outstanding nothing that is
//! polled is kept, for it is not known to lie behind the seek; what is delivered and not committed never exceeds the
//! window, but for one record that is larger (C4).
//! Does not know: the client; it says what should be paused, resumed or sought, and the consumer does it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use weft_api::ingress::{Credit, Incoming, LaneId, Window};

use super::context::{NOTHING, Place};
use super::offsets::Offsets;

/// What part of a window is settled before it is committed, unless `commit_every` comes first. The rest has to be enough
/// for a destination while the commit is under way.
const COMMIT_PART: u64 = 4;

/// Whether records come in from the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// They come.
    Open,
    /// The spill is full; librdkafka has been told to pause, and has thrown its prefetch away.
    Paused,
    /// The lane was rewound; the consumer must go back to this offset first, and then resume if it was paused. (A
    /// resume without a pause would throw the prefetch away, and not fetch it again.)
    Seeking { to: i64, paused: bool },
}

/// One assigned partition.
pub(crate) struct Partition {
    pub(crate) place: Place,
    pub(crate) lane: LaneId,
    pub(crate) flow: Flow,
    /// Since when more waits than this partition's share of the spill, until half of it is gone.
    pub(crate) full_since: Option<Instant>,
    offsets: Offsets,
    waiting: VecDeque<Waiting>,
    waiting_bytes: u64,
    /// Shared with the rebalance callback, which commits it at a revoke.
    watermark: Arc<AtomicI64>,
    window: Window,
    /// The last commit that it was part of did not cover it.
    refused: bool,
}

struct Waiting {
    incoming: Incoming,
    offset: i64,
    next: i64,
}

impl Partition {
    pub(crate) fn new(place: Place, lane: LaneId, watermark: Arc<AtomicI64>, window: Window) -> Partition {
        let first = Some(watermark.load(Ordering::Relaxed)).filter(|first| *first != NOTHING);
        Partition {
            place,
            lane,
            flow: Flow::Open,
            full_since: None,
            offsets: Offsets::starting_at(first),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            watermark,
            window,
            refused: false,
        }
    }

    /// Bytes that wait for credit.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// A record was polled. Ignored while a seek is outstanding.
    pub(crate) fn polled(&mut self, incoming: Incoming, offset: i64) {
        if matches!(self.flow, Flow::Seeking { .. }) {
            return;
        }
        self.waiting_bytes += incoming.event.size();
        self.waiting.push_back(Waiting {
            incoming,
            offset,
            next: offset + 1,
        });
    }

    /// A record was polled that no event is made of.
    pub(crate) fn skipped(&mut self, offset: i64) {
        if matches!(self.flow, Flow::Seeking { .. }) {
            return;
        }
        match self.waiting.back_mut() {
            Some(last) => last.next = offset + 1,
            None => {
                self.offsets.skipped(offset + 1);
                self.publish();
            }
        }
    }

    /// Moves as many waiting records into `batch` as `credit` and what is not committed allow; a lane with nothing
    /// uncommitted takes one of any size. Returns the sequence that the lane must give the first of them.
    pub(crate) fn take(&mut self, credit: Credit, batch: &mut Vec<Incoming>) -> Option<u64> {
        let mut first = None;
        let mut bytes = 0;
        while (batch.len() as u64) < u64::from(credit.events) {
            let Some(front) = self.waiting.front() else { break };
            let size = front.incoming.event.size();
            let alone = self.offsets.uncommitted().events == 0;
            if !self.fits(size) || (bytes + size > credit.bytes && !alone) {
                break;
            }
            let Some(record) = self.waiting.pop_front() else {
                break;
            };
            bytes += size;
            self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
            let sequence = self.offsets.delivered(record.offset, record.next, size);
            first.get_or_insert(sequence);
            batch.push(record.incoming);
        }
        first
    }

    /// Everything up to sequence `last` is settled.
    pub(crate) fn settled(&mut self, last: u64) {
        self.offsets.settled(last);
        self.publish();
    }

    /// The lane starts again at sequence `from` as `lane`.
    pub(crate) fn rewound(&mut self, lane: LaneId, from: u64) {
        self.lane = lane;
        if let Some(offset) = self.offsets.rewind(from) {
            self.forget_waiting();
            let paused = matches!(self.flow, Flow::Paused | Flow::Seeking { paused: true, .. });
            self.flow = Flow::Seeking { to: offset, paused };
        }
        self.publish();
    }

    /// Drops what waits: it will be polled again, by us or by the next owner.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.full_since = None;
    }

    /// Whether a record of so many bytes has its place in the window beside what is not committed.
    fn fits(&self, size: u64) -> bool {
        let uncommitted = self.offsets.uncommitted();
        uncommitted.events == 0
            || (uncommitted.events < u64::from(self.window.events)
                && uncommitted.bytes + size <= self.window.bytes)
    }

    /// Whether a commit would let records go on that wait. One that was refused is tried again after a pause.
    pub(crate) fn waits_for_commit(&self) -> bool {
        let full = |front: &Waiting| !self.fits(front.incoming.event.size());
        !self.refused
            && self.offsets.settled_uncommitted().events > 0
            && self.waiting.front().is_some_and(full)
    }

    /// Whether a commit should not wait for its time: much is settled, or nothing else can go on. One that was refused
    /// waits.
    pub(crate) fn wants_commit(&self) -> bool {
        let settled = self.offsets.settled_uncommitted();
        !self.refused
            && settled.events > 0
            && (settled.events * COMMIT_PART >= u64::from(self.window.events)
                || settled.bytes.saturating_mul(COMMIT_PART) >= self.window.bytes
                || (self.offsets.unsettled() == 0 && !self.waiting.is_empty()))
    }

    /// The offset to commit, if it is another one than what is committed. It is told of the answer by
    /// [`Partition::committed`].
    pub(crate) fn ask(&mut self) -> Option<i64> {
        self.offsets.ask()
    }

    /// What was asked for and is not answered.
    pub(crate) fn asked(&self) -> Option<i64> {
        self.offsets.asked()
    }

    /// What was asked for, if it is no step forward from what is committed: the log went back.
    pub(crate) fn asked_back(&self) -> Option<i64> {
        self.offsets.asked_back()
    }

    /// The commit that was asked for last is answered, or came to nothing.
    pub(crate) fn committed(&mut self, done: bool) {
        self.offsets.answered(done);
        self.refused = !done;
    }

    fn publish(&mut self) {
        if let Some(watermark) = self.offsets.watermark() {
            self.watermark.store(watermark, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weft_api::event::EventBuilder;

    use super::*;

    const LANE: LaneId = LaneId { index: 0, epoch: 0 };

    fn partition() -> Partition {
        within(1000, 1 << 30)
    }

    fn within(events: u32, bytes: u64) -> Partition {
        let place = (Arc::from("t"), 0);
        Partition::new(
            place,
            LANE,
            Arc::new(AtomicI64::new(NOTHING)),
            Window { events, bytes },
        )
    }

    fn event(data: usize) -> Incoming {
        let mut builder = EventBuilder::new();
        builder
            .id("1")
            .source("/s")
            .ty("t")
            .data(bytes::Bytes::from(vec![b'x'; data]));
        builder.build().unwrap().into()
    }

    fn credit(events: u32, bytes: u64) -> Credit {
        Credit { events, bytes }
    }

    #[test]
    fn exactly_as_many_records_go_as_there_is_credit_for() {
        let mut p = partition();
        for offset in 0..10 {
            p.polled(event(100), offset);
        }
        let size = event(100).event.size();
        let mut batch = Vec::new();
        assert_eq!(p.take(credit(3, u64::MAX), &mut batch), Some(0));
        assert_eq!(batch.len(), 3);
        batch.clear();
        assert_eq!(p.take(credit(100, 2 * size), &mut batch), Some(3));
        assert_eq!(batch.len(), 2);
        assert_eq!(p.waiting_bytes(), 5 * size);
    }

    #[test]
    fn an_idle_lane_takes_one_record_of_any_size() {
        let mut p = partition();
        p.polled(event(1000), 0);
        p.polled(event(1000), 1);
        let mut batch = Vec::new();
        assert_eq!(p.take(credit(5, 1), &mut batch), Some(0));
        assert_eq!(batch.len(), 1);
        assert_eq!(p.take(credit(5, 1), &mut batch), None);
    }

    #[test]
    fn nothing_that_is_polled_before_a_seek_is_done_is_kept() {
        let mut p = partition();
        let mut batch = Vec::new();
        for offset in 0..4 {
            p.polled(event(1), offset);
        }
        p.take(credit(3, u64::MAX), &mut batch);
        p.settled(0);
        let later = LaneId { index: 0, epoch: 1 };
        p.rewound(later, 1);
        assert_eq!(p.flow, Flow::Seeking { to: 1, paused: false });
        p.polled(event(1), 4);
        p.skipped(5);
        assert_eq!(p.waiting_bytes(), 0);
        assert_eq!(p.ask(), Some(1));
        p.flow = Flow::Open;
        p.polled(event(1), 1);
        batch.clear();
        assert_eq!(p.take(credit(3, u64::MAX), &mut batch), Some(1));
    }

    #[test]
    fn a_dropped_record_moves_the_watermark_only_behind_what_waits() {
        let mut p = partition();
        let mut batch = Vec::new();
        p.skipped(0);
        assert_eq!(p.ask(), Some(1));
        p.committed(true);
        p.polled(event(1), 1);
        p.skipped(2);
        assert_eq!(p.ask(), None);
        p.take(credit(1, u64::MAX), &mut batch);
        p.settled(0);
        assert_eq!(p.ask(), Some(3));
    }

    fn take_all(p: &mut Partition) -> usize {
        let mut batch = Vec::new();
        p.take(credit(u32::MAX, u64::MAX), &mut batch);
        batch.len()
    }

    #[test]
    fn what_is_settled_holds_its_place_in_the_window_until_it_is_committed() {
        let mut p = within(4, 1 << 30);
        (0..10).for_each(|offset| p.polled(event(1), offset));
        assert_eq!(take_all(&mut p), 4);
        p.settled(2);
        assert_eq!(
            take_all(&mut p),
            0,
            "C4: a crash would bring more than the window again"
        );
        assert!(p.waits_for_commit());
        assert_eq!(p.ask(), Some(3));
        p.committed(false);
        assert_eq!(take_all(&mut p), 0);
        assert_eq!(p.ask(), Some(3));
        p.settled(3);
        p.committed(true);
        assert!(!p.waits_for_commit(), "there is room");
        assert_eq!(take_all(&mut p), 3);
    }

    #[test]
    fn a_log_that_went_back_gets_its_window_again() {
        let mut p = within(4, 1 << 30);
        (1000..1004).for_each(|offset| p.polled(event(1), offset));
        assert_eq!(take_all(&mut p), 4);
        p.settled(3);
        assert_eq!(p.ask(), Some(1004));
        p.committed(true);
        (0..10).for_each(|offset| p.polled(event(1), offset));
        assert_eq!(take_all(&mut p), 4);
        p.settled(7);
        assert!(p.waits_for_commit());
        assert_eq!(
            p.ask(),
            Some(4),
            "C5: the old offset would skip what the new log holds"
        );
        p.committed(true);
        assert_eq!(take_all(&mut p), 4);
    }

    #[test]
    fn a_commit_that_was_refused_is_asked_for_by_the_clock_and_not_at_once() {
        let mut p = within(4, 1 << 30);
        (0..10).for_each(|offset| p.polled(event(1), offset));
        take_all(&mut p);
        p.settled(3);
        assert!(p.wants_commit() && p.waits_for_commit());
        p.ask();
        p.committed(false);
        assert!(
            !p.wants_commit() && !p.waits_for_commit(),
            "that would be a flood"
        );
        assert_eq!(p.ask(), Some(4));
        p.committed(true);
        take_all(&mut p);
        p.settled(7);
        assert!(p.wants_commit());
    }

    #[test]
    fn a_window_of_bytes_counts_what_is_not_committed_too() {
        let size = event(100).event.size();
        let mut p = within(1000, 3 * size);
        (0..10).for_each(|offset| p.polled(event(100), offset));
        assert_eq!(take_all(&mut p), 3);
        p.settled(1);
        assert_eq!(take_all(&mut p), 0);
        p.ask();
        p.committed(true);
        assert_eq!(take_all(&mut p), 2);
    }

    #[test]
    fn a_commit_is_wanted_once_a_part_of_the_window_is_settled_or_nothing_else_can_go_on() {
        let mut p = within(8, 1 << 30);
        (0..20).for_each(|offset| p.polled(event(1), offset));
        take_all(&mut p);
        assert!(!p.wants_commit());
        p.settled(0);
        assert!(!p.wants_commit());
        p.settled(1);
        assert!(p.wants_commit());
        p.ask();
        p.committed(true);
        assert!(!p.wants_commit());

        let size = event(100).event.size();
        let mut p = within(1000, 10 * size);
        p.polled(event(100), 0);
        take_all(&mut p);
        p.settled(0);
        assert!(!p.wants_commit(), "the time for it will come");
        p.polled(event(5000), 1);
        assert_eq!(take_all(&mut p), 0);
        assert!(p.wants_commit(), "the next one waits for it");
        p.ask();
        p.committed(true);
        assert_eq!(take_all(&mut p), 1, "larger than the window, alone");
    }
}
