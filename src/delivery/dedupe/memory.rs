//! What was confirmed, and when: a ring in the order of confirmation, and an index into it.
//!
//! 24 bytes an entry in the ring and 8 to 16 in the index, both grown as needed. Invariants
//! - The ring holds at most `max` entries; the oldest goes first.
//! - The index names the newest entry of each identity, at most half of it is taken, and it names nothing that is gone.
//!
//! A map beside a list was turned down: twice the memory. Does not know what an identity is made of.

use std::collections::VecDeque;

/// A place of the index that names nothing.
const EMPTY: u32 = u32::MAX;
/// Expired entries that go with one that comes: more than one, so that they all go in time, and few, so that nobody waits.
pub(super) const EXPIRED_PER_RECORD: usize = 8;
/// The smallest index.
const INDEX_MIN: usize = 64;

/// See the module. Times are any number that grows.
pub(super) struct Memory {
    max: usize,
    ring: VecDeque<Entry>,
    /// The number of the ring's first entry; numbers go round below [`EMPTY`].
    first: u32,
    /// Numbers of entries, by the low bits of their identity; open addressing, a power of two long.
    index: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Two halves: a whole one would be aligned to 16 bytes, and a quarter of the memory would be air.
    identity: [u64; 2],
    at: u64,
}

impl Memory {
    pub(super) fn new(max: usize) -> Memory {
        Memory {
            max: max.max(1),
            ring: VecDeque::new(),
            first: 0,
            index: vec![EMPTY; INDEX_MIN],
        }
    }

    /// As if so many entries had come and gone.
    #[cfg(test)]
    pub(super) fn start_at(&mut self, first: u32) {
        self.first = first;
    }

    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the identity was recorded after `oldest`.
    pub(super) fn contains(&self, identity: u128, oldest: u64) -> bool {
        self.find(split(identity))
            .is_some_and(|place| self.ring[self.position(self.index[place])].at > oldest)
    }

    /// Records it at `at`. Returns how many that were recorded after `oldest` are forgotten for it: one or none.
    pub(super) fn record(&mut self, identity: u128, at: u64, oldest: u64) -> u64 {
        for _ in 0..EXPIRED_PER_RECORD {
            if self.ring.front().is_none_or(|entry| entry.at > oldest) {
                break;
            }
            self.forget_first();
        }
        let early = |entry: &Entry| entry.at > oldest;
        let evicted =
            self.ring.len() >= self.max && self.ring.front().is_some_and(early) && self.forget_first();
        while self.ring.len() >= self.max {
            self.forget_first();
        }
        self.grow();
        let number = number_after(self.first, self.ring.len());
        let identity = split(identity);
        match self.find(identity) {
            // The older entry stays in the ring until its turn; nothing names it any more.
            Some(place) => self.index[place] = number,
            None => self.insert(identity, number),
        }
        self.ring.push_back(Entry { identity, at });
        u64::from(evicted)
    }

    /// Changes the bound; the newest entries stay.
    pub(super) fn resize(&mut self, max: usize) {
        if self.max == max.max(1) {
            return;
        }
        self.max = max.max(1);
        let surplus = self.ring.len().saturating_sub(self.max);
        self.ring.drain(..surplus);
        self.ring.shrink_to_fit();
        self.first = number_after(self.first, surplus);
        self.rebuild(self.ring.len());
    }

    /// Takes the oldest entry out. Returns whether it was the newest of its identity.
    fn forget_first(&mut self) -> bool {
        let Some(entry) = self.ring.front().copied() else {
            return false;
        };
        let named = self
            .find(entry.identity)
            .filter(|place| self.index[*place] == self.first);
        if let Some(place) = named {
            self.unlink(place);
        }
        self.ring.pop_front();
        self.first = number_after(self.first, 1);
        named.is_some()
    }

    /// Room for one more, in the ring up to its bound, and in the index so that half of it stays free.
    fn grow(&mut self) {
        if self.ring.len() == self.ring.capacity() {
            let more = self.ring.len().max(INDEX_MIN).min(self.max - self.ring.len());
            self.ring.reserve_exact(more.max(1));
        }
        if (self.ring.len() + 1) * 2 > self.index.len() {
            self.rebuild(self.ring.len() + 1);
        }
    }

    fn rebuild(&mut self, entries: usize) {
        self.index = vec![EMPTY; (entries * 2).next_power_of_two().max(INDEX_MIN)];
        for at in 0..self.ring.len() {
            let (identity, number) = (self.ring[at].identity, number_after(self.first, at));
            match self.find(identity) {
                Some(place) => self.index[place] = number,
                None => self.insert(identity, number),
            }
        }
    }

    /// The place of the index that names the identity.
    fn find(&self, identity: [u64; 2]) -> Option<usize> {
        let mut place = self.home(identity);
        while self.index[place] != EMPTY {
            if self.ring[self.position(self.index[place])].identity == identity {
                return Some(place);
            }
            place = self.next(place);
        }
        None
    }

    fn insert(&mut self, identity: [u64; 2], number: u32) {
        let mut place = self.home(identity);
        while self.index[place] != EMPTY {
            place = self.next(place);
        }
        self.index[place] = number;
    }

    /// Empties a place, and moves what stands behind it up, so that every search still finds its end.
    fn unlink(&mut self, place: usize) {
        let (mut hole, mut place) = (place, place);
        let distance = |from: usize, to: usize, len: usize| to.wrapping_sub(from) & (len - 1);
        loop {
            place = self.next(place);
            let number = self.index[place];
            if number == EMPTY {
                break;
            }
            let home = self.home(self.ring[self.position(number)].identity);
            let len = self.index.len();
            if distance(home, place, len) >= distance(hole, place, len) {
                self.index[hole] = number;
                hole = place;
            }
        }
        self.index[hole] = EMPTY;
    }

    fn home(&self, identity: [u64; 2]) -> usize {
        identity[0] as usize & (self.index.len() - 1)
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.index.len() - 1)
    }

    /// Where in the ring an entry stands.
    fn position(&self, number: u32) -> usize {
        let distance = u64::from(number) + u64::from(EMPTY) - u64::from(self.first);
        (distance % u64::from(EMPTY)) as usize
    }
}

/// The number of the entry that stands so many places further.
fn number_after(first: u32, places: usize) -> u32 {
    ((u64::from(first) + places as u64) % u64::from(EMPTY)) as u32
}

fn split(identity: u128) -> [u64; 2] {
    [identity as u64, (identity >> 64) as u64]
}
