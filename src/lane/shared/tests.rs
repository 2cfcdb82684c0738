//! A log that routers share, whose topic is the test: what is written into it is handed to the reader of another router.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use weft_api::egress::Batch;
use weft_api::event::{Attributes, Event};
use weft_api::ingress::{Incoming, LaneEvent, LaneId, Lanes, Settle};
use weft_api::outcome::{Outcome, Reason};

use super::complaint;
use crate::delivery::shared::{ATTRIBUTES_MAX, NAME};
use crate::testing::{Draft, World, down, event, first, ids, keyed, pass, refused, spec, to};

fn draft() -> Draft {
    Draft::new(&["a", "dead"])
        .shared("a")
        .route(to("a"))
        .dead_letter("dead")
}

fn open(mut lanes: Lanes) -> (Lanes, LaneId) {
    let lane = lanes.open(spec(Settle::InOrder, 10_000));
    (lanes, lane)
}

fn put(lanes: &mut Lanes, lane: LaneId, events: impl IntoIterator<Item = Event>) {
    let mut batch = events.into_iter().map(Incoming::from).collect();
    lanes.deliver(lane, &mut batch);
}

/// Takes what is on its way into the log.
fn written(world: &World) -> Vec<Event> {
    let mut log = world.remote("a.log");
    let mut records = Vec::new();
    while let Some(batch) = log.take() {
        records.extend(batch.events().iter().cloned());
        batch.accept_all();
    }
    assert!(!records.is_empty());
    records
}

/// What `world` writes into the log for these events.
fn records_of(world: &World, events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let (mut lanes, lane) = open(world.lanes());
    put(&mut lanes, lane, events);
    written(world)
}

