//! How much comes in, and in which order. The counts are exact.

use std::collections::BTreeSet;

use bytes::Bytes;
use tokio::time::sleep;
use weft_api::event::Event;
use weft_api::ingress::Window;
use weft_api::outcome::Outcome;

use super::super::QUIET;
use super::{acknowledged, close, id, numbered, quiet, settle_all, soon, take};
use crate::events::{keyed, plain, with_data};
use crate::harness::{Admitted, IngressDesk};
use crate::subject::{IngressSubject, Shape};

/// As many as the burst has; more than one window of any connector's default that counts in events of this size.
const BURST: usize = 2_000;

/// C21: a window of four takes four; a request that finds it full is told so, and nothing of it comes in.
pub async fn no_more_is_taken_than_the_window_allows(subject: &impl IngressSubject) {
    let window = Some(Window {
        events: 4,
        bytes: 1 << 24,
    });
    let desk = IngressDesk::start(subject.ingress(window), window);
    if subject.shape() == Shape::Request {
        // A request that does not fit is the router's to refuse; the connector passes that on.
        desk.refuse_requests(true);
        subject.inject(&plain("full")).await;
        quiet(&desk, "C21: taken though full").await;
        assert_eq!(subject.acknowledged().await, 0, "C21: acknowledged though full");
        desk.refuse_requests(false);
        subject.inject(&plain("room")).await;
        soon("C21: there is room again", desk.accept(1)).await;
        acknowledged(subject, 1).await;
        return close(desk).await;
    }
    subject.inject_all(&numbered(0..12)).await;
    let held = take(&desk, 4).await;
    quiet(&desk, "C21: a fifth came though the window is four").await;
    settle_all(&desk, held);
    soon("the rest comes in", desk.accept(8)).await;
    assert_eq!(desk.overdelivered(), 0, "C21: delivered past the credit");
    acknowledged(subject, 12).await;
    close(desk).await;
}

/// C21: what is settled of a full window, and exactly that, comes after it.
pub async fn a_full_window_opens_by_exactly_what_was_settled(subject: &impl IngressSubject) {
    let window = Some(Window {
        events: 4,
        bytes: 1 << 24,
    });
    let desk = IngressDesk::start(subject.ingress(window), window);
    let steps = [1, 3, 2, 4];
    subject.inject_all(&numbered(0..14)).await;
    let mut held = take(&desk, 4).await;
    for step in steps {
        quiet(&desk, "C21: more than the window came in").await;
        let settled: Vec<Admitted> = match subject.shape() {
            Shape::InOrder => held.drain(..step).collect(),
            // The youngest: one by one, any of them makes room.
            _ => held.drain(held.len() - step..).collect(),
        };
        settle_all(&desk, settled);
        held.extend(take(&desk, step).await);
    }
    quiet(&desk, "there are fourteen").await;
    assert_eq!(desk.overdelivered(), 0, "C21: delivered past the credit");
    settle_all(&desk, held);
    acknowledged(subject, 14).await;
    close(desk).await;
}

/// C21: the window counts bytes, too.
pub async fn no_more_bytes_are_taken_than_the_window_allows(subject: &impl IngressSubject) {
    let sized = |number: usize| {
        with_data(
            &number.to_string(),
            "application/octet-stream",
            Bytes::from(vec![1; 20_000]),
        )
    };
    // Room for three and a half: what a transport adds to an event is less than the half.
    let window = Some(Window {
        events: 100,
        bytes: sized(0).size() * 7 / 2,
    });
    let desk = IngressDesk::start(subject.ingress(window), window);
    let events: Vec<Event> = (0..8).map(sized).collect();
    subject.inject_all(&events).await;
    let mut held = take(&desk, 3).await;
    quiet(&desk, "C21: a fourth came though its bytes do not fit").await;
    desk.settle(held.remove(0), Outcome::Accepted);
    held.extend(take(&desk, 1).await);
    quiet(&desk, "C21: a fifth came though its bytes do not fit").await;
    settle_all(&desk, held);
    soon("the rest comes in", desk.accept(4)).await;
    assert_eq!(desk.overdelivered(), 0, "C21: delivered past the credit");
    acknowledged(subject, 8).await;
    close(desk).await;
}

/// C3, C4, C21: a burst, far larger than what is read at once, comes in whole, and each message once.
pub async fn a_burst_comes_in_once_each(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let burst: Vec<Event> = (0..BURST)
        .map(|number| keyed(&number.to_string(), &format!("k{}", number % 7)))
        .collect();
    let come = async {
        let mut ids = BTreeSet::new();
        for _ in 0..BURST {
            let admitted = soon("the burst comes in", desk.next()).await;
            let number = id(&admitted);
            assert!(ids.insert(number), "C4: {number} came twice");
            desk.settle(admitted, Outcome::Accepted);
        }
    };
    tokio::join!(subject.inject_all(&burst), come);
    acknowledged(subject, BURST).await;
    quiet(&desk, "C4: nothing comes twice").await;
    assert_eq!(desk.overdelivered(), 0, "C21: delivered past the credit");
    assert_eq!(
        subject.refused().await.unwrap_or(0),
        0,
        "a burst is no reason to refuse"
    );
    close(desk).await;
}

/// C20: the order of a key is the remote's.
pub async fn one_key_comes_in_its_order(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let events: Vec<Event> = (0..20)
        .map(|number: u32| keyed(&number.to_string(), "one"))
        .collect();
    let mut came = Vec::new();
    if subject.shape() == Shape::Request {
        // Requests are answered one by one: their client waits, and has no order otherwise.
        for event in &events {
            subject.inject(event).await;
            came.extend(soon("a request comes in", desk.accept(1)).await);
        }
    } else {
        subject.inject_all(&events).await;
        came.extend(soon("all come in", desk.accept(20)).await);
    }
    let ids: Vec<&str> = came.iter().map(|incoming| incoming.event.id()).collect();
    let expected: Vec<&str> = events.iter().map(Event::id).collect();
    assert_eq!(ids, expected, "C20");
    assert!(
        came.iter().all(|incoming| incoming.event.key() == Some(b"one")),
        "C20: the key came along"
    );
    acknowledged(subject, 20).await;
    sleep(QUIET / 3).await;
    close(desk).await;
}
