#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Leave, Queue, SHARDS};
use crate::delivery::dedupe::UNCLAIMED;
use crate::delivery::leg::{Leg, NO_ROUTE};
use crate::delivery::origin::{LanePort, Origin};
use crate::testing::{Draft, World, event};

/// Makes legs whose ends nobody looks at.
struct Legs {
    world: World,
    lane: Arc<LanePort>,
}

impl Legs {
    fn new() -> Legs {
        let world = Draft::new(&["a"]).build();
        let lane = Arc::new(LanePort::new(Arc::clone(&world.port), "lane".into(), 0, 0, true));
        Legs { world, lane }
    }

    fn leg(&self, id: &str) -> Leg {
        let origin = Origin::Slot {
            lane: Arc::clone(&self.lane),
            epoch: 0,
            seq: 0,
        };
        Leg::new(
            event(id),
            origin,
            Arc::clone(&self.world.wiring),
            NO_ROUTE,
            Instant::now(),
        )
    }
}

/// No leg is a retry.
const ALL: Leave = Leave {
    life: 0,
    retries: true,
};

fn take(queue: &mut Queue, now: Instant) -> Option<String> {
    queue.take(now, ALL).map(|leg| leg.event.id().to_owned())
}

fn ids(queue: &mut Queue, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| take(queue, now)).collect()
}

#[test]
fn unkeyed_legs_leave_as_they_came() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    for id in ["1", "2", "3"] {
        queue.push(legs.leg(id), None);
    }
    assert_eq!(ids(&mut queue, now), ["1", "2", "3"]);
    assert!(queue.is_empty());
}

#[test]
fn a_shard_has_one_leg_in_flight() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    queue.push(legs.leg("1"), Some(5));
    queue.push(legs.leg("2"), Some(5));
    queue.push(legs.leg("x"), Some(6));
    let first = queue.take(now, ALL).unwrap();
    assert_eq!(ids(&mut queue, now), ["x"], "another shard is not in its way");
    queue.came_back(first.duty.shard, false);
    assert_eq!(ids(&mut queue, now), ["2"]);
}

#[test]
fn a_retried_leg_keeps_its_place_and_the_shard_waits_for_it() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    queue.push(legs.leg("1"), Some(5));
    queue.push(legs.leg("2"), Some(5));
    let leg = queue.take(now, ALL).unwrap();
    let (shard, due) = (leg.duty.shard, now + Duration::from_secs(1));
    queue.put_back(leg, Some(due));
    queue.came_back(shard, true);
    assert_eq!(take(&mut queue, now), None);
    assert_eq!(queue.next_due(), Some(due));
    assert_eq!(take(&mut queue, due).as_deref(), Some("1"));
    queue.came_back(shard, false);
    assert_eq!(take(&mut queue, due).as_deref(), Some("2"));
}

#[test]
fn after_a_failure_a_pipelined_shard_waits_for_all_that_are_in_flight() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    queue.set_pipelined(true);
    for id in ["1", "2", "3"] {
        queue.push(legs.leg(id), Some(5));
    }
    let (first, second) = (queue.take(now, ALL).unwrap(), queue.take(now, ALL).unwrap());
    let shard = first.duty.shard;
    queue.put_back(first, None);
    queue.came_back(shard, true);
    assert_eq!(
        take(&mut queue, now),
        None,
        "2 is still out, whether or not 3 was listed before"
    );
    queue.put_back(second, None);
    queue.came_back(shard, true);
    assert_eq!(ids(&mut queue, now), ["1", "2", "3"]);
}

#[test]
fn a_delayed_leg_without_a_key_delays_no_other() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    queue.push(legs.leg("1"), None);
    queue.push(legs.leg("2"), None);
    let leg = queue.take(now, ALL).unwrap();
    let due = now + Duration::from_secs(1);
    queue.put_back(leg, Some(due));
    assert_eq!(take(&mut queue, now).as_deref(), Some("2"));
    assert_eq!((take(&mut queue, now), queue.len()), (None, 1));
    assert_eq!(take(&mut queue, due).as_deref(), Some("1"));
}

#[test]
fn a_shard_whose_waiting_head_is_taken_out_waits_no_longer() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    queue.push(legs.leg("1"), Some(5));
    queue.push(legs.leg("2"), Some(5));
    let leg = queue.take(now, ALL).unwrap();
    let shard = leg.duty.shard;
    queue.put_back(leg, Some(now + Duration::from_secs(60)));
    queue.came_back(shard, true);
    let gone = queue.extract(|leg| leg.event.id() == "1");
    assert_eq!((gone.len(), queue.len()), (1, 1));
    assert_eq!(take(&mut queue, now).as_deref(), Some("2"));
}

#[test]
fn a_leg_that_is_restored_goes_to_its_old_place() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    for id in ["1", "2", "3"] {
        queue.push(legs.leg(id), Some(5));
    }
    let gone = queue.extract(|leg| leg.event.id() != "2");
    assert_eq!(queue.len(), 1);
    gone.into_iter().rev().for_each(|leg| queue.restore(leg));
    for id in ["1", "2", "3"] {
        assert_eq!(take(&mut queue, now).as_deref(), Some(id));
        queue.came_back(5, false);
    }
}

