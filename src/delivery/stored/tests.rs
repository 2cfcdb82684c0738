//! Logs between lanes and destinations, with a real store in a directory of its own. Its threads have their own time, so
//! that these tests wait for what happens, and the clock is not paused.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use weft_api::egress::EgressProfile;
use weft_api::event::Attributes;
use weft_api::ingress::{Incoming, LaneEvent, LaneId, Lanes, Settle};
use weft_api::outcome::{Outcome, Reason};

use crate::testing::{Draft, Remote, World, down, event, first, ids, keyed, refused, spec, to};
use crate::topology::spec::PlanSpec;

pub(super) mod disk;
mod failed;

/// Removed when it is dropped.
pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "weft-stored-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Dir(std::env::temp_dir().join(name))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn draft(dir: &Dir, endpoints: &[&str], logs: &[&str]) -> Draft {
    Draft::new(endpoints).store(&dir.0, logs)
}

pub(super) fn lane(world: &World, settle: Settle) -> (Lanes, LaneId) {
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(settle, 10_000));
    (lanes, lane)
}

pub(super) fn deliver(lanes: &mut Lanes, lane: LaneId, range: std::ops::Range<u32>) {
    let mut batch = range.map(|id| Incoming::from(event(&id.to_string()))).collect();
    lanes.deliver(lane, &mut batch);
}

/// Waits until slots up to `last` are settled; all are accepted.
pub(super) async fn accepted(lanes: &mut Lanes, end: u64) {
    let mut settled = 0;
    while settled < end {
        match lanes.next().await.1 {
            LaneEvent::Settled { first, last, outcome } => {
                assert_eq!((first, outcome), (settled, Outcome::Accepted));
                settled = last + 1;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Takes and confirms until so many have come; returns their ids.
pub(super) async fn take(remote: &mut Remote, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        let batch = remote.next().await;
        all.extend(ids(&batch));
        batch.accept_all();
    }
    assert_eq!(all.len(), count);
    all
}

/// Waits until something holds; "never" is a minute.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to this: {what}");
}

pub(super) fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

#[tokio::test]
async fn an_event_is_acknowledged_once_it_is_stored_and_delivered_later() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..50);
    accepted(&mut lanes, 50).await;
    let books = &world.port.metrics.books;
    assert_eq!((books.stored.get(), books.delivered.get()), (50, 0));
    assert_eq!(take(&mut world.remote("a"), 50).await, numbers(0..50));
    let log = world.log("a");
    until("the log is empty", || log.pending() == 0).await;
    let ended = &log.metrics.lane.books;
    assert_eq!(
        (
            log.metrics.appended.get(),
            ended.delivered.get(),
            ended.pending.get()
        ),
        (50, 50, 0)
    );
    world.assert_at_rest();
}

#[tokio::test]
async fn a_request_is_answered_202_once_it_is_stored() {
    let dir = Dir::new();
    let world = draft(&dir, &["a", "b"], &["a"])
        .route(to("a"))
        .route(to("b"))
        .build();
    let lane = world.requests(10);
    let answer = lane.submit(Incoming::from(event("1")), Duration::from_secs(60));
    take(&mut world.remote("b"), 1).await;
    let verdict = answer.await;
    assert_eq!(
        (verdict.outcome, verdict.stored, verdict.matched),
        (Outcome::Accepted, true, 2)
    );
    take(&mut world.remote("a"), 1).await;
    until("the log is empty", || world.log("a").pending() == 0).await;
    world.assert_at_rest();
}

/// C20, C24: what the process held when it ended comes out of the log of the next, in order, with its key and attributes.
#[tokio::test]
async fn what_is_stored_outlives_the_process_with_its_order_and_key() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    let mut batch = (0..100)
        .map(|id| Incoming::from(keyed(&id.to_string(), "k")))
        .collect();
    lanes.deliver(lane, &mut batch);
    accepted(&mut lanes, 100).await;
    // Some are delivered, and that is not forgotten.
    let profile = EgressProfile {
        batch_events: 30,
        batch_bytes: u64::MAX,
        in_flight: 30,
        keeps_order_or_fails: true,
    };
    let batch = world.remote_with("a", profile).next().await;
    let mut seen = ids(&batch);
    assert!((1..=30).contains(&seen.len()));
    batch.accept_all();
    drop(lanes);
    world.stop().await;

    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let left = world.log("a").metrics.found.get();
    assert_eq!(left, 100 - seen.len() as u64);
    let mut a = world.remote("a");
    let batch = a.next().await;
    assert_eq!(
        batch.events()[0].transport_key().map(|key| &key[..]),
        Some(&b"k"[..])
    );
    seen.extend(ids(&batch));
    batch.accept_all();
    seen.extend(take(&mut a, 100 - seen.len()).await);
    assert_eq!(seen, numbers(0..100));
}

