//! Logs that fail, fill up, and what becomes of the legs that they did not take (C26, C27).

use super::disk::Switched;
use super::*;
use crate::testing::any;

/// C26: after a sync that failed nothing is acknowledged out of that log any more, what it has is delivered, and once it
/// is empty events go past it.
#[tokio::test]
async fn a_log_that_failed_acknowledges_nothing_and_is_passed_by_once_it_is_empty() {
    let (dir, disk) = (Dir::new(), Switched::default());
    let world = draft(&dir, &["a"], &["a"])
        .route(to("a"))
        .disk(Arc::new(disk.clone()))
        .build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..10);
    accepted(&mut lanes, 10).await;
    disk.syncs_fail.store(true, Ordering::SeqCst);
    deliver(&mut lanes, lane, 10..20);
    let log = world.log("a");
    until("the log has failed", || log.view().failed).await;
    until("what failed waits", || log.pending() == 20).await;
    assert!(lanes.try_next().is_none(), "nothing more is acknowledged");
    assert_eq!(
        (log.metrics.appended.get(), world.port.metrics.books.stored.get()),
        (10, 10)
    );
    deliver(&mut lanes, lane, 20..25);
    assert_eq!(
        lanes.credit(lane).events,
        0,
        "and after that nothing more taken in"
    );

    assert_eq!(take(&mut world.remote("a"), 25).await, numbers(0..25));
    until("they are delivered", || {
        world.port.metrics.books.delivered.get() == 15
    })
    .await;
    assert!(lanes.credit(lane).events > 0);
}

/// C26: whoever has somewhere else to go goes there, and a request is not told that it was not taken: it may be on the disk.
#[tokio::test]
async fn what_a_failed_log_did_not_take_goes_on_in_its_plan_or_is_unknown() {
    let (dir, disk) = (Dir::new(), Switched::default());
    let plan = first(vec![to("a"), to("b")]);
    let draft = draft(&dir, &["a", "b", "c"], &["a", "c"])
        .route(plan)
        .disk(Arc::new(disk.clone()));
    let world = draft.build();
    let lane = world.requests(10);
    let stored = lane
        .submit(Incoming::from(event("1")), Duration::from_secs(60))
        .await;
    assert!(stored.stored);
    disk.syncs_fail.store(true, Ordering::SeqCst);
    let moved = lane.submit(Incoming::from(event("2")), Duration::from_secs(60));
    take(&mut world.remote("b"), 1).await;
    let verdict = moved.await;
    assert_eq!((verdict.outcome, verdict.stored), (Outcome::Accepted, false));
}

#[tokio::test]
async fn a_request_whose_log_failed_under_it_is_unknown_and_the_next_is_refused() {
    let (dir, disk) = (Dir::new(), Switched::default());
    let world = draft(&dir, &["a"], &["a"])
        .route(to("a"))
        .disk(Arc::new(disk.clone()))
        .build();
    let lane = world.requests(10);
    let submit = |id: &str| lane.submit(Incoming::from(event(id)), Duration::from_secs(60));
    assert!(submit("1").await.stored);
    disk.syncs_fail.store(true, Ordering::SeqCst);
    assert_eq!(submit("2").await.outcome, Outcome::Unknown(Reason::StoreFailed));
    assert_eq!(submit("3").await.outcome, Outcome::Released(Reason::StoreFailed));
}

/// C27: full is no failure. Lanes wait, requests are refused, and both go on by themselves.
#[tokio::test]
async fn a_full_disk_holds_up_lanes_and_refuses_requests_until_there_is_room() {
    let (dir, disk) = (Dir::new(), Switched::default());
    let world = draft(&dir, &["a"], &["a"])
        .route(to("a"))
        .disk(Arc::new(disk.clone()))
        .build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    let requests = world.requests(10);
    disk.is_full.store(true, Ordering::SeqCst);
    deliver(&mut lanes, lane, 0..10);
    let log = world.log("a");
    until("the log is full", || log.is_full()).await;
    assert!(lanes.try_next().is_none());
    let refused = requests
        .submit(Incoming::from(event("r")), Duration::from_secs(60))
        .await;
    assert_eq!(refused.outcome, Outcome::Released(Reason::Overloaded));
    disk.is_full.store(false, Ordering::SeqCst);
    accepted(&mut lanes, 10).await;
    assert_eq!(take(&mut world.remote("a"), 10).await, numbers(0..10));
    assert!(!log.view().failed);
}

/// A dead letter may go to the place that it comes from. What a log holds gets past what waits for the room that only its
/// leaving makes.
#[tokio::test]
async fn what_a_full_log_holds_comes_back_into_it_before_what_waits_for_room() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &["a"])
        .route(to("a"))
        .dead_letter("a")
        .build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    let log = world.log("a");
    let bounded = |max_bytes| weft_store::LogSettings {
        max_bytes,
        own_space: false,
        max_age: None,
        retain: None,
        window: 100,
        parts: 1,
    };
    deliver(&mut lanes, lane, 0..5);
    accepted(&mut lanes, 5).await;
    log.log.configure(bounded(1));
    deliver(&mut lanes, lane, 5..10);
    until("five wait for room", || log.pending() == 10).await;
    let one_by_one = EgressProfile {
        batch_events: 1,
        batch_bytes: u64::MAX,
        in_flight: 10,
        keeps_order_or_fails: true,
    };
    let mut a = world.remote_with("a", one_by_one);
    let mut dead = 0;
    while dead < 5 {
        let batch = a.next().await;
        match batch.events()[0].get("weftclass") {
            None => batch.fail_rest(&refused()),
            Some(_) => {
                dead += 1;
                batch.accept_all();
            }
        }
    }
    until("all that it held has left", || log.log.open() == 0).await;
    assert_eq!(log.pending(), 5);
    log.log.configure(bounded(16 << 20));
    until("those that waited are in it", || log.log.open() == 5).await;
}

/// C20: what a log had taken and did not write goes before what waited behind it, and nothing that comes gets past.
#[tokio::test]
async fn what_a_failed_log_gives_back_keeps_its_order() {
    let (dir, disk) = (Dir::new(), Switched::default());
    let draft = draft(&dir, &["a"], &["a"])
        .route(to("a"))
        .disk(Arc::new(disk.clone()));
    let world = draft.build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    disk.syncs_fail.store(true, Ordering::SeqCst);
    let mut a = world.remote("a");
    let mut seen = Vec::new();
    for piece in 0..20 {
        deliver(&mut lanes, lane, piece * 10..piece * 10 + 10);
        if piece % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    while seen.len() < 200 {
        let batch = a.next().await;
        seen.extend(ids(&batch));
        batch.accept_all();
    }
    assert_eq!(seen, numbers(0..200));
    accepted(&mut lanes, 200).await;
    assert_eq!(world.port.metrics.books.delivered.get(), 200);
}

/// A group and its member have logs, and the group's fails: it is passed by into the member's.
#[tokio::test]
async fn a_failed_log_of_a_group_is_passed_by_into_that_of_its_member() {
    let (dir, disk) = (Dir::new(), Switched::default());
    let draft = draft(&dir, &["a"], &["a"])
        .stored_group("g", any(&["a"]))
        .route(to("g"))
        .disk(Arc::new(disk.only("d.g")));
    let world = draft.build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    disk.syncs_fail.store(true, Ordering::SeqCst);
    deliver(&mut lanes, lane, 0..10);
    assert_eq!(take(&mut world.remote("a"), 10).await, numbers(0..10));
    accepted(&mut lanes, 10).await;
    assert!(world.log("g").view().failed && !world.log("a").view().failed);
}
