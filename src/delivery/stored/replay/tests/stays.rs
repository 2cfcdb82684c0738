//! What stays although a rule has let it go, where a letter goes that never got far, and what is not counted.

use std::sync::atomic::Ordering;

use weft_api::event::AttrKind;
use weft_api::template::{Scope, Template};

use super::*;
use crate::delivery::stored::tests::disk::Switched;
use crate::routing::table::Addition;
use crate::testing::first;
use crate::topology::spec::PlanSpec;

/// C18, C19: a replay into an outage takes nothing away.
#[tokio::test]
async fn a_letter_that_expires_while_it_is_sent_again_stays() {
    let dir = Dir::new();
    let world = draft(&dir, &["a", "b"], &[])
        .route(all(&["a", "b"]))
        .dead_letter("local")
        .last_route(|route| route.max_age = Some(Duration::from_millis(300)))
        .build();
    let mut b = world.remote("b");
    let (dead, desk, _lanes) = with_letters(&world, 3).await;
    take(&mut b, 3).await;
    for way in [Way::Obligation, Way::AllRoutes(0)] {
        let job = replay(&desk, way.clone());
        let a = world.destination("a");
        if way == Way::AllRoutes(0) {
            // One of two legs is delivered: the other is still owed.
            take(&mut b, 3).await;
        }
        until("the job has ended", || {
            a.sweep();
            !job.is_running()
        })
        .await;
        let progress = job.progress();
        assert_eq!(
            (progress.state, progress.ended, progress.stayed, progress.kinds),
            (State::Done, 0, 3, [0; 4]),
            "{way:?}"
        );
        assert!(progress.stays[0].1.contains("expired"), "{:?}", progress.stays);
        assert_eq!(dead.log.open(), 3);
        assert_balanced(&dead);
    }
}

fn adds(name: &str, template: &str) -> Addition {
    Addition {
        name: name.into(),
        kind: AttrKind::String,
        value: Template::parse(template, &Scope::EGRESS).unwrap(),
    }
}

/// C18: what it should have been given, it gets once the route can.
#[tokio::test]
async fn a_letter_that_its_route_could_not_add_to_has_the_addition_when_it_is_sent_again() {
    let dir = Dir::new();
    let build = |template: &'static str| {
        draft(&dir, &["a", "b"], &[])
            .route(to("a"))
            .dead_letter("local")
            .last_route(|route| route.add.push(adds("tenant", template)))
            .build()
    };
    let world = build("{customer}");
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..2);
    let dead = world.log("local");
    until("both are dead letters", || dead.metrics.appended.get() == 2).await;
    let desk = &world.desk;
    let progress = ended(&replay(desk, Way::Obligation)).await;
    assert_eq!((progress.sent, progress.stayed), (0, 2));
    assert!(progress.stays[0].1.contains("customer"), "{:?}", progress.stays);
    drop(lanes);
    world.stop().await;

    let world = build("mended");
    let desk = &world.desk;
    for (way, place) in [(Way::Obligation, "a"), (Way::To("b".into()), "b")] {
        let one = Order {
            limit: Some(1),
            ..order(Work::Replay(way))
        };
        let job = desk.start(In::Log("local"), one).unwrap();
        let mut remote = world.remote(place);
        let batch = remote.next().await;
        let tenant = batch.events()[0].get("tenant").map(|value| value.text.to_owned());
        assert_eq!(tenant.as_deref(), Some("mended"), "{place}");
        batch.accept_all();
        assert_eq!(ended(&job).await.ended, 1);
    }
}

