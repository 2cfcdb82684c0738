use weft_api::ingress::{LaneId, Settle};
use weft_api::outcome::SendError;

use super::{Duration, LONG, Lanes, World, at_rest, deliver, ms, pipelined, plain, settled, start, world};
use crate::delivery::dedupe::DedupeSettings;
use crate::delivery::settings::Settings;
use crate::testing::{Draft, Remote, all, down, event, failed, first, ids, keyed, pass, refused, spec, to};

const WINDOW: Duration = Duration::from_secs(600);

fn by_source_and_id(settings: &mut Settings) {
    settings.dedupe = Some(DedupeSettings {
        by: ["source", "id"].map(Into::into).into(),
        window: WINDOW,
        max_entries: 100,
    });
}

fn rig() -> (World, Lanes, LaneId, Remote) {
    let (world, lanes, lane) = world(by_source_and_id);
    let a = world.remote("a");
    (world, lanes, lane, a)
}

fn deduplicated(world: &World) -> u64 {
    world.destination("a").metrics.deduplicated.get()
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_of_what_was_confirmed_is_not_sent_and_counts_as_delivered() {
    let (world, mut lanes, lane, mut a) = rig();
    plain(&mut lanes, lane, &["1", "2"]);
    assert_eq!(a.accept_all(), ["1", "2"]);
    plain(&mut lanes, lane, &["2", "3", "1"]);
    assert_eq!(a.accept_all(), ["3"]);
    assert_eq!(settled(&mut lanes), 5);
    let port = &world.port.metrics.books;
    assert_eq!((port.delivered.get(), deduplicated(&world)), (5, 2));
    assert_eq!(world.destination("a").metrics.delivered.get(), 3);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn after_the_window_it_is_sent_again() {
    let (world, mut lanes, lane, mut a) = rig();
    plain(&mut lanes, lane, &["1"]);
    a.accept_all();
    pass(WINDOW).await;
    plain(&mut lanes, lane, &["1"]);
    assert_eq!(a.accept_all(), ["1"]);
    assert_eq!(deduplicated(&world), 0);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_waits_while_the_first_is_in_flight_and_others_pass() {
    let (world, mut lanes, lane, mut a) = rig();
    plain(&mut lanes, lane, &["1", "1", "2", "1"]);
    let batch = a.take().unwrap();
    assert_eq!(ids(&batch), ["1", "2"]);
    plain(&mut lanes, lane, &["1", "3"]);
    assert_eq!(a.accept_all(), ["3"]);
    assert_eq!(world.destination("a").standing().pending_events, 5);
    batch.accept_all();
    assert_eq!(a.accept_all(), [""; 0]);
    assert_eq!((settled(&mut lanes), deduplicated(&world)), (6, 3));
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_waits_while_the_first_waits_for_its_retry() {
    let (world, mut lanes, lane, mut a) = rig();
    plain(&mut lanes, lane, &["1"]);
    a.fail(&failed());
    plain(&mut lanes, lane, &["1", "2"]);
    assert_eq!(a.accept_all(), ["2"]);
    drop(a.next().await);
    plain(&mut lanes, lane, &["1"]);
    let again = a.next().await;
    assert_eq!(ids(&again), ["1"], "the first one, whose batch was dropped");
    again.accept_all();
    assert_eq!(a.accept_all(), [""; 0]);
    assert_eq!((settled(&mut lanes), deduplicated(&world)), (4, 2));
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_is_sent_once_the_first_is_dead_lettered_or_moved_away() {
    let dead = Draft::new(&["a", "b"]).route(to("a")).dead_letter("b");
    let moved = Draft::new(&["a", "b"]).route(first(vec![to("a"), to("b")]));
    for draft in [dead, moved] {
        let (world, mut lanes, lane) = start(draft.settings("a", by_source_and_id));
        let (mut a, mut b) = (world.remote("a"), world.remote("b"));
        plain(&mut lanes, lane, &["1", "1"]);
        assert_eq!(a.fail(&refused()), ["1"]);
        assert_eq!(a.accept_all(), ["1"], "nothing that failed is remembered");
        assert_eq!(b.accept_all(), ["1"]);
        assert_eq!((settled(&mut lanes), deduplicated(&world)), (2, 0));
        at_rest(&world, &mut lanes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_copy_is_sent_once_the_first_is_over_in_the_queue() {
    let (world, mut lanes, lane, mut a) = rig();
    let mut others = world.lanes_of_another();
    let other = others.open(spec(Settle::InOrder, 10));
    plain(&mut others, other, &["1"]);
    a.fail(&failed());
    plain(&mut lanes, lane, &["1"]);
    assert!(a.take().is_none());
    others.close(other);
    world.destination("a").sweep_stale();
    assert_eq!(a.accept_all(), ["1"]);
    assert_eq!(settled(&mut lanes), 1);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_rewound_lane_does_not_send_twice_what_was_in_flight() {
    let (world, mut lanes, lane, mut a) = rig();
    plain(&mut lanes, lane, &["1"]);
    let batch = a.take().unwrap();
    lanes.close(lane);
    let lane = lanes.open(spec(Settle::InOrder, 10));
    plain(&mut lanes, lane, &["1"]);
    assert!(a.take().is_none());
    batch.accept_all();
    assert_eq!(a.accept_all(), [""; 0]);
    assert_eq!((settled(&mut lanes), deduplicated(&world)), (1, 1));
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn with_a_key_nothing_of_it_passes_a_waiting_copy_and_other_keys_do() {
    let (world, mut lanes, lane, mut a) = rig();
    deliver(&mut lanes, lane, [keyed("1", "x")]);
    let twin = a.take().unwrap();
    // The same event under another key, one behind it, and a third key.
    deliver(
        &mut lanes,
        lane,
        [keyed("1", "y"), keyed("2", "y"), keyed("3", "z")],
    );
    assert_eq!(a.accept_all(), ["3"], "C20: 2 stays behind 1");
    twin.fail_rest(&refused());
    // Held at its lane: nobody takes it, and it is tried again. The copy waits on.
    assert!(a.take().is_none());
    let again = a.next().await;
    assert_eq!(ids(&again), ["1"]);
    again.accept_all();
    assert_eq!(a.accept_all(), ["2"]);
    assert_eq!((settled(&mut lanes), deduplicated(&world)), (4, 1));
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_no_repetition_of_its_event_nor_of_an_earlier_one() {
    let draft = Draft::new(&["a", "dlt"])
        .route(to("a"))
        .dead_letter("dlt")
        .route(all(&["dlt"]));
    let (world, mut lanes, lane) = start(draft.settings("dlt", by_source_and_id));
    let (mut a, mut dlt) = (world.remote("a"), world.remote("dlt"));
    // The event and its dead letter; then only the second dead letter, or its second death would leave no trace (C18).
    for sent in [2, 1] {
        plain(&mut lanes, lane, &["1"]);
        a.fail(&refused());
        assert_eq!(dlt.accept_all().len(), sent);
    }
    assert_eq!(settled(&mut lanes), 2);
    let port = &world.port.metrics.books;
    assert_eq!((port.delivered.get(), port.dead_lettered.get()), (2, 2));
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn an_outage_keeps_copies_apart_too() {
    let (world, mut lanes, lane, mut a) = rig();
    plain(&mut lanes, lane, &["1", "1", "2", "2"]);
    for _ in 0..10 {
        a.next().await.fail_rest(&down());
        pass(LONG).await;
        world.destination("a").sweep();
    }
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let batch = a.next().await;
        seen.extend(ids(&batch));
        batch.accept_all();
    }
    seen.sort();
    assert_eq!((seen.concat().as_str(), a.accept_all().len()), ("12", 0));
    assert_eq!((settled(&mut lanes), deduplicated(&world)), (4, 2));
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_expires_while_it_waits_ends_as_expired() {
    let draft = Draft::new(&["a"])
        .route(to("a"))
        .last_route(|route| route.max_age = Some(ms(50)));
    let (world, mut lanes, lane) = start(draft.settings("a", by_source_and_id));
    let mut a = world.remote("a");
    deliver(&mut lanes, lane, [event("1"), event("1"), keyed("1", "k")]);
    let batch = a.take().unwrap();
    assert!(a.take().is_none());
    pass(ms(50)).await;
    world.destination("a").sweep();
    batch.accept_all();
    assert_eq!(world.destination("a").metrics.expired.get(), 2);
    assert_eq!((settled(&mut lanes), deduplicated(&world)), (3, 0));
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_memory_and_without_dedupe_nobody_waits() {
    let (world, mut lanes, lane, mut a) = rig();
    let destination = world.destination("a");
    let configure = |change: &dyn Fn(&mut Settings)| {
        let mut settings = (**destination.settings()).clone();
        change(&mut settings);
        destination.configure(settings);
    };
    plain(&mut lanes, lane, &["1"]);
    a.accept_all();
    configure(&|s| s.batch.linger = ms(0));
    let mut a = world.remote("a");
    configure(&|s| s.dedupe.as_mut().unwrap().max_entries = 7);
    plain(&mut lanes, lane, &["1", "2"]);
    let two = a.take().unwrap();
    assert_eq!((ids(&two).concat().as_str(), deduplicated(&world)), ("2", 1));
    deliver(&mut lanes, lane, [event("2"), keyed("2", "k")]);
    assert!(a.take().is_none());
    configure(&|s| s.dedupe = None);
    assert_eq!(a.accept_all(), ["2", "2"]);
    two.accept_all();
    configure(&by_source_and_id);
    plain(&mut lanes, lane, &["2"]);
    assert_eq!(a.accept_all(), ["2"], "nothing was kept up to date meanwhile");
    plain(&mut lanes, lane, &["2"]);
    assert_eq!(a.accept_all(), [""; 0]);
    assert_eq!(settled(&mut lanes), 7);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn requests_to_it_go_through_the_queue() {
    let (world, _lanes, _, _a) = rig();
    assert!(world.destination("a").try_direct(&event("1")).is_none());
}

#[tokio::test(start_paused = true)]
async fn evictions_are_counted_and_refuse_nothing() {
    let (world, mut lanes, lane) = world(|s| {
        by_source_and_id(s);
        s.dedupe.as_mut().unwrap().max_entries = 2;
    });
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1", "2", "3"]);
    a.accept_all();
    assert_eq!(world.destination("a").metrics.dedupe_evictions.get(), 1);
    plain(&mut lanes, lane, &["1", "3"]);
    assert_eq!(a.accept_all(), ["1"], "forgotten, so delivered again");
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_arrived_is_not_taken_for_delivered() {
    let (world, mut lanes, lane, mut a) = rig();
    plain(&mut lanes, lane, &["1", "1"]);
    let reset = SendError::destination(weft_api::outcome::Reason::Reset, "reset").maybe_delivered();
    a.fail(&reset);
    assert_eq!(ids(&a.next().await), ["1"], "only a confirmation is one");
    pass(LONG).await;
    let again = a.next().await;
    again.accept_all();
    assert_eq!(a.accept_all(), [""; 0]);
    assert_eq!(settled(&mut lanes), 2);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_unsent_stays_the_first_copy_and_nobody_waits_in_a_circle() {
    let (world, mut lanes, lane) = world(by_source_and_id);
    let mut a = pipelined(&world);
    deliver(
        &mut lanes,
        lane,
        [keyed("1", "x"), keyed("2", "x"), keyed("3", "x")],
    );
    let mut batch = a.take().unwrap();
    let line = batch.refuse(0, failed()).expect("it comes again");
    assert_eq!(batch.recall(line, 1), [1, 2]);
    // The twins of what stands behind in `x`, under a key of their own.
    deliver(&mut lanes, lane, [keyed("3", "y"), keyed("2", "y"), event("2")]);
    assert!(a.take().is_none());
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let batch = a.next().await;
        seen.extend(ids(&batch));
        batch.accept_all();
    }
    assert_eq!((seen.concat().as_str(), a.accept_all().len()), ("123", 0));
    assert_eq!((settled(&mut lanes), deduplicated(&world)), (6, 3));
    at_rest(&world, &mut lanes);
}
