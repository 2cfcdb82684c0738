//! What was sent and is not confirmed: the sender's side of QoS 1 and 2 (5.0, 4.3), by packet identifier.
//!
//! Invariants: an identifier is used again only when the broker is done with it, even if nobody waits for its message any more; a
//! message of QoS 2 whose fate nobody waits for is released at the next chance, so that its identifier can never make the broker take
//! another message for a repetition. In flight are at most as many as the broker takes, and as the file allows.
//! Does not know: events, sockets, what a reason code means.

use std::time::Duration;

use tokio::time::Instant;
use weft_api::egress::Ticket;

use crate::client::wire::ack::{self, Ack};
use crate::client::wire::{Fault, kind};
use crate::config::Version;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Free,
    /// PUBLISH is sent.
    Sent,
    /// QoS 2: PUBREL is sent.
    Releasing,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    phase: Phase,
    /// Nobody waits where there is none.
    ticket: Option<Ticket>,
    since: Instant,
    /// Its place in the order of sending.
    number: u64,
}

/// What the broker said of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Confirmed<'a> {
    pub(super) ticket: Ticket,
    /// Reason Code.
    pub(super) code: u8,
    pub(super) words: Option<&'a str>,
}

/// What is to be sent again after a reconnect within the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Again {
    pub(super) id: u16,
    /// The message; `None`: only its release.
    pub(super) ticket: Option<Ticket>,
}

pub(super) struct Outbox {
    version: Version,
    /// Identifier 1 stands first.
    entries: Vec<Entry>,
    free: Vec<u16>,
    limit: u16,
    /// Entries that nobody waits for.
    orphans: usize,
    sent: u64,
}

impl Outbox {
    pub(super) fn new(version: Version) -> Outbox {
        Outbox {
            version,
            entries: Vec::new(),
            free: Vec::new(),
            limit: 0,
            orphans: 0,
            sent: 0,
        }
    }

    /// How many may be in flight from now on.
    pub(super) fn allow(&mut self, limit: u16) {
        self.limit = limit.max(1);
        let limit = usize::from(self.limit);
        let nothing = Entry {
            phase: Phase::Free,
            ticket: None,
            since: Instant::now(),
            number: 0,
        };
        if self.entries.len() < limit {
            self.entries.resize(limit, nothing);
        }
        let free = self.entries.iter().zip(1..=u16::MAX).take(limit);
        let free = free
            .filter(|(entry, _)| entry.phase == Phase::Free)
            .map(|(_, id)| id);
        self.free = free.collect();
        // The lowest are used first.
        self.free.reverse();
    }

