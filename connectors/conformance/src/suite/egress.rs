//! What every egress promises.

use std::time::Duration;

use tokio::time::sleep;
use weft_api::event::Event;
use weft_api::outcome::Fault;

use super::{QUIET, soon};
use crate::events::{corpus, difference, keyed, plain};
use crate::harness::{EgressDesk, Fate};
use crate::subject::{EgressSubject, Remote};

/// C2, C9 to C12, C35: attributes and data arrive equal; confirmed means that the remote has it.
pub async fn what_arrives_is_what_was_given(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let corpus = corpus(subject.data_max());
    for event in &corpus {
        let fate = soon("the event is settled", desk.send(std::slice::from_ref(event))).await;
        assert!(fate[0].is_accepted(), "{}: {:?}", event.id(), fate[0]);
    }
    let received = subject.received().await;
    assert_eq!(received.len(), corpus.len(), "C4: each once");
    for (sent, got) in corpus.iter().zip(&received) {
        assert_eq!(
            difference(sent, got, subject.keeps_types()),
            None,
            "C2: {}",
            sent.id()
        );
    }
    close(desk).await;
}

/// C20: events of one key arrive in the order in which they were given.
pub async fn one_key_arrives_in_its_order(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let events: Vec<Event> = (0..50)
        .map(|number: u32| keyed(&number.to_string(), "one"))
        .collect();
    // As the router does: a key is in flight once, unless the remote keeps order.
    let size = if desk.profile.keeps_order_or_fails {
        desk.profile.batch_events.min(desk.profile.in_flight)
    } else {
        1
    };
    for batch in events.chunks(size as usize) {
        let fates = soon("the batch is settled", desk.give(batch.to_vec()).settled()).await;
        assert!(fates.iter().all(Fate::is_accepted), "{fates:?}");
    }
    let ids: Vec<String> = subject
        .received()
        .await
        .iter()
        .map(|event| event.id().to_owned())
        .collect();
    assert_eq!(
        ids,
        events
            .iter()
            .map(|event| event.id().to_owned())
            .collect::<Vec<_>>(),
        "C20"
    );
    close(desk).await;
}

/// C3, C4: as many as the profile allows at once; each is settled, and arrives once.
pub async fn a_full_window_is_settled_once_each(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let (window, batch) = (
        desk.profile.in_flight as usize,
        desk.profile.batch_events as usize,
    );
    let window = window.min(2_000);
    let events: Vec<Event> = (0..window).map(|number| plain(&number.to_string())).collect();
    let given: Vec<_> = events
        .chunks(batch)
        .map(|batch| desk.give(batch.to_vec()))
        .collect();
    for given in given {
        let fates = soon("the window is settled", given.settled()).await;
        assert!(fates.iter().all(Fate::is_accepted), "{fates:?}");
    }
    let mut ids: Vec<usize> = Vec::new();
    for event in subject.received().await {
        ids.push(event.id().parse().expect("our ids are numbers"));
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..window).collect::<Vec<_>>(), "C4: each once");
    close(desk).await;
}

/// C9 to C12: what the remote will never take is the event's fault, and certainly not delivered.
pub async fn a_refusal_is_the_events_fault(subject: &impl EgressSubject) {
    fault(subject, Remote::Refuses, Fault::Event).await;
}

/// C9, C23: what may work the next time uses up an attempt.
pub async fn a_failure_is_an_attempt(subject: &impl EgressSubject) {
    fault(subject, Remote::Fails, Fault::Attempt).await;
}

/// C9 to C12, C23: what says "later" uses up none.
pub async fn an_overload_is_the_destinations_fault(subject: &impl EgressSubject) {
    fault(subject, Remote::Overloaded, Fault::Destination).await;
}

/// C4, C9, C15: no answer within the time-out means that the remote may have it.
pub async fn silence_may_have_delivered(subject: &impl EgressSubject) {
    if !subject.set(Remote::Silent).await {
        return;
    }
    let desk = EgressDesk::start(subject.egress());
    let fates = soon("the time-out settles it", desk.send(&[plain("silent")])).await;
    let error = fates[0].error();
    assert!(error.maybe_delivered, "C4: {error:?} claims to know");
    assert_eq!(error.fault, Fault::Destination, "{error:?}");
}

/// C3, C23: a remote that is not there is the destination's fault and no error of the egress, which finds it again.
pub async fn a_remote_that_is_gone_has_taken_nothing_and_is_found_again(subject: &impl EgressSubject) {
    if !subject.set(Remote::Gone).await {
        return;
    }
    let desk = EgressDesk::start(subject.egress());
    let fates = soon("it is settled without the remote", desk.send(&[plain("lost")])).await;
    let error = fates[0].error();
    assert_eq!(error.fault, Fault::Destination, "{error:?}");
    assert!(!error.detail.is_empty(), "an operator reads what to do");
    assert!(subject.set(Remote::Accepts).await, "what can go can come back");
    soon("C3: the remote is found again", async {
        while !desk.send(&[plain("found")]).await[0].is_accepted() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(subject.received().await.iter().any(|event| event.id() == "found"));
    close(desk).await;
}

/// C29: draining goes on until everything is settled; then `run` returns.
pub async fn a_drained_egress_settles_all_and_returns(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let batch: Vec<Event> = (0..desk.profile.batch_events.min(5))
        .map(|number| plain(&number.to_string()))
        .collect();
    let given = desk.give(batch);
    close(desk).await;
    let fates = soon("all is settled", given.settled()).await;
    assert!(fates.iter().all(Fate::is_accepted), "C29: {fates:?}");
}

/// C1, C29: a stop cuts what is under way off, and confirms none of it.
pub async fn a_stopped_egress_confirms_nothing_that_the_remote_did_not(subject: &impl EgressSubject) {
    if !subject.set(Remote::Silent).await {
        return;
    }
    let desk = EgressDesk::start(subject.egress());
    let given = desk.give(vec![plain("cut")]);
    sleep(QUIET / 3).await;
    soon("C29: the egress returns", desk.stop())
        .await
        .expect("C29: a clean stop");
    let fates = soon("it is settled or abandoned", given.settled()).await;
    assert!(
        !fates[0].is_accepted(),
        "C1: confirmed, though the remote never answered"
    );
}

async fn fault(subject: &impl EgressSubject, remote: Remote, fault: Fault) {
    if !subject.set(remote).await {
        return;
    }
    let desk = EgressDesk::start(subject.egress());
    let fates = soon("the event is settled", desk.send(&[plain("bad")])).await;
    let error = fates[0].error();
    assert_eq!(error.fault, fault, "{error:?}");
    assert!(!error.maybe_delivered, "the remote has answered: {error:?}");
    assert!(
        !error.detail.is_empty() && !error.detail.contains('\n'),
        "one line for an operator: {error:?}"
    );
    assert!(subject.set(Remote::Accepts).await, "every remote can accept");
    let fates = soon("the next one is settled", desk.send(&[plain("good")])).await;
    assert!(
        fates[0].is_accepted(),
        "an event after {remote:?}: {:?}",
        fates[0]
    );
    close(desk).await;
}

async fn close(desk: EgressDesk) {
    soon("C29: the egress returns", desk.close())
        .await
        .expect("C29: a clean close");
}
