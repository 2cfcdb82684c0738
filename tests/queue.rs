//! Properties of a destination's queue: legs of one shard leave in their order of arrival, retries included; a shard
//! is in flight once unless its remote keeps order; nothing is lost and nothing stays for ever (C20, C23).

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;
use weft::delivery::leg::{Leg, NO_ROUTE, NO_SHARD};
use weft::delivery::origin::{LanePort, Origin, Port};
use weft::delivery::queue::{Leave, Queue};
use weft::delivery::wiring::Wiring;
use weft::metrics::Metrics;
use weft::routing::index::Index;
use weft::routing::plan::Plans;
use weft::routing::table::Table;
use weft_api::event::EventBuilder;

#[derive(Clone, Copy, Debug)]
enum Op {
    Push {
        key: Option<u64>,
    },
    Take,
    /// The leg in flight at this place, counted round, ends well.
    Accept {
        at: usize,
    },
    /// It fails and comes back after so many milliseconds.
    Fail {
        at: usize,
        wait: u64,
    },
    /// All that waits under this key is taken out and put back, as a sweep does that finds nowhere to send it.
    Sweep {
        key: u64,
    },
    Pass {
        millis: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => proptest::option::of(0u64..4).prop_map(|key| Op::Push { key }),
        5 => Just(Op::Take),
        3 => any::<usize>().prop_map(|at| Op::Accept { at }),
        2 => (any::<usize>(), 0u64..50).prop_map(|(at, wait)| Op::Fail { at, wait }),
        1 => (0u64..4).prop_map(|key| Op::Sweep { key }),
        1 => (0u64..60).prop_map(|millis| Op::Pass { millis }),
    ]
}

/// No leg is a retry.
const ALL: Leave = Leave {
    life: 0,
    retries: true,
};

struct World {
    queue: Queue,
    wiring: Arc<Wiring>,
    lane: Arc<LanePort>,
    now: Instant,
    pipelined: bool,
    /// Numbers of the legs that wait, by shard.
    waiting: BTreeMap<u16, BTreeSet<u64>>,
    in_flight: Vec<Leg>,
    /// Something failed while the shard had others in flight.
    failed: BTreeSet<u16>,
    done: u64,
    pushed: u64,
}

impl World {
    fn new(pipelined: bool) -> World {
        let table = Table {
            routes: Vec::new(),
            plans: Plans::default(),
            index: Index::new([]),
            logs: Vec::new(),
            dead_letters: None,
            by_name: OnceLock::new(),
        };
        let port = Arc::new(Port::new("i".into(), Metrics::new().ingress("i"), false));
        let mut queue = Queue::default();
        queue.set_pipelined(pipelined);
        World {
            queue,
            wiring: Arc::new(Wiring {
                table,
                destinations: Vec::new(),
                logs: Vec::new(),
                matched: Vec::new(),
            }),
            lane: Arc::new(LanePort::new(port, "lane".into(), 0, 1, true)),
            now: Instant::now(),
            pipelined,
            waiting: BTreeMap::new(),
            in_flight: Vec::new(),
            failed: BTreeSet::new(),
            done: 0,
            pushed: 0,
        }
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Push { key } => self.push(key),
            Op::Take => _ = self.take()?,
            Op::Accept { at } => self.come_back(at, None),
            Op::Fail { at, wait } => self.come_back(at, Some(wait)),
            Op::Sweep { key } => self.sweep(key),
            Op::Pass { millis } => self.now += Duration::from_millis(millis),
        }
        let waiting: usize = self.waiting.values().map(BTreeSet::len).sum();
        prop_assert_eq!(self.queue.len(), waiting);
        prop_assert_eq!(self.queue.iter().count(), waiting);
        Ok(())
    }

    fn push(&mut self, key: Option<u64>) {
        let event = EventBuilder::new()
            .id(&self.pushed.to_string())
            .source("/q")
            .ty("t")
            .build()
            .unwrap();
        let origin = Origin::Slot {
            lane: Arc::clone(&self.lane),
            epoch: 1,
            seq: self.pushed,
        };
        let leg = Leg::new(event, origin, Arc::clone(&self.wiring), NO_ROUTE, self.now);
        let shard = key.map_or(NO_SHARD, |key| u16::try_from(key).unwrap());
        self.waiting.entry(shard).or_default().insert(self.pushed);
        self.queue.push(leg, key);
        self.pushed += 1;
    }

    fn take(&mut self) -> Result<bool, TestCaseError> {
        let Some(leg) = self.queue.take(self.now, ALL) else {
            return Ok(false);
        };
        let (shard, order) = (leg.duty.shard, leg.duty.order);
        prop_assert!(
            self.waiting.get_mut(&shard).unwrap().remove(&order),
            "it waited, and left once"
        );
        if shard != NO_SHARD {
            let passed = self.waiting[&shard].first().filter(|first| **first < order);
            prop_assert_eq!(passed, None, "nothing of a shard is overtaken");
            let others = self
                .in_flight
                .iter()
                .filter(|leg| leg.duty.shard == shard)
                .count();
            prop_assert!(self.pipelined || others == 0, "a shard is in flight once");
            prop_assert!(
                others == 0 || !self.failed.contains(&shard),
                "after a failure all come back first"
            );
        }
        self.in_flight.push(leg);
        Ok(true)
    }

    fn come_back(&mut self, at: usize, fails: Option<u64>) {
        if self.in_flight.is_empty() {
            return;
        }
        let leg = self.in_flight.swap_remove(at % self.in_flight.len());
        let (shard, order) = (leg.duty.shard, leg.duty.order);
        match fails {
            None => self.done += 1,
            Some(wait) => {
                self.waiting.get_mut(&shard).unwrap().insert(order);
                let due = (wait > 0).then(|| self.now + Duration::from_millis(wait));
                self.queue.put_back(leg, due);
            }
        }
        self.queue.came_back(shard, fails.is_some());
        let left = self.in_flight.iter().any(|leg| leg.duty.shard == shard);
        if fails.is_some() && left {
            self.failed.insert(shard);
        } else if !left {
            self.failed.remove(&shard);
        }
    }

    fn sweep(&mut self, key: u64) {
        let shard = u16::try_from(key).unwrap();
        for leg in self.queue.extract(|leg| leg.duty.shard == shard) {
            self.queue.restore(leg);
        }
    }

    /// Everything heals: all that is in flight is accepted, time passes, nothing fails any more.
    fn drain(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..10_000 {
            self.now += Duration::from_millis(1);
            while self.take()? {}
            if self.in_flight.is_empty() && self.queue.is_empty() {
                return Ok(());
            }
            self.come_back(0, None);
        }
        prop_assert!(false, "{} legs never left", self.queue.len());
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_shard_keeps_its_order_and_everything_leaves(
        pipelined in any::<bool>(), ops in proptest::collection::vec(op(), 0..150),
    ) {
        let mut world = World::new(pipelined);
        for op in ops {
            world.apply(op)?;
        }
        world.drain()?;
        prop_assert_eq!(world.done, world.pushed);
    }
}
