//! Records in, against a real broker.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{LIMIT, Router, Running, ingress_settings, until};
use weft_api::event::Attributes;
use weft_rig::{Kafka, Record};

fn section(topic: &str) -> serde_json::Value {
    json!({ "brokers": [Kafka::shared().brokers()], "topics": [topic], "group": format!("g-{topic}") })
}

fn numbered(topic: &str, count: usize) -> Vec<Record> {
    (0..count)
        .map(|n| Record::to(topic).key("k").value(n.to_string()))
        .collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_record_has_the_same_id_whoever_reads_it() {
    let topic = Kafka::shared().topic("plain", 1);
    Kafka::shared().produce(&[Record::to(&topic)
        .key("k")
        .header("content-type", "text/plain")
        .value("hello")]);
    let running = Running::start(&section(&topic), &ingress_settings(10), Router::accepting());
    let delivered = running.router.wait(1).await.remove(0);
    assert!(!delivered.malformed);
    assert_eq!(delivered.lane, format!("{topic}/0"));
    let event = delivered.event;
    assert_eq!(event.id(), format!("{topic}/0/0"));
    assert_eq!(
        (event.source(), event.ty()),
        ("weft://paris/test", "weft.kafka.record")
    );
    assert_eq!(event.datacontenttype(), Some("text/plain"));
    assert_eq!(
        (event.key(), event.data().map(|d| &d[..])),
        (Some(&b"k"[..]), Some(&b"hello"[..]))
    );
    assert!(event.time().is_some());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_no_attribute_value_makes_the_record_malformed_and_stops_nothing() {
    let topic = Kafka::shared().topic("headers", 1);
    let base = || {
        let event = Record::to(&topic)
            .key("k")
            .value("v")
            .header("ce_specversion", "1.0")
            .header("ce_id", "1");
        event.header("ce_source", "/s").header("ce_type", "t")
    };
    let mut null = base();
    null.headers.push(("ce_nothing".into(), None));
    let not_utf8 = base().header("ce_odd", vec![0xff, 0xfe]);
    let twice = base().header("ce_id", "2");
    let no_id = Record::to(&topic).header("ce_specversion", "1.0").value("v");
    Kafka::shared().produce(&[null, not_utf8, twice, no_id, base()]);
    let running = Running::start(&section(&topic), &ingress_settings(10), Router::accepting());
    let delivered = running.router.wait(5).await;
    for (bad, why) in delivered.iter().zip(["no value", "not UTF-8", "twice", "id"]) {
        assert!(bad.malformed);
        assert_eq!(bad.event.ty(), "weft.malformed");
        let reason = bad.event.get("weftreason").unwrap().text;
        assert!(reason.contains(why), "{reason}");
        assert_eq!(bad.event.data().unwrap(), &"v");
    }
    assert!(!delivered[4].malformed);
    assert_eq!(delivered[4].event.id(), "1");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_becomes_an_event_without_data_unless_the_file_says_otherwise() {
    let topic = Kafka::shared().topic("tombstone", 1);
    Kafka::shared().produce(&[
        Record::to(&topic).key("gone"),
        Record::to(&topic).key("here").value(""),
    ]);
    let running = Running::start(&section(&topic), &ingress_settings(10), Router::accepting());
    let delivered = running.router.wait(2).await;
    assert_eq!(
        (delivered[0].event.data(), delivered[0].event.key()),
        (None, Some(&b"gone"[..]))
    );
    assert_eq!(delivered[1].event.data().map(|d| d.len()), Some(0));
    running.stop().await;

    let mut dropping = section(&topic);
    dropping["tombstones"] = json!("drop");
    dropping["group"] = json!(format!("drop-{topic}"));
    let running = Running::start(&dropping, &ingress_settings(10), Router::accepting());
    assert_eq!(running.router.wait(1).await[0].event.key(), Some(&b"here"[..]));
    until("the count", || {
        running.heard.any("dropped 1 tombstone").then_some(())
    })
    .await;
    running.stop().await;
    assert_eq!(Kafka::shared().committed(&format!("drop-{topic}"), &topic)[&0], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_a_window_is_delivered_and_only_what_is_settled_is_committed() {
    let topic = Kafka::shared().topic("window", 1);
    Kafka::shared().produce(&numbered(&topic, 50));
    let running = Running::start(&section(&topic), &ingress_settings(10), Router::default());
    let lane = format!("{topic}/0");
    running.router.wait(10).await;
    running.router.settle(&lane, 3);
    running.router.wait(14).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(running.router.data(), numbers(0..14));
    running.stop().await;
    assert_eq!(Kafka::shared().committed(&format!("g-{topic}"), &topic)[&0], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_settlements_ended() {
    let topic = Kafka::shared().topic("restart", 1);
    Kafka::shared().produce(&numbered(&topic, 20));
    let first = Running::start(&section(&topic), &ingress_settings(20), Router::default());
    first.router.wait(20).await;
    first.router.settle(&format!("{topic}/0"), 11);
    first.stop().await;
    let second = Running::start(&section(&topic), &ingress_settings(20), Router::accepting());
    second.router.wait(8).await;
    assert_eq!(second.router.data(), numbers(12..20));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewound_lane_delivers_again_from_its_watermark_and_in_order() {
    let topic = Kafka::shared().topic("rewind", 1);
    Kafka::shared().produce(&numbered(&topic, 3000));
    let running = Running::start(&section(&topic), &ingress_settings(100), Router::default());
    let lane = format!("{topic}/0");
    running.router.wait(100).await;
    running.router.settle(&lane, 29);
    running.router.wait(130).await;
    running.router.rewind(&lane);
    let delivered = running.router.wait(230).await;
    assert_eq!(running.router.data()[130..230], numbers(30..130));
    assert_eq!(delivered[130].sequence, 30);
    // Once more with a settlement in the new life.
    running.router.settle(&lane, 99);
    running.router.wait(300).await;
    assert_eq!(running.router.data()[230..300], numbers(130..200));
    running.stop().await;
    assert_eq!(Kafka::shared().committed(&format!("g-{topic}"), &topic)[&0], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_commits_what_is_settled_and_nothing_after_it() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("rebalance", 2);
    let records: Vec<Record> = (0..40)
        .map(|n| Record::to(&topic).partition(n % 2).value((n / 2).to_string()))
        .collect();
    kafka.produce(&records);
    let mut slow = section(&topic);
    // Only the revoke may commit within this test.
    slow["commit_every"] = json!("1h");
    let first = Running::start(&slow, &ingress_settings(100), Router::default());
    first.router.wait(40).await;
    for partition in 0..2 {
        first.router.settle(&format!("{topic}/{partition}"), 6);
    }
    let second = Running::start(&slow, &ingress_settings(100), Router::default());
    until("the move of one partition", || {
        (first.router.open_lanes().len() == 1).then_some(())
    })
    .await;
    let delivered = second.router.wait(13).await;
    let moved = delivered[0].lane.clone();
    assert!(!first.router.open_lanes().contains(&moved));
    assert_eq!(second.router.data()[..13], numbers(7..20));
    let partition: i32 = moved.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(
        kafka.committed(&format!("g-{topic}"), &topic).get(&partition),
        Some(&7)
    );
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_skips_what_is_there_and_does_not_choose_again() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("latest", 1);
    kafka.produce(&numbered(&topic, 5));
    let mut latest = section(&topic);
    latest["start"] = json!("latest");
    let running = Running::start(&latest, &ingress_settings(10), Router::accepting());
    until("the assignment", || running.router.open_lanes().pop()).await;
    // The choice itself is committed, before anything is settled.
    running.stop().await;
    assert_eq!(kafka.committed(&format!("g-{topic}"), &topic).get(&0), Some(&5));
    kafka.produce(&[Record::to(&topic).value("new")]);
    let running = Running::start(&latest, &ingress_settings(10), Router::accepting());
    running.router.wait(1).await;
    assert_eq!(running.router.data(), ["new"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_begins_at_the_first_record_that_is_not_older() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("time", 1);
    kafka.produce(&numbered(&topic, 3));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let now = weft_api::event::time::format(std::time::SystemTime::now());
    tokio::time::sleep(Duration::from_millis(20)).await;
    kafka.produce(&[Record::to(&topic).value("later")]);
    let mut timed = section(&topic);
    timed["start"] = json!(now);
    let running = Running::start(&timed, &ingress_settings(10), Router::accepting());
    running.router.wait(1).await;
    assert_eq!(running.router.data(), ["later"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_is_named() {
    let running = Running::start(
        &section("no-such-topic-here"),
        &ingress_settings(10),
        Router::default(),
    );
    until("the name", || {
        running.heard.any("no-such-topic-here").then_some(())
    })
    .await;
    running.stop().await;
}

/// Three records in a transaction, which ends as told; its marker takes an offset, too.
fn transaction(topic: &str, commit: bool) {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", Kafka::shared().brokers())
        .set("transactional.id", format!("{topic}-{commit}"));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    for n in 0..3 {
        producer
            .send(BaseRecord::<(), str>::to(topic).payload(&format!("{commit} {n}")))
            .unwrap();
    }
    producer.flush(LIMIT).unwrap();
    if commit {
        producer.commit_transaction(LIMIT).unwrap()
    } else {
        producer.abort_transaction(LIMIT).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_between_offsets_neither_stop_nor_skip_a_commit() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("gap", 1);
    let name = topic.clone();
    // Offsets 0-2 and the marker 3; 4-6 are never seen, with the marker 7; 8.
    let made = tokio::task::spawn_blocking(move || {
        transaction(&name, true);
        transaction(&name, false);
        kafka.produce(&[Record::to(&name).value("last")])
    });
    assert_eq!(made.await.unwrap(), [(0, 8)]);
    let running = Running::start(&section(&topic), &ingress_settings(100), Router::default());
    let lane = format!("{topic}/0");
    running.router.wait(4).await;
    assert_eq!(running.router.data(), ["true 0", "true 1", "true 2", "last"]);
    running.router.settle(&lane, 2);
    until("the commit", || {
        (kafka.committed(&format!("g-{topic}"), &topic).get(&0) == Some(&3)).then_some(())
    })
    .await;
    running.router.rewind(&lane);
    assert_eq!(running.router.wait(5).await[4].event.id(), format!("{topic}/0/8"));
    running.router.settle(&lane, 3);
    running.stop().await;
    assert_eq!(kafka.committed(&format!("g-{topic}"), &topic)[&0], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spill_pauses_and_goes_on_without_a_hole() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("spill", 1);
    let body = "x".repeat(10_000);
    let records: Vec<Record> = (0..2000)
        .map(|n| Record::to(&topic).value(format!("{n} {body}")))
        .collect();
    kafka.produce(&records);
    // 20 MB against a spill of 1 MiB.
    let mut settings = ingress_settings(50);
    settings.client_memory = 2 << 20;
    let running = Running::start(&section(&topic), &settings, Router::default());
    let lane = format!("{topic}/0");
    for round in 1..=40 {
        running.router.wait(50 * round).await;
        running.router.settle(&lane, 50 * round as u64 - 1);
    }
    let seen: Vec<String> = running
        .router
        .data()
        .iter()
        .map(|d| d.split(' ').next().unwrap().to_string())
        .collect();
    assert_eq!(seen, numbers(0..2000));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_at_the_start_is_waited_for() {
    let mut broker = weft_rig::Broker::reserve();
    let section = json!({ "brokers": [broker.brokers()], "topics": ["late"], "group": "late" });
    let running = Running::start(&section, &ingress_settings(10), Router::accepting());
    until("the line", || {
        running.heard.any("refused the connection").then_some(())
    })
    .await;
    let said = tokio::task::spawn_blocking(move || {
        broker.start();
        broker.create_topic("late", 1, &[]);
        broker.produce(&[Record::to("late").value("here")]);
        broker
    });
    let broker = said.await.unwrap();
    running.router.wait(1).await;
    assert_eq!(running.router.data(), ["here"]);
    let lines = running
        .heard
        .said
        .lock()
        .unwrap()
        .iter()
        .filter(|l| l.contains("refused"))
        .count();
    assert_eq!(lines, 1, "{:?}", running.heard.said.lock().unwrap());
    running.stop().await;
    drop(broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_ingress_takes_nothing_more_and_commits_what_still_settles() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("drain", 1);
    kafka.produce(&numbered(&topic, 30));
    let running = Running::start(&section(&topic), &ingress_settings(10), Router::default());
    running.router.wait(10).await;
    running.drain();
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.router.settle(&format!("{topic}/0"), 9);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(running.router.data(), numbers(0..10));
    running.stop().await;
    assert_eq!(kafka.committed(&format!("g-{topic}"), &topic)[&0], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_rewinds_while_its_partition_is_paused_leaves_no_hole() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("paused-rewind", 1);
    let body = "x".repeat(10_000);
    let records: Vec<Record> = (0..1000)
        .map(|n| Record::to(&topic).value(format!("{n} {body}")))
        .collect();
    kafka.produce(&records);
    let mut settings = ingress_settings(50);
    settings.client_memory = 2 << 20;
    let running = Running::start(&section(&topic), &settings, Router::default());
    let lane = format!("{topic}/0");
    running.router.wait(50).await;
    // Long enough for the spill of 1 MiB to fill from 10 MB.
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.router.settle(&lane, 9);
    running.router.wait(60).await;
    running.router.rewind(&lane);
    for round in 1..=19 {
        running.router.wait(60 + 50 * round).await;
        running.router.settle(&lane, 50 * round as u64 + 9);
    }
    running.router.wait(60 + 990).await;
    let seen: Vec<String> = running
        .router
        .data()
        .iter()
        .map(|d| d.split(' ').next().unwrap().to_string())
        .collect();
    assert_eq!(seen[..60], numbers(0..60));
    assert_eq!(seen[60..], numbers(10..1000));
    running.stop().await;
}
