//! Each outcome, and what the remote sees of it.

use tokio::time::sleep;
use weft_api::outcome::{Outcome, Reason};

use super::super::QUIET;
use super::{acknowledged, close, hold, id, numbered, quiet, settle_all, soon, take, until};
use crate::events::plain;
use crate::harness::IngressDesk;
use crate::subject::{IngressSubject, Shape};

/// C1, C5 to C8: never early.
pub async fn nothing_is_acknowledged_before_it_is_settled(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let mut held = hold(subject, &desk, 0..3).await;
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
    settle_all(&desk, held);
    acknowledged(subject, 3).await;
    close(desk).await;
}

/// C5 to C8: in order, exactly the settled prefix is acknowledged; otherwise, exactly what is settled.
pub async fn what_settles_out_of_order_is_acknowledged_as_the_lane_promises(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let mut held: Vec<_> = hold(subject, &desk, 0..5).await.into_iter().map(Some).collect();
    let mut settled = [false; 5];
    for at in [3, 1, 0, 4, 2] {
        let admitted = held[at].take().expect("each is settled once");
        desk.settle(admitted, Outcome::Accepted);
        settled[at] = true;
        let expected = match subject.shape() {
            Shape::InOrder => settled.iter().take_while(|settled| **settled).count(),
            _ => settled.iter().filter(|settled| **settled).count(),
        };
        acknowledged(subject, expected).await;
        sleep(QUIET / 3).await;
        assert_eq!(
            subject.acknowledged().await,
            expected,
            "C5: more than was settled, after {at}"
        );
    }
    close(desk).await;
}

/// C3, C5 to C8: released is not acknowledged; a stream brings it again, a client is told to.
pub async fn what_was_released_is_not_acknowledged_and_comes_again(subject: &impl IngressSubject) {
    comes_again(subject, Outcome::Released(Reason::Unavailable)).await;
}

/// C3, C4, C8: an event of which nothing is known is not acknowledged; it may come twice, and is not lost.
pub async fn what_is_unknown_is_not_acknowledged_and_comes_again(subject: &impl IngressSubject) {
    comes_again(subject, Outcome::Unknown(Reason::Timeout)).await;
}

async fn comes_again(subject: &impl IngressSubject, outcome: Outcome) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    subject.inject(&plain("again")).await;
    let first = soon("a message comes in", desk.next()).await;
    desk.settle(first, outcome);
    if subject.shape() == Shape::Request {
        sleep(QUIET).await;
        assert_eq!(subject.acknowledged().await, 0, "C8: 2xx is never early");
        assert_ne!(
            subject.refused().await,
            Some(1),
            "C8: the client is to send it again"
        );
        return close(desk).await;
    }
    let again = soon("C3: it comes again", desk.next()).await;
    assert_eq!(again.incoming.event.id(), "again");
    assert_eq!(
        subject.acknowledged().await,
        0,
        "C1: acknowledged although it was {outcome:?}"
    );
    desk.settle(again, Outcome::Accepted);
    acknowledged(subject, 1).await;
    close(desk).await;
}

/// C5 to C8: a refusal is told where the protocol has a word for it, is acknowledged where it has none (which happens
/// only where the user wrote `on_rejected: drop`), touches no neighbour, and is final.
pub async fn what_is_rejected_is_refused_in_the_protocols_words(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    for admitted in hold(subject, &desk, 0..4).await {
        let outcome = match id(&admitted) {
            1 | 3 => Outcome::Rejected(Reason::Refused),
            _ => Outcome::Accepted,
        };
        desk.settle(admitted, outcome);
    }
    if subject.refused().await.is_some() {
        until("the remote is told of the refusals", || async {
            subject.refused().await == Some(2)
        })
        .await;
        acknowledged(subject, 2).await;
    } else {
        acknowledged(subject, 4).await;
    }
    quiet(&desk, "a refusal is final").await;
    close(desk).await;
}

/// C3 to C5: one of many is released. In order, the lane goes back to the watermark and no further, and what is settled of
/// its former life acknowledges nothing; one by one, it alone comes again.
pub async fn what_was_released_in_the_middle_comes_again_and_nothing_before_it(
    subject: &impl IngressSubject,
) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    subject.inject_all(&numbered(0..8)).await;
    let mut stale = Vec::new();
    let mut released = None;
    for admitted in take(&desk, 8).await {
        match id(&admitted) {
            0 | 1 | 4 | 5 => desk.settle(admitted, Outcome::Accepted),
            2 => released = Some(admitted),
            _ => stale.push(admitted),
        }
    }
    desk.settle(
        released.expect("it came in"),
        Outcome::Released(Reason::Unavailable),
    );
    if subject.shape() == Shape::Individual {
        let again = soon("C3: it comes again", desk.next()).await;
        assert_eq!(id(&again), 2, "C4: another one came again");
        quiet(&desk, "C4: only what was released comes again").await;
        desk.settle(again, Outcome::Accepted);
        settle_all(&desk, stale);
        acknowledged(subject, 8).await;
        return close(desk).await;
    }
    let again = take(&desk, 6).await;
    let ids: Vec<usize> = again.iter().map(id).collect();
    assert_eq!(
        ids,
        [2, 3, 4, 5, 6, 7],
        "C5: from the watermark on, in order, each once"
    );
    settle_all(&desk, stale);
    acknowledged(subject, 2).await;
    quiet(&desk, "C4: no more than that comes again").await;
    assert_eq!(
        subject.acknowledged().await,
        2,
        "C5: a former life acknowledged something"
    );
    settle_all(&desk, again);
    acknowledged(subject, 8).await;
    close(desk).await;
}
