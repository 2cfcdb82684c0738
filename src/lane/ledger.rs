//! A lane's ledger: one slot for each event from admission to settlement. Pure arithmetic.
//!
//! An in-order lane keeps a ring; a lane that settles one by one keeps a table by sequence, so that one event that
//! takes long pins no memory of those behind it. Neither allocates for an event once it has grown to its window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use weft_api::ingress::{Settle, Window};
use weft_api::outcome::Outcome;

#[cfg(test)]
mod tests;

/// An event's place.
#[derive(Clone, Copy, Debug)]
struct Slot {
    legs: u32,
    bytes: u64,
    worst: Outcome,
    /// Milliseconds since the lane set was made.
    admitted_ms: u64,
}

/// Consecutive slots that settled alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// First sequence.
    pub first: u64,
    /// Last sequence.
    pub last: u64,
    /// Their outcome.
    pub outcome: Outcome,
}

/// What a settlement led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Legs are left, or nobody may be told yet.
    Nothing,
    /// These slots are settled; tell the connector.
    Settled(Run),
    /// An in-order lane cannot go on: start again at this sequence.
    Rewind(u64),
}

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    window: Window,
    slots: Slots,
    next: u64,
    unsettled: u64,
    bytes: u64,
}

#[derive(Debug)]
enum Slots {
    /// In order; the first one's sequence is the watermark.
    Ring(VecDeque<Slot>),
    /// By sequence.
    Table(HashMap<u64, Slot, BuildHasherDefault<SeqHasher>>),
}

impl Ledger {
    /// An empty ledger whose first event will have sequence `base`.
    #[must_use]
    pub fn new(settle: Settle, window: Window, base: u64) -> Ledger {
        let slots = match settle {
            Settle::InOrder => Slots::Ring(VecDeque::new()),
            Settle::Individual => Slots::Table(HashMap::default()),
        };
        Ledger {
            window,
            slots,
            next: base,
            unsettled: 0,
            bytes: 0,
        }
    }

    /// The lowest sequence of an in-order lane that is not settled; the next one, if all are.
    #[must_use]
    pub fn watermark(&self) -> u64 {
        match &self.slots {
            Slots::Ring(ring) => self.next - ring.len() as u64,
            Slots::Table(_) => self.next,
        }
    }

    /// The next event's sequence.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Slots that are not settled. On an in-order lane a slot also counts while it waits for the ones before it.
    #[must_use]
    pub fn unsettled(&self) -> u64 {
        self.unsettled
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What the window leaves, in events and bytes.
    #[must_use]
    pub fn room(&self) -> (u64, u64) {
        let events = u64::from(self.window.events).saturating_sub(self.unsettled);
        (events, self.window.bytes.saturating_sub(self.bytes))
    }

    /// When the oldest unsettled slot was admitted.
    #[must_use]
    pub fn oldest_ms(&self) -> Option<u64> {
        match &self.slots {
            Slots::Ring(ring) => ring.front().map(|slot| slot.admitted_ms),
            Slots::Table(table) => table.values().map(|slot| slot.admitted_ms).min(),
        }
    }

    /// Admits an event with `legs` obligations; one with none has `outcome` already, and the caller asks
    /// [`Ledger::ready`] for it.
    pub fn admit(&mut self, bytes: u64, legs: u32, outcome: Outcome, now_ms: u64) -> u64 {
        let seq = self.next;
        let slot = Slot {
            legs,
            bytes,
            worst: outcome,
            admitted_ms: now_ms,
        };
        match &mut self.slots {
            Slots::Ring(ring) => ring.push_back(slot),
            Slots::Table(table) => {
                table.insert(seq, slot);
            }
        }
        self.next += 1;
        self.unsettled += 1;
        self.bytes += bytes;
        seq
    }

    /// Slot `seq`, which is open, has `more` legs than it was admitted with.
    pub fn add_legs(&mut self, seq: u64, more: u32) {
        if let Some(slot) = self.open_slot(seq) {
            slot.legs += more;
        }
    }

    /// One leg of slot `seq` ended. Returns whether the slot has none left: then ask [`Ledger::ready`]. A slot that is
    /// not open is ignored.
    pub fn end_leg(&mut self, seq: u64, outcome: Outcome) -> bool {
        let Some(slot) = self.open_slot(seq) else {
            return false;
        };
        slot.legs -= 1;
        slot.worst = slot.worst.join(outcome);
        slot.legs == 0
    }

    /// What can be told to the connector now that slot `seq` has no leg left, and the bytes that are free by it. For
    /// an in-order lane call it again until it gives [`Step::Nothing`].
    pub fn ready(&mut self, seq: u64) -> (Step, u64) {
        let (step, freed, settled) = match &mut self.slots {
            Slots::Ring(ring) => ready_prefix(ring, self.next),
            Slots::Table(table) => match table.remove(&seq) {
                Some(slot) => (
                    Step::Settled(Run {
                        first: seq,
                        last: seq,
                        outcome: slot.worst,
                    }),
                    slot.bytes,
                    1,
                ),
                None => (Step::Nothing, 0, 0),
            },
        };
        self.unsettled -= settled;
        self.bytes -= freed;
        (step, freed)
    }

    fn open_slot(&mut self, seq: u64) -> Option<&mut Slot> {
        let slot = match &mut self.slots {
            Slots::Ring(ring) => {
                let base = self.next - ring.len() as u64;
                seq.checked_sub(base)
                    .and_then(|at| ring.get_mut(usize::try_from(at).ok()?))
            }
            Slots::Table(table) => table.get_mut(&seq),
        };
        slot.filter(|slot| slot.legs > 0)
    }

    /// Gives up everything unsettled; the next event has sequence `base`. Returns the bytes that are free now.
    pub fn restart(&mut self, base: u64) -> u64 {
        match &mut self.slots {
            Slots::Ring(ring) => ring.clear(),
            Slots::Table(table) => table.clear(),
        }
        self.next = base;
        self.unsettled = 0;
        std::mem::take(&mut self.bytes)
    }
}

/// The run of slots with one outcome that stands ready at the watermark.
fn ready_prefix(ring: &mut VecDeque<Slot>, next: u64) -> (Step, u64, u64) {
    let first = next - ring.len() as u64;
    let Some(outcome) = ring.front().filter(|slot| slot.legs == 0).map(|slot| slot.worst) else {
        return (Step::Nothing, 0, 0);
    };
    if matches!(outcome, Outcome::Released(_) | Outcome::Unknown(_)) {
        return (Step::Rewind(first), 0, 0);
    }
    let (mut freed, mut settled) = (0, 0);
    while let Some(slot) = ring
        .front()
        .filter(|slot| slot.legs == 0 && slot.worst == outcome)
    {
        freed += slot.bytes;
        settled += 1;
        ring.pop_front();
    }
    (
        Step::Settled(Run {
            first,
            last: first + settled - 1,
            outcome,
        }),
        freed,
        settled,
    )
}

/// Sequences are consecutive: a multiplication spreads them well enough.
#[derive(Default)]
struct SeqHasher(u64);

impl Hasher for SeqHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
