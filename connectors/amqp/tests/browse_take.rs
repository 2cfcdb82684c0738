//! Taking out of a queue of a real Artemis: what leaves, and that the rest stays, in order and unharmed.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::queue::*;
use weft_api::outcome::Outcome;
use weft_conformance::events::plain;
use weft_conformance::harness::{EgressDesk, IngressDesk};
use weft_rig::{Relay, unique};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_leaves_and_the_rest_stays_in_order() {
    let queue = unique("thrice.take");
    let section = section(&queue);
    send(&section, &numbered(0..300)).await;
    // More often than a message may be tried: giving back is no try.
    for turn in 0..5 {
        let mut browser = take(&section).await;
        let all = rest(&mut *browser, 64).await;
        assert_eq!(numbers(&all).first(), Some(&0), "{turn}");
        assert_eq!(all.len(), if turn == 0 { 300 } else { 200 });
        if turn == 0 {
            for held in all.iter().filter(|held| held.place % 3 == 1) {
                browser.remove(held.place);
            }
        }
        within("closed", browser.close()).await.unwrap();
        let left: Vec<usize> = (0..300).filter(|n| n % 3 != 1).collect();
        assert_eq!(seen(&section).await, left, "{turn}");
    }
    assert_eq!(depth(&queue), 200);
    // Removed while more comes, out of order, some twice, and one that is none.
    let mut browser = take(&section).await;
    loop {
        let some = within("the next", browser.next(10)).await.unwrap();
        if some.is_empty() {
            break;
        }
        for held in some.iter().rev().chain(&some[..1]) {
            browser.remove(held.place);
        }
    }
    browser.remove(10_000);
    within("closed", browser.close()).await.unwrap();
    assert_eq!(depth(&queue), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_that_is_dropped_half_way_gives_all_back_in_order() {
    let queue = unique("thrice.drop");
    let section = section(&queue);
    send(&section, &numbered(0..2000)).await;
    for _ in 0..5 {
        let mut browser = take(&section).await;
        assert!(!within("some", browser.next(10)).await.unwrap().is_empty());
        drop(browser);
        // Until the last of its messages is back it is not there to be looked at.
        within("all are back", async {
            while seen(&section).await.len() < 2000 {}
        })
        .await;
        assert_eq!(seen(&section).await, (0..2000).collect::<Vec<_>>());
    }
    assert_eq!(received(&section, 2000).await, (0..2000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_gives_back_what_was_not_removed() {
    let queue = unique("lost");
    let direct = section(&queue);
    send(&direct, &numbered(0..500)).await;
    let port = shared().amqp_port();
    let mut relay = tokio::task::block_in_place(|| Relay::to(port));
    let mut section = direct.clone();
    section["url"] = json!(format!("amqp://{}", relay.address()));
    let mut browser = take(&section).await;
    assert!(!within("some", browser.next(100)).await.unwrap().is_empty());
    tokio::task::block_in_place(|| relay.cut());
    let why = within("the end", async {
        loop {
            if let Err(why) = browser.next(100).await {
                break why.0;
            }
        }
    })
    .await;
    assert!(why.contains(&relay.address()) && !why.contains('\n'), "{why}");
    // Nothing was removed before the cut, so nothing is unsure; what is removed now may be there.
    assert_eq!(browser.next(1).await.unwrap_err().0, why);
    browser.remove(0);
    let unsure = within("closed", browser.close()).await.unwrap_err().0;
    assert!(unsure.contains("up to 1 may be there still"), "{unsure}");
    within("all are back", async { while seen(&direct).await.len() < 500 {} }).await;
    assert_eq!(seen(&direct).await, (0..500).collect::<Vec<_>>());
    tokio::task::block_in_place(|| relay.heal());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_ends_though_each_letter_comes_back_to_the_end() {
    let queue = unique("again");
    let section = section(&queue);
    send(&section, &numbered(0..150)).await;
    let out = EgressDesk::start(support::egress(&section));
    let mut browser = take(&section).await;
    let mut count = 0;
    loop {
        let some = within("the next", browser.next(64)).await.unwrap();
        if some.is_empty() {
            break;
        }
        for held in some {
            let again = plain(&(1000 + count).to_string());
            assert!(within("sent", out.send(&[again])).await[0].is_accepted());
            browser.remove(held.place);
            count += 1;
        }
    }
    assert_eq!(count, 150);
    within("closed", browser.close()).await.unwrap();
    within("closed", out.close()).await.unwrap();
    assert_eq!(seen(&section).await, (1000..1150).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_look_and_take_at_a_time_and_none_sees_the_others_share_twice() {
    let queue = unique("several");
    let section = section(&queue);
    send(&section, &numbered(0..100)).await;
    let (mut one, mut two) = (look(&section, 0).await, look(&section, 0).await);
    assert_eq!(rest(&mut *one, 500).await.len(), 100);
    assert_eq!(rest(&mut *two, 500).await.len(), 100);
    let (mut three, mut four) = (take(&section).await, take(&section).await);
    let a = rest(&mut *three, 500).await;
    let b = rest(&mut *four, 500).await;
    assert_eq!((a.len(), b.len()), (100, 0));
    for browser in [one, two, three, four] {
        within("closed", browser.close()).await.unwrap();
    }
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let first = within("it comes in", desk.next()).await;
    assert_eq!(first.incoming.event.id(), "0");
    desk.settle(first, Outcome::Accepted);
    within("closed", desk.close()).await.unwrap();
}
