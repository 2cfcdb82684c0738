//! The queue's way out: concurrency, batches, and how each event is settled.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use support::queue::{Fate, run};
use support::receiver::{Receiver, Say, status};
use support::{egress, soon};
use weft_api::event::{Event, EventBuilder, json};
use weft_api::outcome::{Fault, Reason};
use weft_api::stop::Phase;

fn event(id: &str) -> Event {
    EventBuilder::new().id(id).source("/s").ty("t").build().unwrap()
}

fn keyed(id: &str, key: &'static str) -> Event {
    event(id).with_key(Some(key.into()))
}

fn ids(body: &[u8]) -> Vec<String> {
    let events = json::decode_batch(&bytes::Bytes::copy_from_slice(body), 1000).unwrap();
    events.iter().map(|event| event.id().to_owned()).collect()
}

#[tokio::test]
async fn the_profile_says_what_the_mode_can_take() {
    let profile = |section| egress(section).build().unwrap().profile();
    let single = profile(json!({ "url": "http://h/", "concurrency": 7 }));
    assert_eq!(
        (single.batch_events, single.in_flight, single.keeps_order_or_fails),
        (1, 7, false)
    );
    let batch = profile(json!({ "url": "http://h/", "mode": "batch", "concurrency": 2 }));
    assert_eq!((batch.batch_events, batch.in_flight), (100, 200));
    assert!(
        egress(json!({ "url": "http://h/", "mode": "batch" }))
            .build()
            .unwrap()
            .direct()
            .is_none()
    );
}

#[tokio::test]
async fn every_event_is_settled_by_its_own_answer() {
    let receiver = Receiver::start(|seen| match seen.header("ce-id") {
        Some("bad") => status(422, "", "no"),
        Some("later") => status(500, "", ""),
        _ => status(202, "", ""),
    })
    .await;
    let batches = ["a", "bad", "b", "later"].map(|id| vec![event(id)]).into();
    let mut settled = run(json!({ "url": receiver.url() }), batches).finish().await;
    settled.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(settled.len(), 4);
    assert!(matches!(
        (&settled[0].1, &settled[1].1),
        (Fate::Accepted, Fate::Accepted)
    ));
    assert!(matches!(&settled[2].1, Fate::Failed(error) if error.fault == Fault::Event));
    assert!(matches!(&settled[3].1, Fate::Failed(error) if error.fault == Fault::Attempt));
}

#[tokio::test]
async fn no_more_than_concurrency_requests_are_under_way_and_no_fewer() {
    let most = Arc::new(AtomicUsize::new(0));
    let connections = most.clone();
    let receiver = Receiver::start(move |seen| {
        connections.fetch_max(seen.connection + 1, Ordering::SeqCst);
        Say::Nothing
    })
    .await;
    let batches = (0..20).map(|id| vec![event(&id.to_string())]).collect();
    let mut run = run(
        json!({ "url": receiver.url(), "concurrency": 4, "timeout": "300ms" }),
        batches,
    );
    // Nothing is answered: the first four must time out before a fifth is sent.
    soon(run.settled.recv()).await.unwrap();
    assert!(receiver.seen().len() >= 4, "{}", receiver.seen().len());
    assert!(receiver.seen().len() <= 8);
    run.stop.advance(Phase::Stopped);
    let rest = run.finish().await;
    let timed_out = |fate: &Fate| matches!(fate, Fate::Failed(error) if error.reason == Reason::Timeout);
    assert!(
        rest.iter()
            .all(|(_, fate)| timed_out(fate) || matches!(fate, Fate::Abandoned)),
        "{rest:?}"
    );
}

#[tokio::test]
async fn stopping_leaves_what_is_under_way_unknown() {
    let receiver = Receiver::start(|_| Say::Nothing).await;
    let run = run(
        json!({ "url": receiver.url(), "concurrency": 1 }),
        vec![vec![event("1")], vec![event("2")]],
    );
    soon(async {
        while receiver.seen().is_empty() {
            tokio::task::yield_now().await
        }
    })
    .await;
    run.stop.advance(Phase::Stopped);
    let settled = run.finish().await;
    assert!(
        matches!(settled.as_slice(), [(id, Fate::Abandoned)] if id == "1"),
        "{settled:?}"
    );
}

#[tokio::test]
async fn a_batch_is_one_request_and_one_answer() {
    let receiver = Receiver::start(|_| status(200, "", "")).await;
    let batch = vec![event("a"), event("b"), event("c")];
    let settled = run(json!({ "url": receiver.url(), "mode": "batch" }), vec![batch])
        .finish()
        .await;
    assert!(settled.len() == 3 && settled.iter().all(|(_, fate)| matches!(fate, Fate::Accepted)));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        seen[0].header("content-type"),
        Some("application/cloudevents-batch+json")
    );
    assert_eq!(ids(&seen[0].body), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_bad_event_takes_no_neighbour_along() {
    let receiver = Receiver::start(|seen| {
        if ids(&seen.body).contains(&"bad".into()) {
            status(400, "", "")
        } else {
            status(204, "", "")
        }
    })
    .await;
    let batch = vec![event("a"), event("bad"), event("b")];
    let settled = run(json!({ "url": receiver.url(), "mode": "batch" }), vec![batch])
        .finish()
        .await;
    let fates: Vec<_> = settled
        .iter()
        .map(|(id, fate)| (id.as_str(), matches!(fate, Fate::Accepted)))
        .collect();
    assert_eq!(fates, [("a", true), ("bad", false), ("b", true)]);
    assert!(matches!(&settled[1].1, Fate::Failed(error) if error.reason == Reason::Refused));
    assert_eq!(receiver.seen().len(), 4);
}

#[tokio::test]
async fn while_a_batch_is_split_no_event_passes_an_earlier_one_of_its_key() {
    let receiver = Receiver::start(|seen| match ids(&seen.body).as_slice() {
        [one] if one == "a1" => status(500, "", ""),
        [_] => status(204, "", ""),
        _ => status(413, "", ""),
    })
    .await;
    let batch = vec![
        keyed("a1", "a"),
        keyed("b1", "b"),
        keyed("a2", "a"),
        event("free"),
    ];
    let settled = run(json!({ "url": receiver.url(), "mode": "batch" }), vec![batch])
        .finish()
        .await;
    let fates: Vec<_> = settled
        .iter()
        .map(|(id, fate)| (id.as_str(), matches!(fate, Fate::Accepted)))
        .collect();
    assert_eq!(
        fates,
        [("a1", false), ("b1", true), ("a2", false), ("free", true)]
    );
    assert!(
        matches!(&settled[2].1, Fate::Failed(error) if !error.maybe_delivered && error.fault == Fault::Destination)
    );
    let sent: Vec<_> = receiver
        .seen()
        .iter()
        .skip(1)
        .map(|seen| ids(&seen.body).remove(0))
        .collect();
    assert_eq!(sent, ["a1", "b1", "free"]);
}

#[tokio::test]
async fn a_batch_that_the_destination_cannot_take_fails_as_a_whole() {
    let receiver = Receiver::start(|_| status(503, "retry-after: 3\r\n", "")).await;
    let batch = vec![event("a"), event("b")];
    let settled = run(json!({ "url": receiver.url(), "mode": "batch" }), vec![batch])
        .finish()
        .await;
    assert_eq!((settled.len(), receiver.seen().len()), (2, 1));
    for (_, fate) in settled {
        let Fate::Failed(error) = fate else {
            panic!("{fate:?}")
        };
        assert_eq!(
            (error.reason, error.retry_after.unwrap().as_secs()),
            (Reason::Overloaded, 3)
        );
    }
}
