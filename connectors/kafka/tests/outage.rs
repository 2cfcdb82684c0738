//! What keeps its order and is never lost while a broker is killed or frozen in the middle.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use support::{Sending, event};
use weft_api::event::Event;
use weft_rig::{Broker, Kafka};

const KEYS: usize = 5;

/// A router with one queue: it gives batches in order and, after failures, gives what failed again, first and in order.
struct Pump {
    sending: Sending,
    open: BTreeMap<usize, Vec<(usize, Event)>>,
    again: BTreeMap<usize, Event>,
    accepted: BTreeSet<usize>,
    maybe: usize,
}

impl Pump {
    fn new(section: &serde_json::Value) -> Pump {
        let sending = Sending::start(section);
        Pump {
            sending,
            open: BTreeMap::new(),
            again: BTreeMap::new(),
            accepted: BTreeSet::new(),
            maybe: 0,
        }
    }

    fn give(&mut self, events: Vec<(usize, Event)>) {
        let batch = self
            .sending
            .give(events.iter().map(|(_, event)| event.clone()).collect());
        self.open.insert(batch, events);
    }

    async fn settle_one(&mut self) {
        let settled = self.sending.settled().await;
        let (n, event) = self.open[&settled.batch][settled.index as usize].clone();
        match settled.error {
            None => assert!(self.accepted.insert(n)),
            Some(error) => {
                self.maybe += usize::from(error.maybe_delivered);
                self.again.insert(n, event);
            }
        }
    }
}

fn numbered(n: usize) -> (usize, Event) {
    (
        n,
        event(&n.to_string(), &format!("k{}", n % KEYS), &n.to_string()),
    )
}

/// Sends `count` events in batches of 50 with up to 20 batches on their way, retries what fails in order, and calls
/// `fault` at the given numbers.
async fn pump(section: &serde_json::Value, count: usize, mut fault: impl FnMut(usize)) -> usize {
    let mut pump = Pump::new(section);
    let mut next = 0;
    while pump.accepted.len() < count {
        // After a failure nothing new is given until everything on its way has come back: then what failed, in order.
        if pump.again.is_empty() {
            while next < count && pump.open.values().map(Vec::len).sum::<usize>() < 1000 {
                pump.give((next..(next + 50).min(count)).map(numbered).collect());
                next += 50;
                fault(next);
            }
        }
        pump.settle_one().await;
        pump.open.retain(|_, events| {
            events
                .iter()
                .any(|(n, _)| !pump.accepted.contains(n) && !pump.again.contains_key(n))
        });
        if pump.open.is_empty() && !pump.again.is_empty() {
            let again: Vec<_> = std::mem::take(&mut pump.again).into_iter().collect();
            for chunk in again.chunks(50) {
                pump.give(chunk.to_vec());
            }
            // A breaker would wait for longer.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let maybe = pump.maybe;
    pump.sending.finish().await;
    maybe
}

/// Everything is there, and the first delivery of each number follows the first of its predecessor in the key.
fn check(kafka: &Kafka, topic: &str, count: usize) -> usize {
    let records = kafka.drain(topic);
    let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for record in &records {
        let n: usize = String::from_utf8(record.value.clone().unwrap())
            .unwrap()
            .parse()
            .unwrap();
        if seen.insert(n) {
            let before = last
                .insert(record.key.clone().unwrap(), n as i64)
                .unwrap_or(n as i64 % KEYS as i64 - KEYS as i64);
            assert_eq!(
                n as i64 - before,
                KEYS as i64,
                "{n} overtook another event of its key"
            );
        }
    }
    assert_eq!(seen.len(), count, "events are lost");
    records.len() - count
}

fn running(topic: &str) -> Broker {
    let broker = Kafka::private();
    broker.create_topic(topic, 3, &[]);
    broker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_restarted_loses_nothing_and_keeps_the_order() {
    let broker = tokio::task::spawn_blocking(|| running("killed")).await.unwrap();
    let out = json!({ "brokers": [broker.brokers()], "topic": "killed", "timeout": "60s" });
    let shared = std::sync::Arc::new(std::sync::Mutex::new(broker));
    let hurt = shared.clone();
    let mut killer = None;
    pump(&out, 20_000, |n| {
        if n == 5000 {
            let hurt = hurt.clone();
            killer = Some(std::thread::spawn(move || {
                let mut broker = hurt.lock().unwrap();
                broker.kill9();
                broker.start();
            }));
        }
    })
    .await;
    killer.unwrap().join().unwrap();
    let broker = shared.lock().unwrap();
    check(&broker, "killed", 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_past_the_timeout_gives_everything_back_and_keeps_the_order() {
    let broker = tokio::task::spawn_blocking(|| running("frozen")).await.unwrap();
    let out = json!({ "brokers": [broker.brokers()], "topic": "frozen", "timeout": "2s" });
    let shared = std::sync::Arc::new(std::sync::Mutex::new(broker));
    let hurt = shared.clone();
    let mut freezer = None;
    let maybe = pump(&out, 20_000, |n| {
        if n == 5000 {
            let hurt = hurt.clone();
            freezer = Some(std::thread::spawn(move || {
                let mut broker = hurt.lock().unwrap();
                broker.freeze();
                std::thread::sleep(Duration::from_secs(6));
                broker.thaw();
            }));
        }
    })
    .await;
    freezer.unwrap().join().unwrap();
    assert!(maybe > 0, "nothing was given back as possibly delivered");
    let broker = shared.lock().unwrap();
    let duplicates = check(&broker, "frozen", 20_000);
    assert!(duplicates <= maybe, "{duplicates} duplicates, {maybe} announced");
}
