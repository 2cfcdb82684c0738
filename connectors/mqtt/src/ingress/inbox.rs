//! What one session has received and not acknowledged: the receiver's side of QoS 1 and 2 (5.0, 4.3).
//!
//! Invariants: acknowledgements go out in the order in which the messages came, and only for messages of this very connection
//! (C7): an identifier of an earlier connection is never acknowledged, since the broker may mean another message by it. What
//! was recorded (PUBREC) is kept beyond the connection until the broker releases it, and a message is taken for a repetition of it
//! only if it says so itself (DUP).
//! Bounded: by the lane's credit, since nothing is read past it; what is recorded by the 65,535 identifiers. A broker that sends past
//! Receive Maximum is borne: Mosquitto 2.0.11 does, and what it sends too much waits in the socket.
//! Does not know: events, lanes, sockets.

use std::collections::{HashMap, VecDeque};

use weft_api::outcome::{Outcome, Reason};

use crate::client::wire::{ack, kind};
use crate::config::Version;

/// A message of QoS 2 between its PUBLISH and its PUBCOMP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exact {
    /// Delivered to the lane; PUBREC follows at the ack point.
    Held,
    /// PUBREC is sent.
    Recorded,
    /// PUBREC was sent on an earlier connection.
    Remembered,
}

/// What to do with a PUBLISH.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// It is new: deliver it, then say [`Inbox::delivered`].
    New,
    /// It has been delivered before, and is answered for.
    Repeated,
}

/// The messages of one session.
#[derive(Debug)]
pub(super) struct Inbox {
    version: Version,
    /// Delivered and not settled, in their order.
    waiting: VecDeque<(u16, u8)>,
    exact: HashMap<u16, Exact>,
}

impl Inbox {
    pub(super) fn new(version: Version) -> Inbox {
        Inbox {
            version,
            waiting: VecDeque::new(),
            exact: HashMap::new(),
        }
    }

    /// How many are delivered and not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.waiting.len()
    }

    /// A message of QoS 1 or 2 came.
    pub(super) fn arrived(&mut self, id: u16, qos: u8, dup: bool, out: &mut Vec<u8>) -> Arrival {
        if qos == 2 {
            match self.exact.get(&id) {
                // Its PUBREC is still to come.
                Some(Exact::Held) => return Arrival::Repeated,
                Some(Exact::Recorded) => return self.record_again(id, out),
                Some(Exact::Remembered) if dup => return self.record_again(id, out),
                // The broker means another message by this identifier: it forgot the one before.
                Some(Exact::Remembered) => _ = self.exact.remove(&id),
                None => {}
            }
        }
        Arrival::New
    }

    fn record_again(&mut self, id: u16, out: &mut Vec<u8>) -> Arrival {
        self.exact.insert(id, Exact::Recorded);
        ack::encode(out, self.version, kind::PUBREC, id, 0);
        Arrival::Repeated
    }

    /// It is in the lane now, behind all that came before.
    pub(super) fn delivered(&mut self, id: u16, qos: u8) {
        self.waiting.push_back((id, qos));
        if qos == 2 {
            self.exact.insert(id, Exact::Held);
        }
    }

    /// The oldest `count` are settled: acknowledges them.
    pub(super) fn settled(&mut self, count: u64, outcome: Outcome, out: &mut Vec<u8>) {
        let code = code(outcome);
        for _ in 0..count {
            let Some((id, qos)) = self.waiting.pop_front() else {
                return;
            };
            if qos == 1 {
                ack::encode(out, self.version, kind::PUBACK, id, code);
                continue;
            }
            ack::encode(out, self.version, kind::PUBREC, id, code);
            // With an error code the message is over; 3.1.1 has no such code.
            if code == 0 || self.version == Version::V3 {
                self.exact.insert(id, Exact::Recorded);
            } else {
                self.exact.remove(&id);
            }
        }
    }

    /// PUBREL: the broker has forgotten the message, and so do we.
    pub(super) fn released(&mut self, id: u16, out: &mut Vec<u8>) {
        let known = match self.exact.get(&id) {
            // A release of what we have not recorded: it stays as it is.
            Some(Exact::Held) => return,
            Some(Exact::Recorded | Exact::Remembered) => self.exact.remove(&id).is_some(),
            None => false,
        };
        // "Packet identifier not found": usual after a restart of ours, and no error.
        let code = if known { 0 } else { 0x92 };
        ack::encode(out, self.version, kind::PUBCOMP, id, code);
    }

    /// The connection is over: what was not acknowledged will come again.
    pub(super) fn lost(&mut self) {
        self.waiting.clear();
        self.exact.retain(|_, state| {
            let recorded = *state != Exact::Held;
            *state = Exact::Remembered;
            recorded
        });
    }

    /// A new connection; without a session the broker knows nothing of what was recorded.
    pub(super) fn resumed(&mut self, session_present: bool) {
        if !session_present {
            self.exact.clear();
        }
    }
}

