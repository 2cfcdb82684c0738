//! Dead letters that a destination holds, sent again: what leaves it and when, what stays, and how a job ends.

use std::collections::BTreeMap;

use tokio::time::Instant;
use weft_api::event::AttrKind;

use super::heap::{Faults, Heap};
use super::*;
use crate::testing::Draft;
use crate::topology::desk::REPLAY;

const THERE: In<'static> = In::Destination("dlt");

/// A router without a store, whose dead letters are in a heap.
fn draft(heap: &Heap) -> Draft {
    Draft::new(&["a", "b", "dlt"]).builder("dlt", Arc::new(heap.clone()))
}

fn one_route(heap: &Heap) -> World {
    draft(heap).route(to("a")).dead_letter("dlt").build()
}

/// Has `a` refuse the events `0..count`, so that they are in the heap.
async fn letters(world: &World, heap: &Heap, count: u32) -> Lanes {
    let (mut lanes, lane) = lane(world, Settle::InOrder);
    deliver(&mut lanes, lane, 0..count);
    let (mut a, mut refusals) = (world.remote("a"), 0);
    while refusals < count as usize {
        let batch = a.next().await;
        refusals += batch.events().len();
        batch.fail_rest(&refused());
    }
    heap.fill(&mut world.remote("dlt"), count as usize).await;
    lanes
}

fn start(world: &World, work: Work) -> Arc<Job> {
    world.desk.start(THERE, order(work)).unwrap()
}

fn look() -> Look {
    Look {
        letters: 1000,
        bytes: 1 << 20,
        records: 1000,
        read: u64::MAX,
    }
}

/// C32, for what was sent again out of a heap.
fn assert_books(world: &World, sent: u64) {
    let metrics = world.metrics.ingress(REPLAY);
    let books = &metrics.books;
    let ends = [
        &books.delivered,
        &books.dead_lettered,
        &books.stored,
        &books.dropped,
        &books.expired,
        &books.returned,
    ];
    let ends: u64 = ends.map(|counter| counter.get()).iter().sum();
    assert_eq!((metrics.obligations.get(), ends), (sent, sent));
    assert_eq!(books.pending.get(), 0);
}

/// C18: it goes where it failed, nowhere else, as the event that it was, and only then it leaves.
#[tokio::test(start_paused = true)]
async fn a_letter_elsewhere_is_sent_again_as_it_was_and_leaves() {
    let heap = Heap::default();
    let world = draft(&heap).route(all(&["a", "b"])).dead_letter("dlt").build();
    let mut b = world.remote("b");
    let _lanes = letters(&world, &heap, 3).await;
    assert_eq!(take(&mut b, 3).await, numbers(0..3));
    let job = start(&world, Work::Replay(Way::Obligation));
    let mut a = world.remote("a");
    let batch = a.next().await;
    assert_eq!(ids(&batch), numbers(0..3));
    for event in batch.events() {
        assert_eq!(description(event), [""; 0], "{}", event.id());
    }
    assert_eq!(
        heap.removed(),
        [0; 0],
        "nothing leaves before its replay has ended"
    );
    batch.accept_all();
    let progress = ended(&job).await;
    assert_eq!(
        (progress.state, progress.sent, progress.ended, progress.kinds),
        (State::Done, 3, 3, [3, 0, 0, 0])
    );
    assert_eq!((heap.ids(), heap.open()), (vec![], (0, 0)));
    assert!(b.take().is_none(), "its other obligation was met");
    assert_books(&world, 3);
}

/// C14: with several legs it leaves with the last of them.
#[tokio::test(start_paused = true)]
async fn a_letter_elsewhere_leaves_once_all_its_legs_have_ended() {
    let heap = Heap::default();
    let world = draft(&heap)
        .route(to("a"))
        .dead_letter("dlt")
        .route(to("b"))
        .build();
    let mut b = world.remote("b");
    let _lanes = letters(&world, &heap, 5).await;
    take(&mut b, 5).await;
    let job = start(&world, Work::Replay(Way::AllRoutes(0)));
    assert_eq!(take(&mut world.remote("a"), 5).await, numbers(0..5));
    until("what a has is known", || job.progress().under_way == 5).await;
    assert_eq!(
        (heap.removed(), job.progress().ended),
        (vec![], 0),
        "b has nothing yet"
    );
    assert_eq!(take(&mut b, 5).await, numbers(0..5));
    assert_eq!(ended(&job).await.ended, 5);
    assert_eq!(heap.ids(), [""; 0]);
    assert_books(&world, 5);
}

