//! Queues of the shared Artemis: what is sent there, seen, taken and received.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use serde_json::{Value as Json, json};
use weft_api::browse::{Browser, Held};
use weft_api::event::Event;
use weft_conformance::events::plain;
use weft_conformance::harness::{EgressDesk, IngressDesk};
use weft_rig::Artemis;

use crate::support;

const LIMIT: Duration = Duration::from_secs(60);

pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

pub fn shared() -> &'static Artemis {
    tokio::task::block_in_place(Artemis::shared)
}

pub fn section(queue: &str) -> Json {
    json!({ "url": shared().amqp_url(), "address": queue })
}

pub fn depth(queue: &str) -> u64 {
    tokio::task::block_in_place(|| shared().depth(queue))
}

pub async fn send(section: &Json, events: &[Event]) {
    let out = EgressDesk::start(support::egress(section));
    let fates = within("sent", out.send(events)).await;
    let failed = fates.iter().find(|fate| !fate.is_accepted());
    assert!(failed.is_none(), "{failed:?}");
    within("closed", out.close()).await.unwrap();
}

pub fn numbered(numbers: impl IntoIterator<Item = usize>) -> Vec<Event> {
    numbers.into_iter().map(|n| plain(&n.to_string())).collect()
}

pub fn numbers(held: &[Held]) -> Vec<usize> {
    held.iter()
        .map(|held| held.incoming.event.id().parse().unwrap())
        .collect()
}

pub async fn look(section: &Json, from: u64) -> Box<dyn Browser> {
    within("opened", support::browse(section).look(from))
        .await
        .unwrap()
}

pub async fn take(section: &Json) -> Box<dyn Browser> {
    within("opened", support::browse(section).take()).await.unwrap()
}

/// All that there is.
pub async fn rest(browser: &mut dyn Browser, most: usize) -> Vec<Held> {
    let mut all = Vec::new();
    loop {
        let some = within("the next", browser.next(most)).await.unwrap();
        assert!(some.len() <= most);
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

pub async fn seen(section: &Json) -> Vec<usize> {
    let mut browser = look(section, 0).await;
    let all = rest(&mut *browser, 500).await;
    within("closed", browser.close()).await.unwrap();
    numbers(&all)
}

/// What an ingress gets of the queue: each, and how it is at its end.
pub async fn received(section: &Json, count: usize) -> Vec<usize> {
    let desk = IngressDesk::start(support::ingress(section, None), None);
    let taken = within("they come in", desk.accept(count)).await;
    within("closed", desk.close()).await.unwrap();
    taken
        .iter()
        .map(|incoming| incoming.event.id().parse().unwrap())
        .collect()
}
