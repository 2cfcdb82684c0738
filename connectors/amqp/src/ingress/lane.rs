//! One link's books: its lane, the messages that wait for the lane's credit, and the credit that the broker has.
//!
//! Invariants: messages reach the lane in the order of the link; credit given out and messages that wait never exceed what
//! the lane had room for when the credit was given. The lane outlives the connection, so that what a reconnect brings
//! again counts against the same window as its first copies.
//! Does not know: sockets and frames; it says what credit to give, and the consumer gives it.

use std::collections::VecDeque;

use tokio::time::Instant;
use weft_api::ingress::{Credit, Incoming, LaneId};
use weft_net::Backoff;

use super::ledger::Ledger;

/// Where the link stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// There is none; it is asked for again then.
    Down(Instant),
    /// Asked for; without an answer until then it is asked for anew.
    Attaching(Instant),
    /// The broker serves it.
    Up,
}

/// A message that waits for the lane.
pub(crate) struct Waiting {
    pub(crate) incoming: Incoming,
    /// `None`: it came settled.
    pub(crate) delivery: Option<u32>,
}

/// One link.
pub(crate) struct LinkLane {
    pub(crate) lane: LaneId,
    pub(crate) state: State,
    pub(crate) ledger: Ledger,
    pub(crate) backoff: Backoff,
    waiting: VecDeque<Waiting>,
    waiting_bytes: u64,
    window: u32,
}

impl LinkLane {
    pub(crate) fn new(lane: LaneId, window: u32, now: Instant, backoff: Backoff) -> LinkLane {
        LinkLane {
            lane,
            state: State::Down(now),
            ledger: Ledger::default(),
            backoff,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            window,
        }
    }

    /// A message came.
    pub(crate) fn came(&mut self, waiting: Waiting) {
        self.waiting_bytes += waiting.incoming.event.size();
        self.waiting.push_back(waiting);
    }

    /// Moves as many waiting messages into `batch` as `credit` allows; a lane with nothing unsettled takes one of any
    /// size. Returns the sequence that the lane must give the first of them.
    pub(crate) fn take(&mut self, credit: Credit, batch: &mut Vec<Incoming>) -> Option<u64> {
        let mut first = None;
        let mut bytes = 0;
        while (batch.len() as u64) < u64::from(credit.events) {
            let Some(front) = self.waiting.front() else { break };
            let size = front.incoming.event.size();
            if bytes + size > credit.bytes && !(self.ledger.is_settled() && batch.is_empty()) {
                break;
            }
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            bytes += size;
            self.waiting_bytes = self.waiting_bytes.saturating_sub(size);
            first.get_or_insert(self.ledger.next());
            self.ledger.delivered(waiting.delivery);
            batch.push(waiting.incoming);
        }
        first
    }

    /// The credit that the broker should have, if that is another than the `given` that it has not used: enough to be
    /// worth a frame, or any where it has none.
    pub(crate) fn credit(&self, lane: Credit, given: u32) -> Option<u32> {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        // Bytes that are taken up by others than what waits: more messages would only wait with them.
        let room = if lane.bytes == 0 || waiting > 0 && lane.events > 0 && self.blocked(lane) {
            0
        } else {
            lane.events.saturating_sub(waiting)
        };
        let worth = (self.window / 4).max(1);
        (room > given && (given == 0 || room - given >= worth)).then_some(room)
    }

    /// The first that waits does not fit the lane's bytes.
    fn blocked(&self, lane: Credit) -> bool {
        let first = self.waiting.front().map(|waiting| waiting.incoming.event.size());
        first.is_some_and(|size| size > lane.bytes)
    }

    /// Takes out what waits: no lane has it.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Waiting> + '_ {
        self.waiting_bytes = 0;
        self.waiting.drain(..)
    }

    /// Bytes of the messages that wait for the lane.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// The link is gone, and with it what waits: the broker brings it again. It is asked for again then.
    pub(crate) fn lost(&mut self, again: Instant) {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.ledger.forget();
        self.state = State::Down(again);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weft_api::event::EventBuilder;

    use super::*;
    use crate::client;

    const LANE: LaneId = LaneId { index: 0, epoch: 0 };

    fn lane(window: u32) -> LinkLane {
        LinkLane::new(LANE, window, Instant::now(), client::backoff())
    }

    fn message(data: usize, delivery: Option<u32>) -> Waiting {
        let mut builder = EventBuilder::new();
        builder.id("1").source("/s").ty("t").data(vec![b'x'; data].into());
        Waiting {
            incoming: builder.build().unwrap().into(),
            delivery,
        }
    }

    fn credit(events: u32, bytes: u64) -> Credit {
        Credit { events, bytes }
    }

    #[test]
    fn exactly_as_many_messages_go_as_there_is_credit_for() {
        let mut link = lane(8);
        let size = message(100, None).incoming.event.size();
        (0..10).for_each(|delivery| link.came(message(100, Some(delivery))));
        let mut batch = Vec::new();
        assert_eq!(link.take(credit(3, u64::MAX), &mut batch), Some(0));
        assert_eq!(batch.len(), 3);
        batch.clear();
        assert_eq!(link.take(credit(100, 2 * size), &mut batch), Some(3));
        assert_eq!(batch.len(), 2);
        assert_eq!(link.drain().count(), 5);
    }

    #[test]
    fn an_idle_lane_takes_one_message_of_any_size() {
        let mut link = lane(8);
        link.came(message(1000, Some(0)));
        link.came(message(1000, Some(1)));
        let mut batch = Vec::new();
        assert_eq!(link.take(credit(5, 1), &mut batch), Some(0));
        assert_eq!(batch.len(), 1);
        batch.clear();
        assert_eq!(link.take(credit(5, 1), &mut batch), None);
        link.ledger.settled(0, 0, |_, _| {});
        assert_eq!(link.take(credit(5, 1), &mut batch), Some(1));
    }

    #[test]
    fn credit_is_what_the_lane_has_room_for_less_what_waits() {
        let mut link = lane(100);
        assert_eq!(link.credit(credit(100, 1000), 0), Some(100));
        assert_eq!(link.credit(credit(100, 1000), 90), None);
        assert_eq!(link.credit(credit(100, 1000), 75), Some(100));
        assert_eq!(link.credit(credit(1, 1000), 0), Some(1));
        assert_eq!(link.credit(credit(0, 1000), 0), None);
        assert_eq!(link.credit(credit(100, 0), 0), None);
        link.came(message(1, Some(0)));
        assert_eq!(link.credit(credit(100, 1000), 0), Some(99));
        assert_eq!(link.credit(credit(100, 1), 0), None);
    }

    #[test]
    fn what_a_lost_connection_brought_is_brought_again() {
        let mut link = lane(8);
        let mut batch = Vec::new();
        link.came(message(1, Some(0)));
        link.take(credit(1, u64::MAX), &mut batch);
        link.came(message(1, Some(1)));
        link.lost(Instant::now());
        assert_eq!(link.drain().count(), 0);
        let mut answered = 0;
        link.ledger.settled(0, 0, |_, _| answered += 1);
        assert_eq!(answered, 0);
    }
}
