//! What users ask a broker for, against a real Artemis: mechanisms, TLS, subscriptions, selectors, links that are refused.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::{Value as Json, json};
use support::{Peer, message};
use weft_api::event::{Event, EventBuilder};
use weft_api::outcome::{Fault, Outcome, Reason, SendError};
use weft_api::status::Health;
use weft_conformance::events::plain;
use weft_conformance::harness::{EgressDesk, Fate, IngressDesk};
use weft_rig::artemis::{PASSWORD, USER};
use weft_rig::{Artemis, tls, unique};

const LIMIT: Duration = Duration::from_secs(30);

fn with(base: &Json, more: Json) -> Json {
    let mut section = base.clone();
    for (key, value) in more.as_object().unwrap() {
        section[key] = value.clone();
    }
    section
}

fn start(section: &Json) -> IngressDesk {
    IngressDesk::start(support::ingress(section, None), None)
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

async fn ready(desk: &IngressDesk) {
    within("ready", async {
        while desk.health() != Health::Ready {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn waiting(desk: &IngressDesk, what: &str) -> String {
    within(what, async {
        loop {
            match desk.health() {
                Health::Waiting(why) if why.contains(what) => return why,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

async fn ids(desk: &IngressDesk, count: usize) -> Vec<String> {
    let taken = within("the messages come in", desk.accept(count)).await;
    taken
        .iter()
        .map(|incoming| incoming.event.id().to_owned())
        .collect()
}

fn shared() -> &'static Artemis {
    tokio::task::block_in_place(Artemis::shared)
}

fn client() -> Peer {
    let port = shared().amqp_port();
    tokio::task::block_in_place(|| Peer::client(port))
}

/// Sends one event out and takes it in again through the same settings.
async fn there_and_back(base: Json) {
    let queue = unique("auth");
    let base = with(&base, json!({ "address": queue, "kind": "queue" }));
    support::egress(&base).probe().await.unwrap();
    support::ingress(&base, None).probe().await.unwrap();
    let out = EgressDesk::start(support::egress(&base));
    let fates = within("sent", out.send(&[plain("1")])).await;
    assert!(fates[0].is_accepted(), "{:?}", fates[0]);
    let desk = start(&base);
    assert_eq!(ids(&desk, 1).await, ["1"]);
    within("closed", desk.close()).await.unwrap();
    within("closed", out.close()).await.unwrap();
}

async fn refusal(base: &Json) -> SendError {
    let section = with(base, json!({ "address": unique("refused"), "timeout": "5s" }));
    let probed = support::egress(&section).probe().await.unwrap_err();
    let out = EgressDesk::start(support::egress(&section));
    let fates = within("settled", out.send(&[plain("1")])).await;
    let Fate::Failed(error) = &fates[0] else {
        panic!("{:?}", fates[0]);
    };
    assert_eq!((error.fault, error.reason), (probed.fault, probed.reason));
    within("closed", out.close()).await.unwrap();
    error.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mechanism_of_the_broker_lets_us_in() {
    let url = shared().amqp_url();
    there_and_back(json!({ "url": url })).await;
    for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
        let auth = json!({ "mechanism": mechanism, "user": USER, "password": PASSWORD });
        there_and_back(json!({ "url": url, "auth": auth })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_lets_us_in_with_a_password_and_with_a_certificate() {
    let url = format!("amqps://localhost:{}", shared().amqps_port());
    let ca = tls::ca().display().to_string();
    let (cert, key) = tls::client();
    let auth = json!({ "mechanism": "plain", "user": USER, "password": PASSWORD });
    there_and_back(json!({ "url": url, "auth": auth, "tls": { "ca": ca } })).await;
    let tls = json!({ "ca": ca, "cert": cert.display().to_string(), "key": key.display().to_string() });
    there_and_back(json!({ "url": url, "auth": { "mechanism": "external" }, "tls": tls })).await;
    let other = tls::other_ca().display().to_string();
    let error = refusal(&json!({ "url": url, "tls": { "ca": other } })).await;
    assert!(error.detail.contains("not trusted"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_the_destinations_fault_and_say_so() {
    let url = shared().amqp_url();
    for mechanism in ["plain", "scram-sha-256"] {
        let auth = json!({ "mechanism": mechanism, "user": USER, "password": "wrong" });
        let error = refusal(&json!({ "url": url, "auth": auth })).await;
        assert_eq!(
            (error.fault, error.reason),
            (Fault::Destination, Reason::Unauthorised),
            "{error}"
        );
        assert!(!error.detail.contains("wrong"), "{error}");
    }
    let auth = json!({ "mechanism": "scram-sha-1", "user": USER, "password": PASSWORD });
    let error = refusal(&json!({ "url": url, "auth": auth })).await;
    assert!(
        error.detail.contains("SCRAM-SHA-512"),
        "it lists what the broker has: {error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_addresses_and_links_share_one_connection() {
    let (a, b) = (unique("many"), unique("many"));
    let desk = start(&json!({ "url": shared().amqp_url(), "address": [a, b], "kind": "queue", "links": 2 }));
    ready(&desk).await;
    assert_eq!(desk.open_lanes(), 4);
    let peer = client();
    for address in [&a, &b] {
        let events: Vec<Json> = (0..20)
            .map(|n| message(&plain(&format!("{address}-{n}"))))
            .collect();
        peer.send(address, &events);
    }
    let mut lanes = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let admitted = within("it comes in", desk.next()).await;
        lanes.insert(admitted.lane.to_string());
        desk.settle(admitted, Outcome::Accepted);
    }
    let expected: std::collections::BTreeSet<String> = [&a, &b]
        .iter()
        .flat_map(|address| (0..2).map(move |n| format!("{address}/{n}")))
        .collect();
    assert_eq!(lanes, expected);
    within("closed", desk.close()).await.unwrap();
    assert_eq!((peer.depth(&a), peer.depth(&b)), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_refused_is_named_and_leaves_the_others_alone() {
    let good = unique("good");
    let section =
        json!({ "url": shared().amqp_url(), "address": ["locked.nobody-reads", good], "kind": "queue" });
    let desk = start(&section);
    let why = waiting(&desk, "locked.nobody-reads").await;
    assert!(why.contains("amqp:"), "{why}");
    client().send(&good, &[message(&plain("1"))]);
    assert_eq!(ids(&desk, 1).await, ["1"]);
    assert!(support::ingress(&section, None).probe().await.is_err());
    within("closed", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_subscription_keeps_what_is_published_meanwhile() {
    let topic = unique("news");
    let base = json!({ "url": shared().amqp_url(), "address": topic, "kind": "topic" });
    let own = with(
        &base,
        json!({ "subscription": "audit", "container_id": unique("weft") }),
    );
    let desk = start(&own);
    ready(&desk).await;
    within("closed", desk.close()).await.unwrap();
    let out = EgressDesk::start(support::egress(&base));
    assert!(within("sent", out.send(&[plain("meanwhile")])).await[0].is_accepted());
    let desk = start(&own);
    assert_eq!(ids(&desk, 1).await, ["meanwhile"]);
    within("closed", desk.close()).await.unwrap();
    within("closed", out.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_subscription_is_divided_between_replicas() {
    let topic = unique("shared");
    let base = json!({ "url": shared().amqp_url(), "address": topic, "kind": "topic" });
    let replica = |id: &str| {
        let more = json!({ "subscription": "audit", "shared": true, "links": 2 });
        let mut section = with(&base, more);
        section["x"] = json!(id);
        section.as_object_mut().unwrap().remove("x");
        start(&section)
    };
    let (one, two) = (replica("1"), replica("2"));
    ready(&one).await;
    ready(&two).await;
    let out = EgressDesk::start(support::egress(&base));
    let events: Vec<Event> = (0..40).map(|n| plain(&n.to_string())).collect();
    let fates = within("sent", out.send(&events)).await;
    assert!(fates.iter().all(Fate::is_accepted));
    let mut came = std::collections::BTreeSet::new();
    let mut by = [0, 0];
    for _ in 0..40 {
        let (index, admitted) = within("it comes to one of them", async {
            tokio::select! { a = one.next() => (0, a), b = two.next() => (1, b) }
        })
        .await;
        by[index] += 1;
        assert!(came.insert(admitted.incoming.event.id().to_owned()), "each once");
        [&one, &two][index].settle(admitted, Outcome::Accepted);
    }
    assert!(by.iter().all(|count| *count > 0), "{by:?}");
    for desk in [one, two] {
        within("closed", desk.close()).await.unwrap();
    }
    within("closed", out.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_keeps_the_others_out() {
    let queue = unique("select");
    let base = json!({ "url": shared().amqp_url(), "address": queue, "kind": "queue" });
    let desk = start(&with(&base, json!({ "selector": "cloudEvents_region = 'eu'" })));
    ready(&desk).await;
    let out = EgressDesk::start(support::egress(&base));
    let regional = |id: &str, region: &str| {
        let mut builder = EventBuilder::new();
        builder
            .id(id)
            .source("/s")
            .ty("t")
            .extension("region", region)
            .build()
            .unwrap()
    };
    let events = [regional("1", "us"), regional("2", "eu"), regional("3", "us")];
    assert!(
        within("sent", out.send(&events))
            .await
            .iter()
            .all(Fate::is_accepted)
    );
    assert_eq!(ids(&desk, 1).await, ["2"]);
    within("closed", desk.close()).await.unwrap();
    within("closed", out.close()).await.unwrap();
    assert_eq!(client().depth(&queue), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_that_is_none_is_refused_with_a_word_to_the_author() {
    let section = json!({ "url": shared().amqp_url(), "address": unique("select"), "selector": "= = =" });
    let desk = start(&section);
    let why = waiting(&desk, "selector").await;
    assert!(why.contains("amqp:"), "{why}");
    within("closed", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_address_gives_no_credit_and_holds_the_events() {
    let queue = unique("block");
    let address = format!("block.{queue}");
    let peer = client();
    let mut fill = message(&plain("fill"));
    fill["body"] = json!("A".repeat(40_000));
    peer.send(
        &address,
        &[fill.clone(), fill.clone(), fill.clone(), fill.clone(), fill],
    );
    let section =
        json!({ "url": shared().amqp_url(), "address": address, "kind": "queue", "timeout": "500ms" });
    let out = EgressDesk::start(support::egress(&section));
    let fates = within("settled", out.send(&[plain("1")])).await;
    let error = fates[0].error();
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Destination, Reason::Overloaded),
        "{error}"
    );
    assert!(!error.maybe_delivered, "{error}");
    peer.drain(&address);
    within("there is room again", async {
        while !out.send(&[plain("2")]).await[0].is_accepted() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    within("closed", out.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_we_may_not_send_to_is_named() {
    let section =
        json!({ "url": shared().amqp_url(), "address": "locked.{type}", "kind": "queue", "timeout": "2s" });
    // Somebody who may makes it first: otherwise the broker speaks of making it.
    let auth = json!({ "mechanism": "plain", "user": USER, "password": PASSWORD });
    let owner = EgressDesk::start(support::egress(&with(&section, json!({ "auth": auth }))));
    let first = plain("first");
    assert!(within("sent", owner.send(std::slice::from_ref(&first))).await[0].is_accepted());
    within("closed", owner.close()).await.unwrap();
    let fixed = with(&section, json!({ "address": format!("locked.{}", first.ty()) }));
    let error = support::egress(&fixed).probe().await.unwrap_err();
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Destination, Reason::Unauthorised),
        "{error}"
    );
    // Where a template made it, it is the event's.
    let out = EgressDesk::start(support::egress(&section));
    let fates = within("settled", out.send(&[plain("1")])).await;
    let error = fates[0].error();
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Event, Reason::Address),
        "{error}"
    );
    within("closed", out.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_where_their_template_says() {
    let base = unique("where");
    let section =
        json!({ "url": shared().amqp_url(), "address": format!("{base}.{{region}}"), "kind": "queue" });
    let out = EgressDesk::start(support::egress(&section));
    let events: Vec<Event> = (0..300)
        .map(|n: usize| {
            let mut builder = EventBuilder::new();
            builder
                .id(&n.to_string())
                .source("/s")
                .ty("t")
                .extension("region", &format!("r{}", n % 3));
            builder.build().unwrap()
        })
        .collect();
    assert!(
        within("sent", out.send(&events))
            .await
            .iter()
            .all(Fate::is_accepted)
    );
    let peer = client();
    for region in 0..3 {
        assert_eq!(peer.depth(&format!("{base}.r{region}")), 100);
    }
    within("closed", out.close()).await.unwrap();
}