    /// Whether another may be sent.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// How many the broker is not done with.
    pub(super) fn in_flight(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.phase != Phase::Free)
            .count()
    }

    /// How many of them nobody waits for.
    pub(super) fn orphans(&self) -> usize {
        self.orphans
    }

    /// An identifier for a message that is sent now.
    pub(super) fn send(&mut self, ticket: Ticket, now: Instant) -> Option<u16> {
        let id = self.free.pop()?;
        self.sent += 1;
        let number = self.sent;
        let entry = self.entry(id)?;
        *entry = Entry {
            phase: Phase::Sent,
            ticket: Some(ticket),
            since: now,
            number,
        };
        Some(id)
    }

    /// PUBACK, PUBREC or PUBCOMP. `None`: it goes on, or nobody waits.
    ///
    /// # Errors
    /// The broker speaks of a message that there is not.
    pub(super) fn answered<'a>(
        &mut self,
        kind: u8,
        ack: &Ack<'a>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Confirmed<'a>>, Fault> {
        let (version, id) = (self.version, ack.id);
        let unknown = Fault::Protocol("it speaks of a message that was not sent");
        let entry = self.entry(id).ok_or(unknown)?;
        match (entry.phase, kind) {
            (Phase::Free, _) => return Err(unknown),
            (_, kind::PUBREC) if ack.code < 0x80 => {
                entry.phase = Phase::Releasing;
                ack::encode(out, version, kind::PUBREL, id, 0);
                return Ok(None);
            }
            (Phase::Sent, kind::PUBCOMP) => {
                return Err(Fault::Protocol("it completes what it has not recorded"));
            }
            (Phase::Sent, _) | (Phase::Releasing, kind::PUBREC) => {}
            // Whatever it says now: it had recorded the message.
            (Phase::Releasing, kind::PUBCOMP) => {
                return Ok(self.done(id).map(|ticket| Confirmed {
                    ticket,
                    code: 0,
                    words: None,
                }));
            }
            (Phase::Releasing, _) => return Err(Fault::Protocol("PUBACK for a message of QoS 2")),
        }
        Ok(self.done(id).map(|ticket| Confirmed {
            ticket,
            code: ack.code,
            words: ack.reason,
        }))
    }

    /// Messages that have waited for longer than `timeout`: nobody waits for them any more.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration, late: &mut Vec<Ticket>) {
        for entry in &mut self.entries {
            if entry.phase != Phase::Free
                && now.duration_since(entry.since) >= timeout
                && let Some(ticket) = entry.ticket.take()
            {
                self.orphans += 1;
                late.push(ticket);
            }
        }
    }

    /// The session is over, and with it everything in it: hands back what somebody waits for.
    pub(super) fn forget(&mut self, lost: &mut Vec<Ticket>) {
        for entry in &mut self.entries {
            lost.extend(entry.ticket.take());
            entry.phase = Phase::Free;
        }
        self.orphans = 0;
    }

    /// The one message that somebody waits for, if it is the only one.
    pub(super) fn only(&self) -> Option<Ticket> {
        let mut waiting = self.entries.iter().filter_map(|entry| entry.ticket);
        match (waiting.next(), waiting.next()) {
            (only, None) => only,
            _ => None,
        }
    }

    /// Nobody waits any more for what is in flight; the broker is not done with it.
    pub(super) fn abandon(&mut self, lost: &mut Vec<Ticket>) {
        for entry in &mut self.entries {
            if let Some(ticket) = entry.ticket.take() {
                self.orphans += 1;
                lost.push(ticket);
            }
        }
    }

    /// The session goes on over a new connection: what to send again, in the order of the first time. Everything that nobody waits
    /// for is released.
    pub(super) fn resume(&mut self) -> Vec<Again> {
        let mut again: Vec<(u64, Again)> = Vec::new();
        for (entry, id) in self.entries.iter_mut().zip(1..=u16::MAX) {
            if entry.phase == Phase::Free {
                continue;
            }
            if entry.ticket.is_none() {
                entry.phase = Phase::Releasing;
            }
            let ticket = entry.ticket.filter(|_| entry.phase == Phase::Sent);
            again.push((entry.number, Again { id, ticket }));
        }
        again.sort_unstable_by_key(|(number, _)| *number);
        again.into_iter().map(|(_, again)| again).collect()
    }

    fn done(&mut self, id: u16) -> Option<Ticket> {
        let limit = self.limit;
        let entry = self.entry(id)?;
        entry.phase = Phase::Free;
        let ticket = entry.ticket.take();
        if id <= limit {
            self.free.push(id);
        }
        if ticket.is_none() {
            self.orphans = self.orphans.saturating_sub(1);
        }
        ticket
    }

    fn entry(&mut self, id: u16) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(id).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn outbox(limit: u16) -> Outbox {
        let mut outbox = Outbox::new(Version::V5);
        outbox.allow(limit);
        outbox
    }

    fn ticket(index: u64) -> Ticket {
        Ticket::from_bits(index)
    }

    fn send(outbox: &mut Outbox, index: u64) -> u16 {
        outbox.send(ticket(index), Instant::now()).unwrap()
    }

    fn answer(outbox: &mut Outbox, kind: u8, id: u16, code: u8) -> (Option<(u64, u8)>, Vec<u8>) {
        let mut out = Vec::new();
        let ack = Ack {
            id,
            code,
            reason: None,
        };
        let confirmed = outbox.answered(kind, &ack, &mut out).unwrap();
        (confirmed.map(|c| (c.ticket.to_bits(), c.code)), out)
    }

    #[test]
    fn a_confirmation_finds_its_event_and_frees_the_identifier() {
        let mut outbox = outbox(2);
        let (a, b) = (send(&mut outbox, 10), send(&mut outbox, 11));
        assert!(!outbox.has_room());
        assert_eq!(answer(&mut outbox, kind::PUBACK, b, 0x10).0, Some((11, 0x10)));
        assert_eq!(send(&mut outbox, 12), b);
        assert_eq!(answer(&mut outbox, kind::PUBACK, a, 0x87).0, Some((10, 0x87)));
        assert_eq!(outbox.in_flight(), 1);
    }

    #[test]
    fn qos_2_counts_at_its_completion_whatever_the_broker_says_then() {
        let mut outbox = outbox(2);
        let id = send(&mut outbox, 1);
        assert_eq!(
            answer(&mut outbox, kind::PUBREC, id, 0),
            (None, vec![0x62, 2, 0, 1])
        );
        assert_eq!(
            answer(&mut outbox, kind::PUBREC, id, 0),
            (None, vec![0x62, 2, 0, 1])
        );
        assert_eq!(
            answer(&mut outbox, kind::PUBCOMP, id, 0x92),
            (Some((1, 0)), vec![])
        );
        let id = send(&mut outbox, 2);
        assert_eq!(
            answer(&mut outbox, kind::PUBREC, id, 0x97),
            (Some((2, 0x97)), vec![])
        );
        assert_eq!(outbox.in_flight(), 0);
    }

    #[test]
    fn an_answer_to_what_was_not_sent_is_a_fault() {
        let mut outbox = outbox(2);
        send(&mut outbox, 1);
        for (kind, id) in [
            (kind::PUBACK, 2),
            (kind::PUBREC, 2),
            (kind::PUBACK, 65_535),
            (kind::PUBCOMP, 1),
            (kind::PUBCOMP, 0),
        ] {
            let ack = Ack {
                id,
                code: 0,
                reason: None,
            };
            assert!(
                outbox.answered(kind, &ack, &mut Vec::new()).is_err(),
                "{kind} {id}"
            );
        }
    }

    #[test]
    fn an_identifier_whose_event_is_late_is_not_used_again_until_the_broker_answers() {
        let mut outbox = outbox(2);
        let start = Instant::now();
        let late = outbox.send(ticket(1), start).unwrap();
        outbox.send(ticket(2), start + SECOND).unwrap();
        let mut tickets = Vec::new();
        outbox.expire(start + SECOND, SECOND, &mut tickets);
        assert_eq!(tickets, [ticket(1)]);
        assert_eq!((outbox.orphans(), outbox.has_room()), (1, false));
        assert_eq!(answer(&mut outbox, kind::PUBACK, late, 0).0, None);
        assert_eq!((outbox.orphans(), outbox.has_room()), (0, true));
    }

    #[test]
    fn a_resumed_session_sends_again_in_order_and_releases_what_nobody_waits_for() {
        let mut outbox = outbox(4);
        let start = Instant::now();
        let first = outbox.send(ticket(1), start).unwrap();
        let recorded = outbox.send(ticket(2), start + SECOND).unwrap();
        answer(&mut outbox, kind::PUBREC, recorded, 0);
        let freed = outbox.send(ticket(3), start + SECOND).unwrap();
        answer(&mut outbox, kind::PUBACK, freed, 0);
        let last = outbox.send(ticket(4), start + SECOND).unwrap();
        outbox.expire(start + SECOND, SECOND, &mut Vec::new());
        let again = outbox.resume();
        let expected = [(first, None), (recorded, None), (last, Some(ticket(4)))];
        assert_eq!(
            again.iter().map(|a| (a.id, a.ticket)).collect::<Vec<_>>(),
            expected
        );
        // The release of the one that nobody waits for frees its identifier.
        assert_eq!(answer(&mut outbox, kind::PUBCOMP, first, 0x92).0, None);
        assert_eq!(outbox.orphans(), 0);
    }

    #[test]
    fn a_forgotten_session_hands_back_everything_and_a_smaller_broker_is_honoured() {
        let mut outbox = outbox(4);
        (0..4).for_each(|index| _ = send(&mut outbox, index));
        let mut lost = Vec::new();
        outbox.forget(&mut lost);
        assert_eq!(lost.len(), 4);
        outbox.allow(2);
        assert_eq!((send(&mut outbox, 7), send(&mut outbox, 8)), (1, 2));
        assert!(!outbox.has_room());
    }
}
