#![allow(clippy::unwrap_used)]

use std::time::Duration;

use weft_api::ingress::{Credit, Incoming, LaneEvent, LaneId, LaneSpec, Lanes, Settle, Window};
use weft_api::outcome::{Outcome, Reason};

use crate::testing::{Draft, World, event, failed, pass, spec, to};
use crate::topology::spec::UnmatchedSpec;

mod held;
mod share;

fn incoming(count: u64) -> Vec<Incoming> {
    (0..count)
        .map(|n| Incoming::from(event(&n.to_string())))
        .collect()
}

fn world() -> World {
    Draft::new(&["a"]).route(to("a")).build()
}

/// Delivers one by one as long as there is credit; returns how many.
fn fill(lanes: &mut Lanes, lane: LaneId) -> u64 {
    let mut count = 0;
    while lanes.credit(lane).events > 0 {
        lanes.deliver(lane, &mut incoming(1));
        count += 1;
        assert!(count < 10_000);
    }
    count
}

fn said(lanes: &mut Lanes) -> Vec<LaneEvent> {
    std::iter::from_fn(|| lanes.try_next())
        .map(|(_, event)| event)
        .collect()
}

const fn accepted(first: u64, last: u64) -> LaneEvent {
    LaneEvent::Settled {
        first,
        last,
        outcome: Outcome::Accepted,
    }
}

#[tokio::test(start_paused = true)]
async fn exactly_the_window_is_admitted_and_credit_comes_back_with_settlements() {
    let world = world();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 10));
    assert_eq!(fill(&mut lanes, lane), 10);
    assert_eq!((lanes.unsettled(), world.unsettled()), (10, 10));
    world.remote("a").accept_all();
    assert_eq!(said(&mut lanes), [accepted(0, 9), LaneEvent::Credit]);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_full_destination_stops_the_lanes_that_feed_it_and_starts_all_of_them_again() {
    let draft = Draft::new(&["a"]).route(to("a"));
    let world = draft.settings("a", |s| s.queue.events = 8).build();
    let mut lanes = world.lanes();
    let (one, two) = (
        lanes.open(spec(Settle::InOrder, 100)),
        lanes.open(spec(Settle::InOrder, 100)),
    );
    assert_eq!(fill(&mut lanes, one), 8);
    assert_eq!(fill(&mut lanes, two), 1, "it learns of the bound by reaching it");
    world.remote("a").accept_all();
    let told: Vec<_> = std::iter::from_fn(|| lanes.try_next()).collect();
    for lane in [one, two] {
        assert!(told.contains(&(lane, LaneEvent::Credit)), "{told:?}");
    }
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_finds_its_destination_full_again_is_told_once_there_is_room() {
    let draft = Draft::new(&["a"]).route(to("a"));
    let world = draft.settings("a", |s| s.queue.events = 4).build();
    let (mut lanes, mut others) = (world.lanes(), world.lanes_of_another());
    let (lane, other) = (
        lanes.open(spec(Settle::Individual, 100)),
        others.open(spec(Settle::Individual, 100)),
    );
    fill(&mut lanes, lane);
    let mut a = world.remote("a");
    a.accept_all();
    // Room, and full again, before the first lane has looked.
    assert_eq!(fill(&mut others, other), 4);
    said(&mut lanes);
    assert_eq!(lanes.credit(lane).events, 0);
    let waiting = tokio::spawn(async move { lanes.next().await.1 });
    tokio::task::yield_now().await;
    a.accept_all();
    assert_eq!(waiting.await.unwrap(), LaneEvent::Credit);
}

#[tokio::test(start_paused = true)]
async fn delivering_past_the_window_is_counted_and_admitted() {
    let world = world();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 2));
    assert_eq!(lanes.deliver(lane, &mut incoming(5)), 0);
    assert_eq!(world.port.metrics.overdelivered.get(), 3);
    world.remote("a").accept_all();
    assert_eq!(said(&mut lanes), [accepted(0, 4)]);
    world.assert_at_rest();
}

/// Makes an in-order lane rewind: its only leg is given back.
fn give_back(world: &World) {
    world
        .destination("a")
        .clear(crate::delivery::sweep::Leftover::GiveBack(Reason::Removed));
}

