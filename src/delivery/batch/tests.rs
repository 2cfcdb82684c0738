#![allow(clippy::unwrap_used)]

use std::time::Duration;

use weft_api::egress::EgressProfile;
use weft_api::ingress::{Incoming, Lanes, Settle};

use crate::delivery::breaker::BreakerState;
use crate::delivery::sweep::Leftover;
use crate::testing::{Draft, Remote, World, down, event, ids, keyed, pass, refused, spec, to};

const PROFILE: EgressProfile = EgressProfile {
    batch_events: 3,
    batch_bytes: u64::MAX,
    in_flight: 1000,
    keeps_order_or_fails: false,
};

fn world(linger_ms: u64, events: u32) -> (World, Lanes) {
    let draft = Draft::new(&["a"]).route(to("a"));
    let world = draft
        .settings("a", |s| s.batch.linger = Duration::from_millis(linger_ms))
        .build();
    let lanes = deliver(&world, events);
    (world, lanes)
}

fn deliver(world: &World, events: u32) -> Lanes {
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 1000));
    lanes.deliver(
        lane,
        &mut (0..events)
            .map(|n| Incoming::from(event(&n.to_string())))
            .collect(),
    );
    lanes
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_as_large_as_the_egress_takes() {
    let (world, _lanes) = world(0, 4);
    let mut a = world.remote_with("a", PROFILE);
    assert_eq!(ids(&a.take().unwrap()), ["0", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_no_more_bytes_than_the_egress_takes_but_one_event_of_any_size() {
    let (world, _lanes) = world(0, 4);
    let size = event("0").size();
    for (batch_bytes, takes) in [
        (1, 1),
        (size, 1),
        (2 * size - 1, 1),
        (2 * size, 2),
        (2 * size + 1, 2),
    ] {
        let mut a = world.remote_with(
            "a",
            EgressProfile {
                batch_bytes,
                ..PROFILE
            },
        );
        let batch = a.take().unwrap();
        assert_eq!(batch.events().len(), takes, "{batch_bytes} of {size}");
        batch.fail_rest(&weft_api::outcome::SendError::attempt(
            weft_api::outcome::Reason::Failed,
            "again",
        ));
        pass(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_full_lingers() {
    let (world, _lanes) = world(10, 2);
    let mut a = world.remote_with("a", PROFILE);
    assert!(a.take().is_none());
    pass(Duration::from_millis(9)).await;
    assert!(a.take().is_none());
    pass(Duration::from_millis(1)).await;
    assert_eq!(a.take().unwrap().events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_linger() {
    let (world, _lanes) = world(10_000, 3);
    assert_eq!(world.remote_with("a", PROFILE).take().unwrap().events().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_in_flight_than_the_egress_holds() {
    let (world, _lanes) = world(0, 9);
    let mut a = world.remote_with(
        "a",
        EgressProfile {
            in_flight: 5,
            ..PROFILE
        },
    );
    let (first, second) = (a.take().unwrap(), a.take().unwrap());
    assert_eq!((first.events().len(), second.events().len()), (3, 2));
    assert!(a.take().is_none());
    first.accept_all();
    assert_eq!(a.take().unwrap().events().len(), 3);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_a_single_event_and_the_others_wait_for_it() {
    let (world, _lanes) = world(0, 9);
    let mut a = world.remote_with("a", PROFILE);
    a.fail(&weft_api::outcome::SendError::destination(
        weft_api::outcome::Reason::Unauthorised,
        "401",
    ));
    assert!(a.take().is_none(), "open");
    assert!(!world.destination("a").is_available());
    pass(Duration::from_secs(60)).await;
    assert!(world.destination("a").is_available());
    let probe = a.take().unwrap();
    assert_eq!(probe.events().len(), 1);
    assert_eq!(world.destination("a").standing().breaker, BreakerState::Probing);
    assert!(a.take().is_none(), "probing");
    probe.accept_all();
    assert_eq!(a.accept_all().len(), 8);
    world.assert_nothing_pending();
}

/// C23: an answer to what was sent before the breaker opened is no answer to the probe.
#[tokio::test(start_paused = true)]
async fn a_probe_stays_the_only_one_while_former_events_fail() {
    let (world, _lanes) = world(0, 9);
    let mut a = world.remote_with("a", PROFILE);
    let (former, late) = (a.take().unwrap(), a.take().unwrap());
    former.fail_rest(&weft_api::outcome::SendError::destination(
        weft_api::outcome::Reason::Unauthorised,
        "401",
    ));
    pass(Duration::from_secs(60)).await;
    let probe = a.take().unwrap();
    late.fail_rest(&down());
    assert_eq!(world.destination("a").standing().breaker, BreakerState::Probing);
    pass(Duration::from_secs(60)).await;
    assert!(a.take().is_none(), "one probe at a time");
    probe.fail_rest(&down());
    pass(Duration::from_secs(60)).await;
    let next = a.take().unwrap();
    assert_eq!(next.events().len(), 1);
    next.accept_all();
    a.accept_all();
    world.assert_nothing_pending();
}

/// C23: a probe of an earlier outage that fails late is no answer to the probe of this one.
#[tokio::test(start_paused = true)]
async fn a_former_probe_that_fails_late_does_not_let_another_one_out() {
    let unauthorised =
        || weft_api::outcome::SendError::destination(weft_api::outcome::Reason::Unauthorised, "401");
    let (world, _lanes) = world(0, 9);
    let mut a = world.remote_with("a", PROFILE);
    let (first, older) = (a.take().unwrap(), a.take().unwrap());
    first.fail_rest(&unauthorised());
    pass(Duration::from_secs(60)).await;
    let former = a.take().unwrap();
    // Closed by what was sent before, and open again: the former probe is still under way.
    older.accept_all();
    a.take().unwrap().fail_rest(&unauthorised());
    pass(Duration::from_secs(60)).await;
    let probe = a.take().unwrap();
    former.fail_rest(&down());
    assert_eq!(world.destination("a").standing().breaker, BreakerState::Probing);
    pass(Duration::from_secs(60)).await;
    assert!(a.take().is_none(), "one probe at a time");
    probe.accept_all();
    a.accept_all();
    world.assert_nothing_pending();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_abandoned_does_not_stop_the_destination_for_ever() {
    let (world, _lanes) = world(0, 1);
    let mut a = world.remote_with("a", PROFILE);
    for _ in 0..5 {
        a.fail(&down());
        pass(Duration::from_secs(60)).await;
    }
    drop(a.take().unwrap());
    assert!(matches!(
        world.destination("a").standing().breaker,
        BreakerState::Open { .. }
    ));
    pass(Duration::from_secs(60)).await;
    assert_eq!(a.accept_all(), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_dropped_comes_again_in_its_order() {
    let (world, _lanes) = world(0, 3);
    let mut a = world.remote_with("a", PROFILE);
    drop(a.take().unwrap());
    pass(Duration::from_secs(60)).await;
    let mut again = a.accept_all();
    again.sort();
    assert_eq!(again, ["0", "1", "2"]);
    assert_eq!(world.destination("a").metrics.possible_duplicates.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_replaced_client_gets_nothing_more_and_what_it_held_comes_back() {
    let (world, _lanes) = world(0, 5);
    let mut old = world.remote_with("a", PROFILE);
    let held = old.take().unwrap();
    let mut new = world.remote_with("a", PROFILE);
    assert!(old.is_closed());
    assert_eq!(new.accept_all().len(), 2);
    drop(held);
    pass(Duration::from_secs(60)).await;
    assert_eq!(new.accept_all().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_has_one_event_in_flight_and_keeps_its_order_through_retries() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 1000));
    lanes.deliver(
        lane,
        &mut (0..4)
            .map(|n| Incoming::from(keyed(&n.to_string(), "k")))
            .collect(),
    );
    let mut a = world.remote_with("a", PROFILE);
    let mut seen = Vec::new();
    for turn in 0..8 {
        let batch = a.take().unwrap();
        assert_eq!(batch.events().len(), 1);
        if turn % 2 == 0 {
            batch.fail_rest(&down());
        } else {
            seen.extend(ids(&batch));
            batch.accept_all();
        }
        pass(Duration::from_secs(60)).await;
    }
    assert_eq!(seen, ["0", "1", "2", "3"]);
}

/// A batch of one remote that keeps order, with these keys; and its lanes.
fn pipelined(draft: Draft, keys: &[&str]) -> (World, Lanes, Remote) {
    let world = draft.build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 1000));
    let event = |(n, key): (usize, &&str)| Incoming::from(keyed(&n.to_string(), key));
    lanes.deliver(lane, &mut keys.iter().enumerate().map(event).collect());
    let profile = EgressProfile {
        batch_events: 100,
        keeps_order_or_fails: true,
        ..PROFILE
    };
    let remote = world.remote_with("a", profile);
    (world, lanes, remote)
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_goes_back_behind_the_event_of_its_key_that_comes_again() {
    let (world, _lanes, mut a) = pipelined(Draft::new(&["a"]).route(to("a")), &["k", "k", "other", "k", "k"]);
    let mut batch = a.take().unwrap();
    assert_eq!(ids(&batch), ["0", "2", "1", "3", "4"], "keys take turns");
    let line = batch.refuse(2, refused()).expect("it is held, and comes again");
    assert_eq!(batch.recall(line, 3), [3, 4], "C20: they would pass it");
    assert!(batch.recall(line, 3).is_empty());
    batch.accept(&[0, 1, 3]);
    assert_eq!(batch.unsettled(), 0);
    drop(batch);
    assert!(a.take().is_none(), "its retry is not due");
    let metrics = &world.destination("a").metrics;
    assert_eq!((metrics.retried.get(), metrics.delivered.get()), (1, 2));
    pass(Duration::from_secs(60)).await;
    assert_eq!(a.accept_all(), ["1", "3", "4"]);
    world.assert_nothing_pending();
}

#[tokio::test(start_paused = true)]
async fn what_goes_to_the_dead_letter_may_be_passed() {
    let draft = Draft::new(&["a", "dlt"]).route(to("a")).dead_letter("dlt");
    let (world, _lanes, mut a) = pipelined(draft, &["k", "k", "k"]);
    let mut batch = a.take().unwrap();
    assert_eq!(batch.refuse(0, refused()), None);
    batch.accept_all();
    assert_eq!(world.remote("dlt").accept_all().len(), 1);
    world.assert_nothing_pending();
}

#[tokio::test(start_paused = true)]
async fn what_goes_back_unsent_follows_the_removal_of_its_destination() {
    let (world, mut lanes, mut a) = pipelined(Draft::new(&["a"]).route(to("a")), &["k", "k"]);
    let mut batch = a.take().unwrap();
    let line = batch.refuse(0, down()).unwrap();
    world.destination("a").close(Leftover::Drop);
    assert_eq!(batch.recall(line, 1), [1]);
    drop(batch);
    while lanes.try_next().is_some() {}
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_goes_back_unsent_is_not_waited_for() {
    let (world, _lanes, mut a) = pipelined(Draft::new(&["a"]).route(to("a")), &["k"; 150]);
    let (mut first, mut second) = (a.take().unwrap(), a.take().unwrap());
    assert_eq!((first.events().len(), second.events().len()), (100, 50));
    second.accept(&(0..49).collect::<Vec<_>>());
    // Another failure opens the breaker; a probe is taken while the first batch is still on its way.
    world.destination("a").client_failed("gone");
    pass(Duration::from_secs(60)).await;
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 1000));
    lanes.deliver(lane, &mut vec![Incoming::from(keyed("last", "k"))]);
    let mut probe = a.take().unwrap();
    assert_eq!(ids(&probe), ["last"]);
    let line = first.refuse(0, down()).unwrap();
    assert_eq!(probe.recall(line, 0), [0]);
    drop((first, second, probe));
    pass(Duration::from_secs(60)).await;
    let mut left = 0;
    while let Some(batch) = a.take() {
        left += batch.events().len();
        batch.accept_all();
    }
    assert_eq!(left, 102);
    world.assert_nothing_pending();
}