/// What dies again goes to the end, says how often it was sent again, and is not met by the job that made it.
#[tokio::test(start_paused = true)]
async fn a_letter_that_dies_again_elsewhere_does_not_go_round() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 20).await;
    let job = start(&world, Work::Replay(Way::Obligation));
    let (mut a, mut dlt) = (world.remote("a"), world.remote("dlt"));
    let mut refusals = 0;
    while refusals < 20 {
        let batch = a.next().await;
        refusals += batch.events().len();
        batch.fail_rest(&refused());
    }
    heap.fill(&mut dlt, 20).await;
    let progress = ended(&job).await;
    assert_eq!(
        (progress.looked, progress.ended, progress.kinds),
        (20, 20, [0, 20, 0, 0])
    );
    assert_eq!(heap.ids(), numbers(0..20));
    let found = world
        .desk
        .look(THERE, Selection::default(), 0, look())
        .await
        .unwrap();
    assert!(found.letters.iter().all(|letter| letter.replays == 1));
    assert_eq!(found.letters[3].place.as_deref(), Some("p/230"));
    assert_books(&world, 20);
}

/// C4, C21.
#[tokio::test(start_paused = true)]
async fn no_more_than_a_window_of_letters_elsewhere_is_under_way() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let count = WINDOW as u32 + 10;
    let _lanes = letters(&world, &heap, count).await;
    let job = start(&world, Work::Replay(Way::Obligation));
    until("the window is full", || job.progress().sent == WINDOW as u64).await;
    let mut a = world.remote("a");
    let batch = a.next().await;
    assert_eq!(batch.events().len(), WINDOW);
    batch.accept_all();
    take(&mut a, 10).await;
    assert_eq!(ended(&job).await.ended, u64::from(count));
    assert_eq!(heap.ids(), [""; 0]);
}

/// What is told of a letter, and how it is chosen, where all that is known of it stands in it.
#[tokio::test(start_paused = true)]
async fn a_letter_elsewhere_says_why_it_is_there() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 2).await;
    heap.put(event("other"));
    let found = world
        .desk
        .look(THERE, Selection::default(), 0, look())
        .await
        .unwrap();
    let [first, second, other] = &found.letters[..] else {
        panic!("three letters, not {}", found.letters.len())
    };
    assert_eq!(
        (
            first.reason(),
            first.destination(),
            &*first.route,
            first.attempts,
            first.replays
        ),
        ("refused", Some("a"), "r0", 1, 0)
    );
    assert!(first.error().is_some_and(|error| error.contains("422")));
    let (_, last) = first.failed_at().unwrap();
    assert_eq!(
        first.stored_ms,
        crate::delivery::stored::record::wall_ms(last),
        "its remote does not tell when it came"
    );
    assert_eq!((second.stored_ms, second.id), (1_000_010, 10), "it does");
    assert_eq!(
        (other.reason(), other.destination(), &*other.route, other.attempts),
        ("foreign", None, "", 0)
    );
    for (selection, expected) in [
        (
            Selection {
                reason: Some("foreign".into()),
                ..Selection::default()
            },
            vec!["other"],
        ),
        (
            Selection {
                destination: Some("a".into()),
                ..Selection::default()
            },
            vec!["0", "1"],
        ),
        (
            Selection {
                ids: vec![10],
                ..Selection::default()
            },
            vec!["1"],
        ),
        (
            Selection {
                until_ms: Some(1_000_015),
                ..Selection::default()
            },
            vec!["1"],
        ),
    ] {
        let found = world.desk.look(THERE, selection, 0, look()).await.unwrap();
        let ids: Vec<&str> = found.letters.iter().map(|letter| letter.event.id()).collect();
        assert_eq!(ids, expected);
    }
    assert_eq!((heap.ids().len(), heap.open()), (3, (0, 0)));
}