#[tokio::test(start_paused = true)]
async fn a_rewind_starts_at_the_watermark_under_a_new_epoch_after_a_growing_wait() {
    let world = world();
    let mut lanes = world.lanes();
    let mut lane = lanes.open(spec(Settle::InOrder, 10));
    let mut a = world.remote("a");
    lanes.deliver(lane, &mut incoming(2));
    assert_eq!(a.accept_all().len(), 2);
    assert_eq!(said(&mut lanes), [accepted(0, 1)]);
    let mut waits = Vec::new();
    for _ in 0..6 {
        assert_eq!(lanes.deliver(lane, &mut incoming(3)), 2);
        give_back(&world);
        assert_eq!((said(&mut lanes), lanes.credit(lane).events), (vec![], 0));
        assert_eq!((lanes.unsettled(), world.budget.used()), (0, 0));
        let started = tokio::time::Instant::now();
        let (again, event) = lanes.next().await;
        waits.push(started.elapsed());
        assert_eq!(event, LaneEvent::Rewind { from: 2 });
        assert!(again.epoch != lane.epoch && again.index == lane.index);
        assert_eq!(lanes.deliver(lane, &mut incoming(1)), 0, "the old life is over");
        lane = again;
    }
    assert!(waits[5] > waits[0] * 8, "{waits:?}");
    lanes.deliver(lane, &mut incoming(1));
    a.accept_all();
    assert_eq!(said(&mut lanes), [accepted(2, 2)]);
    assert_eq!(world.port.metrics.rewinds.get(), 6);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_before_a_rewind_settles_nothing_after_it() {
    let world = world();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 10));
    let mut a = world.remote_with(
        "a",
        weft_api::egress::EgressProfile {
            batch_events: 1,
            batch_bytes: u64::MAX,
            in_flight: 9,
            keeps_order_or_fails: false,
        },
    );
    lanes.deliver(lane, &mut incoming(2));
    // The second is in flight while the first is given back.
    let first = a.take().unwrap();
    let second = a.take().unwrap();
    world
        .destination("a")
        .close(crate::delivery::sweep::Leftover::GiveBack(Reason::Removed));
    drop(first);
    assert_eq!(said(&mut lanes), []);
    second.accept_all();
    assert_eq!(said(&mut lanes), []);
    let (_, event) = lanes.next().await;
    assert_eq!(event, LaneEvent::Rewind { from: 0 });
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn after_a_close_nothing_is_reported_and_everything_is_given_back() {
    for rewinding in [false, true] {
        let world = world();
        let mut lanes = world.lanes();
        let lane = lanes.open(spec(Settle::InOrder, 10));
        lanes.deliver(lane, &mut incoming(3));
        if rewinding {
            give_back(&world);
            assert_eq!(said(&mut lanes), []);
        }
        // The connector has not heard of the rewind: it knows the old epoch only.
        lanes.close(lane);
        pass(Duration::from_secs(60)).await;
        assert_eq!(said(&mut lanes), []);
        assert_eq!(lanes.credit(lane).events, 0);
        let next = lanes.open(spec(Settle::InOrder, 10));
        assert!(next.index == lane.index && next.epoch != lane.epoch);
        lanes.close(lane);
        assert_eq!(lanes.credit(next).events, 10, "an old id closes no new lane");
        world.assert_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_set_of_lanes_gives_everything_back_and_the_next_one_starts_clean() {
    let world = world();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 10));
    lanes.deliver(lane, &mut incoming(3));
    let batch = world.remote("a").take().unwrap();
    drop(lanes);
    assert_eq!((world.budget.used(), world.unsettled()), (0, 0));
    let mut fresh = world.lanes();
    let lane = fresh.open(spec(Settle::InOrder, 10));
    fresh.deliver(lane, &mut incoming(3));
    batch.accept_all();
    assert_eq!(said(&mut fresh), [], "of an earlier client");
    world.remote("a").accept_all();
    assert_eq!(said(&mut fresh), [accepted(0, 2)]);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_individual_lane_is_told_of_what_no_route_takes() {
    let world = Draft::new(&["a"])
        .ingress(|ingress| ingress.unmatched = UnmatchedSpec::Reject)
        .build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::Individual, 10));
    lanes.deliver(lane, &mut incoming(1));
    let rejected = LaneEvent::Settled {
        first: 0,
        last: 0,
        outcome: Outcome::Rejected(Reason::Unmatched),
    };
    assert_eq!(said(&mut lanes), [rejected]);
    assert_eq!(world.port.metrics.refused(Reason::Unmatched).get(), 1);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_multicast_settles_when_every_leg_has_and_each_is_retried_alone() {
    let world = Draft::new(&["a", "b"])
        .route(to("a"))
        .route(to("b"))
        .route(to("a"))
        .build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 10));
    lanes.deliver(lane, &mut incoming(1));
    assert_eq!(
        world.port.metrics.obligations.get(),
        2,
        "two routes to one destination make one copy"
    );
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    assert_eq!(a.accept_all(), ["0"]);
    b.fail(&failed());
    pass(Duration::from_secs(60)).await;
    assert_eq!(a.accept_all(), [""; 0]);
    assert_eq!(b.accept_all(), ["0"]);
    assert_eq!(said(&mut lanes), [accepted(0, 0)]);
    world.assert_at_rest();
}
