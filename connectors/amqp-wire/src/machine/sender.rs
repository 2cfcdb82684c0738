//! A sending link: credit that we have.

use super::serial;
use crate::performative::Flow;

/// See the module.
#[derive(Default)]
pub(super) struct Sender {
    /// Deliveries that we sent.
    pub(super) delivery_count: u32,
    /// How many more we may send.
    pub(super) credit: u32,
    /// Somebody wanted to send and could not.
    pub(super) wants: bool,
    /// It has its place among those who have credit and wait for room.
    pub(super) waiting: bool,
    /// The link was attached to send settled.
    pub(super) settled: bool,
}

impl Sender {
    /// The peer says how much may come. Whether it wants an answer, since credit was given back.
    pub(super) fn flow(&mut self, flow: &Flow) -> bool {
        let Some(credit) = flow.link_credit else {
            return false;
        };
        // The receiver counts from where it has seen us; before its first sight, from the start.
        let seen = flow.delivery_count.unwrap_or(0);
        self.credit = serial::left(credit, seen, self.delivery_count);
        if flow.drain && self.credit > 0 {
            // What waits here is not this machine's to know; credit that is drained is given back at once.
            self.delivery_count = self.delivery_count.wrapping_add(self.credit);
            self.credit = 0;
            return true;
        }
        flow.drain
    }

    /// Whether it takes its place now among those who wait for room: without credit it is not there yet.
    pub(super) fn joins(&mut self) -> bool {
        let joins = self.wants && self.credit > 0 && !self.waiting;
        self.waiting |= joins;
        joins
    }

    /// It gives its place up: whether it wants to send and has the credit.
    pub(super) fn leaves(&mut self) -> bool {
        self.waiting = false;
        let can = self.wants && self.credit > 0;
        self.wants &= !can;
        can
    }

    /// A delivery was sent.
    pub(super) fn sent(&mut self) {
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.credit = self.credit.saturating_sub(1);
    }
}
