//! The links to the addresses of one destination: which there are, what waits for them, what is on its way.
//!
//! Owns: the waiting lines, and the books of deliveries without an outcome. A fixed address has one link, for ever; of
//! a template at most `LINKS_MAX` are open, and the one that was idle longest makes room.
//! Invariants: a ticket is in one place, a waiting line or the books; deliveries are numbered in the order of their
//! sending, so that the books are a queue.
//! Does not know: batches (`flight`), why something failed (`outcome`).

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;
use weft_api::egress::Ticket;
use weft_api::outcome::SendError;

/// Most addresses that are open at a time.
const LINKS_MAX: usize = 256;

/// Where a link stands.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// There is none, and none was refused.
    Absent,
    /// Asked for, then.
    Attaching(Instant),
    /// Ready to send, messages of at most so many bytes.
    Up {
        /// The broker's max-message-size.
        message_max: Option<u64>,
    },
    /// Refused then, and why.
    Refused(Instant, SendError),
}

/// One address.
pub(super) struct Link {
    pub(super) address: Box<str>,
    pub(super) state: State,
    /// What is not sent yet, with the time since when.
    pub(super) waiting: VecDeque<(Ticket, Instant)>,
    /// Deliveries without an outcome.
    pub(super) unsettled: usize,
    /// When it was last sent by, or found.
    pub(super) used: Instant,
}

/// A delivery without an outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) ticket: Ticket,
    /// Its link's token.
    pub(super) link: usize,
    pub(super) at: Instant,
}

/// All links and all that is on its way.
#[derive(Default)]
pub(super) struct Links {
    links: Vec<Option<Link>>,
    by_address: HashMap<Box<str>, usize>,
    /// The delivery number of the first entry of `sent`.
    first: u32,
    sent: VecDeque<Option<Sent>>,
}

impl Links {
    /// The link's token; a new one where the address has none. Also gives the token of a link that had to make room.
    pub(super) fn find(&mut self, address: &str, now: Instant) -> Option<(usize, Option<usize>)> {
        if let Some(&token) = self.by_address.get(address) {
            return Some((token, None));
        }
        let evicted = if self.by_address.len() >= LINKS_MAX {
            Some(self.evict()?)
        } else {
            None
        };
        let free = self.links.iter().position(Option::is_none);
        let token = free.unwrap_or_else(|| {
            self.links.push(None);
            self.links.len() - 1
        });
        self.links[token] = Some(Link {
            address: address.into(),
            state: State::Absent,
            waiting: VecDeque::new(),
            unsettled: 0,
            used: now,
        });
        self.by_address.insert(address.into(), token);
        Some((token, evicted))
    }

    /// Takes the idle link out that was used longest ago; `None` while all are in use.
    fn evict(&mut self) -> Option<usize> {
        let idle = |link: &Link| link.waiting.is_empty() && link.unsettled == 0;
        let token = (0..self.links.len())
            .filter(|token| self.links[*token].as_ref().is_some_and(idle))
            .min_by_key(|token| self.links[*token].as_ref().map(|link| link.used))?;
        let link = self.links[token].take()?;
        self.by_address.remove(&link.address);
        Some(token)
    }

    pub(super) fn get(&mut self, token: usize) -> Option<&mut Link> {
        self.links.get_mut(token)?.as_mut()
    }

    /// Tokens of all links.
    pub(super) fn tokens(&self) -> impl Iterator<Item = usize> + use<> {
        let open: Vec<usize> = (0..self.links.len())
            .filter(|token| self.links[*token].is_some())
            .collect();
        open.into_iter()
    }

    /// A delivery was sent; numbers follow each other on one connection.
    pub(super) fn sent(&mut self, delivery: u32, sent: Sent) {
        if self.sent.is_empty() {
            self.first = delivery;
        }
        debug_assert_eq!(self.first.wrapping_add(self.sent.len() as u32), delivery);
        self.sent.push_back(Some(sent));
        if let Some(link) = self.get(sent.link) {
            link.unsettled += 1;
            link.used = sent.at;
        }
    }

    /// The books' entry of a delivery, taken out; `None` where it has had its outcome.
    pub(super) fn take(&mut self, delivery: u32) -> Option<Sent> {
        let index = delivery.wrapping_sub(self.first) as usize;
        let sent = self.sent.get_mut(index)?.take()?;
        self.settled(sent);
        Some(sent)
    }

    fn settled(&mut self, sent: Sent) {
        if let Some(link) = self.get(sent.link) {
            link.unsettled = link.unsettled.saturating_sub(1);
        }
    }

