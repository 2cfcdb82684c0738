//! Commits that do not go as they should: one partition is refused, or a log goes back.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::{Router, Running, ingress_settings, until};
use weft_rig::{Kafka, Record};

const WINDOW: usize = 10;

fn numbered(topic: &str, count: usize) -> Vec<Record> {
    (0..count)
        .map(|n| Record::to(topic).key("k").value(n.to_string()))
        .collect()
}

/// The consumer finds out late by itself that a topic is gone.
fn section(topics: &[&str]) -> serde_json::Value {
    json!({
        "brokers": [Kafka::shared().brokers()],
        "topics": topics,
        "group": format!("g-{}", topics[0]),
        "commit_every": "200ms",
        "librdkafka": { "topic.metadata.refresh.interval.ms": 600_000 },
    })
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_one_partition_whose_commit_is_refused_does_not_stop_the_others() {
    let (good, bad) = (
        Kafka::shared().topic("good", 1),
        Kafka::shared().topic("refused", 1),
    );
    Kafka::shared().produce(&numbered(&good, 20 * WINDOW));
    Kafka::shared().produce(&numbered(&bad, 2 * WINDOW));
    let settings = ingress_settings(u32::try_from(WINDOW).unwrap());
    let running = Running::start(&section(&[&good, &bad]), &settings, Router::default());
    let (lane, refused) = (format!("{good}/0"), format!("{bad}/0"));
    let delivered = |lane: &str| {
        let all = running.router.delivered();
        all.iter().filter(|one| one.lane == lane).count()
    };
    until("both windows", || {
        (delivered(&lane) == WINDOW && delivered(&refused) == WINDOW).then_some(())
    })
    .await;
    let gone = bad.clone();
    aside(move || Kafka::shared().delete_topic(&gone)).await;
    running.router.settle(&refused, 4);
    for window in 1..20 {
        running
            .router
            .settle(&lane, u64::try_from(window * WINDOW).unwrap() - 1);
        until("the next window", || {
            (delivered(&lane) == (window + 1) * WINDOW).then_some(())
        })
        .await;
        assert!(
            running.router.open_lanes().contains(&refused),
            "void: the refused one is closed"
        );
    }
    assert_eq!(delivered(&refused), WINDOW, "C4: nothing of it is committed");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_a_topic_that_is_made_anew_goes_on_from_its_beginning_and_what_is_committed_follows() {
    let topic = Kafka::shared().topic("anew", 1);
    let group = format!("g-{topic}");
    Kafka::shared().produce(&numbered(&topic, 10 * WINDOW));
    let settings = ingress_settings(u32::try_from(WINDOW).unwrap());
    let running = Running::start(&section(&[&topic]), &settings, Router::accepting());
    running.router.wait(10 * WINDOW).await;
    let committed = || Kafka::shared().committed(&group, &topic).get(&0).copied();
    until("the first commit", || (committed() == Some(100)).then_some(())).await;
    let anew = topic.clone();
    aside(move || {
        let kafka = Kafka::shared();
        kafka.delete_topic(&anew);
        kafka.create_topic(&anew, 1, &[]);
        kafka.produce(&numbered(&anew, 5 * WINDOW));
    })
    .await;
    running.router.wait(15 * WINDOW).await;
    until("the commit of the new log", || {
        (committed() == Some(50)).then_some(())
    })
    .await;
    let lanes: std::collections::BTreeSet<_> = running
        .router
        .delivered()
        .into_iter()
        .map(|one| one.sequence)
        .collect();
    assert_eq!(lanes.len(), 15 * WINDOW, "void: the partition was assigned anew");
    running.stop().await;
}
