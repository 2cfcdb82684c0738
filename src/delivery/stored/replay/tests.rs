//! Dead letters that are sent again, with a real store: what leaves the log, what stays, and the books.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use weft_api::event::{Attributes, Event};
use weft_api::ingress::{Incoming, Lanes, Settle};

use super::job::{Job, Order, State, Work};
use super::way::Way;
use super::{GRACE, WINDOW};
use crate::delivery::stored::DurableQueue;
use crate::delivery::stored::replay::letter::Selection;
use crate::delivery::stored::tests::{Dir, accepted, deliver, draft, lane, numbers, take, until};
use crate::testing::{World, all, event, ids, refused, to};
use crate::topology::desk::{Desk, In, Look, Refused};

mod elsewhere;
mod heap;

mod stays;

/// A world whose first destination refuses the events `0..count`, which are dead letters of this router.
async fn with_letters(world: &World, count: u32) -> (Arc<DurableQueue>, Arc<Desk>, Lanes) {
    let (mut lanes, lane) = lane(world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..count);
    let mut a = world.remote("a");
    let mut refusals = 0;
    while refusals < count as usize {
        let batch = a.next().await;
        refusals += batch.events().len();
        batch.fail_rest(&refused());
    }
    let dead = world.log("local");
    until("all are dead letters", || {
        dead.metrics.appended.get() == u64::from(count)
    })
    .await;
    let desk = &world.desk;
    (dead, Arc::clone(desk), lanes)
}

fn order(work: Work) -> Order {
    Order {
        work,
        selection: Selection::default(),
        limit: None,
        every: None,
    }
}

/// A look at a few letters.
fn some() -> Look {
    Look {
        letters: 10,
        bytes: 1 << 20,
        records: 100,
        read: 1 << 20,
    }
}

fn replay(desk: &Desk, way: Way) -> Arc<Job> {
    desk.start(In::Log("local"), order(Work::Replay(way))).unwrap()
}

async fn ended(job: &Job) -> super::Progress {
    until("the job has ended", || !job.is_running()).await;
    job.progress()
}

/// C32 for a log.
fn assert_balanced(queue: &DurableQueue) {
    let (metrics, books) = (&queue.metrics, &queue.metrics.lane.books);
    let ends = books.delivered.get()
        + books.dead_lettered.get()
        + books.stored.get()
        + books.dropped.get()
        + books.expired.get()
        + metrics.damaged.get()
        + metrics.purged.get();
    assert_eq!(
        metrics.found.get() + metrics.appended.get(),
        ends + queue.log.open()
    );
    assert_eq!(books.pending.get(), 0);
}

fn description(event: &Event) -> Vec<String> {
    let names = event.extensions().map(|(name, _)| name.to_owned());
    names.filter(|name| name.starts_with("weft")).collect()
}

/// C18: it goes where it failed, nowhere else, and as the event that it was.
#[tokio::test]
async fn a_letter_is_sent_again_to_where_it_failed_as_it_was() {
    let dir = Dir::new();
    let world = draft(&dir, &["a", "b"], &[])
        .route(all(&["a", "b"]))
        .dead_letter("local")
        .build();
    let mut b = world.remote("b");
    let (dead, desk, _lanes) = with_letters(&world, 3).await;
    assert_eq!(take(&mut b, 3).await, numbers(0..3));
    let job = replay(&desk, Way::Obligation);
    let mut a = world.remote("a");
    let batch = a.next().await;
    for event in batch.events() {
        assert_eq!(description(event), [""; 0], "{}", event.id());
    }
    assert_eq!(dead.log.open(), 3, "nothing leaves before its replay has ended");
    let first = batch.events().len();
    batch.accept_all();
    if first < 3 {
        take(&mut a, 3 - first).await;
    }
    let progress = ended(&job).await;
    assert_eq!(
        (progress.state, progress.sent, progress.kinds[0], progress.stayed),
        (State::Done, 3, 3, 0)
    );
    assert_eq!(dead.log.open(), 0);
    assert!(b.take().is_none(), "its other obligation was met");
    assert_balanced(&dead);
}

