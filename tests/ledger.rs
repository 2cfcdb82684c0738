//! Properties of a lane's ledger, against a twin that is a plain list: each slot settles exactly once, the in-order
//! prefix is contiguous, and events and bytes come back to zero (C5, C21).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use weft::lane::ledger::{Ledger, Step};
use weft_api::ingress::{Settle, Window};
use weft_api::outcome::{Outcome, Reason};

#[derive(Clone, Copy, Debug)]
enum Op {
    Admit {
        bytes: u64,
        legs: u32,
    },
    /// Ends a leg of the open slot at this place, counted round.
    End {
        at: usize,
        outcome: Outcome,
    },
    AddLegs {
        at: usize,
        more: u32,
    },
    /// A settlement of a slot that is not open.
    Stray {
        seq: u64,
    },
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        6 => Just(Outcome::Accepted),
        2 => Just(Outcome::Rejected(Reason::Refused)),
        1 => Just(Outcome::Released(Reason::Unavailable)),
        1 => Just(Outcome::Unknown(Reason::Timeout)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0u64..5000, 0u32..4).prop_map(|(bytes, legs)| Op::Admit { bytes, legs }),
        6 => (any::<usize>(), outcome()).prop_map(|(at, outcome)| Op::End { at, outcome }),
        1 => (any::<usize>(), 1u32..3).prop_map(|(at, more)| Op::AddLegs { at, more }),
        1 => any::<u64>().prop_map(|seq| Op::Stray { seq }),
    ]
}

/// What the ledger should hold.
#[derive(Default)]
struct Twin {
    /// Legs left, worst outcome and bytes of each slot that is not settled.
    slots: BTreeMap<u64, (u32, Outcome, u64)>,
    settled: BTreeMap<u64, Outcome>,
    next: u64,
}

impl Twin {
    fn open(&self, at: usize) -> Option<u64> {
        let open: Vec<u64> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.0 > 0)
            .map(|(seq, _)| *seq)
            .collect();
        (!open.is_empty()).then(|| open[at % open.len()])
    }

    fn bytes(&self) -> u64 {
        self.slots.values().map(|slot| slot.2).sum()
    }
}

/// Takes out everything that is ready, as a lane does, and books it in the twin.
fn settle(ledger: &mut Ledger, twin: &mut Twin, in_order: bool, seq: u64) -> Result<(), TestCaseError> {
    loop {
        let (step, freed) = ledger.ready(seq);
        match step {
            Step::Nothing => {
                prop_assert_eq!(freed, 0);
                return Ok(());
            }
            Step::Settled(run) => {
                let mut bytes = 0;
                for seq in run.first..=run.last {
                    let (legs, worst, size) = twin.slots.remove(&seq).expect("a slot settles exactly once");
                    prop_assert_eq!((legs, worst), (0, run.outcome));
                    prop_assert!(twin.settled.insert(seq, run.outcome).is_none());
                    bytes += size;
                }
                prop_assert_eq!(freed, bytes);
                if in_order {
                    prop_assert!(matches!(run.outcome, Outcome::Accepted | Outcome::Rejected(_)));
                    prop_assert_eq!(ledger.watermark(), run.last + 1);
                    prop_assert!(twin.slots.keys().next().is_none_or(|first| *first > run.last));
                } else {
                    return Ok(());
                }
            }
            Step::Rewind(from) => {
                prop_assert!(in_order);
                let (legs, worst, _) = twin.slots[&from];
                prop_assert!(legs == 0 && matches!(worst, Outcome::Released(_) | Outcome::Unknown(_)));
                prop_assert_eq!(twin.slots.keys().next(), Some(&from), "the watermark");
                prop_assert_eq!(ledger.restart(from), twin.bytes());
                twin.slots.clear();
                twin.next = from;
                return Ok(());
            }
        }
    }
}

fn run(in_order: bool, window: Window, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let kind = if in_order {
        Settle::InOrder
    } else {
        Settle::Individual
    };
    let (mut ledger, mut twin) = (Ledger::new(kind, window, 0), Twin::default());
    for op in ops {
        match op {
            Op::Admit { bytes, legs } => {
                let seq = ledger.admit(bytes, legs, Outcome::Accepted, 0);
                prop_assert_eq!(seq, twin.next);
                twin.slots.insert(seq, (legs, Outcome::Accepted, bytes));
                twin.next += 1;
                if legs == 0 {
                    settle(&mut ledger, &mut twin, in_order, seq)?;
                }
            }
            Op::End { at, outcome } => {
                let Some(seq) = twin.open(at) else { continue };
                let slot = twin.slots.get_mut(&seq).unwrap();
                slot.0 -= 1;
                slot.1 = slot.1.join(outcome);
                prop_assert_eq!(ledger.end_leg(seq, outcome), slot.0 == 0);
                if slot.0 == 0 {
                    settle(&mut ledger, &mut twin, in_order, seq)?;
                }
            }
            Op::AddLegs { at, more } => {
                let Some(seq) = twin.open(at) else { continue };
                twin.slots.get_mut(&seq).unwrap().0 += more;
                ledger.add_legs(seq, more);
            }
            Op::Stray { seq } => {
                let open = twin.slots.get(&seq).is_some_and(|slot| slot.0 > 0);
                prop_assume!(!open);
                prop_assert!(
                    !ledger.end_leg(seq, Outcome::Accepted),
                    "a slot that is not open takes no outcome"
                );
            }
        }
        prop_assert_eq!(ledger.unsettled(), twin.slots.len() as u64);
        prop_assert_eq!(ledger.bytes(), twin.bytes());
        let (events, bytes) = ledger.room();
        prop_assert_eq!(
            events,
            u64::from(window.events).saturating_sub(twin.slots.len() as u64)
        );
        prop_assert_eq!(bytes, window.bytes.saturating_sub(twin.bytes()));
    }
    // Whatever is left settles in any order; then nothing is charged any more.
    while let Some(seq) = twin.open(usize::MAX) {
        let slot = twin.slots.get_mut(&seq).unwrap();
        slot.0 -= 1;
        let done = slot.0 == 0;
        ledger.end_leg(seq, Outcome::Accepted);
        if done {
            settle(&mut ledger, &mut twin, in_order, seq)?;
        }
    }
    prop_assert_eq!((ledger.unsettled(), ledger.bytes()), (0, 0));
    prop_assert_eq!(ledger.room(), (u64::from(window.events), window.bytes));
    Ok(())
}

proptest! {
    #[test]
    fn an_in_order_lane_settles_each_slot_once_and_in_a_contiguous_prefix(
        events in 1u32..20, bytes in 1u64..20_000, ops in proptest::collection::vec(op(), 0..200),
    ) {
        run(true, Window { events, bytes }, ops)?;
    }

    #[test]
    fn an_individual_lane_settles_each_slot_once_whatever_the_order(
        events in 1u32..20, bytes in 1u64..20_000, ops in proptest::collection::vec(op(), 0..200),
    ) {
        run(false, Window { events, bytes }, ops)?;
    }
}
