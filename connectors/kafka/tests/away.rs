//! What a consumer does while its broker is away: what it has fetched ahead is not delivered past the window, so that no
//! more comes again (C4), and it goes on by itself.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{Router, Running, ingress_settings, until};
use tokio::sync::Mutex;
use weft_rig::{Broker, Kafka, Record};

const PARTITIONS: usize = 2;
const RECORDS: usize = 20_000;
const WINDOW: usize = 200;

/// One broker at a time: on a busy machine three of them take minutes to start.
static STAGE: Mutex<()> = Mutex::const_new(());

/// A broker with a full topic, all of which a consumer fetches ahead.
async fn full(topic: &'static str) -> Broker {
    tokio::task::spawn_blocking(move || fill(topic)).await.unwrap()
}

fn fill(topic: &str) -> Broker {
    let broker = Kafka::private();
    broker.create_topic(topic, i32::try_from(PARTITIONS).unwrap(), &[]);
    let record = |n: usize| {
        let partition = i32::try_from(n % PARTITIONS).unwrap();
        Record::to(topic).partition(partition).value(n.to_string())
    };
    broker.produce(&(0..RECORDS).map(record).collect::<Vec<_>>());
    broker
}

fn section(broker: &Broker, topic: &str) -> Value {
    json!({
        "brokers": [broker.brokers()],
        "topics": [topic],
        "group": topic,
        "session_timeout": "2s",
        "librdkafka": { "heartbeat.interval.ms": 400 },
    })
}

/// Under way, with something committed and most still to come.
async fn under_way(broker: &Broker, topic: &str) -> Running {
    let settings = ingress_settings(u32::try_from(WINDOW).unwrap());
    let running = Running::start(&section(broker, topic), &settings, Router::accepting());
    running.router.wait(10 * WINDOW).await;
    running
}

/// How often each record came.
fn times(router: &Router) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for delivered in router.delivered() {
        *times.entry(delivered.event.id().to_string()).or_default() += 1;
    }
    times
}

/// All of it came, and no more than a window of each partition twice.
async fn all_came(running: Running) {
    let router = running.router.clone();
    until("every record", || (times(&router).len() == RECORDS).then_some(())).await;
    running.stop().await;
    for partition in 0..PARTITIONS {
        let place = format!("/{partition}/");
        let again: usize = times(&router)
            .iter()
            .filter(|(id, _)| id.contains(&place))
            .map(|(_, count)| count - 1)
            .sum();
        assert!(again <= WINDOW, "{again} of partition {partition} came again");
    }
}

/// Waits until the consumer takes itself for given up, after `before` records were there when the broker went. An answer
/// to a commit may have been under way then; nothing is committed after it.
async fn lost(running: &Running, before: usize) {
    let router = &running.router;
    assert!(before < RECORDS / 2, "void: most had come before");
    until("the loss of the partitions", || {
        router.open_lanes().is_empty().then_some(())
    })
    .await;
    let more = times(router).len() - before;
    let bound = 2 * WINDOW * PARTITIONS;
    assert!(
        more <= bound,
        "{more} were delivered while nothing could be committed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_window_comes_again_when_a_broker_was_killed() {
    let _stage = STAGE.lock().await;
    let mut broker = full("killed").await;
    let running = under_way(&broker, "killed").await;
    broker.kill9();
    lost(&running, times(&running.router).len()).await;
    let back = tokio::task::spawn_blocking(move || {
        broker.start();
        broker
    });
    let broker = back.await.unwrap();
    all_came(running).await;
    drop(broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_window_comes_again_when_a_broker_was_frozen() {
    let _stage = STAGE.lock().await;
    let mut broker = full("frozen").await;
    let running = under_way(&broker, "frozen").await;
    broker.freeze();
    lost(&running, times(&running.router).len()).await;
    broker.thaw();
    all_came(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_broker_is_away_ends() {
    let _stage = STAGE.lock().await;
    let mut broker = full("stopped").await;
    let running = under_way(&broker, "stopped").await;
    broker.kill9();
    tokio::time::timeout(support::LIMIT, running.stop())
        .await
        .expect("a stop waits for no broker");
}
