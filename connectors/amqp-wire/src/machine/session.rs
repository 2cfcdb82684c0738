//! The session's windows, and the deliveries that we sent and that have no outcome (transport 2.5.6, 2.6.12).

use std::collections::VecDeque;

use super::event::Violation;
use super::serial;
use crate::condition;
use crate::performative::{Begin, Flow};

/// See the module.
pub(super) struct Session {
    /// The peer's channel.
    pub(super) remote_channel: u16,
    /// Transfer frames that we take at a time.
    window: u32,
    /// What is left of what we announced.
    left: u32,
    /// The window is not opened again for now.
    held: bool,
    next_incoming_id: u32,
    /// The last delivery that the peer began.
    last_delivery: Option<u32>,
    next_outgoing_id: u32,
    /// Transfer frames that the peer takes.
    pub(super) remote_window: u32,
    /// The number of our next delivery.
    next_delivery: u32,
    /// The number of the first of `unsettled`.
    first: u32,
    /// The link's serial of each delivery without an outcome.
    unsettled: VecDeque<Option<u32>>,
    open: u32,
}

impl Session {
    pub(super) fn new(window: u32) -> Session {
        let window = window.max(1);
        Session {
            remote_channel: 0,
            window,
            left: window,
            held: false,
            next_incoming_id: 0,
            last_delivery: None,
            next_outgoing_id: 0,
            remote_window: 0,
            next_delivery: 0,
            first: 0,
            unsettled: VecDeque::new(),
            open: 0,
        }
    }

    /// What we say at the start.
    pub(super) fn begin(&self, handle_max: u32) -> Begin {
        Begin {
            next_outgoing_id: self.next_outgoing_id,
            incoming_window: self.left,
            outgoing_window: OUTGOING,
            handle_max,
            ..Begin::default()
        }
    }

    /// What the peer says at the start.
    pub(super) fn begun(&mut self, begin: &Begin, channel: u16) {
        self.remote_channel = channel;
        self.next_incoming_id = begin.next_outgoing_id;
        self.remote_window = begin.incoming_window;
    }

    /// Whether the window may be opened again.
    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether so much of the window is used that the peer must hear of a new one.
    pub(super) fn owes_flow(&self) -> bool {
        !self.held && self.left <= self.window / 2
    }

    /// The session's part of a flow; opens the window, unless it is held.
    pub(super) fn flow(&mut self) -> Flow {
        if !self.held {
            self.left = self.window;
        }
        Flow {
            next_incoming_id: Some(self.next_incoming_id),
            incoming_window: self.left,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: OUTGOING,
            ..Flow::default()
        }
    }

    /// The peer's windows.
    pub(super) fn flowed(&mut self, flow: &Flow) {
        // Before its first sight of us the peer counts from our begin, which was 0.
        let seen = flow.next_incoming_id.unwrap_or(0);
        self.remote_window = serial::left(flow.incoming_window, seen, self.next_outgoing_id);
    }

    /// A transfer frame came.
    pub(super) fn received(&mut self) -> Result<(), Violation> {
        if self.left == 0 {
            return Err(Violation::new(
                condition::WINDOW_VIOLATION,
                "more transfers came than the session's window allows",
            ));
        }
        self.left -= 1;
        self.next_incoming_id = self.next_incoming_id.wrapping_add(1);
        Ok(())
    }

    /// A delivery begins: its number must be a new one.
    pub(super) fn delivery(&mut self, id: u32) -> Result<(), Violation> {
        if let Some(last) = self.last_delivery
            && serial::ahead(last, id).is_none_or(|by| by == 0)
        {
            let what = format!("delivery {id} comes after delivery {last}");
            return Err(Violation::new(condition::INVALID_FIELD, what));
        }
        self.last_delivery = Some(id);
        Ok(())
    }

    /// A delivery passes that nobody looks at.
    pub(super) fn passed(&mut self, id: Option<u32>) {
        if let Some(id) = id {
            _ = self.delivery(id);
        }
    }

    /// A transfer frame was written.
    pub(super) fn sent_frame(&mut self) {
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
        self.remote_window = self.remote_window.saturating_sub(1);
    }

    /// Takes a number for a delivery of the link with this serial.
    pub(super) fn begin_delivery(&mut self, link: u32, settled: bool) -> u32 {
        let id = self.next_delivery;
        self.next_delivery = id.wrapping_add(1);
        self.unsettled.push_back((!settled).then_some(link));
        self.open += u32::from(!settled);
        self.trim();
        id
    }

