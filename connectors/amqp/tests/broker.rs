//! What brokers do that a real one does not do at will: silence, settled messages, cut ones, missing abilities.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::{Value as Json, json};
use support::fake::{Fake, Stage};
use tokio::net::TcpListener;
use weft_amqp_wire::condition;
use weft_amqp_wire::message::MessageWriter;
use weft_amqp_wire::performative::{DeliveryState, Detach, Disposition, Error, Performative, Role};
use weft_api::outcome::{Outcome, Reason};
use weft_api::status::Health;
use weft_conformance::harness::IngressDesk;

const LIMIT: Duration = Duration::from_secs(30);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// A listener and the section of an ingress that comes to it.
async fn listen(idle: &str) -> (TcpListener, Json) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let section =
        json!({ "url": format!("amqp://127.0.0.1:{port}"), "address": "jobs", "idle_timeout": idle });
    (listener, section)
}

async fn waiting(desk: &IngressDesk, what: &str) -> String {
    within(what, async {
        loop {
            match desk.health() {
                Health::Waiting(why) if why.contains(what) => return why,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    MessageWriter::new(&mut out).value(text);
    out
}

async fn disposition(fake: &mut Fake) -> Disposition {
    match within("an answer", fake.until("disposition")).await {
        Some(Performative::Disposition(said)) => said,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_falls_silent_is_left_and_found_again() {
    let (listener, section) = listen("400ms").await;
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let mut fake = within("a connection", Fake::accept(&listener)).await;
    within("a link", fake.behave(Stage::Transfer)).await.unwrap();
    waiting(&desk, "silent").await;
    let mut fake = within("another connection", Fake::accept(&listener)).await;
    within("a link", fake.behave(Stage::Transfer)).await.unwrap();
    fake.send(0, false, &text("x"), 1 << 15).await;
    within("it comes in", desk.accept(1)).await;
    drop(fake);
    within("the close", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_settled_comes_in_and_is_not_answered() {
    let (listener, section) = listen("5s").await;
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let mut fake = within("a connection", Fake::accept(&listener)).await;
    within("a link", fake.behave(Stage::Transfer)).await.unwrap();
    for (number, settled) in [(0, true), (1, false), (2, true), (3, false)] {
        fake.send(number, settled, &text("x"), 1 << 15).await;
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(within("it comes in", desk.next()).await);
    }
    for (admitted, outcome) in held.into_iter().zip([
        Outcome::Accepted,
        Outcome::Rejected(Reason::Refused),
        Outcome::Accepted,
        Outcome::Released(Reason::Failed),
    ]) {
        desk.settle(admitted, outcome);
    }
    let mut answers = Vec::new();
    for _ in 0..2 {
        let said = disposition(&mut fake).await;
        assert_eq!((said.role, said.settled, said.last), (Role::Receiver, true, None));
        answers.push((said.first, said.state));
    }
    answers.sort_by_key(|(first, _)| *first);
    let [
        (1, Some(DeliveryState::Rejected(Some(error)))),
        (3, Some(DeliveryState::Modified(modified))),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}");
    };
    assert_eq!(error.condition, "weft:refused");
    assert!(modified.delivery_failed);
    drop(fake);
    within("the close", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_are_answered_by_one_frame() {
    let (listener, section) = listen("5s").await;
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let mut fake = within("a connection", Fake::accept(&listener)).await;
    within("a link", fake.behave(Stage::Transfer)).await.unwrap();
    for number in 0..100 {
        fake.send(number, false, &text("x"), 1 << 15).await;
    }
    within("all come in", desk.accept(100)).await;
    let (mut answered, mut frames) = (0, 0);
    while answered < 100 {
        let said = disposition(&mut fake).await;
        assert_eq!(said.state, Some(DeliveryState::Accepted));
        answered += said.last.unwrap_or(said.first) - said.first + 1;
        frames += 1;
    }
    assert!(frames < 100, "{frames} frames for 100 neighbours");
    drop(fake);
    within("the close", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_many_frames_is_one_event_and_one_too_large_is_refused_unseen() {
    let (listener, section) = listen("5s").await;
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let mut fake = within("a connection", Fake::accept(&listener)).await;
    within("a link", fake.behave(Stage::Transfer)).await.unwrap();
    let large = "x".repeat(200_000);
    fake.send(0, false, &text(&large), 4096).await;
    let came = within("it comes in", desk.accept(1)).await;
    assert_eq!(came[0].event.data().unwrap(), &large);
    assert_eq!(disposition(&mut fake).await.state, Some(DeliveryState::Accepted));
    fake.send(1, false, &text(&"x".repeat(support::EVENT_MAX + 1)), 30_000)
        .await;
    let Some(DeliveryState::Rejected(Some(error))) = disposition(&mut fake).await.state else {
        panic!("it is not refused");
    };
    assert_eq!(error.condition, condition::MESSAGE_SIZE_EXCEEDED);
    let told = error.description.unwrap();
    assert!(
        told.contains("limits.event") && told.contains(&support::EVENT_MAX.to_string()),
        "{told}"
    );
    fake.send(2, false, &text("next"), 4096).await;
    assert_eq!(
        within("the next comes in", desk.accept(1)).await[0]
            .event
            .data()
            .unwrap(),
        "next"
    );
    drop(fake);
    within("the close", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_taken_away_is_asked_for_again_on_the_same_connection() {
    let (listener, section) = listen("5s").await;
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let mut fake = within("a connection", Fake::accept(&listener)).await;
    within("a link", fake.behave(Stage::Transfer)).await.unwrap();
    fake.send(0, false, &text("x"), 4096).await;
    let held = within("it comes in", desk.next()).await;
    fake.say(&Detach {
        handle: 0,
        closed: true,
        error: Some(Box::new(Error::new(condition::DETACH_FORCED, "maintenance"))),
    })
    .await;
    waiting(&desk, "maintenance").await;
    // Its outcome comes too late: nobody is told, and nothing breaks.
    desk.settle(held, Outcome::Accepted);
    let Some(Performative::Attach(again)) = within("it asks again", fake.until("attach")).await else {
        panic!("the connection is gone");
    };
    assert_eq!(again.role, Role::Receiver);
    assert!(!desk.has_ended());
    drop(fake);
    within("the close", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_drops_a_selector_gets_no_credit_and_is_named() {
    let (listener, mut section) = listen("5s").await;
    section["selector"] = json!("x = 1");
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let mut fake = within("a connection", Fake::accept(&listener)).await;
    fake.filters = false;
    // Behaving ends with a flow that gives credit; what comes instead is the end of the link.
    let end = async {
        tokio::select! {
            _ = fake.behave(Stage::Transfer) => {}
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    };
    within("no credit", end).await;
    let Health::Waiting(why) = desk.health() else {
        panic!("{:?}", desk.health());
    };
    assert!(why.contains("no selectors"), "{why}");
    drop(fake);
    within("the close", desk.close()).await.unwrap();
}