#[tokio::test]
async fn a_destination_that_fails_gets_the_event_again_and_the_log_keeps_it_until_then() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..1);
    accepted(&mut lanes, 1).await;
    let mut a = world.remote("a");
    for _ in 0..3 {
        a.next().await.fail_rest(&down());
        assert_eq!(world.log("a").pending(), 1);
    }
    take(&mut a, 1).await;
    until("the log is empty", || world.log("a").pending() == 0).await;
}

#[tokio::test]
async fn what_nobody_takes_goes_from_the_log_to_the_dead_letter_of_its_route() {
    let dir = Dir::new();
    let world = draft(&dir, &["a", "dlt"], &["a"])
        .route(to("a"))
        .dead_letter("dlt")
        .build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..1);
    accepted(&mut lanes, 1).await;
    world.remote("a").next().await.fail_rest(&refused());
    let batch = world.remote("dlt").next().await;
    assert_eq!(batch.events()[0].get("weftroute").unwrap().text, "r0");
    assert_eq!(
        world.log("a").pending(),
        1,
        "it leaves the log once the dead letter has it"
    );
    batch.accept_all();
    until("the log is empty", || world.log("a").pending() == 0).await;
    assert_eq!(world.log("a").metrics.lane.books.dead_lettered.get(), 1);
}

/// Its sender was told that it is safe: without a dead letter of its route the local ones have it, and the log goes on.
#[tokio::test]
async fn what_nobody_takes_and_has_no_dead_letter_is_kept_among_the_local_ones() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..2);
    accepted(&mut lanes, 2).await;
    let mut a = world.remote("a");
    let mut refusals = 0;
    while refusals < 2 {
        let batch = a.next().await;
        refusals += batch.events().len();
        batch.fail_rest(&refused());
    }
    let dead = world.log("local");
    until("both are dead letters", || dead.log.open() == 2).await;
    until("the log is empty", || world.log("a").pending() == 0).await;
    assert_eq!(world.log("a").metrics.lane.books.dead_lettered.get(), 2);
}

/// A fallback around the log goes on as without a store, out of the log, too.
#[tokio::test]
async fn a_leg_out_of_a_log_moves_on_in_the_plan_that_brought_it_there() {
    let dir = Dir::new();
    let plan = || first(vec![to("a"), to("b")]);
    let world = draft(&dir, &["a", "b"], &["a"]).route(plan()).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..1);
    accepted(&mut lanes, 1).await;
    world.stop().await;

    let world = draft(&dir, &["a", "b"], &["a"]).route(plan()).build();
    world.remote("a").next().await.fail_rest(&refused());
    assert_eq!(take(&mut world.remote("b"), 1).await, ["0"]);
    until("the log is empty", || world.log("a").pending() == 0).await;
    assert_eq!(world.destination("a").metrics.moved_fallback.get(), 1);
}

/// C30: the file lost the log; what is in it is delivered first, and then nothing stands in the way.
#[tokio::test]
async fn a_log_that_the_file_does_not_name_any_more_is_delivered_before_what_comes() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let (mut lanes, lane_id) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane_id, 0..20);
    accepted(&mut lanes, 20).await;
    drop(lanes);
    world.stop().await;

    let world = draft(&dir, &["a"], &[]).route(to("a")).build();
    let (mut lanes, lane_id) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane_id, 20..40);
    assert_eq!(take(&mut world.remote("a"), 40).await, numbers(0..40));
    accepted(&mut lanes, 20).await;
    until("the log is empty", || world.log("a").pending() == 0).await;
    assert_eq!(world.port.metrics.books.stored.get(), 20);
}