    /// Deliveries without an outcome.
    pub(super) fn unsettled(&self) -> u32 {
        self.open
    }

    /// Numbers from the oldest delivery without an outcome to the newest delivery; what the books take room for.
    pub(super) fn span(&self) -> usize {
        self.unsettled.len()
    }

    /// The peer speaks of deliveries `first..=last`: those of them that have had no outcome yet, as ranges.
    pub(super) fn settle(&mut self, first: u32, last: u32, mut each: impl FnMut(u32, u32)) {
        // Numbers of the peer's choice: what lies outside of our books is left out before anything is walked.
        let newest = self.first.wrapping_add(self.unsettled.len() as u32);
        let from = serial::ahead(self.first, first).unwrap_or(0) as usize;
        let Some(to) = serial::ahead(self.first, last) else {
            return;
        };
        if serial::ahead(first, last).is_none() || serial::ahead(first, newest).is_none_or(|by| by == 0) {
            return;
        }
        let to = (to as usize).saturating_add(1).min(self.unsettled.len());
        let mut run: Option<(u32, u32)> = None;
        for (index, entry) in self.unsettled.iter_mut().enumerate().take(to).skip(from) {
            if entry.take().is_none() {
                if let Some((a, b)) = run.take() {
                    each(a, b);
                }
                continue;
            }
            self.open -= 1;
            let id = self.first.wrapping_add(index as u32);
            run = Some((run.map_or(id, |(a, _)| a), id));
        }
        if let Some((a, b)) = run {
            each(a, b);
        }
        self.trim();
    }

    /// Waits no longer for this delivery's outcome; whether it did.
    pub(super) fn give_up(&mut self, id: u32) -> bool {
        let mut found = false;
        self.settle(id, id, |_, _| found = true);
        found
    }

    /// The link has ended: its deliveries will have no outcome.
    pub(super) fn forget(&mut self, link: u32) {
        for entry in &mut self.unsettled {
            if *entry == Some(link) {
                *entry = None;
                self.open -= 1;
            }
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.unsettled.front() == Some(&None) {
            self.unsettled.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

/// Our own sending is bounded by the peer's window and by `max_unsettled`, not by this one.
const OUTGOING: u32 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(session: &mut Session, first: u32, last: u32) -> Vec<(u32, u32)> {
        let mut said = Vec::new();
        session.settle(first, last, |a, b| said.push((a, b)));
        said
    }

    fn with_deliveries(count: u32) -> Session {
        let mut session = Session::new(10);
        (0..count).for_each(|_| _ = session.begin_delivery(1, false));
        session
    }

    #[test]
    fn each_delivery_is_settled_once_and_only_if_it_was_sent() {
        let mut session = with_deliveries(10);
        assert_eq!(settle(&mut session, 2, 4), [(2, 4)]);
        assert_eq!(settle(&mut session, 0, 5), [(0, 1), (5, 5)]);
        assert_eq!(settle(&mut session, 0, 5), []);
        assert_eq!(settle(&mut session, 8, 4_000_000), [(8, 9)]);
        assert_eq!((session.unsettled(), session.span()), (2, 4));
        assert_eq!(settle(&mut session, u32::MAX, 6), [(6, 6)]);
        assert_eq!(settle(&mut session, 0, u32::MAX), []);
        assert_eq!(settle(&mut session, 9, 3), []);
        assert_eq!(settle(&mut session, 7, 7), [(7, 7)]);
        assert_eq!((session.unsettled(), session.span()), (0, 0));
        assert_eq!(settle(&mut session, 10, 11), [], "not sent yet");
    }

    #[test]
    fn numbers_go_round() {
        let mut session = Session::new(10);
        session.next_delivery = u32::MAX;
        session.first = u32::MAX;
        (0..3).for_each(|_| _ = session.begin_delivery(1, false));
        assert_eq!(settle(&mut session, u32::MAX, 1), [(u32::MAX, 1)]);
        assert_eq!((session.first, session.span()), (2, 0));
    }

    #[test]
    fn a_link_that_ended_leaves_no_deliveries() {
        let mut session = Session::new(10);
        for link in [1, 2, 1] {
            session.begin_delivery(link, false);
        }
        session.begin_delivery(1, true);
        session.forget(1);
        assert_eq!(session.unsettled(), 1);
        assert_eq!(settle(&mut session, 0, 3), [(1, 1)]);
        assert_eq!(session.span(), 0);
    }
}