    /// Forgets the settled head of the books.
    pub(super) fn trim(&mut self) {
        while let Some(None) = self.sent.front() {
            self.sent.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Takes out everything that was sent before `then`, with its delivery number.
    pub(super) fn overdue(&mut self, then: Instant, mut late: impl FnMut(u32, Sent)) {
        for index in 0..self.sent.len() {
            match self.sent[index] {
                Some(sent) if sent.at > then => break,
                Some(sent) => {
                    self.sent[index] = None;
                    self.settled(sent);
                    late(self.first.wrapping_add(index as u32), sent);
                }
                None => {}
            }
        }
        self.trim();
    }

    /// Takes out everything that was sent on a link, or on all of them.
    pub(super) fn abandon(&mut self, link: Option<usize>, mut lost: impl FnMut(Sent)) {
        for index in 0..self.sent.len() {
            if let Some(sent) = self.sent[index]
                && link.is_none_or(|link| link == sent.link)
            {
                self.sent[index] = None;
                self.settled(sent);
                lost(sent);
            }
        }
        self.trim();
    }

    /// The connection is gone: links are absent, numbers begin anew. All that was sent is abandoned before.
    pub(super) fn reset(&mut self) {
        self.sent.clear();
        for link in self.links.iter_mut().flatten() {
            link.state = State::Absent;
            link.unsettled = 0;
        }
    }

    /// How many deliveries have no outcome.
    pub(super) fn unsettled(&self) -> usize {
        self.sent.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use weft_api::egress::{Batch, BatchSink, Flights};
    use weft_api::event::{Event, EventBuilder};

    use super::*;

    struct Nobody;

    impl BatchSink for Nobody {
        fn accept(&mut self, _: &[u32]) -> usize {
            0
        }
        fn accept_rest(&mut self) {}
        fn fail(&mut self, _: u32, _: &[Event], _: SendError) -> usize {
            0
        }
        fn abandon(&mut self, _: &[Event]) {}
    }

    fn tickets(count: usize) -> Vec<Ticket> {
        let mut builder = EventBuilder::new();
        let events = (0..count).map(|_| builder.id("1").source("/s").ty("t").build().unwrap());
        let batch = Batch::new(events.collect(), Box::new(Nobody));
        let mut flights = Flights::default();
        let slot = flights.begin(batch);
        std::iter::from_fn(|| {
            let (ticket, _) = flights.next(slot)?;
            flights.handed(slot);
            Some(ticket)
        })
        .collect()
    }

    fn books(links: &mut Links, count: usize, now: Instant) -> Vec<Ticket> {
        let (link, _) = links.find("a", now).unwrap();
        let tickets = tickets(count);
        for (index, ticket) in tickets.iter().enumerate() {
            let sent = Sent {
                ticket: *ticket,
                link,
                at: now + Duration::from_secs(index as u64),
            };
            links.sent((u32::MAX - 1).wrapping_add(index as u32), sent);
        }
        tickets
    }

    #[test]
    fn each_delivery_is_answered_once_whatever_the_order() {
        let mut links = Links::default();
        let tickets = books(&mut links, 4, Instant::now());
        for (delivery, index) in [(0, 2), (u32::MAX, 1), (u32::MAX - 1, 0)] {
            assert_eq!(links.take(delivery).unwrap().ticket, tickets[index]);
            assert!(links.take(delivery).is_none());
            links.trim();
        }
        assert_eq!(links.unsettled(), 1);
        assert!(links.take(7).is_none());
        assert_eq!(links.take(1).unwrap().ticket, tickets[3]);
        assert_eq!(links.get(0).unwrap().unsettled, 0);
    }

    #[test]
    fn what_was_sent_too_long_ago_is_late_and_the_rest_is_not() {
        let mut links = Links::default();
        let now = Instant::now();
        let tickets = books(&mut links, 4, now);
        links.take(u32::MAX);
        let mut late = Vec::new();
        links.overdue(now + Duration::from_secs(2), |delivery, sent| {
            late.push((delivery, sent.ticket))
        });
        assert_eq!(late, [(u32::MAX - 1, tickets[0]), (0, tickets[2])]);
        assert_eq!(links.unsettled(), 1);
    }

    #[test]
    fn an_idle_link_makes_room_and_a_busy_one_does_not() {
        let mut links = Links::default();
        let now = Instant::now();
        for number in 0..LINKS_MAX {
            let (token, evicted) = links
                .find(&number.to_string(), now + Duration::from_secs(number as u64))
                .unwrap();
            assert_eq!((token, evicted), (number, None));
            links.get(token).unwrap().waiting.push_back((tickets(1)[0], now));
        }
        assert!(links.find("more", now).is_none());
        links.get(5).unwrap().waiting.clear();
        links.get(3).unwrap().waiting.clear();
        assert_eq!(links.find("more", now), Some((3, Some(3))));
        links.get(3).unwrap().waiting.push_back((tickets(1)[0], now));
        assert_eq!(links.find("3", now), Some((5, Some(5))));
    }
}
