#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use weft_api::egress::{DirectFactory, DirectSend, EgressProfile, SendFuture};
use weft_api::event::Event;
use weft_api::ingress::{RequestLane, Verdict, VerdictFuture};
use weft_api::outcome::{Outcome, Reason, SendError};

use crate::testing::{Draft, World, all, any, down, event, failed, first, pass, refused, to};

mod share;

const DEADLINE: Duration = Duration::from_secs(30);

fn submit(lane: &RequestLane, id: &str) -> VerdictFuture {
    lane.submit(event(id).into(), DEADLINE)
}

/// Polls once, so that a refusal or a settled ticket is seen without waiting.
async fn now(future: &mut VerdictFuture) -> Option<Verdict> {
    tokio::select! {
        biased;
        verdict = future => Some(verdict),
        () = std::future::ready(()) => None,
    }
}

async fn outcome_now(future: &mut VerdictFuture) -> Option<Outcome> {
    now(future).await.map(|verdict| verdict.outcome)
}

#[tokio::test(start_paused = true)]
async fn exactly_the_queues_bound_is_admitted_and_the_next_is_refused_at_once() {
    let world = Draft::new(&["a"])
        .route(to("a"))
        .settings("a", |s| s.queue.events = 4)
        .build();
    let lane = world.requests(100);
    let mut waiting: Vec<_> = (0..4).map(|n| submit(&lane, &n.to_string())).collect();
    for future in &mut waiting {
        assert_eq!(now(future).await, None);
    }
    let refused = now(&mut submit(&lane, "5")).await.unwrap();
    assert_eq!(refused.outcome, Outcome::Released(Reason::Overloaded));
    assert!(refused.retry_after.is_some());
    world.remote("a").accept_all();
    for future in &mut waiting {
        assert_eq!(outcome_now(future).await, Some(Outcome::Accepted));
    }
    drop(waiting);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn exactly_the_window_is_admitted_and_the_next_is_refused_at_once() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let lane = world.requests(3);
    let waiting: Vec<_> = (0..3).map(|n| submit(&lane, &n.to_string())).collect();
    assert!(!lane.has_room(1));
    assert_eq!(
        outcome_now(&mut submit(&lane, "4")).await,
        Some(Outcome::Released(Reason::Overloaded))
    );
    assert_eq!(world.remote("a").accept_all().len(), 3);
    assert!(
        !lane.has_room(1),
        "a request holds its place until it has its answer"
    );
    for future in waiting {
        assert_eq!(future.await.outcome, Outcome::Accepted);
    }
    assert!(lane.has_room(1));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_go_everywhere_goes_nowhere() {
    let draft = Draft::new(&["a", "b"]).route(all(&["a", "b"]));
    let world = draft.settings("b", |s| s.queue.events = 1).build();
    let lane = world.requests(100);
    let kept = submit(&lane, "1");
    assert_eq!(
        outcome_now(&mut submit(&lane, "2")).await,
        Some(Outcome::Released(Reason::Overloaded))
    );
    assert_eq!(world.remote("a").accept_all(), ["1"]);
    world.remote("b").accept_all();
    assert_eq!(kept.await.outcome, Outcome::Accepted);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_full_destination_inside_a_nested_multicast_refuses_too() {
    let draft = Draft::new(&["a", "b", "c"]).route(first(vec![all(&["a", "b"]), to("c")]));
    let world = draft.settings("b", |s| s.queue.events = 2).build();
    let lane = world.requests(100);
    let waiting: Vec<_> = (0..2).map(|n| submit(&lane, &n.to_string())).collect();
    assert_eq!(
        outcome_now(&mut submit(&lane, "2")).await,
        Some(Outcome::Released(Reason::Overloaded))
    );
    world.remote("a").accept_all();
    world.remote("b").accept_all();
    for future in waiting {
        assert_eq!(future.await.outcome, Outcome::Accepted);
    }
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_at_once_and_says_when_to_come_back() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    world.destination("a").client_failed("no route to host");
    let verdict = now(&mut submit(&world.requests(1), "1")).await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Released(Reason::Unavailable));
    assert!(verdict.retry_after.is_some());
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_an_event_that_was_never_sent_is_released() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let lane = world.requests(10);
    assert_eq!(
        submit(&lane, "1").await.outcome,
        Outcome::Released(Reason::Deadline)
    );
    assert_eq!(
        world.remote("a").accept_all(),
        [""; 0],
        "its sender will send it again"
    );
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_an_event_that_is_under_way_is_unknown() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let waiting = submit(&world.requests(10), "1");
    let batch = world.remote("a").take().unwrap();
    assert_eq!(waiting.await.outcome, Outcome::Unknown(Reason::Deadline));
    batch.accept_all();
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_an_event_that_certainly_failed_is_released() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let waiting = submit(&world.requests(10), "1");
    world.remote("a").fail(&down());
    assert_eq!(waiting.await.outcome, Outcome::Released(Reason::Deadline));
    world.destination("a").sweep();
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_changes_nothing_for_its_event() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    drop(submit(&world.requests(10), "1"));
    assert_eq!(world.remote("a").accept_all(), ["1"]);
    tokio::task::yield_now().await;
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_takes_and_frees_as_much_as_it_weighs() {
    let malformed = |ingress: &mut crate::topology::spec::IngressSpec| {
        ingress.malformed = crate::topology::spec::MalformedSpec::DeadLetter("dlt".into());
    };
    let world = Draft::new(&["dlt"]).ingress(malformed).build();
    let lane = world.requests(10);
    let incoming = weft_api::ingress::Incoming {
        event: event("1"),
        malformed: true,
    };
    let waiting = lane.submit(incoming, DEADLINE);
    assert!(world.destination("dlt").standing().pending_bytes > event("1").size());
    world.remote("dlt").accept_all();
    assert_eq!(waiting.await.outcome, Outcome::Accepted);
    world.assert_at_rest();
}

type Answer = oneshot::Sender<Result<(), SendError>>;

/// A direct sender whose answers the test gives.
#[derive(Default)]
struct Wire {
    sent: Mutex<Vec<(String, Answer)>>,
}

struct Factory(Arc<Wire>);

impl DirectFactory for Factory {
    fn open(&self) -> Arc<dyn DirectSend> {
        Arc::clone(&self.0) as Arc<dyn DirectSend>
    }
}

impl DirectSend for Wire {
    fn send(&self, event: Event) -> SendFuture {
        let (answer, rx) = oneshot::channel();
        self.sent.lock().unwrap().push((event.id().to_owned(), answer));
        Box::pin(async move { rx.await.unwrap_or_else(|_| Err(down())) })
    }
}

impl Wire {
    fn answer(&self, answer: Result<(), SendError>) -> String {
        let (id, sender) = self.sent.lock().unwrap().remove(0);
        sender.send(answer).ok();
        id
    }

    fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

fn wired(world: &World, in_flight: u32) -> Arc<Wire> {
    wired_as(world, in_flight).0
}

/// The wire, and the number of the client that it belongs to.
fn wired_as(world: &World, in_flight: u32) -> (Arc<Wire>, u64) {
    let wire = Arc::new(Wire::default());
    let profile = EgressProfile {
        batch_events: 10,
        batch_bytes: u64::MAX,
        in_flight,
        keeps_order_or_fails: false,
    };
    let client = world
        .destination("a")
        .install(profile, Some(Arc::new(Factory(Arc::clone(&wire)))));
    (wire, client)
}

#[tokio::test(start_paused = true)]
async fn a_single_event_that_nothing_waits_for_is_sent_from_its_own_task() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let (wire, lane) = (wired(&world, 1), world.requests(10));
    let (mut one, two) = (submit(&lane, "1"), submit(&lane, "2"));
    assert_eq!(
        (now(&mut one).await, wire.count()),
        (None, 1),
        "in_flight is 1: the second is queued"
    );
    wire.answer(Ok(()));
    assert_eq!(one.await.outcome, Outcome::Accepted);
    assert_eq!(world.destination("a").metrics.direct.get(), 1);
    assert_eq!(world.remote("a").accept_all(), ["2"]);
    assert_eq!(two.await.outcome, Outcome::Accepted);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_direct_send_that_failed_goes_on_like_any_other() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let (wire, lane) = (wired(&world, 1), world.requests(10));
    let mut request = submit(&lane, "1");
    assert_eq!(now(&mut request).await, None);
    wire.answer(Err(failed()));
    assert_eq!(now(&mut request).await, None);
    pass(Duration::from_secs(1)).await;
    assert_eq!(world.remote("a").accept_all(), ["1"]);
    assert_eq!(request.await.outcome, Outcome::Accepted);
    world.assert_at_rest();
    wired(&world, 1);
}

#[tokio::test(start_paused = true)]
async fn a_direct_send_that_is_refused_tells_its_sender() {
    let world = Draft::new(&["a"]).route(to("a")).build();
    let (wire, lane) = (wired(&world, 1), world.requests(10));
    let mut request = submit(&lane, "1");
    assert_eq!(now(&mut request).await, None);
    wire.answer(Err(refused()));
    assert_eq!(request.await.outcome, Outcome::Rejected(Reason::Refused));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_direct_send_past_the_deadline_is_unknown_counted_once_and_not_tried_again() {
    for answer in [Ok(()), Err(failed())] {
        let world = Draft::new(&["a"]).route(to("a")).build();
        let (wire, lane) = (wired(&world, 1), world.requests(10));
        assert_eq!(
            submit(&lane, "1").await.outcome,
            Outcome::Unknown(Reason::Deadline)
        );
        wire.answer(answer);
        tokio::task::yield_now().await;
        let told: u64 = world
            .port
            .metrics
            .settled
            .iter()
            .map(|counter| counter.get())
            .sum();
        assert_eq!(told, 1);
        assert_eq!(world.remote("a").accept_all(), [""; 0]);
        world.assert_at_rest();
    }
}

#[test]
fn a_direct_send_whose_runtime_went_away_gives_back_what_it_took() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let world = Draft::new(&["a"]).route(to("a")).build();
    runtime.block_on(async {
        let (_wire, lane) = (wired(&world, 1), world.requests(10));
        tokio::spawn(submit(&lane, "1"));
        tokio::task::yield_now().await;
        assert_eq!(world.unsettled(), 1);
    });
    drop(runtime);
    world.assert_at_rest();
}

#[test]
fn a_queued_request_whose_runtime_went_away_leaves_the_queue() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let world = Draft::new(&["a"]).route(to("a")).build();
    runtime.block_on(async {
        let lane = world.requests(10);
        tokio::spawn(submit(&lane, "1"));
        tokio::task::yield_now().await;
        assert_eq!(world.unsettled(), 1);
    });
    drop(runtime);
    world.destination("a").sweep();
    assert_eq!(world.unsettled(), 0);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_open_member_of_an_anycast_is_passed_over() {
    let world = Draft::new(&["a", "b"]).route(any(&["a", "b"])).build();
    world.destination("a").client_failed("gone");
    let lane = world.requests(10);
    let waiting: Vec<_> = (0..3).map(|n| submit(&lane, &n.to_string())).collect();
    assert_eq!(world.remote("b").accept_all().len(), 3);
    for future in waiting {
        assert_eq!(future.await.outcome, Outcome::Accepted);
    }
    world.assert_at_rest();
}

/// Counts how often the task behind it is woken.
#[derive(Default)]
struct Wakes(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// DESIGN section 4: the number of cross-thread wakes on the direct path is 0. Who could be woken from a request's task
/// are the destination's egress and the ingress' own task.
#[tokio::test(start_paused = true)]
async fn a_direct_send_wakes_no_other_task() {
    use std::task::{Context, Waker};
    use weft_api::egress::BatchQueue;

    let world = Draft::new(&["a"]).route(to("a")).build();
    let (wire, client) = wired_as(&world, 10);
    let mut outlet = crate::delivery::batch::Outlet::new(Arc::clone(world.destination("a")), client);
    let (egress, ingress) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let lane = world.requests(10);
    let waker = Waker::from(Arc::clone(&egress));
    assert!(outlet.poll_next(&mut Context::from_waker(&waker)).is_pending());
    let waker = Waker::from(Arc::clone(&ingress));
    let mailbox = &world.port.mailbox;
    assert!(
        mailbox
            .poll_take(mailbox.claim(), &mut Vec::new(), &mut Context::from_waker(&waker))
            .is_pending()
    );
    for n in 0..100 {
        let mut one = submit(&lane, &n.to_string());
        assert_eq!(now(&mut one).await, None);
        wire.answer(Ok(()));
        assert_eq!(one.await.outcome, Outcome::Accepted);
    }
    let woken = |wakes: &Wakes| wakes.0.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((woken(&egress), woken(&ingress)), (0, 0));
    // It could have been: what has to wait does wake the egress.
    let keyed = lane.submit(crate::testing::keyed("k", "key").into(), DEADLINE);
    assert_eq!(woken(&egress), 1);
    drop(keyed);
}
