//! Draining, stopping, and the life after.

use tokio::time::sleep;
use weft_api::outcome::Outcome;

use super::super::QUIET;
use super::{acknowledged, close, hold, id, numbered, quiet, settle_all, soon};
use crate::events::plain;
use crate::harness::IngressDesk;
use crate::subject::{IngressSubject, Shape};

/// C6, C8, C29: a drain takes nothing more in, and still settles what is in.
pub async fn a_drain_takes_no_more_in(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let held = hold(subject, &desk, 0..2).await;
    desk.drain();
    // The connector hears of it in its own time.
    sleep(QUIET / 3).await;
    subject.inject_all(&numbered(2..5)).await;
    quiet(&desk, "C29: a drain takes nothing in").await;
    settle_all(&desk, held);
    acknowledged(subject, 2).await;
    close(desk).await;
    assert_eq!(
        subject.acknowledged().await,
        2,
        "C1: acknowledged though nobody took it"
    );
    if subject.shape() == Shape::Request {
        // Its clients were told to come back, or found nobody.
        return;
    }
    let desk = IngressDesk::start(subject.ingress(None), None);
    let mut came: Vec<String> = Vec::new();
    for incoming in soon("the rest comes to the next life", desk.accept(3)).await {
        came.push(incoming.event.id().to_owned());
    }
    came.sort();
    assert_eq!(
        came,
        ["2", "3", "4"],
        "C4: nothing that was acknowledged comes again"
    );
    acknowledged(subject, 5).await;
    close(desk).await;
}

/// C4, C29: what was settled before a stop is acknowledged when the ingress has returned: a planned stop makes no
/// duplicates.
pub async fn a_clean_close_has_acknowledged_all_that_was_settled(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let held = hold(subject, &desk, 0..5).await;
    settle_all(&desk, held);
    if subject.shape() == Shape::Request {
        // A request is settled when its client has the answer.
        acknowledged(subject, 5).await;
        return close(desk).await;
    }
    close(desk).await;
    acknowledged(subject, 5).await;
    let desk = IngressDesk::start(subject.ingress(None), None);
    subject.inject_all(&numbered(5..6)).await;
    let first = soon("the next life takes in", desk.next()).await;
    assert_eq!(id(&first), 5, "C4: a clean close repeats nothing");
    desk.settle(first, Outcome::Accepted);
    acknowledged(subject, 6).await;
    quiet(&desk, "C4: a clean close repeats nothing").await;
    close(desk).await;
}

/// C1, C29: a stop acknowledges nothing; the next life gets it.
pub async fn what_was_unsettled_at_a_stop_comes_to_the_next_life(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    subject.inject(&plain("kept")).await;
    let unsettled = soon("a message comes in", desk.next()).await;
    close(desk).await;
    drop(unsettled);
    assert_eq!(
        subject.acknowledged().await,
        0,
        "C1: a stop acknowledged what was unsettled"
    );
    if subject.shape() == Shape::Request {
        // A connection that ends without an answer: its client sends again.
        return;
    }
    let desk = IngressDesk::start(subject.ingress(None), None);
    assert_eq!(soon("it comes again", desk.accept(1)).await[0].event.id(), "kept");
    acknowledged(subject, 1).await;
    close(desk).await;
}
