//! What the remote has when the egress says that it was delivered, how often, and in which order.

use bytes::Bytes;
use weft_api::event::Event;
use weft_api::outcome::{Fault, Reason};

use super::{close, counts, must, numbered, set, soon, warm};
use crate::events::{corpus, difference, keyed, plain, with_data};
use crate::harness::{EgressDesk, Fate};
use crate::subject::{EgressSubject, Remote};

/// Most events of a "full window" here: enough to see a fault, and quick for remotes that are read back one by one.
const WINDOW_MAX: usize = 1_000;

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

/// C9, C10, C35: what is too large is the event's fault, and the error names the limit.
pub async fn what_is_above_the_limit_is_the_events_fault(subject: &impl EgressSubject) {
    let limit = subject.limit().await;
    must(subject, limit.is_some(), "say what is too large");
    let Some((limit, name)) = limit else { return };
    let desk = EgressDesk::start(subject.egress());
    let large = with_data(
        "large",
        "application/octet-stream",
        Bytes::from(vec![7; limit + 1]),
    );
    let fates = soon("the event is settled", desk.send(&[large])).await;
    let error = fates[0].error();
    assert_eq!(
        (error.fault, error.reason, error.maybe_delivered),
        (Fault::Event, Reason::TooLarge, false),
        "{error:?}"
    );
    assert!(
        error.detail.contains(&name),
        "C35: `{error}` names the limit, {name}"
    );
    let fates = soon("the next one is settled", desk.send(&[plain("next")])).await;
    assert!(fates[0].is_accepted(), "{:?}", fates[0]);
    close(desk).await;
}

/// C20: events of one key arrive in the order in which they were given.
pub async fn one_key_arrives_in_its_order(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let events: Vec<Event> = (0..50)
        .map(|number: u32| keyed(&number.to_string(), "one"))
        .collect();
    if desk.profile.keeps_order_or_fails {
        // All at once: the remote keeps the order of what is in flight.
        let given: Vec<_> = events
            .chunks(desk.profile.batch_events.clamp(1, 7) as usize)
            .map(|batch| desk.give(batch.to_vec()))
            .collect();
        for given in given {
            let fates = soon("the batch is settled", given.settled()).await;
            assert!(fates.iter().all(Fate::is_accepted), "{fates:?}");
        }
    } else {
        // As the router does: a key is in flight once.
        for event in &events {
            let fates = soon("the event is settled", desk.send(std::slice::from_ref(event))).await;
            assert!(fates[0].is_accepted(), "{fates:?}");
        }
    }
    let received = subject.received().await;
    let ids: Vec<&str> = received.iter().map(Event::id).collect();
    assert_eq!(ids, events.iter().map(Event::id).collect::<Vec<_>>(), "C20");
    close(desk).await;
}

/// C3, C4, C21: as many as the profile allows at once, and more that wait: each is settled, and arrives once.
pub async fn a_full_window_is_settled_once_each(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let window = (desk.profile.in_flight as usize).min(WINDOW_MAX);
    deliver(subject, &desk, window * 2).await;
    close(desk).await;
}

/// C4, C21: a remote that answers late, but in time, gets each event once, and never more at a time than the window.
pub async fn a_slow_remote_gets_everything_once(subject: &impl EgressSubject) {
    let desk = warm(subject).await;
    set(subject, Remote::Slow).await;
    let window = (desk.profile.in_flight as usize).min(WINDOW_MAX / 4);
    deliver(subject, &desk, window * 2).await;
    set(subject, Remote::Accepts).await;
    close(desk).await;
}

async fn deliver(subject: &impl EgressSubject, desk: &EgressDesk, count: usize) {
    let events = numbered(0..count);
    let batch = desk.profile.batch_events.min(desk.profile.in_flight) as usize;
    let given: Vec<_> = events
        .chunks(batch)
        .map(|batch| desk.give(batch.to_vec()))
        .collect();
    for given in given {
        let fates = soon("the window is settled", given.settled()).await;
        assert!(fates.iter().all(Fate::is_accepted), "{fates:?}");
    }
    let mut counts = counts(subject).await;
    counts.remove("warm");
    assert_eq!(counts.len(), count, "C3: each arrives");
    let twice: Vec<_> = counts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "C4: each once, but {twice:?}");
    if let Some(most) = subject.most_unanswered().await {
        let window = desk.profile.in_flight as usize;
        assert!(
            most <= window,
            "C21: {most} were unanswered, and the window is {window}"
        );
    }
}