/// What is no dead letter of Weft was owed to nobody, and goes as it is where somebody says; refused there, it stays.
#[tokio::test(start_paused = true)]
async fn what_is_foreign_goes_only_where_somebody_says() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let mut foreign = event("other").edit();
    foreign.set("weftreplays", AttrKind::Integer, "3");
    heap.put(foreign.build().unwrap());
    let stays = ended(&start(&world, Work::Replay(Way::Obligation))).await;
    assert_eq!((stays.sent, stays.stayed), (0, 1));
    assert!(stays.stays[0].1.contains("no dead letter of Weft"), "{stays:?}");
    let job = start(&world, Work::Replay(Way::To("b".into())));
    let mut b = world.remote("b");
    b.next().await.fail_rest(&refused());
    let stays = ended(&job).await;
    assert_eq!((stays.sent, stays.ended, stays.stayed), (1, 0, 1));
    assert_eq!(heap.ids(), ["other"], "nobody has it");
    let job = start(&world, Work::Replay(Way::To("b".into())));
    let batch = b.next().await;
    assert_eq!(description(&batch.events()[0]), ["weftreplays"], "its own");
    batch.accept_all();
    assert_eq!(ended(&job).await.ended, 1);
    assert_eq!(heap.ids(), [""; 0]);
    assert_books(&world, 2);
}

/// Letters leave while it looks for more, so that what holds them sees it in time; and what had ended has left when somebody
/// ends the job.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_while_it_looks_leaves_what_has_not_ended() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 80).await;
    heap.fails(Faults {
        hangs: Some(70),
        ..Faults::default()
    });
    let job = start(&world, Work::Replay(Way::Obligation));
    let mut a = world.remote("a");
    take(&mut a, WINDOW).await;
    until("they leave", || heap.removed().len() == WINDOW).await;
    assert_eq!(heap.ids().len(), 80, "for good only at the end");
    assert!(job.is_running());
    job.cancel();
    let progress = ended(&job).await;
    assert_eq!(
        (progress.state, progress.ended, progress.stayed),
        (State::Cancelled, WINDOW as u64, 0)
    );
    assert_eq!(heap.ids(), numbers(WINDOW as u32..80));
    assert_eq!(heap.open(), (0, 0));
}

/// What was never sent is not said to have been.
#[tokio::test(start_paused = true)]
async fn what_waits_at_the_end_of_a_job_was_not_sent() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 5).await;
    let job = start(&world, Work::Replay(Way::Obligation));
    until("all wait", || job.progress().under_way == 5).await;
    job.cancel();
    let progress = ended(&job).await;
    assert_eq!((progress.state, progress.stayed), (State::Cancelled, 5));
    for (_, why) in &progress.stays {
        assert_eq!(why, "the job ended before it was sent");
    }
    assert_eq!(heap.ids(), numbers(0..5));
    assert_books(&world, 5);
}

/// C18: what is under way when a job ends may be delivered, and stays.
#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_the_end_of_a_job_stays() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 5).await;
    let job = start(&world, Work::Replay(Way::Obligation));
    let mut a = world.remote("a");
    let batch = a.next().await;
    job.cancel();
    let progress = ended(&job).await;
    assert_eq!(
        (progress.state, progress.stayed, progress.under_way),
        (State::Cancelled, 5, 0)
    );
    assert!(
        progress
            .stays
            .iter()
            .all(|(_, why)| why.contains("may have been delivered")),
        "{:?}",
        progress.stays
    );
    batch.accept_all();
    assert_eq!((heap.ids(), heap.removed()), (numbers(0..5), vec![]));
    until("the books know", || {
        world.metrics.ingress(REPLAY).books.pending.get() == 0
    })
    .await;
    assert_books(&world, 5);
}

