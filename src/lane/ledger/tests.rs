#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use weft_api::ingress::{Settle, Window};
use weft_api::outcome::{Outcome, Reason};

use super::{Ledger, Run, Step};

const ACCEPTED: Outcome = Outcome::Accepted;
const REJECTED: Outcome = Outcome::Rejected(Reason::Refused);
const RELEASED: Outcome = Outcome::Released(Reason::Unavailable);

fn ledger(settle: Settle) -> Ledger {
    Ledger::new(
        settle,
        Window {
            events: 10,
            bytes: 1000,
        },
        0,
    )
}

fn admit(ledger: &mut Ledger, legs: u32) -> u64 {
    ledger.admit(10, legs, ACCEPTED, 0)
}

fn admit_many(ledger: &mut Ledger, count: u32) {
    for _ in 0..count {
        admit(ledger, 1);
    }
}

/// Ends a leg and asks for everything that became ready by it.
fn end(ledger: &mut Ledger, seq: u64, outcome: Outcome) -> Vec<Step> {
    if ledger.end_leg(seq, outcome) {
        ready(ledger, seq)
    } else {
        Vec::new()
    }
}

fn ready(ledger: &mut Ledger, seq: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    loop {
        let (step, _) = ledger.ready(seq);
        if step == Step::Nothing {
            return steps;
        }
        steps.push(step);
        if matches!(step, Step::Rewind(_)) {
            return steps;
        }
    }
}

fn run(first: u64, last: u64, outcome: Outcome) -> Step {
    Step::Settled(Run { first, last, outcome })
}

#[test]
fn an_in_order_lane_settles_a_contiguous_prefix() {
    let mut ledger = ledger(Settle::InOrder);
    admit_many(&mut ledger, 4);
    assert_eq!(end(&mut ledger, 1, ACCEPTED), []);
    assert_eq!(end(&mut ledger, 2, ACCEPTED), []);
    assert_eq!((ledger.watermark(), ledger.unsettled()), (0, 4));
    assert_eq!(end(&mut ledger, 0, ACCEPTED), [run(0, 2, ACCEPTED)]);
    assert_eq!(
        (ledger.watermark(), ledger.unsettled(), ledger.bytes()),
        (3, 1, 10)
    );
}

#[test]
fn an_individual_lane_settles_each_event_by_itself() {
    let mut ledger = ledger(Settle::Individual);
    admit_many(&mut ledger, 3);
    assert_eq!(end(&mut ledger, 2, ACCEPTED), [run(2, 2, ACCEPTED)]);
    assert_eq!(end(&mut ledger, 0, RELEASED), [run(0, 0, RELEASED)]);
    assert_eq!((ledger.unsettled(), ledger.bytes()), (1, 10));
}

#[test]
fn a_rejected_leg_never_moves_the_watermark_together_with_accepted_ones() {
    let mut ledger = ledger(Settle::InOrder);
    admit_many(&mut ledger, 3);
    end(&mut ledger, 2, ACCEPTED);
    end(&mut ledger, 1, REJECTED);
    let told = end(&mut ledger, 0, ACCEPTED);
    assert_eq!(
        told,
        [run(0, 0, ACCEPTED), run(1, 1, REJECTED), run(2, 2, ACCEPTED)]
    );
}

#[test]
fn the_worst_leg_decides() {
    let mut ledger = ledger(Settle::Individual);
    let seq = admit(&mut ledger, 3);
    assert_eq!(end(&mut ledger, seq, REJECTED), []);
    assert_eq!(end(&mut ledger, seq, RELEASED), []);
    assert_eq!(end(&mut ledger, seq, ACCEPTED), [run(seq, seq, RELEASED)]);
}

#[test]
fn an_in_order_lane_rewinds_at_its_first_released_slot_and_not_before_it_is_first() {
    let mut ledger = ledger(Settle::InOrder);
    admit_many(&mut ledger, 3);
    assert_eq!(end(&mut ledger, 1, RELEASED), []);
    assert_eq!(
        end(&mut ledger, 0, ACCEPTED),
        [run(0, 0, ACCEPTED), Step::Rewind(1)]
    );
    assert_eq!(ledger.restart(1), 20);
    assert_eq!(
        (
            ledger.next_seq(),
            ledger.watermark(),
            ledger.unsettled(),
            ledger.bytes()
        ),
        (1, 1, 0, 0)
    );
}

#[test]
fn an_event_without_legs_settles_in_its_turn() {
    let mut ledger = ledger(Settle::InOrder);
    admit(&mut ledger, 1);
    let seq = admit(&mut ledger, 0);
    assert_eq!(ready(&mut ledger, seq), []);
    assert_eq!(end(&mut ledger, 0, ACCEPTED), [run(0, 1, ACCEPTED)]);
}

#[test]
fn legs_that_are_added_are_waited_for() {
    let mut ledger = ledger(Settle::InOrder);
    let seq = admit(&mut ledger, 1);
    ledger.add_legs(seq, 2);
    assert_eq!(end(&mut ledger, seq, ACCEPTED), []);
    assert_eq!(end(&mut ledger, seq, ACCEPTED), []);
    assert_eq!(end(&mut ledger, seq, ACCEPTED), [run(0, 0, ACCEPTED)]);
}