/// A copy behind it was sent while it was out: it must not wait for that one, which comes back behind it.
#[test]
fn a_leg_that_is_restored_before_the_holder_of_a_claim_waits_for_no_claim() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    queue.push(legs.leg("1"), Some(7));
    queue.push(legs.leg("1"), Some(7));
    let mut out = queue.extract(|leg| leg.duty.order == 0);
    let mut sent = queue.take(now, ALL).unwrap();
    sent.duty.claim = 0;
    let shard = sent.duty.shard;
    queue.put_back(sent, None);
    queue.came_back(shard, true);
    queue.restore(out.pop().unwrap());
    let first = queue.take(now, ALL).unwrap();
    assert_eq!((first.duty.order, first.duty.claim), (0, UNCLAIMED));
}

#[test]
fn a_leg_that_is_not_taken_after_all_is_next() {
    for key in [None, Some(5)] {
        let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
        queue.push(legs.leg("1"), key);
        queue.push(legs.leg("2"), key);
        let leg = queue.take(now, ALL).unwrap();
        queue.untake(leg);
        assert_eq!((queue.len(), take(&mut queue, now).as_deref()), (2, Some("1")));
    }
}

#[test]
fn neither_keyed_nor_unkeyed_legs_starve() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    for n in 0..20u64 {
        queue.push(legs.leg("keyed"), Some(n));
        queue.push(legs.leg("unkeyed"), None);
    }
    let first: Vec<_> = (0..10).map(|_| take(&mut queue, now).unwrap()).collect();
    assert_eq!(first.iter().filter(|id| *id == "keyed").count(), 5);
}

#[test]
fn the_oldest_leg_is_found_wherever_it_waits() {
    let (legs, mut queue, now) = (Legs::new(), Queue::default(), Instant::now());
    assert_eq!(queue.oldest(), None);
    for (age, key) in [(3, Some(1)), (5, Some(2)), (1, None)] {
        let mut leg = legs.leg("x");
        leg.duty.since = now.checked_sub(Duration::from_millis(age)).unwrap();
        queue.push(leg, key);
    }
    assert_eq!(queue.oldest(), now.checked_sub(Duration::from_millis(5)));
}

#[derive(Clone, Debug)]
enum Act {
    Push(Option<u64>),
    Take,
    /// The leg in flight that many places in comes back.
    Back {
        pick: usize,
        failed: bool,
        wait_ms: u64,
    },
    Pass(u64),
    Extract(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let key = proptest::option::weighted(0.7, prop_oneof![0u64..3, Just(u64::from(SHARDS))]);
    let act = prop_oneof![
        4 => key.prop_map(Act::Push),
        4 => Just(Act::Take),
        4 => (any::<usize>(), any::<bool>(), prop_oneof![Just(0u64), 1u64..50])
            .prop_map(|(pick, failed, wait_ms)| Act::Back { pick, failed, wait_ms }),
        1 => (0u64..30).prop_map(Act::Pass),
        1 => (2u64..5).prop_map(Act::Extract),
    ];
    proptest::collection::vec(act, 0..150)
}

proptest! {
    /// The remote of a pipelined queue fails everything behind a failure, as it promised to.
    #[test]
    fn legs_of_a_shard_are_delivered_in_order_and_every_leg_leaves(acts in acts(), pipelined: bool) {
        let (legs, mut queue, mut now) = (Legs::new(), Queue::default(), Instant::now());
        queue.set_pipelined(pipelined);
        let (mut pushed, mut gone) = (0usize, 0usize);
        let mut out: Vec<Leg> = Vec::new();
        let mut last: HashMap<u16, u64> = HashMap::new();
        let finish = (0..400).flat_map(|_| [Act::Pass(60), Act::Take, Act::Back { pick: 0, failed: false, wait_ms: 0 }]);
        for act in acts.into_iter().chain(finish) {
            match act {
                Act::Push(key) => {
                    pushed += 1;
                    queue.push(legs.leg("x"), key);
                }
                Act::Take => out.extend(queue.take(now, ALL)),
                Act::Back { pick, failed, wait_ms } => {
                    if out.is_empty() {
                        continue;
                    }
                    let at = pick % out.len();
                    let shard = out[at].duty.shard;
                    // Confirmations of one shard come in order.
                    let at = out.iter().position(|leg| leg.duty.shard == shard).unwrap_or(at);
                    if !failed {
                        let leg = out.remove(at);
                        if shard != super::NO_SHARD {
                            let before = last.insert(shard, leg.duty.order);
                            prop_assert!(before.is_none_or(|before| before < leg.duty.order));
                        }
                        queue.came_back(shard, false);
                        gone += 1;
                        continue;
                    }
                    let due = (wait_ms > 0).then(|| now + Duration::from_millis(wait_ms));
                    let fails: Vec<Leg> = if shard == super::NO_SHARD {
                        vec![out.remove(at)]
                    } else {
                        out.extract_if(.., |leg| leg.duty.shard == shard).collect()
                    };
                    for leg in fails {
                        queue.put_back(leg, due);
                        queue.came_back(shard, true);
                    }
                }
                Act::Pass(ms) => now += Duration::from_millis(ms),
                Act::Extract(modulus) => gone += queue.extract(|leg| leg.duty.order % modulus == 0).len(),
            }
            prop_assert_eq!(queue.len(), pushed - gone - out.len());
            prop_assert_eq!(queue.iter().count(), queue.len());
            if !pipelined {
                let mut shards: Vec<u16> = out.iter().map(|leg| leg.duty.shard).filter(|s| *s != super::NO_SHARD).collect();
                shards.sort_unstable();
                prop_assert!(shards.windows(2).all(|pair| pair[0] != pair[1]), "two of one shard in flight");
            }
        }
        prop_assert_eq!((queue.len(), out.len()), (0, 0), "something was never listed again");
    }
}