async fn accepted(lanes: &mut Lanes, end: u64) {
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

#[tokio::test(start_paused = true)]
async fn an_event_is_acknowledged_once_the_log_has_it_and_owed_again_where_it_comes_out() {
    let (here, there) = (draft().build(), draft().build());
    let (mut lanes, lane) = open(here.lanes());
    put(&mut lanes, lane, [keyed("1", "k"), event("2")]);
    assert!(here.remote("a").take().is_none(), "not past the log");
    let records = written(&here);
    assert!(records.iter().all(|record| record.get(NAME).is_some()));
    accepted(&mut lanes, 2).await;
    let books = &here.port.metrics.books;
    assert_eq!((books.stored.get(), books.delivered.get()), (2, 0));
    here.assert_at_rest();

    let (mut lanes, lane) = open(there.lanes_of_log());
    put(&mut lanes, lane, records);
    let batch = there.remote("a").take().unwrap();
    assert_eq!(ids(&batch), ["1", "2"]);
    assert_eq!(batch.events()[0], keyed("1", "k"));
    assert_eq!(
        batch.events()[0].transport_key().map(|key| &key[..]),
        Some(&b"k"[..])
    );
    batch.accept_all();
    accepted(&mut lanes, 2).await;
    let books = &there.reader.as_ref().unwrap().port.metrics.books;
    assert_eq!((books.delivered.get(), books.pending.get()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_answered_202_once_the_log_has_it() {
    let world = draft().build();
    let lane = world.requests(10);
    let answer = lane.submit(Incoming::from(event("1")), Duration::from_secs(60));
    written(&world);
    let verdict = answer.await;
    assert_eq!((verdict.outcome, verdict.stored), (Outcome::Accepted, true));
    world.assert_at_rest();
}

/// C18: under the route by whose name it was stored, wherever it comes out.
#[tokio::test(start_paused = true)]
async fn what_nobody_takes_goes_to_the_dead_letter_of_its_route() {
    let (here, there) = (draft().build(), draft().build());
    let records = records_of(&here, [event("1")]);
    let (mut lanes, lane) = open(there.lanes_of_log());
    put(&mut lanes, lane, records);
    there.remote("a").fail(&refused());
    let letter = there.remote("dead").take().unwrap();
    let said = |name: &str| letter.events()[0].get(name).map(|value| value.text.to_owned());
    assert_eq!(said("weftroute").as_deref(), Some("r0"));
    assert_eq!(said("weftdestination").as_deref(), Some("a"));
    assert_eq!(said(NAME), None);
    letter.accept_all();
    accepted(&mut lanes, 1).await;
}

/// A rolling update: one router has the route no more.
#[tokio::test(start_paused = true)]
async fn a_leg_whose_route_is_gone_stays_at_its_destination() {
    let here = draft().build();
    let there = Draft::new(&["a", "dead"]).shared("a").build();
    let records = records_of(&here, [event("1")]);
    let (mut lanes, lane) = open(there.lanes_of_log());
    put(&mut lanes, lane, records);
    let mut a = there.remote("a");
    a.fail(&refused());
    assert!(there.remote("dead").take().is_none());
    assert_eq!(
        there.reader.as_ref().unwrap().port.metrics.books.held_lanes.get(),
        1
    );
    pass(Duration::from_secs(31)).await;
    assert_eq!(a.accept_all(), ["1"], "it is held, and tried again");
    accepted(&mut lanes, 1).await;
}

/// C16: the leg has its event as it was wherever else it goes.
#[tokio::test(start_paused = true)]
async fn what_does_not_get_into_the_log_moves_on_as_it_was() {
    let world = Draft::new(&["a", "b"])
        .shared("a")
        .settings("a.log", |settings| settings.breaker.failures = 1)
        .route(first(vec![to("a"), to("b")]))
        .build();
    let (mut lanes, lane) = open(world.lanes());
    put(&mut lanes, lane, [keyed("1", "k")]);
    world.remote("a.log").fail(&down());
    let batch = world.remote("b").take().unwrap();
    assert_eq!(batch.events(), [keyed("1", "k")]);
    batch.accept_all();
    accepted(&mut lanes, 1).await;
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_leg_out_of_the_log_goes_on_in_the_plan_that_led_it_there() {
    let group = || {
        Draft::new(&["a", "b"])
            .shared("a")
            .settings("a", |settings| settings.breaker.failures = 1)
            .route(first(vec![to("a"), to("b")]))
            .build()
    };
    let (here, there) = (group(), group());
    let records = records_of(&here, [event("1")]);
    let (mut lanes, lane) = open(there.lanes_of_log());
    put(&mut lanes, lane, records);
    there.remote("a").fail(&down());
    assert_eq!(there.remote("b").accept_all(), ["1"]);
    accepted(&mut lanes, 1).await;
}

/// C19: by its own time or its route's, and by the age that the log allows.
#[tokio::test(start_paused = true)]
async fn what_is_too_old_when_it_comes_out_is_not_delivered() {
    let bounded = |max_age| {
        let mut draft = draft();
        draft.spec.ingresses[1].log.as_mut().unwrap().max_age = max_age;
        draft.build()
    };
    let old = "\"v\":1,\"since\":\"2020-01-01T00:00:00Z\",\"stored\":\"2020-01-01T00:00:00Z\"";
    let record = |more: &str| {
        let mut builder = event("1").edit();
        builder
            .extension(NAME, &format!("{{{old}{more}}}"))
            .build()
            .unwrap()
    };
    let hour = Some(Duration::from_secs(3600));
    for (max_age, more, expired) in [
        (None, "", 0),
        (None, ",\"expires\":\"2020-01-02T00:00:00Z\"", 1),
        (hour, "", 1),
        (hour, ",\"expires\":\"9000-01-02T00:00:00Z\"", 1),
    ] {
        let world = bounded(max_age);
        let (mut lanes, lane) = open(world.lanes_of_log());
        put(&mut lanes, lane, [record(more)]);
        assert_eq!(
            world.remote("a").accept_all().len(),
            1 - expired,
            "{max_age:?} {more}"
        );
        accepted(&mut lanes, 1).await;
        let books = &world.reader.as_ref().unwrap().port.metrics.books;
        assert_eq!(books.expired.get(), expired as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_later_version_holds_its_lane_and_one_that_is_not_ours_is_delivered() {
    let world = draft().build();
    let later = event("1").edit().extension(NAME, "{\"v\":2}").build().unwrap();
    let (mut lanes, lane) = open(world.lanes_of_log());
    put(&mut lanes, lane, [event("0"), later]);
    assert_eq!(world.remote("a").accept_all(), ["0"]);
    accepted(&mut lanes, 1).await;
    let books = &world.reader.as_ref().unwrap().port.metrics.books;
    assert_eq!((books.held_lanes.get(), books.pending.get()), (1, 0));
    pass(Duration::from_secs(60)).await;
    assert!(world.remote("a").take().is_none());
}

#[test]
fn what_holds_a_lane_says_why_and_what_can_be_done() {
    let with = |note: &str| event("1").edit().extension(NAME, note).build().unwrap();
    let said = |event: Event, malformed: bool| complaint(&Incoming { event, malformed });
    assert_eq!(said(event("1"), false), None);
    let mut poison = event("t/0/42").edit();
    let poison = poison
        .extension("weftreason", "it is no CloudEvent")
        .build()
        .unwrap();
    for (told, parts) in [
        (
            said(poison, true),
            ["it is no CloudEvent", "move the group's offset"],
        ),
        (
            said(with("spoilt"), false),
            ["cannot be read", "move the group's offset"],
        ),
        (
            said(with("{\"v\":2}"), false),
            ["later version", "after an update"],
        ),
    ] {
        let told = told.unwrap();
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
}

/// What is no event, or has a note that somebody spoilt: nobody is there who could be told.
#[tokio::test(start_paused = true)]
async fn what_is_broken_in_the_log_holds_its_lane_where_there_are_no_local_dead_letters() {
    let spoilt = event("1").edit().extension(NAME, "spoilt").build().unwrap();
    for (event, malformed) in [(event("1"), true), (spoilt, false)] {
        let world = draft().build();
        let (mut lanes, lane) = open(world.lanes_of_log());
        lanes.deliver(lane, &mut vec![Incoming { event, malformed }]);
        let books = &world.reader.as_ref().unwrap().port.metrics.books;
        assert_eq!((books.held_lanes.get(), books.pending.get()), (1, 0));
        assert!(world.remote("a").take().is_none() && world.remote("dead").take().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_kept_goes_to_the_dead_letter_without_the_note() {
    let world = draft().build();
    let (mut lanes, lane) = open(world.lanes());
    put(&mut lanes, lane, [event("1")]);
    let batch: Batch = world.remote("a.log").take().unwrap();
    batch.fail_rest(&weft_api::outcome::SendError::event(
        Reason::TooLarge,
        "the topic says no",
    ));
    let letter = world.remote("dead").take().unwrap();
    let said = |name: &str| letter.events()[0].get(name).map(|value| value.text.to_owned());
    assert_eq!(
        (said("weftdestination").as_deref(), said(NAME)),
        (Some("a"), None)
    );
    letter.accept_all();
    accepted(&mut lanes, 1).await;
    world.assert_at_rest();
}

/// C20: no reader would get it back. What is behind it in its order waits, where it holds its lane up.
#[tokio::test(start_paused = true)]
async fn an_event_that_no_record_can_hold_is_refused_before_it_is_sent() {
    let many = || {
        let mut builder = event("1").edit();
        for number in 0..ATTRIBUTES_MAX {
            builder.extension(&format!("a{number}"), "x");
        }
        let many = builder.build().unwrap();
        many.with_key(Some(bytes::Bytes::from_static(b"k")))
    };
    let events = || [keyed("0", "k"), many(), keyed("2", "k"), keyed("3", "other")];

    let world = draft().build();
    let (mut lanes, lane) = open(world.lanes());
    put(&mut lanes, lane, events());
    let records = written(&world);
    assert_eq!(records.iter().map(Event::id).collect::<Vec<_>>(), ["0", "3", "2"]);
    let letter = world.remote("dead").take().unwrap();
    let said = letter.events()[0]
        .get("weftclass")
        .map(|value| value.text.to_owned());
    assert_eq!(said.as_deref(), Some("too_large"));
    letter.accept_all();
    accepted(&mut lanes, 4).await;
    world.assert_at_rest();

    let world = Draft::new(&["a"]).shared("a").route(to("a")).build();
    let (mut lanes, lane) = open(world.lanes());
    put(&mut lanes, lane, events());
    let mut log = world.remote("a.log");
    assert_eq!(log.accept_all(), ["0", "3"]);
    assert_eq!(world.port.metrics.books.held_lanes.get(), 1);
    pass(Duration::from_secs(60)).await;
    assert!(
        log.take().is_none(),
        "nothing of its order, and no batch of nothing"
    );
}

/// C18: a dead letter's count travels through the log.
#[tokio::test(start_paused = true)]
async fn what_was_sent_again_says_so_after_the_log_too() {
    let note = "\"v\":1,\"since\":\"2026-01-01T00:00:00Z\",\"stored\":\"2026-01-01T00:00:00Z\",\"replays\":2,\"route\":\"r0\"";
    let mut builder = event("1").edit();
    let record = builder.extension(NAME, &format!("{{{note}}}")).build().unwrap();
    let world = draft().build();
    let (mut lanes, lane) = open(world.lanes_of_log());
    put(&mut lanes, lane, [record]);
    world.remote("a").fail(&refused());
    let letter = world.remote("dead").take().unwrap();
    let said = letter.events()[0]
        .get("weftreplays")
        .map(|value| value.text.to_owned());
    assert_eq!(said.as_deref(), Some("2"));
    letter.accept_all();
    accepted(&mut lanes, 1).await;
}

/// A store that moves from this router's disk to Kafka: what the disk has came before, and goes before (C20).
#[tokio::test]
async fn what_a_log_on_the_disk_still_has_is_delivered_before_what_comes_out_of_the_shared_one() {
    let dir = std::env::temp_dir().join(format!("weft-lane-shared-{}", std::process::id()));
    let before = Draft::new(&["a"]).store(&dir, &["a"]).route(to("a")).build();
    let (mut lanes, lane) = open(before.lanes());
    put(&mut lanes, lane, (0..20).map(|id| keyed(&id.to_string(), "k")));
    accepted(&mut lanes, 20).await;
    drop(lanes);
    before.stop().await;

    let after = Draft::new(&["a"])
        .store(&dir, &[])
        .shared("a")
        .route(to("a"))
        .build();
    assert_eq!(after.log("a").pending(), 20);
    let records = records_of(&after, (20..40).map(|id| keyed(&id.to_string(), "k")));
    let (mut lanes, lane) = open(after.lanes_of_log());
    put(&mut lanes, lane, records);
    let mut a = after.remote("a");
    let mut seen = Vec::new();
    while seen.len() < 40 {
        let batch = a.next().await;
        seen.extend(ids(&batch));
        batch.accept_all();
    }
    let order: Vec<String> = (0..40).map(|id| id.to_string()).collect();
    assert_eq!(seen, order);
    accepted(&mut lanes, 20).await;
    drop(lanes);
    after.stop().await;
    std::fs::remove_dir_all(&dir).unwrap();
}
