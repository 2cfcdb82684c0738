//! Looking through a queue of a real Artemis: what is seen, and that nothing changes.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use support::Peer;
use support::queue::*;
use weft_api::event::{Event, EventBuilder};
use weft_conformance::events::{difference, plain, with_data};
use weft_conformance::harness::IngressDesk;
use weft_rig::artemis::{PASSWORD, USER};
use weft_rig::unique;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_sees_all_in_order_and_changes_nothing() {
    // Three tries make a message dead there: looking is none.
    let queue = unique("thrice.look");
    let section = section(&queue);
    send(&section, &numbered(0..700)).await;
    for most in [1000, 64, 7, 1] {
        let mut browser = look(&section, 0).await;
        let all = rest(&mut *browser, most).await;
        assert_eq!(numbers(&all), (0..700).collect::<Vec<_>>());
        let places: Vec<u64> = all.iter().map(|held| held.place).collect();
        assert_eq!(places, (0..700).collect::<Vec<_>>());
        assert!(
            all.iter()
                .all(|held| held.at_ms.is_none() && !held.incoming.malformed)
        );
        within("closed", browser.close()).await.unwrap();
    }
    assert_eq!(depth(&queue), 700);
    assert_eq!(received(&section, 700).await, (0..700).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_holds_nobody_up() {
    let section = section(&unique("look"));
    send(&section, &numbered(0..100)).await;
    let mut browser = look(&section, 0).await;
    assert_eq!(numbers(&within("some", browser.next(1)).await.unwrap()), [0]);
    assert_eq!(received(&section, 100).await, (0..100).collect::<Vec<_>>());
    within("closed", browser.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_begins_where_it_is_told_and_ends_for_good() {
    let section = section(&unique("look"));
    assert!(seen(&section).await.is_empty());
    send(&section, &numbered(0..200)).await;
    for from in [0, 1, 64, 199, 200, 100_000] {
        let mut browser = look(&section, from).await;
        let all = rest(&mut *browser, 50).await;
        let first = usize::try_from(from).unwrap().min(200);
        assert_eq!(numbers(&all), (first..200).collect::<Vec<_>>());
        send(&section, &numbered([200])).await;
        assert!(within("the end", browser.next(50)).await.unwrap().is_empty());
        within("closed", browser.close()).await.unwrap();
        assert_eq!(received_at_the_end(&section).await, 200);
    }
}

/// Takes the last message out.
async fn received_at_the_end(section: &Json) -> usize {
    let mut browser = take(section).await;
    let all = rest(&mut *browser, 500).await;
    let last = all.last().unwrap();
    browser.remove(last.place);
    within("closed", browser.close()).await.unwrap();
    numbers(&all[all.len() - 1..])[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_read_back_equal_in_both_modes_and_out_of_habit() {
    for (mode, more) in [
        ("binary", json!({})),
        ("structured", json!({})),
        (
            "binary",
            json!({ "durable": false, "priority": 7, "properties": { "extra": "{type}" } }),
        ),
        (
            "structured",
            json!({ "durable": false, "priority": 7, "prefix": "cloudEvents:" }),
        ),
    ] {
        let mut section = section(&unique("equal"));
        section["mode"] = json!(mode);
        for (key, value) in more.as_object().unwrap() {
            section[key] = value.clone();
        }
        let mut typed = EventBuilder::new();
        typed.id("typed").source("/s").ty("t").subject("caf\u{e9}");
        typed.time("2026-01-01T00:00:00.123456+02:00");
        typed
            .extension("weftreason", "rejected: too large")
            .extension("weftpriority", "4")
            .extension("weftdurable", "false")
            .key(Bytes::from_static(b"key"));
        let events = [
            typed.data(Bytes::from_static(b"\x00\xff")).build().unwrap(),
            plain("plain"),
            with_data("none", "text/plain", Bytes::new()),
            with_data(
                "large",
                "application/octet-stream",
                vec![7; support::EVENT_MAX].into(),
            ),
        ];
        send(&section, &events).await;
        for takes in [false, true] {
            let mut browser = match takes {
                false => look(&section, 0).await,
                true => take(&section).await,
            };
            let all = rest(&mut *browser, 500).await;
            assert_eq!(all.len(), events.len(), "{mode}");
            for (sent, held) in events.iter().zip(&all) {
                let got = &held.incoming.event;
                assert!(!held.incoming.malformed, "{mode}: {got:?}");
                assert_eq!(difference(sent, got, false), None, "{mode} {more}");
            }
            within("closed", browser.close()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_wait_for_a_slow_caller_and_all_come() {
    let queue = unique("large");
    let section = section(&queue);
    // Some wait for the session's window half way, others follow each other in one step.
    let size = |n: usize| if n % 9 < 3 { 400 << 10 } else { 10 };
    let events: Vec<Event> = (0..400)
        .map(|n| {
            with_data(
                &n.to_string(),
                "application/octet-stream",
                vec![7; size(n)].into(),
            )
        })
        .collect();
    send(&section, &events).await;
    for takes in [false, true] {
        let mut browser = match takes {
            false => look(&section, 0).await,
            true => take(&section).await,
        };
        let mut all = Vec::new();
        loop {
            let some = within("the next", browser.next(500)).await.unwrap();
            let bytes: usize = some
                .iter()
                .map(|held| held.incoming.event.data().unwrap().len())
                .sum();
            assert!(
                bytes <= (1 << 20) + (400 << 10),
                "a mebibyte and one message: {bytes}"
            );
            if some.is_empty() {
                break;
            }
            all.extend(some);
        }
        assert_eq!(numbers(&all), (0..400).collect::<Vec<_>>(), "takes: {takes}");
        within("closed", browser.close()).await.unwrap();
    }
    assert_eq!(depth(&queue), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_message_is_shown_and_one_that_breaks_the_rules_is_malformed() {
    let queue = unique("foreign");
    let section = section(&queue);
    let peer = tokio::task::block_in_place(|| Peer::client(shared().amqp_port()));
    let body = |text: &str| json!({ "attributes": [], "body": text, "id": "m-1", "content_type": null });
    peer.send(&queue, &[body("aGVsbG8=")]);
    // A CloudEvent without a source.
    let broken = json!([
        ["specversion", "string", "1.0"],
        ["id", "string", "1"],
        ["type", "string", "t"]
    ]);
    peer.send(&queue, &[json!({ "attributes": broken, "body": "aGVsbG8=" })]);
    let mut browser = look(&section, 0).await;
    let all = rest(&mut *browser, 10).await;
    let [foreign, malformed] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert!(!foreign.incoming.malformed && malformed.incoming.malformed);
    assert_eq!(foreign.incoming.event.ty(), "weft.amqp.message");
    for held in &all {
        assert_eq!(held.incoming.event.data().unwrap(), "hello");
    }
    within("closed", browser.close()).await.unwrap();
}

async fn refusal(section: &Json) -> String {
    let browse = support::browse(section);
    let why = within("refused", browse.look(0)).await.err().unwrap().0;
    let take = within("refused", browse.take()).await.err().unwrap().0;
    assert_eq!(why.replace("BROWSE", "CONSUME"), take);
    assert!(!why.contains('\n') && !why.contains(PASSWORD), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_told_in_one_line() {
    let mut nobody = section("q");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    nobody["url"] = json!(format!("amqp://127.0.0.1:{port}"));
    let why = refusal(&nobody).await;
    assert!(why.contains(&port.to_string()), "{why}");
    let mut stranger = section("q");
    stranger["auth"] = json!({ "mechanism": "plain", "user": USER, "password": "no" });
    let why = refusal(&stranger).await;
    assert!(why.contains("check `auth`"), "{why}");
    // It exists, and nobody may read it.
    let mut locked = section("locked.dead");
    locked["auth"] = json!({ "mechanism": "plain", "user": USER, "password": PASSWORD });
    send(&locked, &[plain("1")]).await;
    let why = refusal(&locked).await;
    assert!(
        why.contains("locked.dead") && why.contains("grant this user the right"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_a_subscription_is_looked_at_and_not_taken() {
    // Its messages were published: without a word on the kind this broker takes them out of it, and says that it copies.
    let topic = unique("news");
    let own = json!({
        "url": shared().amqp_url(), "address": topic, "kind": "topic", "subscription": "audit",
        "shared": true,
    });
    let desk = IngressDesk::start(support::ingress(&own, None), None);
    within("ready", async {
        while desk.health() != weft_api::status::Health::Ready {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    within("closed", desk.close()).await.unwrap();
    let out = json!({ "url": shared().amqp_url(), "address": topic, "kind": "topic" });
    send(&out, &numbered(0..10)).await;
    let queue = json!({ "url": shared().amqp_url(), "address": format!("{topic}::audit:global") });
    let all = seen(&queue).await;
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!(seen(&queue).await, all);
}
