//! Bytes that wait for the driver to write them.
//!
//! Invariants: what was written is given back while the rest still waits, so that a connection that never comes to rest
//! keeps no more than what is unwritten; a peer that sends and never reads cannot make answers pile up.

use super::connection::CHANNEL;
use crate::frame;
use crate::performative::{Encode, Transfer};

/// So many bytes may wait before senders are told to wait.
pub(super) const OUTPUT_MAX: usize = 1 << 20;
/// So many bytes of anything but messages may wait before the peer is given up: some hundred thousand answers.
const ANSWERS_MAX: usize = 8 << 20;
/// So much room is kept once everything is written and little has come for a while.
const ROOM: usize = OUTPUT_MAX / 4;
/// So much room is kept in any case.
const ROOM_MAX: usize = 4 * OUTPUT_MAX;
/// So often everything has to be written, and it was little, before room is given back: giving it back each time costs more
/// than all else about a large message.
const CALM: u32 = 16;
/// Written bytes are given back in pieces of at least this, and of at least half of what is there.
const PIECE: usize = 64 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// What of `bytes` is written.
    written: usize,
    /// An upper bound of what waits and is no message.
    answers: usize,
    /// How often in a row little was written.
    calm: u32,
}

impl Output {
    pub(super) fn waiting(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn written(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes).min(self.bytes.len());
        if self.is_empty() {
            self.calm = if self.bytes.len() > ROOM { 0 } else { self.calm + 1 };
            self.bytes.clear();
            self.written = 0;
            self.give_back();
        } else if self.written >= PIECE.max(self.bytes.len() / 2) {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        self.answers = self.answers.min(self.len());
    }

    /// Gives room back that is no longer needed.
    fn give_back(&mut self) {
        if self.calm >= CALM {
            self.calm = 0;
            self.bytes.shrink_to(ROOM);
        } else {
            self.bytes.shrink_to(ROOM_MAX);
        }
    }

    /// The peer does not read what it makes us say.
    pub(super) fn is_unread(&self) -> bool {
        self.answers > ANSWERS_MAX
    }

    /// Room for anything that is no message.
    pub(super) fn answer(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.answers += self.bytes.len() - before;
    }

    pub(super) fn write(&mut self, performative: &impl Encode) {
        self.answer(|bytes| frame::write(bytes, CHANNEL, performative));
    }

    /// One frame of a message; how many bytes of it that took.
    pub(super) fn transfer(&mut self, transfer: &Transfer, payload: &[u8], frame_max: u32) -> usize {
        frame::write_transfer(&mut self.bytes, CHANNEL, transfer, payload, frame_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_never_rests_keeps_only_what_is_unwritten() {
        let mut output = Output::default();
        let mut expected = 0u8;
        for round in 0..10_000u32 {
            output.answer(|bytes| bytes.extend((0..1000).map(|i| (round * 1000 + i) as u8)));
            // One byte more always waits.
            let take = output.len() - 1;
            for byte in output.waiting().iter().take(take) {
                assert_eq!(*byte, expected);
                expected = expected.wrapping_add(1);
            }
            output.written(take);
        }
        assert!(output.bytes.capacity() < 4 * PIECE, "{}", output.bytes.capacity());
    }

    #[test]
    fn room_is_kept_while_it_is_used_and_given_back_after() {
        let mut output = Output::default();
        let burst = |output: &mut Output, bytes: usize| {
            output.answer(|out| out.resize(bytes, 0));
            output.written(bytes);
            output.bytes.capacity()
        };
        assert!(burst(&mut output, 20 << 20) <= ROOM_MAX);
        assert!((0..100).all(|_| burst(&mut output, 1 << 20) >= 1 << 20));
        assert!((1..CALM).all(|_| burst(&mut output, 10) >= 1 << 20));
        assert!(burst(&mut output, 10) <= ROOM);
    }

    #[test]
    fn answers_that_are_read_are_not_counted() {
        let mut output = Output::default();
        for _ in 0..20 {
            output.answer(|bytes| bytes.extend_from_slice(&[0; 1 << 20]));
            assert!(!output.is_unread());
            output.written(1 << 20);
        }
        for _ in 0..8 {
            output.answer(|bytes| bytes.extend_from_slice(&[0; 1 << 20]));
        }
        assert!(!output.is_unread());
        output.answer(|bytes| bytes.push(0));
        assert!(output.is_unread());
        output.written(usize::MAX);
        assert!(output.is_empty() && !output.is_unread());
    }
}
