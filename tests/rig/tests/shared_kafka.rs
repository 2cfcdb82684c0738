//! The shared broker and the clients that know nothing of Weft: what one writes, the others read.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use weft_rig::{Kafka, Python, Record, kcat};

const LIMIT: Duration = Duration::from_secs(60);

fn record(topic: &str) -> Record {
    Record::to(topic)
        .partition(0)
        .key("k")
        .header("ce_id", "1")
        .header("x", "a")
        .value("two\nlines")
}

#[test]
fn a_record_of_ours_is_the_same_to_kcat_and_to_us() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("ours", 1);
    assert_eq!(kafka.produce(&[record(&topic), record(&topic)]), [(0, 0), (0, 1)]);

    let seen = kcat::consume(kafka, &topic, 2);
    assert_eq!(seen[1]["offset"], 1);
    assert_eq!(seen[1]["key"], "k");
    assert_eq!(seen[1]["payload"], "two\nlines");
    assert_eq!(seen[1]["headers"], json!(["ce_id", "1", "x", "a"]));

    let read = kafka.drain(&topic);
    assert_eq!(
        read,
        [
            record(&topic),
            Record {
                offset: 1,
                ..record(&topic)
            }
        ]
    );
    assert_eq!(read[0].text_header("ce_id"), Some("1"));
}

#[test]
fn a_record_of_kcat_is_whole_to_us() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("kcat", 1);
    kcat::produce(kafka, &record(&topic));
    assert_eq!(kafka.consume(&topic, 1, LIMIT), [record(&topic)]);
}

#[test]
fn null_keys_values_and_headers_stay_null() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("nulls", 1);
    let mut sent = Record::to(&topic).partition(0);
    sent.headers = vec![("twice".to_owned(), None), ("twice".to_owned(), Some(Vec::new()))];
    kafka.produce(std::slice::from_ref(&sent));
    assert_eq!(kafka.drain(&topic), [sent]);
}

#[test]
fn the_sdk_reads_what_the_sdk_wrote_in_both_modes() {
    let kafka = Kafka::shared();
    for mode in ["binary", "structured"] {
        let topic = kafka.topic(mode, 2);
        let call = |script| {
            Python::script(script)
                .option("--brokers", kafka.brokers())
                .option("--topic", &topic)
        };
        let sent = call("produce.py")
            .option("--count", 8)
            .option("--mode", mode)
            .run();
        let read = call("consume.py").option("--count", 8).run();
        assert_eq!(by_id(&sent), by_id(&read), "{mode}");
        assert_eq!(sent.len(), 8);
        // Of every kind: JSON, text, bytes, nothing.
        for (index, field) in ["json", "text", "base64"].into_iter().enumerate() {
            assert!(
                by_id(&read)[&format!("rig-{index}")].get(field).is_some(),
                "{mode} {field}: {read:?}"
            );
        }
        let header = kafka.drain(&topic)[0]
            .text_header("content-type")
            .map(str::to_owned);
        assert_eq!(
            mode == "structured",
            header.as_deref() == Some("application/cloudevents+json")
        );
    }
}

/// The events without the fields in which the two scripts differ.
fn by_id(lines: &[Value]) -> BTreeMap<String, Value> {
    let id = |line: &Value| line["attributes"]["id"].as_str().unwrap().to_owned();
    let mut found = BTreeMap::new();
    for line in lines {
        let mut bare = line.clone();
        bare.as_object_mut().unwrap().remove("headers");
        found.insert(id(line), bare);
    }
    found
}

#[test]
fn committed_offsets_and_watermarks_can_be_read() {
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};

    let kafka = Kafka::shared();
    let topic = kafka.topic("offsets", 2);
    kafka.produce(&[record(&topic), record(&topic)]);
    assert_eq!(kafka.offsets(&topic), [(0, 2), (0, 0)]);
    let group = format!("g-{topic}");
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::new());

    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", kafka.brokers())
        .set("group.id", &group);
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(1)).unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
    assert_eq!(kafka.committed(&group, &topic), BTreeMap::from([(0, 1)]));
}

#[test]
fn topics_have_settings_grow_and_go() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("grows", 1);
    kafka.grow_topic(&topic, 3);
    weft_rig::eventually("three partitions", LIMIT, || {
        (kafka.offsets(&topic).len() == 3).then_some(())
    });
    kafka.delete_topic(&topic);

    let small = format!("{topic}-small");
    kafka.create_topic(&small, 1, &[("max.message.bytes", "500")]);
    let refused = std::panic::catch_unwind(|| kafka.produce(&[Record::to(&small).value(vec![7; 600])]));
    assert!(refused.is_err(), "600 bytes pass a limit of 500");
}
