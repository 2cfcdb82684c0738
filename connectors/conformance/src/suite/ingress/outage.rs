//! Connections that break, and remotes that die or are away.

use tokio::time::sleep;
use weft_api::outcome::Outcome;
use weft_api::status::Health;

use super::super::{QUIET, STOPS_WITHIN};
use super::{accept_until, acknowledged, close, hold, must, numbered, settle_all, soon, take, until, within};
use crate::harness::IngressDesk;
use crate::subject::IngressSubject;

/// C3, C4: a connection that breaks while most is unsettled loses nothing.
pub async fn a_cut_connection_loses_nothing(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    subject.inject_all(&numbered(0..6)).await;
    let unsettled = take(&desk, 2).await;
    must(subject, subject.cut().await, "cut its connections");
    // Settled after the cut: whether that still counts is the protocol's affair.
    settle_all(&desk, unsettled);
    accept_until(subject, &desk, 6).await;
    acknowledged(subject, 6).await;
    close(desk).await;
}

/// C3, C4: a reconnect repeats at most what was not acknowledged: what was settled at that moment, and what was not
/// settled yet, whose late outcomes confuse nothing.
pub async fn a_reconnect_repeats_only_what_was_not_acknowledged(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let mut held = hold(subject, &desk, 0..8).await;
    settle_all(&desk, held.drain(..3));
    acknowledged(subject, 3).await;
    // These two are on their way when the connection breaks: they may or may not get there.
    settle_all(&desk, held.drain(..2));
    must(subject, subject.cut().await, "cut its connections");
    settle_all(&desk, held);
    subject.inject_all(&numbered(8..10)).await;
    let came = accept_until(subject, &desk, 10).await;
    let repeated: Vec<_> = came.keys().filter(|number| **number < 3).collect();
    assert!(
        repeated.is_empty(),
        "C4: {repeated:?} came again though they were acknowledged"
    );
    assert!(
        came.contains_key(&8) && came.contains_key(&9),
        "C3: what was sent after the cut comes in: {came:?}"
    );
    acknowledged(subject, 10).await;
    close(desk).await;
}

/// C1, C3: the remote dies with messages unacknowledged, and comes back: each is delivered, and acknowledged in the end.
pub async fn a_killed_remote_loses_nothing(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let mut held = hold(subject, &desk, 0..10).await;
    settle_all(&desk, held.drain(..2));
    acknowledged(subject, 2).await;
    must(subject, subject.kill().await, "be killed");
    // Settled while nobody is there to be told.
    settle_all(&desk, held.drain(..4));
    sleep(QUIET).await;
    subject.restart().await;
    settle_all(&desk, held);
    subject.inject_all(&numbered(10..12)).await;
    let came = accept_until(subject, &desk, 12).await;
    assert!(
        came.contains_key(&10) && came.contains_key(&11),
        "C3: what was sent after the restart comes in: {came:?}"
    );
    acknowledged(subject, 12).await;
    close(desk).await;
}

/// C3: a remote that is not there yet is no error of the ingress, which says what it waits for, and finds it.
pub async fn a_remote_that_is_away_at_the_start_is_waited_for(subject: &impl IngressSubject) {
    must(subject, subject.hide().await, "be away");
    let desk = IngressDesk::start(subject.ingress(None), None);
    until("it says what it waits for", || async {
        matches!(desk.health(), Health::Waiting(why) if !why.is_empty())
    })
    .await;
    assert!(!desk.has_ended(), "a remote that is away is no error");
    subject.show().await;
    subject.inject_all(&numbered(0..1)).await;
    soon("C3: the remote is found", desk.accept(1)).await;
    acknowledged(subject, 1).await;
    until("it says that it is ready", || async {
        desk.health() == Health::Ready
    })
    .await;
    close(desk).await;
}

/// C1, C29: a stop does not wait for a remote that is away, and acknowledges nothing by it.
pub async fn a_stop_while_the_remote_is_away_returns_in_time(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let mut held = hold(subject, &desk, 0..3).await;
    desk.settle(held.remove(0), Outcome::Accepted);
    acknowledged(subject, 1).await;
    must(subject, subject.hide().await, "be away");
    sleep(QUIET).await;
    desk.settle(held.remove(0), Outcome::Accepted);
    within(
        STOPS_WITHIN,
        "C29: the ingress returns though the remote is away",
        desk.close(),
    )
    .await
    .expect("C29: a remote that is away is no error");
    subject.show().await;
    let desk = IngressDesk::start(subject.ingress(None), None);
    let came = accept_until(subject, &desk, 3).await;
    assert!(
        came.contains_key(&2),
        "C1: what was unsettled comes to the next life: {came:?}"
    );
    acknowledged(subject, 3).await;
    close(desk).await;
}