/// The reason code of an outcome; one with an error completes the message all the same, so it is only said of what the user wrote to be
/// dropped.
fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Rejected(reason) => match reason {
            Reason::Malformed => 0x99,
            Reason::Unauthorised => 0x87,
            Reason::TooLarge | Reason::Overloaded => 0x97,
            _ => 0x83,
        },
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(version: Version) -> (Inbox, Vec<u8>) {
        (Inbox::new(version), Vec::new())
    }

    fn deliver(inbox: &mut Inbox, id: u16, qos: u8) {
        let mut out = Vec::new();
        assert_eq!(inbox.arrived(id, qos, false, &mut out), Arrival::New);
        inbox.delivered(id, qos);
        assert!(out.is_empty());
    }

    #[test]
    fn acknowledgements_go_out_in_the_order_of_receipt() {
        let (mut inbox, mut out) = inbox(Version::V5);
        for (id, qos) in [(7, 1), (3, 2), (5, 1)] {
            deliver(&mut inbox, id, qos);
        }
        inbox.settled(2, Outcome::Accepted, &mut out);
        assert_eq!(out, [0x40, 2, 0, 7, 0x50, 2, 0, 3]);
        out.clear();
        inbox.settled(5, Outcome::Accepted, &mut out);
        assert_eq!(out, [0x40, 2, 0, 5]);
        assert_eq!(inbox.unsettled(), 0);
    }

    #[test]
    fn nothing_of_an_earlier_connection_is_acknowledged() {
        let (mut inbox, mut out) = inbox(Version::V5);
        deliver(&mut inbox, 1, 1);
        deliver(&mut inbox, 2, 2);
        inbox.lost();
        inbox.resumed(true);
        inbox.settled(2, Outcome::Accepted, &mut out);
        assert!(out.is_empty());
        // Both come again, and are new.
        deliver(&mut inbox, 1, 1);
        deliver(&mut inbox, 2, 2);
    }

    #[test]
    fn a_message_of_qos_2_is_delivered_once_until_it_is_released() {
        let (mut inbox, mut out) = inbox(Version::V3);
        deliver(&mut inbox, 9, 2);
        assert_eq!(inbox.arrived(9, 2, true, &mut out), Arrival::Repeated);
        assert!(out.is_empty(), "its PUBREC comes at the ack point");
        inbox.settled(1, Outcome::Accepted, &mut out);
        assert_eq!(inbox.arrived(9, 2, true, &mut out), Arrival::Repeated);
        assert_eq!(out, [0x50, 2, 0, 9, 0x50, 2, 0, 9]);
        out.clear();
        inbox.released(9, &mut out);
        assert_eq!(out, [0x70, 2, 0, 9]);
        deliver(&mut inbox, 9, 2);
    }

    #[test]
    fn what_was_recorded_outlives_the_connection_but_not_the_session() {
        let (mut inbox, mut out) = inbox(Version::V5);
        for id in [1, 2, 3] {
            deliver(&mut inbox, id, 2);
        }
        inbox.settled(3, Outcome::Accepted, &mut out);
        inbox.lost();
        inbox.resumed(true);
        out.clear();
        assert_eq!(inbox.arrived(1, 2, true, &mut out), Arrival::Repeated);
        assert_eq!(out, [0x50, 2, 0, 1]);
        // Without DUP it is another message, whatever its identifier was before.
        deliver(&mut inbox, 2, 2);
        inbox.lost();
        inbox.resumed(false);
        deliver(&mut inbox, 3, 2);
    }

    #[test]
    fn a_release_of_what_nobody_knows_is_completed_and_says_so() {
        let (mut inbox, mut out) = inbox(Version::V5);
        inbox.released(4, &mut out);
        assert_eq!(out, [0x70, 3, 0, 4, 0x92]);
        out.clear();
        deliver(&mut inbox, 4, 2);
        inbox.released(4, &mut out);
        assert!(out.is_empty(), "what is not recorded is not completed");
    }

    #[test]
    fn a_refusal_is_said_where_the_protocol_can_and_completes_the_message() {
        for (version, expected) in [
            (Version::V5, vec![0x40, 3, 0, 1, 0x99, 0x50, 3, 0, 2, 0x99]),
            (Version::V3, vec![0x40, 2, 0, 1, 0x50, 2, 0, 2]),
        ] {
            let (mut inbox, mut out) = inbox(version);
            deliver(&mut inbox, 1, 1);
            deliver(&mut inbox, 2, 2);
            inbox.settled(2, Outcome::Rejected(Reason::Malformed), &mut out);
            assert_eq!(out, expected, "{version}");
        }
    }
}
