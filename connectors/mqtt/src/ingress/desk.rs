//! What the sessions of one ingress share: the lanes, the mapper, and the lane of messages that nobody acknowledges.
//!
//! Invariant: a message of QoS 0 that finds no credit is shed, and counted; it never waits, and nothing waits for it (C22).

use std::sync::Arc;

use weft_api::ingress::{Credit, Incoming, LaneId, LaneSpec, Lanes, Settle, Window};
use weft_api::status::Reporter;

use crate::mapping::Mapper;

pub(super) struct Desk {
    pub(super) lanes: Lanes,
    pub(super) report: Reporter,
    pub(super) mapper: Mapper,
    /// Nothing more is taken in.
    pub(super) draining: bool,
    /// What one turn of one session delivers; empty between turns.
    pub(super) batch: Vec<Incoming>,
    loose: Loose,
}

/// Messages of QoS 0.
struct Loose {
    lane_name: Arc<str>,
    window: Window,
    lane: Option<LaneId>,
    room: Option<Room>,
    batch: Vec<Incoming>,
    shed: u64,
}

impl Desk {
    pub(super) fn new(
        lanes: Lanes,
        report: Reporter,
        mapper: Mapper,
        lane_name: Arc<str>,
        window: Window,
    ) -> Desk {
        Desk {
            lanes,
            report,
            mapper,
            draining: false,
            batch: Vec::new(),
            loose: Loose {
                lane_name,
                window,
                lane: None,
                room: None,
                batch: Vec::new(),
                shed: 0,
            },
        }
    }

    /// A message of QoS 0: delivered by [`Desk::flush_loose`], or shed.
    pub(super) fn loose(&mut self, incoming: Incoming) {
        let lanes = &mut self.lanes;
        let loose = &mut self.loose;
        let lane = *loose.lane.get_or_insert_with(|| {
            lanes.open(LaneSpec {
                name: loose.lane_name.clone(),
                window: loose.window,
                settle: Settle::Individual,
            })
        });
        let room = loose
            .room
            .get_or_insert_with(|| Room::new(lanes.credit(lane), false));
        if room.takes(incoming.event.size()) {
            loose.batch.push(incoming);
        } else {
            loose.shed += 1;
        }
    }

    /// Delivers what came without acknowledgement.
    pub(super) fn flush_loose(&mut self) {
        let loose = &mut self.loose;
        loose.room = None;
        if let Some(lane) = loose.lane
            && !loose.batch.is_empty()
        {
            self.lanes.deliver(lane, &mut loose.batch);
        }
        if loose.shed > 0 {
            self.report.dropped("qos0", std::mem::take(&mut loose.shed));
        }
    }

    /// Closes the lane of QoS 0.
    pub(super) fn close_loose(&mut self) {
        self.flush_loose();
        if let Some(lane) = self.loose.lane.take() {
            self.lanes.close(lane);
        }
    }
}

/// The credit of a lane while a batch for it grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    events: u32,
    bytes: u64,
    empty: bool,
}

impl Room {
    /// `empty`: nothing is unsettled, so that one event of any legal size may be delivered.
    pub(super) fn new(credit: Credit, empty: bool) -> Room {
        Room {
            events: credit.events,
            bytes: credit.bytes,
            empty,
        }
    }

    /// Whether there is room for an event of this size; takes it.
    pub(super) fn takes(&mut self, size: u64) -> bool {
        if self.events == 0 || (size > self.bytes && !self.empty) {
            return false;
        }
        self.events -= 1;
        self.bytes = self.bytes.saturating_sub(size);
        self.empty = false;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ends_with_events_or_bytes_and_an_empty_lane_takes_one_of_any_size() {
        let credit = Credit { events: 3, bytes: 10 };
        let mut room = Room::new(credit, true);
        assert!(room.takes(100));
        assert!(!room.takes(1), "its bytes are used up");
        let mut room = Room::new(credit, false);
        assert!(!room.takes(11));
        assert!(room.takes(4) && room.takes(4) && !room.takes(4) && room.takes(2));
        assert!(!room.takes(0), "its events are used up");
    }
}