/// C18: the attempts to send it again are counted, and it is there until the new letter is durable.
#[tokio::test]
async fn a_letter_that_dies_again_says_how_often_it_was_sent_again() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .route(to("a"))
        .dead_letter("local")
        .build();
    let (dead, desk, _lanes) = with_letters(&world, 1).await;
    for round in 1..=2u16 {
        let job = replay(&desk, Way::Obligation);
        let mut a = world.remote("a");
        let batch = a.next().await;
        assert_eq!(description(&batch.events()[0]), [""; 0]);
        batch.fail_rest(&refused());
        let progress = ended(&job).await;
        assert_eq!((progress.ended, progress.kinds), (1, [0, 1, 0, 0]));
        let found = desk
            .look(In::Log("local"), Selection::default(), 0, some())
            .await
            .unwrap();
        let [letter] = &found.letters[..] else {
            panic!("one letter, not {}", found.letters.len())
        };
        let told = letter.event.get("weftreplays").map(|value| value.text.to_owned());
        assert_eq!((letter.replays, told), (round, Some(round.to_string())));
        assert_balanced(&dead);
    }
}

/// C14, C32: with several legs it is one obligation of the log, and leaves it with the last of them.
#[tokio::test]
async fn a_letter_leaves_the_log_once_all_its_legs_have_ended() {
    let dir = Dir::new();
    let world = draft(&dir, &["a", "b"], &[])
        .route(to("a"))
        .dead_letter("local")
        .route(to("b"))
        .build();
    let mut b = world.remote("b");
    let (dead, desk, _lanes) = with_letters(&world, 5).await;
    take(&mut b, 5).await;
    let job = replay(&desk, desk.all_routes(Some("in")).unwrap_or(Way::AllRoutes(0)));
    let mut a = world.remote("a");
    assert_eq!(take(&mut a, 5).await, numbers(0..5));
    assert_eq!(
        (dead.log.open(), job.progress().ended),
        (5, 0),
        "b has nothing yet"
    );
    assert_eq!(take(&mut b, 5).await, numbers(0..5));
    let progress = ended(&job).await;
    assert_eq!((progress.ended, progress.kinds), (5, [5, 0, 0, 0]));
    assert_balanced(&dead);
}

/// One leg is delivered, the other dies again: the letter is gone, its new one is for the other only.
#[tokio::test]
async fn a_leg_that_dies_again_is_a_letter_of_its_own() {
    let dir = Dir::new();
    let world = draft(&dir, &["a", "b"], &[])
        .route(to("a"))
        .dead_letter("local")
        .route(to("b"))
        .dead_letter("local")
        .build();
    let mut b = world.remote("b");
    let (dead, desk, _lanes) = with_letters(&world, 1).await;
    take(&mut b, 1).await;
    let job = replay(&desk, Way::AllRoutes(0));
    take(&mut world.remote("a"), 1).await;
    b.next().await.fail_rest(&refused());
    let progress = ended(&job).await;
    assert_eq!((progress.ended, dead.log.open()), (1, 1));
    let only = Selection {
        destination: Some("b".into()),
        ..Selection::default()
    };
    let found = desk.look(In::Log("local"), only, 0, some()).await.unwrap();
    assert_eq!((found.letters.len(), found.letters[0].replays), (1, 1));
    assert_balanced(&dead);
}

/// C18: what no route takes any more stays, and says why.
#[tokio::test]
async fn a_letter_that_can_go_nowhere_stays_and_says_why() {
    let dir = Dir::new();
    let build = |name: &'static str| {
        draft(&dir, &["a", "b"], &[])
            .route(to(name))
            .dead_letter("local")
            .build()
    };
    let world = build("a");
    with_letters(&world, 2).await;
    world.stop().await;
    // The route leads elsewhere now.
    let world = build("b");
    let desk = &world.desk;
    let progress = ended(&replay(desk, Way::Obligation)).await;
    assert_eq!(
        (progress.state, progress.sent, progress.stayed),
        (State::Done, 0, 2)
    );
    assert!(
        progress.stays[0].1.contains("does not lead to \"a\""),
        "{:?}",
        progress.stays
    );
    assert_eq!(world.log("local").log.open(), 2);
    let job = replay(desk, Way::To("b".into()));
    assert_eq!(take(&mut world.remote("b"), 2).await, numbers(0..2));
    assert_eq!(ended(&job).await.ended, 2);
    assert_balanced(&world.log("local"));
}