/// Of two parts that lead to where it failed, the one that is nothing else owes it; else nobody can tell.
#[tokio::test]
async fn a_letter_goes_to_the_part_that_failed_and_not_to_a_group_that_has_it_too() {
    let dir = Dir::new();
    let build = |last: &'static str| {
        let group = || first(vec![to("b"), to("a")]);
        let other = match last {
            "itself" => to("a"),
            _ => first(vec![to("c"), to("a")]),
        };
        draft(&dir, &["a", "b", "c"], &[])
            .route(PlanSpec::All(vec![group(), other]))
            .dead_letter("local")
            .build()
    };
    let world = build("itself");
    let mut b = world.remote("b");
    let (dead, desk, lanes) = with_letters(&world, 2).await;
    take(&mut b, 2).await;
    let one = Order {
        limit: Some(1),
        ..order(Work::Replay(Way::Obligation))
    };
    let job = desk.start(In::Log("local"), one).unwrap();
    take(&mut world.remote("a"), 1).await;
    assert_eq!(ended(&job).await.ended, 1);
    assert!(b.take().is_none(), "b has had it");
    drop((lanes, desk, dead));
    world.stop().await;

    let world = build("below another");
    let desk = &world.desk;
    let progress = ended(&replay(desk, Way::Obligation)).await;
    assert_eq!((progress.sent, progress.stayed), (0, 1));
    assert!(
        progress.stays[0].1.contains("several ways"),
        "{:?}",
        progress.stays
    );
}

/// What a sender says of itself in the words of a dead letter steers nothing.
#[tokio::test]
async fn a_description_that_came_with_the_event_is_not_believed() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .route(to("a"))
        .dead_letter("local")
        .last_route(|route| route.add.push(adds("tenant", "{customer}")))
        .build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    let mut builder = event("forged").edit();
    for (name, value) in [
        ("weftdestination", "elsewhere"),
        ("weftreplays", "7"),
        ("weftlast", "x"),
    ] {
        builder.set(name, AttrKind::String, value);
    }
    let mut batch = vec![Incoming::from(builder.build().unwrap())];
    lanes.deliver(lane, &mut batch);
    let dead = world.log("local");
    until("it is a dead letter", || dead.metrics.appended.get() == 1).await;
    let desk = &world.desk;
    let found = desk
        .look(In::Log("local"), Selection::default(), 0, some())
        .await
        .unwrap();
    let letter = &found.letters[0];
    assert_eq!(
        (letter.reason(), letter.destination(), letter.replays),
        ("address", None, 0)
    );
    let told = |name: &str| letter.event.get(name).map(|value| value.text.to_owned());
    assert_eq!((told("weftdestination"), told("weftreplays")), (None, None));
    assert_ne!(told("weftlast").as_deref(), Some("x"));
    assert_eq!(description(&letter.original()), [""; 0]);
}

/// C32: what is delivered after the job has ended is no end of the letter, which is still there.
#[tokio::test]
async fn what_is_delivered_after_a_cancel_is_not_counted_for_the_letter() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .route(to("a"))
        .dead_letter("local")
        .build();
    let (dead, desk, _lanes) = with_letters(&world, 1).await;
    let job = replay(&desk, Way::Obligation);
    let mut a = world.remote("a");
    let late = a.next().await;
    job.cancel();
    let progress = ended(&job).await;
    assert_eq!((progress.state, progress.stayed), (State::Cancelled, 1));
    late.accept_all();
    let again = replay(&desk, Way::Obligation);
    take(&mut a, 1).await;
    let progress = ended(&again).await;
    assert_eq!((progress.ended, progress.kinds), (1, [1, 0, 0, 0]));
    assert_balanced(&dead);
}

/// A job that cannot read on says so, and stands in nobody's way.
#[tokio::test]
async fn a_job_that_cannot_read_has_failed_and_the_next_one_may_begin() {
    let dir = Dir::new();
    let disk = Switched::default();
    let mut draft = draft(&dir, &["a"], &[]).route(to("a")).dead_letter("local");
    draft = draft.disk(Arc::new(disk.only("dead")));
    let world = draft.build();
    let (dead, desk, _lanes) = with_letters(&world, 2).await;
    disk.reads_fail.store(true, Ordering::SeqCst);
    let progress = ended(&replay(&desk, Way::Obligation)).await;
    assert!(matches!(progress.state, State::Failed(_)), "{progress:?}");
    disk.reads_fail.store(false, Ordering::SeqCst);
    let job = replay(&desk, Way::Obligation);
    take(&mut world.remote("a"), 2).await;
    assert_eq!(ended(&job).await.ended, 2);
    assert_balanced(&dead);
}
