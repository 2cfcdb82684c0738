//! Which repetitions a destination is not sent (`dedupe:`): a copy of an event that it confirmed within the window.
//!
//! Owns: the claims of what was sent and has no fate yet, and the memory of what was confirmed. Invariants
//! - An identity enters the memory only after the remote's confirmation: a crash, a failure or a removal forgets, and to
//!   forget means to deliver again.
//! - An identity has at most one claim: while the first copy's fate is open, another waits for it.
//! - The memory is bounded; full, it loses its oldest entry, and never refuses.
//!
//! Pure: no lock, no clock, no task. Does not know: where legs wait (`queue`).

mod memory;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::time::Duration;

use tokio::time::Instant;
use weft_api::event::{Attributes, Event};

use self::memory::Memory;

#[cfg(test)]
mod tests;

/// In place of a claim: the leg was not taken yet where it is.
pub const NO_CLAIM: u32 = u32::MAX;
/// In place of a claim: the leg was taken without one, and goes without one.
pub const UNCLAIMED: u32 = u32::MAX - 1;

/// What the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DedupeSettings {
    /// The attributes that make up an event's identity; never none.
    pub by: Vec<Box<str>>,
    /// How long a delivery is remembered.
    pub window: Duration,
    /// Most deliveries that are remembered; at least 1.
    pub max_entries: u32,
}

/// What may be done with a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Send it. With an identity: nobody has sent this event within the window, and whoever does claims it.
    Send(Option<u128>),
    /// The remote has it.
    Delivered,
    /// Another copy is under way, under this claim.
    UnderWay(u32),
}

/// See the module.
pub struct Dedupe {
    settings: DedupeSettings,
    key: RandomState,
    born: Instant,
    memory: Memory,
    claims: Claims,
}

/// Identities whose fate is open. Numbers are given anew once a claim has ended.
#[derive(Default)]
struct Claims {
    identities: Vec<u128>,
    free: Vec<u32>,
    numbers: HashMap<u128, u32, BuildHasherDefault<Plain>>,
}

/// For identities, which are hashes already.
#[derive(Default)]
struct Plain(u64);

impl Dedupe {
    /// Nothing is remembered yet. The key of the hashes is drawn anew, so that nobody can know which events collide.
    #[must_use]
    pub fn new(settings: DedupeSettings, now: Instant) -> Dedupe {
        Dedupe {
            memory: Memory::new(settings.max_entries as usize),
            settings,
            key: RandomState::new(),
            born: now,
            claims: Claims::default(),
        }
    }

    /// Changes the settings. With another `by` everything is forgotten: what was remembered says nothing about it. Claims
    /// stay, since the legs that hold them do.
    pub fn configure(&mut self, settings: DedupeSettings) {
        let other = settings.by != self.settings.by;
        self.settings = settings;
        if other {
            self.forget();
        } else {
            self.memory.resize(self.settings.max_entries as usize);
        }
    }

    /// Nothing is remembered any more; claims stay.
    pub fn forget(&mut self) {
        self.memory = Memory::new(self.settings.max_entries as usize);
        // Another key: what is confirmed under an old claim must not be found under a new `by`.
        self.key = RandomState::new();
    }

    /// Looks a leg without a claim up.
    #[must_use]
    pub fn look(&self, event: &Event, now: Instant) -> Verdict {
        let Some(identity) = self.identity(event) else {
            return Verdict::Send(None);
        };
        if self.memory.contains(identity, self.oldest(now)) {
            return Verdict::Delivered;
        }
        match self.claims.numbers.get(&identity) {
            Some(claim) => Verdict::UnderWay(*claim),
            None => Verdict::Send(Some(identity)),
        }
    }

    /// The leg with this identity is sent.
    pub fn claim(&mut self, identity: u128) -> u32 {
        let Claims {
            identities,
            free,
            numbers,
        } = &mut self.claims;
        let number = free.pop().unwrap_or_else(|| {
            identities.push(identity);
            // Legs in flight are bounded by the queue, far below.
            u32::try_from(identities.len() - 1).unwrap_or(UNCLAIMED - 1)
        });
        identities[number as usize] = identity;
        numbers.insert(identity, number);
        number
    }

    /// The remote confirmed it: a claim becomes a memory. Returns how many memories had to go for it before their time.
    pub fn confirmed(&mut self, claim: u32, now: Instant) -> u64 {
        let identity = self.release(claim);
        let (at, oldest) = (self.stamp(now), self.oldest(now));
        self.memory.record(identity, at, oldest)
    }

    /// It went elsewhere, or ended: nothing is known.
    pub fn abandoned(&mut self, claim: u32) {
        self.release(claim);
    }

    /// How many deliveries are remembered, those among them whose window has passed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.len() == 0
    }

    fn release(&mut self, claim: u32) -> u128 {
        let identity = self.claims.identities[claim as usize];
        // Under another `by` two claims may have had one identity; the later one's number stands in the map.
        if self.claims.numbers.get(&identity) == Some(&claim) {
            self.claims.numbers.remove(&identity);
        }
        self.claims.free.push(claim);
        identity
    }

    /// `None` where an attribute is missing: such an event is no repetition of any other.
    fn identity(&self, event: &Event) -> Option<u128> {
        let mut hasher = self.key.build_hasher();
        for name in &self.settings.by {
            text(&mut hasher, event.get(name)?.text);
        }
        // Two answers of one keyed function to different questions, 64 bits each.
        let mut second = hasher.clone();
        hasher.write_u8(0);
        second.write_u8(1);
        Some(u128::from(hasher.finish()) << 64 | u128::from(second.finish()))
    }

    fn stamp(&self, now: Instant) -> u64 {
        let nanos = now.saturating_duration_since(self.born).as_nanos();
        // One more, so that the window of what is delivered at once does not begin before time.
        u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1
    }

    /// What was recorded at or before this is forgotten.
    fn oldest(&self, now: Instant) -> u64 {
        let window = u64::try_from(self.settings.window.as_nanos()).unwrap_or(u64::MAX);
        self.stamp(now).saturating_sub(window)
    }
}

/// With its length, so that no two lists of texts look alike.
fn text(hasher: &mut impl Hasher, text: &str) {
    hasher.write_usize(text.len());
    hasher.write(text.as_bytes());
}

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, identity: u128) {
        self.0 = (identity >> 64) as u64;
    }
}
