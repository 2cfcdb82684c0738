//! Looking through a topic and taking out of it, against a real broker.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use support::{LIMIT, Sending, egress_settings, event, node, until};
use weft_api::browse::{Browse, BrowseError, Browser, Held};
use weft_api::connector::Connector;
use weft_api::event::{AttrKind, Event, EventBuilder};
use weft_rig::{Kafka, Record, unique};

fn section(topic: &str) -> Value {
    json!({ "brokers": [Kafka::shared().brokers()], "topic": topic })
}

fn browsable(section: &Value) -> Result<Arc<dyn Browse>, BrowseError> {
    let builder = weft_kafka::Kafka.egress(&node(section), &egress_settings());
    builder.unwrap().map_err(|f| format!("{f:?}")).unwrap().browse()
}

fn browse(section: &Value) -> Arc<dyn Browse> {
    browsable(section).unwrap()
}

/// All that a browser gives, `most` at a time.
async fn all(browser: &mut Box<dyn Browser>, most: usize) -> Vec<Held> {
    let mut all: Vec<Held> = Vec::new();
    loop {
        let page = tokio::time::timeout(LIMIT, browser.next(most))
            .await
            .unwrap()
            .unwrap();
        assert!(page.len() <= most);
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert!(all.is_sorted_by(|a, b| a.place < b.place), "places ascend");
    all
}

fn text(held: &Held) -> String {
    String::from_utf8(held.incoming.event.data().unwrap().to_vec()).unwrap()
}

/// What is shown, as the records' values.
async fn shown(browse: &Arc<dyn Browse>) -> Vec<String> {
    let mut looker = browse.look(0).await.unwrap();
    let all = all(&mut looker, 100).await;
    looker.close().await.unwrap();
    all.iter().map(text).collect()
}

fn record(topic: &str, partition: i32, value: &str) -> Record {
    Record::to(topic).partition(partition).value(value)
}

fn fill(topic: &str, values: &[&str]) -> Vec<(i32, i64)> {
    let records: Vec<Record> = values.iter().map(|value| record(topic, 0, value)).collect();
    Kafka::shared().produce(&records)
}

fn group(topic: &str) -> String {
    format!("weft-dlq-{topic}")
}

fn committed(topic: &str) -> Option<i64> {
    Kafka::shared().committed(&group(topic), topic).get(&0).copied()
}

/// Takes everything, and removes the values that are `meant`.
async fn take(browse: &Arc<dyn Browse>, meant: &[&str]) -> Box<dyn Browser> {
    let mut taker = browse.take().await.unwrap();
    for held in all(&mut taker, 7).await {
        if meant.contains(&text(&held).as_str()) {
            taker.remove(held.place);
        }
    }
    taker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_sees_each_record_of_all_partitions_once_and_changes_nothing() {
    let topic = Kafka::shared().topic("dead", 3);
    let records: Vec<Record> = (0..300).map(|n| record(&topic, n % 3, &n.to_string())).collect();
    Kafka::shared().produce(&records);
    let browse = browse(&section(&topic));
    assert_eq!(browse.address(), format!("topic {topic}"));
    let mut looker = browse.look(0).await.unwrap();
    let held = all(&mut looker, 64).await;
    assert_eq!(held.len(), 300);
    let values: BTreeSet<String> = held.iter().map(text).collect();
    assert_eq!(values.len(), 300);
    assert!(
        held.iter()
            .all(|one| one.at_ms.is_some_and(|ms| ms > 1_600_000_000_000))
    );
    assert_eq!(browse.write_place(held[299].place).as_deref(), Some("2/99"));
    assert!(looker.next(10).await.unwrap().is_empty(), "the end stays the end");
    looker.close().await.unwrap();

    let mut from = browse.look(held[120].place).await.unwrap();
    let rest = all(&mut from, 1000).await;
    assert_eq!(
        rest.iter().map(text).collect::<Vec<_>>(),
        held[120..].iter().map(text).collect::<Vec<_>>()
    );
    let behind = browse.read_place("2/99").unwrap() + 1;
    assert!(
        browse
            .look(behind)
            .await
            .unwrap()
            .next(1)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        browse
            .look(u64::MAX)
            .await
            .unwrap()
            .next(1)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(Kafka::shared().committed(&group(&topic), &topic).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_in_after_the_opening_is_not_part_of_it() {
    let topic = Kafka::shared().topic("later", 1);
    fill(&topic, &["a", "b"]);
    let browse = browse(&section(&topic));
    let (mut looker, mut taker) = (browse.look(0).await.unwrap(), browse.take().await.unwrap());
    fill(&topic, &["c", "d"]);
    for browser in [&mut looker, &mut taker] {
        let seen: Vec<String> = all(browser, 1).await.iter().map(text).collect();
        assert_eq!(seen, ["a", "b"]);
    }
    taker.close().await.unwrap();
    assert_eq!(shown(&browse).await, ["a", "b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_is_not_seen_again_and_the_rest_stays() {
    let topic = Kafka::shared().topic("marks", 1);
    fill(&topic, &["0", "1", "2", "3", "4", "5", "6", "7"]);
    let first = browse(&section(&topic));
    take(&first, &["3", "5", "6"]).await.close().await.unwrap();
    assert_eq!(committed(&topic), Some(0), "the lowest that has not left");
    let second = browse(&section(&topic));
    assert_eq!(shown(&second).await, ["0", "1", "2", "4", "7"]);

    take(&second, &["0", "1", "2"]).await.close().await.unwrap();
    assert_eq!(committed(&topic), Some(4));
    assert_eq!(shown(&first).await, ["4", "7"]);

    let mut taker = take(&second, &["4", "7"]).await;
    taker.remove(second.read_place("0/8").unwrap());
    taker.close().await.unwrap();
    assert_eq!(committed(&topic), Some(8), "what was not given cannot leave");
    assert!(shown(&first).await.is_empty());
    fill(&topic, &["8"]);
    assert_eq!(shown(&first).await, ["8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_is_remembered_while_it_is_taken_and_a_drop_leaves_the_rest() {
    let topic = Kafka::shared().topic("drop", 1);
    fill(&topic, &["0", "1", "2"]);
    let browse = browse(&section(&topic));
    let mut taker = browse.take().await.unwrap();
    let held = all(&mut taker, 10).await;
    taker.remove(held[0].place);
    until("the commit", || (committed(&topic) == Some(1)).then_some(())).await;
    drop(taker);
    assert_eq!(shown(&browse).await, ["1", "2"]);

    let taker = take(&browse, &[]).await;
    drop(taker);
    assert_eq!(shown(&browse).await, ["1", "2"], "taken and not removed");
    let looker = take_by_look(&browse).await;
    looker.close().await.unwrap();
    assert_eq!(shown(&browse).await, ["1", "2"], "a look removes nothing");
}

async fn take_by_look(browse: &Arc<dyn Browse>) -> Box<dyn Browser> {
    let mut looker = browse.look(0).await.unwrap();
    for held in all(&mut looker, 10).await {
        looker.remove(held.place);
    }
    looker
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_whose_last_offsets_are_no_records_is_reached() {
    let topic = Kafka::shared().topic("markers", 2);
    let kafka = Kafka::shared();
    kafka.transaction(&[record(&topic, 0, "a"), record(&topic, 0, "b")], true);
    kafka.transaction(&[record(&topic, 0, "never"), record(&topic, 1, "never")], false);
    kafka.transaction(&[record(&topic, 0, "c"), record(&topic, 1, "d")], true);
    kafka.transaction(&[record(&topic, 0, "never"), record(&topic, 1, "never")], false);
    let browse = browse(&section(&topic));
    let mut looker = browse.look(0).await.unwrap();
    assert_eq!(shown(&browse).await, ["a", "b", "c", "d"]);

    take(&browse, &["b", "c", "d"]).await.close().await.unwrap();
    assert_eq!(shown(&browse).await, ["a"]);
    take(&browse, &["a"]).await.close().await.unwrap();
    assert!(shown(&browse).await.is_empty());
    assert_eq!(
        committed(&topic),
        Some(6),
        "markers and aborted records left with the records behind them"
    );

    kafka.produce(&[record(&topic, 0, "later"), record(&topic, 1, "later")]);
    let seen = all(&mut looker, 10).await;
    assert_eq!(seen.iter().map(text).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(shown(&browse).await, ["later", "later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_below_and_above_the_marks_is_no_trouble() {
    let topic = Kafka::shared().topic("retention", 1);
    fill(&topic, &["0", "1", "2", "3", "4", "5"]);
    let browse = browse(&section(&topic));
    take(&browse, &["0", "3", "4"]).await.close().await.unwrap();
    let gone = |before| Kafka::shared().delete_records(&topic, 0, before);
    tokio::task::block_in_place(|| gone(2));
    assert_eq!(shown(&browse).await, ["2", "5"]);
    tokio::task::block_in_place(|| gone(4));
    assert_eq!(shown(&browse).await, ["5"]);
    take(&browse, &[]).await.close().await.unwrap();
    assert_eq!(committed(&topic), Some(5));
    tokio::task::block_in_place(|| gone(6));
    assert!(shown(&browse).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_while_it_is_read_is_no_trouble() {
    let topic = Kafka::shared().topic("overtaken", 1);
    fill(&topic, &["0", "1", "2"]);
    let browse = browse(&section(&topic));
    let mut looker = browse.look(0).await.unwrap();
    tokio::task::block_in_place(|| Kafka::shared().delete_records(&topic, 0, 2));
    assert_eq!(
        all(&mut looker, 10).await.iter().map(text).collect::<Vec<_>>(),
        ["2"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_hides_none_of_its_letters() {
    let topic = Kafka::shared().topic("anew", 1);
    fill(&topic, &["0", "1", "2", "3"]);
    let browse = browse(&section(&topic));
    take(&browse, &["0", "1", "2", "3"]).await.close().await.unwrap();
    let mut taker = take(&browse, &[]).await;
    fill(&topic, &["4"]);
    let mut late = browse.take().await.unwrap();
    let held = all(&mut late, 10).await;
    assert!(all(&mut taker, 10).await.is_empty());
    tokio::task::block_in_place(|| {
        Kafka::shared().delete_topic(&topic);
        Kafka::shared().create_topic(&topic, 1, &[]);
    });
    // Brokers forget with a topic what groups committed of it; that one forgot is not to be relied on.
    Kafka::shared().commit(&group(&topic), &topic, 0, 5, "");
    fill(&topic, &["new"]);
    late.remove(held[0].place);
    let error = late.close().await.unwrap_err().0;
    assert!(
        error.contains("1 letter left") && error.contains("made anew or cut"),
        "{error}"
    );
    assert_eq!(shown(&browse).await, ["new"]);
    take(&browse, &["new"]).await.close().await.unwrap();
    assert_eq!(committed(&topic), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_metadata_is_not_believed_and_does_no_harm() {
    let topic = Kafka::shared().topic("foreign", 1);
    fill(&topic, &["0", "1", "2", "3"]);
    let browse = browse(&section(&topic));
    let long = "9".repeat(4096);
    for text in [
        "someone else's",
        "weft1:1,x",
        "weft2:1+2",
        "weft1:\u{0}",
        long.as_str(),
        "",
    ] {
        Kafka::shared().commit(&group(&topic), &topic, 0, 1, text);
        assert_eq!(shown(&browse).await, ["1", "2", "3"], "{text}");
    }
    Kafka::shared().commit(&group(&topic), &topic, 0, 1, "weft1:1+2");
    assert_eq!(shown(&browse).await, ["1"]);
    Kafka::shared().commit(&group(&topic), &topic, 0, 0, "weft1:1+20");
    assert_eq!(
        shown(&browse).await,
        ["0", "1", "2", "3"],
        "marks past the end are those of another log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_remembered_is_told_and_comes_again() {
    let topic = Kafka::shared().topic("room", 1);
    let count = 9000;
    let values: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    fill(&topic, &values.iter().map(String::as_str).collect::<Vec<_>>());
    let browse = browse(&section(&topic));
    let mut taker = browse.take().await.unwrap();
    let held = all(&mut taker, 500).await;
    held.iter()
        .skip(1)
        .step_by(2)
        .for_each(|held| taker.remove(held.place));
    let error = taker.close().await.unwrap_err().0;
    assert!(
        error.contains("cannot be remembered") && error.contains("(0/0)"),
        "{error}"
    );
    let told: usize = error.split(' ').next().unwrap().parse().unwrap();
    let again = shown(&browse).await.len();
    assert_eq!(again, count / 2 + told, "exactly those that were told come again");
    assert!(told < count / 2, "nothing at all was remembered: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_left_in_a_row_are_jumped_over() {
    let topic = Kafka::shared().topic("jump", 1);
    let values: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    fill(&topic, &values.iter().map(String::as_str).collect::<Vec<_>>());
    Kafka::shared().commit(&group(&topic), &topic, 0, 0, "weft1:2+3000,5+1900");
    let browse = browse(&section(&topic));
    let mut expected: Vec<String> = ["0", "1"].map(str::to_owned).into();
    expected.extend((3002..3007).chain(4907..5000).map(|n: i32| n.to_string()));
    assert_eq!(shown(&browse).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_that_is_given_up_loses_nothing() {
    let topic = Kafka::shared().topic("cancel", 1);
    fill(&topic, &["0", "1", "2", "3", "4"]);
    let mut looker = browse(&section(&topic)).look(0).await.unwrap();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut given_up = looker.next(5);
    let early = given_up.as_mut().poll(&mut cx);
    assert!(early.is_pending(), "void: it was ready at once");
    drop(given_up);
    let seen: Vec<String> = all(&mut looker, 2).await.iter().map(text).collect();
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_partition_is_all_that_is_looked_at() {
    let topic = Kafka::shared().topic("fixed", 3);
    Kafka::shared().produce(&[
        record(&topic, 0, "0"),
        record(&topic, 1, "1"),
        record(&topic, 2, "2"),
    ]);
    let mut fixed = section(&topic);
    fixed["partition"] = json!(1);
    assert_eq!(shown(&browse(&fixed)).await, ["1"]);
    fixed["partition"] = json!(3);
    let error = browse(&fixed).look(0).await.err().unwrap().0;
    assert!(
        error.contains("has 3 partitions, and 3 is none of them"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_a_template_or_does_not_exist_is_named() {
    let error = browsable(&section("dead.{type}")).err().unwrap().0;
    assert!(error.contains("`topic: dead.{type}` is a template"), "{error}");
    let topic = unique("nowhere");
    let browse = browse(&section(&topic));
    for error in [browse.look(0).await.err(), browse.take().await.err()] {
        let error = error.unwrap().0;
        assert!(
            error.contains(&format!("topic `{topic}` does not exist")),
            "{error}"
        );
    }
}

/// An event with everything.
fn full() -> Event {
    let mut builder = EventBuilder::new();
    builder
        .id("1/ä")
        .source("/s?a=b")
        .ty("com.acme.order")
        .subject("s u b")
        .datacontenttype("application/octet-stream")
        .time("2026-11-26T07:00:00.123456Z")
        .extension("weftclass", "event")
        .extension("weftreason", "422 Unprocessable: \"no\" ü");
    builder.set("weftattempts", AttrKind::Integer, "7");
    builder.key(bytes::Bytes::from_static(&[0, 0xff, b'k']));
    builder.data(bytes::Bytes::from_static(&[0xff, 0, 1, b'"']));
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_our_egress_wrote_comes_back_as_it_was() {
    let mut none = EventBuilder::new();
    none.id("2").source("/s").ty("t");
    let mut json = EventBuilder::new();
    json.id("3")
        .source("/s")
        .ty("t")
        .datacontenttype("application/json");
    json.data(bytes::Bytes::from_static(br#"{"a": [1, 2.50]}"#));
    let mut large = EventBuilder::new();
    large.id("4").source("/s").ty("t").datacontenttype("text/plain");
    large.data(bytes::Bytes::from(vec![b'x'; (1 << 20) - 100]));
    let events: Vec<Event> = [none, json, large]
        .map(|mut builder| builder.build().unwrap())
        .into();
    let events = [vec![full(), event("5", "k", "")], events].concat();
    for mode in ["binary", "structured"] {
        let topic = unique(mode);
        Kafka::shared().create_topic(&topic, 1, &[("max.message.bytes", "2000000")]);
        let mut section = section(&topic);
        section["mode"] = json!(mode);
        let mut sending = Sending::start(&section);
        for event in &events {
            sending.send(event.clone()).await.unwrap();
        }
        sending.finish().await;
        let mut looker = browse(&section).look(0).await.unwrap();
        let held = all(&mut looker, 10).await;
        assert_eq!(held.len(), events.len());
        for (held, event) in held.iter().zip(&events) {
            let back = &held.incoming;
            assert!(!back.malformed, "{mode}: {:?}", back.event);
            let attributes = |event: &Event| -> Vec<(String, String)> {
                let all = event.attributes();
                all.map(|(name, value)| (name.to_owned(), value.text.to_owned()))
                    .collect()
            };
            let sorted = |event| {
                let mut all = attributes(event);
                all.sort();
                all
            };
            assert_eq!(sorted(&back.event), sorted(event), "{mode}");
            assert_eq!(back.event.key(), event.key(), "{mode}");
            assert_eq!(back.event.data(), event.data(), "{mode}");
            if mode == "structured" {
                assert_eq!(&back.event, event, "the types of extensions, too");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_malformed_or_plain() {
    let topic = Kafka::shared().topic("odd", 1);
    let broken = Record::to(&topic).header("ce_specversion", "1.0").value("broken");
    Kafka::shared().produce(&[
        broken,
        Record::to(&topic).key("tombstone"),
        record(&topic, 0, "plain"),
    ]);
    let mut looker = browse(&section(&topic)).look(0).await.unwrap();
    let held = all(&mut looker, 10).await;
    let malformed: Vec<bool> = held.iter().map(|held| held.incoming.malformed).collect();
    assert_eq!(malformed, [true, true, false]);
    assert_eq!(held[0].incoming.event.ty(), "weft.malformed");
    assert_eq!(text(&held[0]), "broken");
    assert_eq!(held[1].incoming.event.key(), Some(&b"tombstone"[..]));
    assert_eq!(held[2].incoming.event.ty(), "weft.kafka.record");
}
