//! The books of a backlog: for each key, how far its sender was promised, and how far its receiver is. A key has one
//! sender with one request at a time, so that its events have an order: whatever comes must be the next one, or one that
//! came before. It knows no protocol.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Digits of a key and of a sequence in an id.
const KEY: usize = 4;
const SEQUENCE: usize = 8;
/// The length of every id.
pub const ID_BYTES: usize = KEY + SEQUENCE;

/// See the module. Shared by all threads of a run.
pub struct Keys {
    keys: Vec<Key>,
    /// Events that were promised, over all keys.
    pub promised: AtomicU64,
    /// Events that arrived for the first time.
    pub arrived: AtomicU64,
    /// Arrivals of what had arrived.
    pub repeated: AtomicU64,
    /// Arrivals that passed an event of their key: each is a loss, or a fault of the order.
    pub passed: AtomicU64,
    /// Arrivals that nobody sent.
    pub foreign: AtomicU64,
    /// Requests that were refused.
    pub refused: AtomicU64,
    /// Requests whose fate is not known.
    pub unknown: AtomicU64,
}

#[derive(Default)]
struct Key {
    promised: AtomicU64,
    next: AtomicU64,
}

impl Keys {
    /// Empty books.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        Self {
            keys: (0..keys).map(|_| Key::default()).collect(),
            promised: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The sequence of a key's next event.
    #[must_use]
    pub fn next(&self, key: usize) -> u64 {
        self.keys[key].promised.load(Relaxed)
    }

    /// The event with this sequence is promised.
    pub fn promise(&self, key: usize, sequence: u64) {
        self.keys[key].promised.store(sequence + 1, Relaxed);
        self.promised.fetch_add(1, Relaxed);
    }

    /// An event has arrived.
    pub fn arrive(&self, id: &[u8]) {
        let Some((key, sequence)) = parse(id).and_then(|(key, n)| Some((self.keys.get(key)?, n))) else {
            self.foreign.fetch_add(1, Relaxed);
            return;
        };
        let next = key.next.load(Relaxed);
        if sequence < next {
            self.repeated.fetch_add(1, Relaxed);
            return;
        }
        self.passed.fetch_add(u64::from(sequence > next), Relaxed);
        key.next.store(sequence + 1, Relaxed);
        self.arrived.fetch_add(1, Relaxed);
    }

    /// Promised events that have not arrived, where nothing was passed.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let of = |key: &Key| key.promised.load(Relaxed).saturating_sub(key.next.load(Relaxed));
        self.keys.iter().map(of).sum()
    }
}

/// The id of an event.
#[must_use]
pub fn id(key: usize, sequence: u64) -> String {
    format!("{key:0KEY$}{sequence:0SEQUENCE$}")
}

fn parse(id: &[u8]) -> Option<(usize, u64)> {
    let id = std::str::from_utf8(id).ok().filter(|id| id.len() == ID_BYTES)?;
    Some((id.get(..KEY)?.parse().ok()?, id.get(KEY..)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_another_is_seen_and_what_comes_again_is_told_apart() {
        let keys = Keys::new(2);
        for sequence in 0..3 {
            assert_eq!(keys.next(1), sequence);
            keys.promise(1, sequence);
        }
        keys.arrive(id(1, 0).as_bytes());
        keys.arrive(id(1, 0).as_bytes());
        assert_eq!(keys.missing(), 2);
        keys.arrive(id(1, 2).as_bytes());
        keys.arrive(id(2, 0).as_bytes());
        keys.arrive(b"0001");
        let of = |count: &AtomicU64| count.load(Relaxed);
        assert_eq!((of(&keys.arrived), of(&keys.repeated)), (2, 1));
        assert_eq!((of(&keys.passed), of(&keys.foreign), keys.missing()), (1, 2, 0));
    }
}
