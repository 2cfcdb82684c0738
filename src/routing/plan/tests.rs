#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use super::*;
use crate::routing::anycast::{Keyed, smooth_sequence};

mod shared;
mod stored;

#[derive(Default)]
struct Living {
    down: Vec<u16>,
    pending: HashMap<u16, u64>,
    logs: HashMap<u16, LogView>,
}

const EMPTY: LogView = LogView {
    pending: 0,
    full: false,
    failed: false,
};

impl View for Living {
    fn pending(&self, id: DestId) -> u64 {
        self.pending.get(&id.0).copied().unwrap_or(0)
    }

    fn available(&self, id: DestId) -> bool {
        !self.down.contains(&id.0)
    }

    fn log(&self, id: LogId) -> LogView {
        self.logs.get(&id.0).copied().unwrap_or(EMPTY)
    }
}

struct Key(Option<Vec<u8>>);

impl Keyed for Key {
    fn key(&self, _: &KeyRule) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

const NO_KEY: Key = Key(None);

fn any(plans: &mut Plans, members: &[(NodeId, u32)], policy: Policy, wait: bool) -> NodeId {
    let weights: Vec<u32> = members.iter().map(|(_, weight)| *weight).collect();
    let member = |(node, weight): &(NodeId, u32)| Member {
        node: *node,
        weight: *weight,
        seed: u64::from(*node) * 77,
    };
    plans.add(Node::Any(Anycast {
        members: members.iter().map(member).collect(),
        policy,
        wait,
        turn: 0.into(),
        sequence: smooth_sequence(&weights),
        key: KeyRule::Key,
    }))
}

/// Destinations 0..n, whose nodes have the same numbers.
fn plans(n: u16) -> Plans {
    let mut plans = Plans::default();
    for id in 0..n {
        plans.add(Node::To(DestId(id)));
    }
    plans
}

fn first(plans: &mut Plans, members: &[NodeId], on: FallbackOn) -> NodeId {
    plans.add(Node::First(Fallback {
        members: members.into(),
        on,
    }))
}

fn chosen(plans: &Plans, node: NodeId, view: &Living) -> u16 {
    go(plans, node, view, &NO_KEY).0
}

fn asker<'a>(key: &'a Key, view: &'a Living) -> Asker<'a> {
    Asker {
        key,
        view,
        held: false,
    }
}

fn go(plans: &Plans, node: NodeId, view: &Living, key: &Key) -> (u16, Steps) {
    let mut steps = Steps::new();
    match plans.descend(node, asker(key, view), &mut steps) {
        Target::To(id) => (id.0, steps),
        other => panic!("{other:?}"),
    }
}

const CLOSED: Failure = Failure::Unavailable { open: false };
const OPEN: Failure = Failure::Unavailable { open: true };

fn moved(plans: &Plans, failure: Failure, view: &Living, steps: &mut Steps) -> Option<(u16, bool)> {
    let before = steps.clone();
    let would = plans.would_move(failure, view, steps);
    let moved = plans.advance(failure, asker(&NO_KEY, view), steps);
    assert_eq!(would, moved.is_some());
    if moved.is_none() {
        assert_eq!(before, *steps, "what stays keeps its steps");
    }
    moved.map(|moved| match moved.target {
        Target::To(id) => (id.0, moved.repick),
        other => panic!("{other:?}"),
    })
}

#[test]
fn round_robin_takes_turns_and_passes_over_what_is_down() {
    let mut plans = plans(3);
    let node = any(&mut plans, &[(0, 1), (1, 1), (2, 1)], Policy::RoundRobin, false);
    let picks: Vec<u16> = (0..6).map(|_| chosen(&plans, node, &Living::default())).collect();
    assert_eq!(picks, [0, 1, 2, 0, 1, 2]);
    let view = Living {
        down: vec![1],
        ..Living::default()
    };
    assert!((0..9).all(|_| chosen(&plans, node, &view) != 1));
}

#[test]
fn weighted_is_smooth_and_keeps_its_shares() {
    assert_eq!(*smooth_sequence(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    let huge = smooth_sequence(&[3_000_000_000, 1_000_000_000]);
    assert!(huge.len() <= 1024);
    assert_eq!(huge.iter().filter(|at| **at == 0).count(), huge.len() / 4 * 3);
    let mut plans = plans(2);
    let node = any(&mut plans, &[(0, 3), (1, 1)], Policy::Weighted, false);
    let picks: Vec<u16> = (0..400)
        .map(|_| chosen(&plans, node, &Living::default()))
        .collect();
    assert_eq!(picks.iter().filter(|id| **id == 0).count(), 300);
}

#[test]
fn least_pending_weighs_and_breaks_ties_in_turn() {
    let mut plans = plans(3);
    let node = any(&mut plans, &[(0, 1), (1, 4), (2, 1)], Policy::LeastPending, false);
    let view = Living {
        pending: HashMap::from([(0, 2), (1, 7), (2, 2)]),
        ..Living::default()
    };
    assert_eq!(chosen(&plans, node, &view), 1);
    let picks: Vec<u16> = (0..3).map(|_| chosen(&plans, node, &Living::default())).collect();
    assert_eq!(picks.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[test]
fn hash_moves_only_the_keys_of_the_member_that_is_down_and_gives_them_back() {
    let mut plans = plans(5);
    let members: Vec<(NodeId, u32)> = (0..5).map(|node| (node, 1)).collect();
    let node = any(&mut plans, &members, Policy::Hash, false);
    let keys: Vec<Key> = (0..1000u32)
        .map(|n| Key(Some(n.to_le_bytes().to_vec())))
        .collect();
    let pick = |view: &Living| -> Vec<u16> { keys.iter().map(|key| go(&plans, node, view, key).0).collect() };
    let before = pick(&Living::default());
    let without = pick(&Living {
        down: vec![2],
        ..Living::default()
    });
    for (was, is) in before.iter().zip(&without) {
        assert!(*is != 2 && (*was == 2 || was == is));
    }
    assert_eq!(before, pick(&Living::default()));
    for id in 0..5 {
        let share = before.iter().filter(|pick| **pick == id).count();
        assert!((120..300).contains(&share), "{id}: {share} of 1000");
    }
}

#[test]
fn an_anycast_repicks_among_those_that_have_not_failed_yet_and_then_stays() {
    let mut plans = plans(3);
    let node = any(&mut plans, &[(0, 1), (1, 1), (2, 1)], Policy::RoundRobin, false);
    let (mut at, mut steps) = go(&plans, node, &Living::default(), &NO_KEY);
    let mut seen = vec![at];
    while let Some((next, repick)) = moved(&plans, CLOSED, &Living::default(), &mut steps) {
        assert!(repick);
        at = next;
        seen.push(at);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
    plans.start_round(&mut steps);
    assert!(moved(&plans, CLOSED, &Living::default(), &mut steps).is_some_and(|(next, _)| next != at));
}

#[test]
fn an_anycast_keeps_what_is_refused_and_what_is_to_wait() {
    let mut plans = plans(2);
    let moves = any(&mut plans, &[(0, 1), (1, 1)], Policy::RoundRobin, false);
    let waits = any(&mut plans, &[(0, 1), (1, 1)], Policy::RoundRobin, true);
    let (_, mut steps) = go(&plans, moves, &Living::default(), &NO_KEY);
    assert_eq!(
        moved(&plans, Failure::Refused, &Living::default(), &mut steps),
        None
    );
    let view = Living {
        down: vec![0],
        ..Living::default()
    };
    let (at, mut steps) = go(&plans, waits, &view, &NO_KEY);
    assert_eq!((at, moved(&plans, OPEN, &view, &mut steps)), (0, None));
}

#[test]
fn a_fallback_moves_by_class() {
    let classes = [Failure::Refused, OPEN, Failure::TimedOut, CLOSED];
    for (bits, expected) in [
        (0b001, [true, false, false]),
        (0b010, [false, true, false]),
        (0b100, [false, false, true]),
    ] {
        let mut plans = plans(2);
        let on = FallbackOn {
            refused: bits & 1 > 0,
            unavailable: bits & 2 > 0,
            timeout: bits & 4 > 0,
        };
        let node = first(&mut plans, &[0, 1], on);
        for (failure, moves) in classes.into_iter().zip(expected.into_iter().chain([false])) {
            let (_, mut steps) = go(&plans, node, &Living::default(), &NO_KEY);
            let to = moved(&plans, failure, &Living::default(), &mut steps);
            assert_eq!(to, moves.then_some((1, false)), "{failure:?} {on:?}");
        }
    }
}

#[test]
fn a_fallback_begins_and_goes_on_where_a_door_is_open() {
    let mut plans = plans(3);
    let node = first(&mut plans, &[0, 1, 2], FallbackOn::default());
    let view = |down: &[u16]| Living {
        down: down.to_vec(),
        ..Living::default()
    };
    assert_eq!(chosen(&plans, node, &view(&[0])), 1);
    assert_eq!(chosen(&plans, node, &view(&[0, 1, 2])), 0);
    let (_, steps) = go(&plans, node, &view(&[]), &NO_KEY);
    assert_eq!(
        moved(&plans, OPEN, &view(&[0, 1]), &mut steps.clone()),
        Some((2, false))
    );
    assert_eq!(
        moved(&plans, OPEN, &view(&[0, 1, 2]), &mut steps.clone()),
        None,
        "one closed door for another"
    );
    assert_eq!(
        moved(&plans, Failure::Refused, &view(&[1, 2]), &mut steps.clone()),
        Some((1, false)),
        "final here"
    );
}

#[test]
fn a_group_in_a_fallback_is_down_only_when_all_of_it_is() {
    let mut plans = plans(3);
    let group = any(&mut plans, &[(0, 1), (1, 1)], Policy::RoundRobin, false);
    let node = first(&mut plans, &[group, 2], FallbackOn::default());
    let (at, mut steps) = go(&plans, node, &Living::default(), &NO_KEY);
    assert_eq!((at, steps.len()), (0, 2));
    let view = Living {
        down: vec![0],
        ..Living::default()
    };
    assert_eq!(moved(&plans, OPEN, &view, &mut steps), Some((1, true)));
    let view = Living {
        down: vec![0, 1],
        ..Living::default()
    };
    assert_eq!(moved(&plans, CLOSED, &view, &mut steps), Some((2, false)));
    assert_eq!(
        moved(&plans, Failure::Refused, &view, &mut steps),
        None,
        "exhausted"
    );
}

#[test]
fn parts_unfold_multicasts_and_name_each_obligation_once() {
    let mut plans = plans(3);
    let group = any(&mut plans, &[(0, 1), (1, 1)], Policy::RoundRobin, false);
    let inner = plans.add(Node::All([2, group].into()));
    let root = plans.add(Node::All([0, inner, 2, group].into()));
    assert_eq!(plans.parts(root), [0, 2, group]);
    assert_eq!(plans.parts(group), [group]);
    assert_eq!(plans.destinations(root), [DestId(0), DestId(2), DestId(1)]);
}

#[test]
fn a_plan_is_full_when_it_has_nowhere_to_put_an_event() {
    let mut plans = plans(3);
    let group = any(&mut plans, &[(0, 1), (1, 1)], Policy::RoundRobin, false);
    let both = plans.add(Node::All([group, 2].into()));
    let full = |ids: &'static [u16]| move |place| matches!(place, Bounded::To(id) if ids.contains(&id.0));
    assert!(!plans.is_full(group, &full(&[0])) && plans.is_full(group, &full(&[0, 1])));
    assert!(!plans.is_full(both, &full(&[0])) && plans.is_full(both, &full(&[2])));
}