#[tokio::test]
async fn what_is_older_than_max_age_has_expired_when_it_comes_out() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..5);
    accepted(&mut lanes, 5).await;
    drop(lanes);
    world.stop().await;
    tokio::time::sleep(Duration::from_millis(20)).await;

    let world = draft(&dir, &["a"], &["a"])
        .max_age("a", Duration::from_millis(10))
        .route(to("a"))
        .build();
    let log = world.log("a");
    let a = world.destination("a");
    until("all have expired", || {
        a.sweep();
        log.metrics.lane.books.expired.get() == 5
    })
    .await;
    until("the log is empty", || log.pending() == 0).await;
}

/// Nobody reads them, and so nobody else would know it.
#[tokio::test]
async fn the_age_of_the_oldest_dead_letter_is_shown_until_all_have_left() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let dead = world.log("local");
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..2);
    accepted(&mut lanes, 2).await;
    let mut a = world.remote("a");
    while dead.log.open() < 2 {
        tokio::select! {
            batch = a.next() => batch.fail_rest(&refused()),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    let age = || dead.metrics.oldest.get();
    until("its age is shown", || age() > 0.0).await;
    let first = age();
    until("it grows", || age() > first).await;
    dead.log.acknowledge(0..1);
    until("the other one is the oldest", || age() > first).await;
    dead.log.acknowledge(1..2);
    until("nothing is left", || age() <= 0.0).await;
}

#[tokio::test]
async fn dead_letters_are_given_up_once_they_are_older_than_max_age() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"]).route(to("a")).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..3);
    accepted(&mut lanes, 3).await;
    let dead = world.log("local");
    let mut a = world.remote("a");
    while dead.log.open() < 3 {
        tokio::select! {
            batch = a.next() => batch.fail_rest(&refused()),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    drop(lanes);
    world.stop().await;
    tokio::time::sleep(Duration::from_millis(20)).await;

    let world = draft(&dir, &["a"], &["a"])
        .max_age("local", Duration::from_millis(10))
        .route(to("a"))
        .build();
    let dead = world.log("local");
    assert_eq!(dead.metrics.found.get(), 3);
    until("they are given up", || dead.log.open() == 0).await;
    assert_eq!(dead.metrics.lane.books.expired.get(), 3);
}

/// What an ingress keeps is acknowledged with everything else, owed to nobody, and there as long as it is retained.
#[tokio::test]
async fn what_came_in_is_kept_beside_what_is_owed() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .ingress(|ingress| ingress.retain = Some(Duration::from_secs(3600)))
        .route(to("a"))
        .build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..10);
    let kept = world.log("ingress.in");
    until("all are kept", || kept.metrics.appended.get() == 10).await;
    assert!(lanes.try_next().is_none(), "the destination has not taken them");
    take(&mut world.remote("a"), 10).await;
    accepted(&mut lanes, 10).await;
    assert_eq!(kept.pending(), 0);
    let mut reader = world.storage.as_ref().unwrap().reader(&kept, false);
    let mut records = Vec::new();
    let most = weft_store::Most {
        records: 100,
        bytes: 1 << 20,
    };
    tokio::task::spawn_blocking(move || {
        reader.read(most, &mut records).unwrap();
        assert_eq!(records.len(), 10);
    })
    .await
    .unwrap();
    world.assert_at_rest();
}

/// C14: two plans of one route that have no name, and a member in common: each leg goes on in its own.
#[tokio::test]
async fn legs_of_plans_without_a_name_go_on_each_in_its_own() {
    let dir = Dir::new();
    let plan = || PlanSpec::All(vec![first(vec![to("x"), to("y")]), first(vec![to("x"), to("z")])]);
    let world = draft(&dir, &["x", "y", "z"], &["x"]).route(plan()).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..1);
    accepted(&mut lanes, 1).await;
    assert_eq!(world.log("x").pending(), 2);
    world.stop().await;

    let world = draft(&dir, &["x", "y", "z"], &["x"]).route(plan()).build();
    let mut x = world.remote("x");
    let mut refusals = 0;
    while refusals < 2 {
        let batch = x.next().await;
        refusals += batch.events().len();
        batch.fail_rest(&refused());
    }
    assert_eq!(take(&mut world.remote("y"), 1).await, ["0"]);
    assert_eq!(take(&mut world.remote("z"), 1).await, ["0"]);
    until("the log is empty", || world.log("x").pending() == 0).await;
}
