//! A broker with habits of its own, RabbitMQ 3 with its AMQP 1.0 plug-in: addresses, credentials, outcomes.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use weft_api::event::{Attributes, Event, EventBuilder};
use weft_api::outcome::{Fault, Outcome, Reason};
use weft_conformance::events::{plain, with_data};
use weft_conformance::harness::{EgressDesk, Fate, IngressDesk};
use weft_rig::{RabbitMq, unique};

const LIMIT: Duration = Duration::from_secs(30);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

fn url() -> String {
    tokio::task::block_in_place(|| RabbitMq::shared().amqp_url())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_there_and_come_back_equal() {
    for mode in ["binary", "structured"] {
        let section = json!({ "url": url(), "address": format!("/queue/{}", unique("there")) });
        let out = json!({ "url": section["url"], "address": section["address"], "mode": mode });
        let out = EgressDesk::start(support::egress(&out));
        let mut events: Vec<Event> = (0..300).map(|n| plain(&n.to_string())).collect();
        let mut typed = EventBuilder::new();
        typed.id("typed").source("/s").ty("t").subject("caf\u{e9}");
        typed
            .extension("text", "Euro \u{20ac}")
            .time("2026-01-01T00:00:00.123456+02:00");
        events.push(
            typed
                .data(bytes::Bytes::from_static(b"\x00\xff"))
                .build()
                .unwrap(),
        );
        events.push(with_data(
            "large",
            "application/octet-stream",
            vec![7; 256 << 10].into(),
        ));
        let fates = within("sent", out.send(&events)).await;
        assert!(
            fates.iter().all(Fate::is_accepted),
            "{:?}",
            fates.iter().find(|fate| !fate.is_accepted())
        );
        let desk = IngressDesk::start(support::ingress(&section, None), None);
        for sent in &events {
            let admitted = within("it comes in", desk.next()).await;
            let got = &admitted.incoming.event;
            assert!(
                !admitted.incoming.malformed,
                "{got:?}: {:?}",
                got.get("weftreason")
            );
            assert_eq!(weft_conformance::events::difference(sent, got, false), None);
            desk.settle(admitted, Outcome::Accepted);
        }
        within("closed", desk.close()).await.unwrap();
        within("closed", out.close()).await.unwrap();
        let again = IngressDesk::start(support::ingress(&section, None), None);
        assert!(
            tokio::time::timeout(Duration::from_millis(500), again.next())
                .await
                .is_err(),
            "what was acknowledged is gone"
        );
        within("closed", again.close()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_comes_again() {
    let section = json!({ "url": url(), "address": format!("/queue/{}", unique("again")) });
    let out = EgressDesk::start(support::egress(&section));
    assert!(within("sent", out.send(&[plain("1")])).await[0].is_accepted());
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    for outcome in [
        Outcome::Released(Reason::Unavailable),
        Outcome::Unknown(Reason::Timeout),
    ] {
        let admitted = within("it comes in", desk.next()).await;
        assert_eq!(admitted.incoming.event.id(), "1");
        desk.settle(admitted, outcome);
    }
    within("it comes in", desk.accept(1)).await;
    within("closed", desk.close()).await.unwrap();
    within("closed", out.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_and_addresses_are_named() {
    let auth = json!({ "mechanism": "plain", "user": "guest", "password": "wrong" });
    let section = json!({ "url": url(), "address": "/queue/x", "auth": auth });
    let error = support::egress(&section).probe().await.unwrap_err();
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Destination, Reason::Unauthorised),
        "{error}"
    );
    let section = json!({ "url": url(), "address": "/exchange/no-such-exchange/k", "timeout": "2s" });
    let error = support::egress(&section).probe().await.unwrap_err();
    assert_eq!(error.fault, Fault::Destination, "{error}");
    assert!(error.detail.contains("no-such-exchange"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_cannot_show_it_is_not_asked_for() {
    // It answers that it copies, and takes; and it ends a session that drains a queue to its end.
    let section = json!({ "url": url(), "address": format!("/queue/{}", unique("look")) });
    let out = EgressDesk::start(support::egress(&section));
    assert!(within("sent", out.send(&[plain("1")])).await[0].is_accepted());
    let browse = support::browse(&section);
    let why = within("refused", browse.look(0)).await.err().unwrap().0;
    assert!(
        why.contains("RabbitMQ 3") && why.contains("without taking them"),
        "{why}"
    );
    let why = within("refused", browse.take()).await.err().unwrap().0;
    assert!(
        why.contains("RabbitMQ 3") && why.contains("nothing was taken"),
        "{why}"
    );
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let taken = within("it is still there", desk.accept(1)).await;
    assert_eq!(taken[0].event.id(), "1");
    within("closed", desk.close()).await.unwrap();
    within("closed", out.close()).await.unwrap();
}