/// It breaks in the middle: the job says so, what had ended leaves, the rest is there as before.
#[tokio::test(start_paused = true)]
async fn a_browser_that_breaks_fails_the_job_and_keeps_the_rest() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 100).await;
    heap.fails(Faults {
        next: Some((70, "the broker is gone")),
        ..Faults::default()
    });
    let job = start(&world, Work::Replay(Way::Obligation));
    let mut a = world.remote("a");
    let batch = a.next().await;
    assert_eq!(batch.events().len(), WINDOW);
    batch.accept_all();
    let progress = ended(&job).await;
    assert_eq!(progress.state, State::Failed("the broker is gone".to_owned()));
    assert_eq!((progress.ended, progress.under_way), (WINDOW as u64, 0));
    assert_eq!(heap.ids(), numbers(WINDOW as u32..100));
    assert_eq!(heap.open(), (0, 0));
    heap.fails(Faults::default());
    let job = start(&world, Work::Replay(Way::Obligation));
    take(&mut a, 100 - WINDOW).await;
    assert_eq!(ended(&job).await.state, State::Done);
    assert_eq!(heap.ids(), [""; 0]);
}

/// C4: all letters were sent; that they left is not known, and the job is not done.
#[tokio::test(start_paused = true)]
async fn a_job_whose_letters_may_come_again_has_failed() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 3).await;
    heap.fails(Faults {
        close: Some("3 may come again: the commit was refused"),
        ..Faults::default()
    });
    let job = start(&world, Work::Replay(Way::Obligation));
    take(&mut world.remote("a"), 3).await;
    let progress = ended(&job).await;
    assert_eq!(
        progress.state,
        State::Failed("3 may come again: the commit was refused".to_owned())
    );
    assert_eq!((progress.ended, heap.ids()), (3, numbers(0..3)));
}

#[tokio::test(start_paused = true)]
async fn a_pile_that_cannot_be_opened_fails_the_job_and_the_look() {
    let heap = Heap::default();
    let world = one_route(&heap);
    heap.fails(Faults {
        open: Some("no permission"),
        ..Faults::default()
    });
    let progress = ended(&start(&world, Work::Purge)).await;
    assert_eq!(progress.state, State::Failed("no permission".to_owned()));
    let looked = world.desk.look(THERE, Selection::default(), 0, look()).await;
    assert_eq!(looked.unwrap_err(), Refused::Failed("no permission".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_purged_elsewhere_is_what_was_meant() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 30).await;
    let places = ["p/30", "p/70", "p/75", "p/990"].map(str::to_owned);
    let ids = world.desk.read_places("dlt", &places);
    let some = Order {
        selection: Selection {
            ids: ids.unwrap(),
            ..Selection::default()
        },
        ..order(Work::Purge)
    };
    let progress = ended(&world.desk.start(THERE, some).unwrap()).await;
    assert_eq!((progress.purged, heap.removed()), (2, vec![30, 70]));
    assert_eq!(progress.missing, [75, 990]);
    let two = Order {
        limit: Some(2),
        ..order(Work::Purge)
    };
    assert_eq!(ended(&world.desk.start(THERE, two).unwrap()).await.purged, 2);
    assert_eq!(heap.removed(), [30, 70, 0, 10]);
    assert_eq!(ended(&start(&world, Work::Purge)).await.purged, 26);
    assert_eq!(heap.ids(), [""; 0]);
    assert_books(&world, 0);
    let wrong = world.desk.read_places("dlt", &["7".to_owned()]);
    assert_eq!(
        wrong.unwrap_err(),
        Refused::Wrong("\"7\" is no place; write p/10".to_owned())
    );
}

/// Looking takes nothing, and goes on where it stopped.
#[tokio::test(start_paused = true)]
async fn whoever_looks_elsewhere_sees_every_letter_once() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 25).await;
    for (letters, records) in [(10, 1000), (1000, 4), (3, 5)] {
        let look = Look {
            letters,
            records,
            bytes: 1 << 20,
            read: u64::MAX,
        };
        let (mut seen, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            let found = world.desk.look(THERE, Selection::default(), from, look).await;
            let found = found.unwrap();
            assert!(found.letters.len() <= letters && found.looked <= records);
            seen.extend(found.letters.iter().map(|letter| letter.event.id().to_owned()));
            next = found.next;
        }
        assert_eq!(seen, numbers(0..25));
        let each = |count: &mut u32, _: &super::super::letter::Letter| *count += 1;
        let counted = world.desk.each(THERE, Selection::default(), (0, look), (0, each));
        let (count, all) = counted.await.unwrap();
        assert_eq!(u64::from(count), all.looked);
        assert!(count >= 4 && all.looked <= records + 7, "{count} {all:?}");
    }
    assert_eq!((heap.ids(), heap.open()), (numbers(0..25), (0, 0)));
}

