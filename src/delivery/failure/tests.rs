#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weft_api::event::Attributes;
use weft_api::ingress::{Incoming, LaneEvent, LaneId, Lanes, Settle};
use weft_api::outcome::{Outcome, Reason, SendError};

use super::advice;
use crate::delivery::breaker::BreakerState;
use crate::delivery::leg::Leg;
use crate::delivery::origin::{LanePort, Origin, Port};
use crate::delivery::sweep::Leftover;
use crate::testing::{Draft, World, all, any, down, event, failed, first, ids, pass, refused, spec, to};

const LONG: Duration = Duration::from_secs(60);

fn deliver(lanes: &mut Lanes, lane: LaneId, ids: &[&str]) {
    lanes.deliver(
        lane,
        &mut ids.iter().map(|id| Incoming::from(event(id))).collect(),
    );
}

/// A world, its lane, and one event `1` on its way.
fn one(draft: Draft, settle: Settle) -> (World, Lanes, LaneId) {
    let world = draft.build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(settle, 100));
    deliver(&mut lanes, lane, &["1"]);
    (world, lanes, lane)
}

fn outcome(lanes: &mut Lanes) -> Option<Outcome> {
    match lanes.try_next() {
        Some((
            _,
            LaneEvent::Settled {
                first: 0,
                last: 0,
                outcome,
            },
        )) => Some(outcome),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_goes_to_the_dead_letter_with_its_story() {
    let draft = Draft::new(&["a", "dlt"]).route(to("a")).dead_letter("dlt");
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut dlt) = (world.remote("a"), world.remote("dlt"));
    a.fail(&refused());
    assert_eq!(
        outcome(&mut lanes),
        None,
        "not resolved before the dead letter is confirmed"
    );
    let batch = dlt.take().unwrap();
    let dead = &batch.events()[0];
    for (name, value) in [
        ("weftclass", "refused"),
        ("weftdestination", "a"),
        ("weftroute", "r0"),
        ("weftreason", "422"),
    ] {
        assert_eq!(dead.get(name).unwrap().text, value);
    }
    assert_eq!(dead.get("weftattempts").unwrap().text, "1");
    assert!(dead.get("weftfirst").is_some() && dead.get("weftlast").is_some());
    assert_eq!((dead.id(), dead.source()), ("1", "/test"));
    batch.accept_all();
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    assert_eq!(world.port.metrics.books.dead_lettered.get(), 1);
    assert_eq!(world.destination("a").metrics.dead_lettered.get(), 1);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_event_is_refused_after_as_many_failures_of_its_own_as_the_file_says() {
    let draft = Draft::new(&["a"])
        .route(to("a"))
        .settings("a", |s| s.retry.attempts = 3);
    let (world, mut lanes, _) = one(draft, Settle::Individual);
    let mut a = world.remote("a");
    for _ in 0..3 {
        assert_eq!(outcome(&mut lanes), None);
        pass(LONG).await;
        a.fail(&failed());
    }
    assert_eq!(outcome(&mut lanes), Some(Outcome::Rejected(Reason::Exhausted)));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn failures_of_the_destination_use_up_no_attempt() {
    let draft = Draft::new(&["a"])
        .route(to("a"))
        .settings("a", |s| s.retry.attempts = 1);
    let (world, mut lanes, _) = one(draft, Settle::Individual);
    let mut a = world.remote("a");
    for _ in 0..20 {
        pass(LONG).await;
        a.fail(&down());
    }
    pass(LONG).await;
    assert_eq!(a.accept_all(), ["1"]);
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_poisonous_event_does_not_go_round_an_anycast_for_ever() {
    let draft = Draft::new(&["a", "b"]).route(any(&["a", "b"]));
    let draft = draft
        .settings("a", |s| s.retry.attempts = 5)
        .settings("b", |s| s.retry.attempts = 5);
    let (world, mut lanes, _) = one(draft, Settle::Individual);
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    let mut tries = 0;
    while outcome(&mut lanes).is_none() {
        pass(LONG).await;
        for remote in [&mut a, &mut b] {
            if let Some(batch) = remote.take() {
                tries += 1;
                batch.fail_rest(&failed());
            }
        }
        assert!(tries <= 5, "attempts add up over the members");
    }
    assert_eq!(tries, 5);
    for name in ["a", "b"] {
        assert_eq!(
            world.destination(name).standing().breaker,
            BreakerState::Closed,
            "one event alone opens nothing"
        );
    }
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_destination_is_bounded_where_the_file_says_so() {
    let draft = Draft::new(&["a", "dlt"]).route(to("a")).dead_letter("dlt");
    let draft = draft.settings("a", |s| s.retry.unavailable = Some(Duration::from_secs(10)));
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut dlt) = (world.remote("a"), world.remote("dlt"));
    a.fail(&SendError::destination(Reason::Misconfigured, "404"));
    pass(Duration::from_secs(9)).await;
    world.destination("a").sweep();
    assert_eq!(dlt.accept_all(), [""; 0]);
    pass(Duration::from_secs(2)).await;
    world.destination("a").sweep();
    assert_eq!(dlt.accept_all(), ["1"]);
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn without_a_dead_letter_a_refusal_holds_an_in_order_lane_until_it_is_taken() {
    let (world, mut lanes, _) = one(Draft::new(&["a"]).route(to("a")), Settle::InOrder);
    let mut a = world.remote("a");
    for _ in 0..5 {
        pass(LONG).await;
        a.fail(&refused());
        assert_eq!(outcome(&mut lanes), None);
        assert_eq!(world.port.metrics.books.held_lanes.get(), 1);
    }
    pass(LONG).await;
    a.accept_all();
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    world.assert_at_rest();
}

/// What a reload says reaches no leg that is held, and a log has no `on_rejected`.
#[tokio::test(start_paused = true)]
async fn what_came_out_of_a_log_is_given_advice_of_its_own() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let advice = |port: Port| {
        let lane = Arc::new(LanePort::new(Arc::new(port), "t/0".into(), 0, 1, true));
        let origin = Origin::Slot {
            lane,
            epoch: 1,
            seq: 0,
        };
        let wiring = Arc::clone(&world.wiring);
        advice(&Leg::new(event("1"), origin, wiring, 0, Instant::now()))
    };
    let metrics = || Arc::clone(&world.port.metrics);
    assert!(advice(Port::new("in".into(), metrics(), false)).contains("on_rejected: drop"));
    let of_log = advice(Port::of_log("a.log".into(), metrics()));
    assert!(of_log.contains("restart") && !of_log.contains("on_rejected"));
}

#[tokio::test(start_paused = true)]
async fn a_branch_of_a_nested_multicast_that_is_held_shows_its_lane_as_held() {
    let draft = Draft::new(&["a", "b"]).route(first(vec![all(&["a", "b"])]));
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    a.accept_all();
    b.fail(&refused());
    assert_eq!(world.port.metrics.books.held_lanes.get(), 1);
    pass(LONG).await;
    b.accept_all();
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn without_a_dead_letter_a_refusal_is_dropped_where_the_user_wrote_it() {
    let draft = Draft::new(&["a"])
        .route(to("a"))
        .ingress(|ingress| ingress.drop_rejected = true);
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    world.remote("a").fail(&refused());
    assert_eq!(outcome(&mut lanes), Some(Outcome::Rejected(Reason::Refused)));
    assert_eq!(world.port.metrics.books.dropped.get(), 1);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_fallback_moves_only_what_failed() {
    let draft = Draft::new(&["a", "b"]).route(first(vec![to("a"), to("b")]));
    let world = draft.build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 100));
    deliver(&mut lanes, lane, &["1", "2", "3"]);
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    let mut batch = a.take().unwrap();
    batch.accept(&[0, 2, 0, 9]);
    batch.fail(1, refused());
    batch.fail(1, refused());
    assert_eq!(batch.unsettled(), 0);
    drop(batch);
    assert_eq!(b.accept_all(), ["2"]);
    assert_eq!(world.destination("a").metrics.moved_fallback.get(), 1);
    world_settles(&mut lanes, 3);
    world.assert_at_rest();
}

/// Everything is accepted, in order, up to `count`.
fn world_settles(lanes: &mut Lanes, count: u64) {
    let mut next = 0;
    while let Some((_, said)) = lanes.try_next() {
        let LaneEvent::Settled {
            first,
            last,
            outcome: Outcome::Accepted,
        } = said
        else {
            panic!("{said:?}")
        };
        assert_eq!(first, next);
        next = last + 1;
    }
    assert_eq!(next, count);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_empties_the_queue_into_the_fallback_at_once() {
    let draft = Draft::new(&["a", "b"]).route(first(vec![to("a"), to("b")]));
    let world = draft.build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 1000));
    let names: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    deliver(
        &mut lanes,
        lane,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    a.fail(&down());
    assert!(matches!(
        world.destination("a").standing().breaker,
        BreakerState::Open { .. }
    ));
    assert_eq!(b.accept_all().len(), 300);
    world_settles(&mut lanes, 300);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_time_out_does_not_move_to_a_fallback_that_did_not_ask_for_it() {
    let draft = Draft::new(&["a", "b"]).route(first(vec![to("a"), to("b")]));
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    a.fail(&SendError::destination(Reason::Timeout, "no answer").maybe_delivered());
    assert_eq!(b.accept_all(), [""; 0]);
    assert_eq!(world.destination("a").metrics.possible_duplicates.get(), 1);
    pass(LONG).await;
    assert_eq!(a.accept_all(), ["1"]);
    world_settles(&mut lanes, 1);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_nested_multicast_is_delivered_when_all_of_it_is() {
    let draft = Draft::new(&["a", "b", "c"]).route(first(vec![all(&["a", "b"]), to("c")]));
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    assert_eq!(a.accept_all(), ["1"]);
    assert_eq!(outcome(&mut lanes), None);
    assert_eq!(b.accept_all(), ["1"]);
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    assert_eq!(
        (
            world.port.metrics.obligations.get(),
            world.port.metrics.books.delivered.get()
        ),
        (1, 1)
    );
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_nested_multicast_with_a_refusal_moves_on_as_a_whole() {
    let draft = Draft::new(&["a", "b", "c"]).route(first(vec![all(&["a", "b"]), to("c")]));
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut b, mut c) = (world.remote("a"), world.remote("b"), world.remote("c"));
    a.fail(&refused());
    assert_eq!(c.accept_all(), [""; 0], "b is still under way");
    b.accept_all();
    assert_eq!(c.accept_all(), ["1"]);
    // C32: the move is counted once, at the first destination of what was left.
    let moved = |name: &str| world.destination(name).metrics.moved_fallback.get();
    assert_eq!((moved("a"), moved("b"), moved("c")), (1, 0, 0));
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_multicast_whose_branches_gave_up_for_nothing_rewinds_and_does_not_spin() {
    // b gives up because the plan around has c, which goes down before a has answered.
    let draft = Draft::new(&["a", "b", "c"]).route(first(vec![all(&["a", "b"]), to("c")]));
    let (world, mut lanes, lane) = one(draft, Settle::InOrder);
    let (mut a, mut b) = (world.remote("a"), world.remote("b"));
    let pending = a.take().unwrap();
    b.fail(&SendError::destination(Reason::Unauthorised, "401"));
    world.destination("c").client_failed("gone");
    pending.accept_all();
    assert_eq!(lanes.try_next(), None);
    assert_eq!(lanes.credit(lane).events, 0, "it waits for its rewind");
    pass(LONG).await;
    let Some((again, LaneEvent::Rewind { from: 0 })) = lanes.try_next() else {
        panic!("no rewind")
    };
    assert_ne!(again.epoch, lane.epoch);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_went_to_the_dead_letter_is_no_delivery_of_the_whole() {
    let draft = Draft::new(&["a", "b", "dlt"])
        .route(first(vec![all(&["a", "b"])]))
        .dead_letter("dlt");
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut b, mut dlt) = (world.remote("a"), world.remote("b"), world.remote("dlt"));
    a.accept_all();
    b.fail(&refused());
    dlt.accept_all();
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    assert_eq!(
        (
            world.port.metrics.books.dead_lettered.get(),
            world.port.metrics.books.delivered.get()
        ),
        (1, 0)
    );
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_a_removed_destination_goes_where_the_reload_said() {
    for (leftover, settled) in [
        (Leftover::Drop, Some(Outcome::Accepted)),
        (
            Leftover::GiveBack(Reason::Removed),
            Some(Outcome::Released(Reason::Removed)),
        ),
        (Leftover::DeadLetter, None),
    ] {
        let draft = Draft::new(&["a", "dlt"]).route(to("a")).dead_letter("dlt");
        let world = draft.build();
        let mut lanes = world.lanes();
        let lane = lanes.open(spec(Settle::Individual, 100));
        let mut dlt = world.remote("dlt");
        world.destination("a").close(leftover);
        deliver(&mut lanes, lane, &["1"]);
        assert_eq!(outcome(&mut lanes), settled);
        if settled.is_none() {
            assert_eq!(dlt.accept_all(), ["1"]);
            assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
        }
        assert!(!world.destination("a").is_available());
        world.assert_at_rest();
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_in_flight_at_a_removed_destination_is_not_lost() {
    let (world, mut lanes, _) = one(Draft::new(&["a"]).route(to("a")), Settle::Individual);
    let batch = world.remote("a").take().unwrap();
    world.destination("a").close(Leftover::GiveBack(Reason::Removed));
    drop(batch);
    assert_eq!(
        outcome(&mut lanes),
        Some(Outcome::Unknown(Reason::Removed)),
        "it may have been delivered"
    );
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_stale_leg_that_fails_is_neither_moved_nor_dead_lettered() {
    let draft = Draft::new(&["a", "dlt"]).route(to("a")).dead_letter("dlt");
    let (world, mut lanes, lane) = one(draft, Settle::InOrder);
    let (mut a, mut dlt) = (world.remote("a"), world.remote("dlt"));
    let batch = a.take().unwrap();
    assert_eq!(ids(&batch), ["1"]);
    lanes.close(lane);
    batch.fail_rest(&refused());
    assert_eq!(dlt.accept_all(), [""; 0]);
    assert_eq!(world.port.metrics.books.returned.get(), 1);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_expired_event_is_not_delivered_and_is_counted() {
    let draft = Draft::new(&["a"])
        .route(to("a"))
        .last_route(|route| route.max_age = Some(LONG));
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    pass(LONG).await;
    assert_eq!(world.remote("a").accept_all(), [""; 0]);
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    assert_eq!(
        (
            world.port.metrics.books.expired.get(),
            world.destination("a").metrics.expired.get()
        ),
        (1, 1)
    );
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_anycast_whose_members_are_all_down_keeps_an_event_no_longer_than_unavailable_says() {
    let bound = |settings: &mut crate::delivery::settings::Settings| {
        settings.retry.unavailable = Some(Duration::from_secs(600));
    };
    let draft = Draft::new(&["a", "b", "dlt"])
        .route(any(&["a", "b"]))
        .dead_letter("dlt")
        .settings("a", bound)
        .settings("b", bound);
    let (world, mut lanes, _) = one(draft, Settle::InOrder);
    let (mut a, mut b, mut dlt) = (world.remote("a"), world.remote("b"), world.remote("dlt"));
    // Longer than any breaker waits: whenever one member fails, the other is due for a probe.
    for _ in 0..60 {
        for remote in [&mut a, &mut b] {
            if let Some(batch) = remote.take() {
                batch.fail_rest(&down());
            }
        }
        pass(Duration::from_secs(40)).await;
        world
            .wiring
            .destinations
            .iter()
            .for_each(|destination| destination.sweep());
    }
    assert_eq!(
        dlt.accept_all(),
        ["1"],
        "C15-C17: the bound counts over all members"
    );
    assert_eq!(outcome(&mut lanes), Some(Outcome::Accepted));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_split_among_a_group_is_a_dead_letter_at_each_member() {
    let mut draft = Draft::new(&["a", "d1", "d2"]).route(to("a")).dead_letter("dead");
    let plan = all(&["d1", "d2"]);
    draft
        .spec
        .destinations
        .push(crate::topology::spec::DestinationSpec::Group {
            name: "dead".into(),
            plan,
            store: None,
            shared: None,
        });
    let (world, mut lanes, _) = one(draft, Settle::Individual);
    let (mut a, mut d1, mut d2) = (world.remote("a"), world.remote("d1"), world.remote("d2"));
    a.fail(&refused());
    assert_eq!(d1.accept_all(), ["1"]);
    d2.fail(&refused());
    assert!(
        d1.take().is_none() && d2.take().is_none(),
        "a member that refuses sends nothing round again"
    );
    assert_eq!(outcome(&mut lanes), Some(Outcome::Rejected(Reason::Refused)));
    world.assert_at_rest();
}