/// C4, C21: the window bounds what is under way, and so what a crash repeats.
#[tokio::test]
async fn no_more_than_a_window_is_under_way() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .route(to("a"))
        .dead_letter("local")
        .build();
    let count = WINDOW as u32 + 10;
    let (dead, desk, _lanes) = with_letters(&world, count).await;
    let job = replay(&desk, Way::Obligation);
    until("the window is full", || job.progress().sent == WINDOW as u64).await;
    let mut a = world.remote("a");
    let batch = a.next().await;
    assert_eq!(batch.events().len(), WINDOW);
    assert_eq!(job.progress().under_way, WINDOW as u64);
    batch.accept_all();
    take(&mut a, 10).await;
    assert_eq!(ended(&job).await.ended, u64::from(count));
    assert_balanced(&dead);
}

/// What was not sent, and what had not ended, is there as before.
#[tokio::test]
async fn a_job_that_is_cancelled_leaves_what_has_not_ended() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .route(to("a"))
        .dead_letter("local")
        .build();
    let (dead, desk, _lanes) = with_letters(&world, 5).await;
    let slow = Order {
        every: Some(Duration::from_secs(1)),
        ..order(Work::Replay(Way::Obligation))
    };
    let job = desk.start(In::Log("local"), slow).unwrap();
    assert!(
        matches!(
            desk.start(In::Log("local"), order(Work::Purge)),
            Err(Refused::Busy(_))
        ),
        "one at a time"
    );
    let mut a = world.remote("a");
    let batch = a.next().await;
    assert_eq!(ids(&batch), ["0"], "one a second");
    job.cancel();
    batch.accept_all();
    let progress = ended(&job).await;
    assert_eq!(
        (progress.state, dead.log.open()),
        (State::Cancelled, 5 - progress.ended)
    );
    assert!(GRACE.as_secs() > 0 && progress.ended >= 1 && progress.sent <= 2);
    assert_balanced(&dead);
}

#[tokio::test]
async fn what_is_purged_is_gone_and_counted() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .route(to("a"))
        .dead_letter("local")
        .build();
    let (dead, desk, _lanes) = with_letters(&world, 5).await;
    let some = Order {
        selection: Selection {
            event: Some("3".into()),
            ..Selection::default()
        },
        ..order(Work::Purge)
    };
    assert_eq!(
        ended(&desk.start(In::Log("local"), some).unwrap()).await.purged,
        1
    );
    assert_eq!(dead.log.open(), 4);
    let two = Order {
        limit: Some(2),
        ..order(Work::Purge)
    };
    assert_eq!(ended(&desk.start(In::Log("local"), two).unwrap()).await.purged, 2);
    assert_eq!((dead.log.open(), dead.metrics.purged.get()), (2, 3));
    assert_balanced(&dead);
}

/// What was delivered out of a log is sent again, and the log has it as before.
#[tokio::test]
async fn what_a_log_kept_is_sent_again_and_stays() {
    let dir = Dir::new();
    let world = draft(&dir, &["a", "b"], &["a"]).route(to("a")).build();
    let (mut lanes, lane) = lane(&world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..9);
    let mut other = vec![Incoming::from(event("other"))];
    lanes.deliver(lane, &mut other);
    accepted(&mut lanes, 10).await;
    take(&mut world.remote("a"), 10).await;
    let log = world.log("a");
    until("the log is empty", || log.pending() == 0).await;
    let desk = &world.desk;
    let mut kept = order(Work::Again(Way::Again("b".into())));
    kept.selection.attributes = vec![("id".into(), "other".into())];
    let job = desk.start(In::Log("a"), kept).unwrap();
    assert_eq!(take(&mut world.remote("b"), 1).await, ["other"]);
    let progress = ended(&job).await;
    assert_eq!((progress.looked, progress.ended), (10, 1));
    assert_balanced(&log);
}

/// Looking takes nothing, and goes on where it stopped.
#[tokio::test]
async fn whoever_looks_sees_every_letter_once_and_takes_none() {
    let dir = Dir::new();
    let world = draft(&dir, &["a"], &[])
        .route(to("a"))
        .dead_letter("local")
        .build();
    let (dead, desk, _lanes) = with_letters(&world, 25).await;
    let look = Look { records: 7, ..some() };
    let (mut seen, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let found = desk
            .look(In::Log("local"), Selection::default(), from, look)
            .await
            .unwrap();
        seen.extend(found.letters.iter().map(|letter| letter.event.id().to_owned()));
        next = found.next;
    }
    assert_eq!(seen, numbers(0..25));
    assert_eq!(dead.log.open(), 25);
    assert!(matches!(
        desk.look(In::Log("nowhere"), Selection::default(), 0, look).await,
        Err(Refused::Wrong(_))
    ));
}
