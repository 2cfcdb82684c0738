//! Draining and stopping.

use tokio::time::sleep;
use weft_api::event::Event;

use super::super::{QUIET, STOPS_WITHIN};
use super::{close, counts, numbered, set, soon, warm, within};
use crate::events::plain;
use crate::harness::{EgressDesk, Fate};
use crate::subject::{EgressSubject, Remote};

/// C29: draining goes on until everything is settled; then `run` returns.
pub async fn a_drained_egress_settles_all_and_returns(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let batch: Vec<Event> = numbered(0..desk.profile.batch_events.min(5) as usize);
    let given = desk.give(batch);
    close(desk).await;
    let fates = soon("all is settled", given.settled()).await;
    assert!(fates.iter().all(Fate::is_accepted), "C29: {fates:?}");
}

/// C1, C29: a stop cuts what is under way off, and confirms none of it.
pub async fn a_stopped_egress_confirms_nothing_that_the_remote_did_not(subject: &impl EgressSubject) {
    let desk = warm(subject).await;
    set(subject, Remote::Silent).await;
    let given = desk.give(vec![plain("cut")]);
    sleep(QUIET / 3).await;
    within(STOPS_WITHIN, "C29: the egress returns", desk.stop())
        .await
        .expect("C29: a clean stop");
    let fates = soon("it is settled or abandoned", given.settled()).await;
    assert!(
        !fates[0].is_accepted(),
        "C1: confirmed, though the remote never answered"
    );
}

/// C1, C29: a stop in the middle of a window settles or gives back each event; what it confirmed is there.
pub async fn a_stop_with_a_full_window_confirms_only_what_the_remote_has(subject: &impl EgressSubject) {
    let desk = warm(subject).await;
    let events = numbered(0..desk.profile.in_flight.min(500) as usize);
    let batch = desk.profile.batch_events.min(desk.profile.in_flight) as usize;
    let given: Vec<_> = events
        .chunks(batch)
        .map(|batch| desk.give(batch.to_vec()))
        .collect();
    // As soon as something was confirmed: the rest is on its way, or waits for it.
    _ = soon("a batch is settled", given[0].settled()).await;
    within(STOPS_WITHIN, "C29: the egress returns", desk.stop())
        .await
        .expect("C29: a clean stop");
    let mut fates = Vec::new();
    for given in given {
        fates.extend(soon("each is settled or given back", given.settled()).await);
    }
    let counts = counts(subject).await;
    for (event, fate) in events.iter().zip(&fates) {
        assert!(
            !fate.is_accepted() || counts.contains_key(event.id()),
            "C1: {} was confirmed and is not there",
            event.id()
        );
    }
}

/// C29: a stop does not wait for a remote that is not there.
pub async fn a_stop_while_the_remote_is_gone_returns_in_time(subject: &impl EgressSubject) {
    let desk = warm(subject).await;
    set(subject, Remote::Gone).await;
    let given = desk.give(vec![plain("nowhere")]);
    sleep(QUIET / 3).await;
    within(
        STOPS_WITHIN,
        "C29: the egress returns though the remote is gone",
        desk.stop(),
    )
    .await
    .expect("C29: a remote that is gone is no error");
    let fates = soon("it is settled or given back", given.settled()).await;
    assert!(!fates[0].is_accepted(), "C1: confirmed, though nobody was there");
    set(subject, Remote::Accepts).await;
    assert!(
        !counts(subject).await.contains_key("nowhere"),
        "it was given back: it is not there"
    );
}