/// A remote that says nothing more is waited for so long: what it gave is told, and where to go on.
#[tokio::test(start_paused = true)]
async fn a_look_ends_in_time() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 25).await;
    heap.fails(Faults {
        hangs: Some(14),
        ..Faults::default()
    });
    let begun = Instant::now();
    let look = || world.desk.look(THERE, Selection::default(), 0, look());
    let found = look().await.unwrap();
    assert_eq!((found.letters.len(), found.next), (14, Some(131)));
    assert!(
        begun.elapsed() <= Duration::from_secs(31),
        "by the clock that is paused"
    );
    heap.fails(Faults {
        hangs: Some(0),
        ..Faults::default()
    });
    // Two at a time, and nobody waits longer for a turn than for an answer.
    let (one, two, three) = tokio::join!(look(), look(), look());
    assert!(matches!(one, Err(Refused::Failed(why)) if why.contains("heap")));
    assert!(matches!(two, Err(Refused::Failed(_))));
    assert!(three.is_err(), "{three:?}");
    assert!(begun.elapsed() <= Duration::from_secs(63));
    assert_eq!(heap.open(), (0, 0));
}

/// What an operator may ask of, after a reload as well; a job goes on where it began.
#[tokio::test(start_paused = true)]
async fn letters_lie_at_the_destinations_of_the_file_of_today() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 2).await;
    let at = |name: &'static str| world.desk.start(In::Destination(name), order(Work::Purge));
    assert!(matches!(at("a"), Err(Refused::Wrong(why)) if why.contains("destination a: ")));
    let unknown = at("nowhere").unwrap_err();
    assert_eq!(
        unknown,
        Refused::Wrong("no destination is named \"nowhere\"; here are: a b dlt".to_owned())
    );
    let none = world
        .desk
        .start(In::Log("local"), order(Work::Purge))
        .unwrap_err();
    assert!(
        matches!(&none, Refused::Unknown(why) if why.contains("set `store:`") && why.contains("--in")),
        "{none:?}"
    );

    let job = start(&world, Work::Replay(Way::Obligation));
    let other = Heap::default();
    let spec = draft(&other)
        .stored_group("both", all(&["a", "b"]))
        .shared("a")
        .spec;
    world.desk.adopt(&world.wiring, &spec, &BTreeMap::new());
    take(&mut world.remote("a"), 2).await;
    assert_eq!((ended(&job).await.ended, heap.ids().len()), (2, 0));
    other.put(event("1"));
    assert_eq!(ended(&at("dlt").unwrap()).await.purged, 1);
    assert!(matches!(at("both"), Err(Refused::Wrong(why)) if why.contains("is a group")));
    assert!(
        matches!(at("a.log"), Err(Refused::Wrong(why)) if why.contains("log of a")),
        "what is in a shared log is on its way"
    );
}

/// One job at a time, wherever its letters lie; and the end of the router ends it.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_router_ends_a_job_in_good_order() {
    let heap = Heap::default();
    let world = one_route(&heap);
    let _lanes = letters(&world, &heap, 80).await;
    let job = start(&world, Work::Replay(Way::Obligation));
    assert!(matches!(
        world.desk.start(THERE, order(Work::Purge)),
        Err(Refused::Busy(_))
    ));
    let mut a = world.remote("a");
    take(&mut a, WINDOW).await;
    let _hanging = a.next().await;
    world.desk.stop().await;
    let progress = job.progress();
    assert_eq!(
        (progress.state, progress.ended, progress.stayed),
        (State::Cancelled, WINDOW as u64, 16)
    );
    assert_eq!(heap.ids(), numbers(WINDOW as u32..80));
    assert!(matches!(
        world.desk.start(THERE, order(Work::Purge)),
        Err(Refused::Busy(_))
    ));
}
