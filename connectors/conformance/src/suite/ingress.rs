//! What every ingress promises.

use tokio::time::{sleep, timeout};
use weft_api::ingress::Window;
use weft_api::outcome::{Outcome, Reason};

use super::{QUIET, soon, until};
use crate::events::{corpus, difference, keyed, plain};
use crate::harness::IngressDesk;
use crate::subject::{IngressSubject, Shape};

/// C2, C35: attributes and data arrive equal, whatever their type, size and content.
pub async fn what_comes_in_is_what_was_sent(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(), None);
    let corpus = corpus(subject.data_max());
    for event in &corpus {
        subject.inject(event).await;
        let admitted = soon("a message comes in", desk.next()).await;
        assert!(
            !admitted.incoming.malformed,
            "C2: {} came in as malformed",
            event.id()
        );
        let wrong = difference(event, &admitted.incoming.event, subject.keeps_types());
        assert_eq!(wrong, None, "C2: {}", event.id());
        desk.settle(admitted, Outcome::Accepted);
    }
    acknowledged(subject, corpus.len()).await;
    close(desk).await;
}

/// C1, C5 to C8: never early.
pub async fn nothing_is_acknowledged_before_it_is_settled(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(), None);
    let mut held = Vec::new();
    for number in 0..3 {
        subject.inject(&plain(&number.to_string())).await;
        held.push(soon("a message comes in", desk.next()).await);
    }
    sleep(QUIET).await;
    assert_eq!(
        subject.acknowledged().await,
        0,
        "C1: acknowledged before it was settled"
    );
    // The last one first: in order, that must not acknowledge those before it.
    let last = held.pop().expect("there are three");
    desk.settle(last, Outcome::Accepted);
    sleep(QUIET).await;
    let early = usize::from(subject.shape() != Shape::InOrder);
    assert_eq!(
        subject.acknowledged().await,
        early,
        "C5: what is committed is the lowest unresolved"
    );
    held.into_iter()
        .for_each(|admitted| desk.settle(admitted, Outcome::Accepted));
    acknowledged(subject, 3).await;
    close(desk).await;
}

/// C3, C5 to C8: released is not acknowledged; a stream brings it again, a client is told to.
pub async fn what_was_released_is_not_acknowledged_and_comes_again(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(), None);
    subject.inject(&plain("again")).await;
    let first = soon("a message comes in", desk.next()).await;
    desk.settle(first, Outcome::Released(Reason::Unavailable));
    if subject.shape() == Shape::Request {
        sleep(QUIET).await;
        assert_eq!(subject.acknowledged().await, 0, "C8: 2xx is never early");
        return;
    }
    let again = soon("C3: what was released comes again", desk.next()).await;
    assert_eq!(again.incoming.event.id(), "again");
    assert_eq!(
        subject.acknowledged().await,
        0,
        "C1: acknowledged although it was released"
    );
    desk.settle(again, Outcome::Accepted);
    acknowledged(subject, 1).await;
    close(desk).await;
}

/// C21: credit is kept to; settling gives it back.
pub async fn no_more_is_taken_than_the_window_allows(subject: &impl IngressSubject) {
    let window = Window {
        events: 4,
        bytes: 1 << 24,
    };
    let desk = IngressDesk::start(subject.ingress(), Some(window));
    if subject.shape() == Shape::Request {
        // A request that does not fit is the router's to refuse; the connector passes that on.
        desk.refuse_requests(true);
        subject.inject(&plain("full")).await;
        sleep(QUIET).await;
        assert!(
            desk.try_next().await.is_none() && subject.acknowledged().await == 0,
            "C21: taken though full"
        );
        return;
    }
    for number in 0..12 {
        subject.inject(&keyed(&number.to_string(), "k")).await;
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(soon("the window fills", desk.next()).await);
    }
    assert!(
        timeout(QUIET, desk.next()).await.is_err(),
        "C21: a fifth came though the window is four"
    );
    held.into_iter()
        .for_each(|admitted| desk.settle(admitted, Outcome::Accepted));
    soon("the rest comes in", desk.accept(8)).await;
    assert_eq!(desk.overdelivered(), 0, "C21: delivered past the credit");
    acknowledged(subject, 12).await;
    close(desk).await;
}

/// C20: the order of a key is the remote's.
pub async fn one_key_comes_in_its_order(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(), None);
    let mut came = Vec::new();
    for number in 0..20 {
        subject.inject(&keyed(&number.to_string(), "one")).await;
        // Requests are answered one by one: their client waits, and has no order otherwise.
        if subject.shape() == Shape::Request {
            came.extend(soon("a request comes in", desk.accept(1)).await);
        }
    }
    came.extend(soon("all come in", desk.accept(20 - came.len())).await);
    let ids: Vec<&str> = came.iter().map(|incoming| incoming.event.id()).collect();
    let expected: Vec<String> = (0..20).map(|number: u32| number.to_string()).collect();
    assert_eq!(ids, expected, "C20");
    assert!(
        came.iter().all(|incoming| incoming.event.key() == Some(b"one")),
        "C20: the key came along"
    );
    acknowledged(subject, 20).await;
    close(desk).await;
}

/// C3, C4: a reconnect repeats at most what was unsettled, and loses nothing.
pub async fn a_cut_connection_loses_nothing(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(), None);
    for number in 0..6 {
        subject.inject(&keyed(&number.to_string(), "k")).await;
    }
    let unsettled = [
        soon("one comes in", desk.next()).await,
        soon("another comes in", desk.next()).await,
    ];
    if subject.shape() == Shape::Request || !subject.cut().await {
        return;
    }
    // Settled after the cut: whether that still counts is the protocol's affair.
    unsettled
        .into_iter()
        .for_each(|admitted| desk.settle(admitted, Outcome::Accepted));
    soon("C3: everything is acknowledged in the end", async {
        while subject.acknowledged().await < 6 {
            if let Ok(admitted) = timeout(QUIET, desk.next()).await {
                desk.settle(admitted, Outcome::Accepted);
            }
        }
    })
    .await;
    close(desk).await;
}

/// C1, C29: a stop acknowledges nothing; the next life gets it.
pub async fn what_was_unsettled_at_a_stop_comes_to_the_next_life(subject: &impl IngressSubject) {
    if subject.shape() == Shape::Request {
        return;
    }
    let desk = IngressDesk::start(subject.ingress(), None);
    subject.inject(&plain("kept")).await;
    let unsettled = soon("a message comes in", desk.next()).await;
    close(desk).await;
    drop(unsettled);
    assert_eq!(
        subject.acknowledged().await,
        0,
        "C1: a stop acknowledged what was unsettled"
    );
    let desk = IngressDesk::start(subject.ingress(), None);
    assert_eq!(soon("it comes again", desk.accept(1)).await[0].event.id(), "kept");
    acknowledged(subject, 1).await;
    close(desk).await;
}

async fn acknowledged(subject: &impl IngressSubject, count: usize) {
    until("what was accepted is acknowledged", || async {
        subject.acknowledged().await == count
    })
    .await;
}

async fn close(desk: IngressDesk) {
    soon("C29: the ingress returns", desk.close())
        .await
        .expect("C29: a clean close");
}