#[test]
fn a_slot_that_is_not_open_is_ignored() {
    for settle in [Settle::InOrder, Settle::Individual] {
        let mut ledger = ledger(settle);
        let seq = admit(&mut ledger, 1);
        assert_eq!(end(&mut ledger, seq, ACCEPTED).len(), 1);
        assert_eq!(end(&mut ledger, seq, ACCEPTED), []);
        assert_eq!(end(&mut ledger, seq + 5, ACCEPTED), []);
        assert_eq!((ledger.unsettled(), ledger.bytes()), (0, 0));
    }
}

#[test]
fn the_window_counts_slots_that_wait_for_their_turn() {
    let mut ledger = ledger(Settle::InOrder);
    admit_many(&mut ledger, 10);
    end(&mut ledger, 9, ACCEPTED);
    assert_eq!(ledger.room().0, 0);
    end(&mut ledger, 0, ACCEPTED);
    assert_eq!(ledger.room(), (1, 910));
}

#[test]
fn the_oldest_slot_is_known_in_both_modes() {
    for settle in [Settle::InOrder, Settle::Individual] {
        let mut ledger = ledger(settle);
        assert_eq!(ledger.oldest_ms(), None);
        ledger.admit(1, 1, ACCEPTED, 5);
        ledger.admit(1, 1, ACCEPTED, 9);
        assert_eq!(ledger.oldest_ms(), Some(5));
        end(&mut ledger, 0, ACCEPTED);
        assert_eq!(ledger.oldest_ms(), Some(9));
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![6 => Just(ACCEPTED), 1 => Just(REJECTED), 1 => Just(RELEASED)]
}

#[derive(Clone, Debug)]
enum Act {
    Admit {
        bytes: u64,
        legs: u32,
    },
    /// Ends a leg of the slot that many places into those open.
    End {
        pick: usize,
        outcome: Outcome,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        1 => (0u64..50, 0u32..4).prop_map(|(bytes, legs)| Act::Admit { bytes, legs }),
        2 => (any::<usize>(), outcome()).prop_map(|(pick, outcome)| Act::End { pick, outcome }),
    ];
    proptest::collection::vec(act, 0..200)
}

/// The naive twin: open slots with what they still owe.
#[derive(Default)]
struct Model {
    open: BTreeMap<u64, (u32, Outcome, u64)>,
    told: u64,
}

impl Model {
    fn apply(&mut self, steps: &[Step], settle: Settle, ledger: &mut Ledger) {
        for step in steps {
            match *step {
                Step::Settled(Run { first, last, outcome }) => {
                    if settle == Settle::InOrder {
                        assert_eq!(first, self.told, "a gap, or twice");
                        self.told = last + 1;
                        assert!(!matches!(outcome, Outcome::Released(_) | Outcome::Unknown(_)));
                    }
                    for seq in first..=last {
                        let (legs, worst, _) = self.open.remove(&seq).expect("settled once");
                        assert_eq!((legs, worst), (0, outcome));
                    }
                }
                Step::Rewind(from) => {
                    assert_eq!(from, self.told);
                    let bytes = self.open.values().map(|slot| slot.2).sum::<u64>();
                    assert_eq!(ledger.restart(from), bytes);
                    self.open.clear();
                }
                Step::Nothing => unreachable!("filtered out"),
            }
        }
    }
}

proptest! {
    #[test]
    fn each_slot_settles_exactly_once_and_bytes_return_to_zero(acts in acts(), in_order: bool) {
        let settle = if in_order { Settle::InOrder } else { Settle::Individual };
        let (mut ledger, mut model) = (ledger(settle), Model::default());
        let finish = (0..1000).map(|pick| Act::End { pick, outcome: ACCEPTED });
        for act in acts.into_iter().chain(finish) {
            match act {
                Act::Admit { bytes, legs } => {
                    let seq = ledger.admit(bytes, legs, ACCEPTED, 0);
                    model.open.insert(seq, (legs, ACCEPTED, bytes));
                    if legs == 0 {
                        let steps = ready(&mut ledger, seq);
                        model.apply(&steps, settle, &mut ledger);
                    }
                }
                Act::End { pick, outcome } => {
                    let owing: Vec<u64> = model.open.iter().filter(|(_, s)| s.0 > 0).map(|(seq, _)| *seq).collect();
                    if owing.is_empty() {
                        continue;
                    }
                    let seq = owing[pick % owing.len()];
                    let slot = model.open.get_mut(&seq).unwrap();
                    slot.0 -= 1;
                    slot.1 = slot.1.join(outcome);
                    let steps = end(&mut ledger, seq, outcome);
                    model.apply(&steps, settle, &mut ledger);
                }
            }
            prop_assert_eq!(ledger.unsettled(), model.open.len() as u64);
            prop_assert_eq!(ledger.bytes(), model.open.values().map(|slot| slot.2).sum::<u64>());
        }
        prop_assert_eq!((ledger.unsettled(), ledger.bytes()), (0, 0));
    }
}
