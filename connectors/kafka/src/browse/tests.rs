//! The reader by itself, against a real broker.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use weft_api::connector::EgressSettings;
use weft_rig::{Kafka, Record};

use super::Plan;
use super::reader::Reader;
use super::topic::{self, Memory};
use crate::testing::node;

fn plan(topic: &str) -> Arc<Plan> {
    let place = node(&json!({ "brokers": [Kafka::shared().brokers()], "topic": topic }));
    let section = weft_api::config::decode(&place).unwrap();
    let settings = EgressSettings {
        name: Arc::from("dead"),
        node: Arc::from("n"),
        cluster: Arc::from("paris"),
        event_max: 1 << 20,
        client_memory: 0,
        lossy: false,
        log: false,
    };
    Arc::new(Plan::new(&section, Some(topic), &place, &settings, 2 << 20).unwrap())
}

fn reader(plan: &Arc<Plan>) -> Reader {
    let client = Arc::new(plan.connect().unwrap());
    let minute = Duration::from_secs(60);
    let parts = topic::open(&client, plan, Memory::Wanted, Instant::now() + minute).unwrap();
    Reader::new(client, plan.clone(), parts, (0, 0), minute)
}

fn values(reader: &mut Reader, most: usize) -> Vec<String> {
    let page = reader.page(most, &|| false).unwrap();
    let value = |data: &bytes::Bytes| String::from_utf8(data.to_vec()).unwrap();
    page.iter()
        .map(|given| value(given.held.incoming.event.data().unwrap()))
        .collect()
}

#[test]
fn a_reader_that_let_go_of_its_partition_goes_on_where_it_was() {
    let topic = Kafka::shared().topic("rest", 2);
    let records: Vec<Record> = (0..8)
        .map(|n| Record::to(&topic).partition(n / 4).value(n.to_string()))
        .collect();
    Kafka::shared().produce(&records);
    let mut reader = reader(&plan(&topic));
    let mut seen = Vec::new();
    reader.rest();
    loop {
        let page = values(&mut reader, 1);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
        reader.rest();
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn a_page_holds_a_mebibyte_and_one_record_at_most() {
    let topic = Kafka::shared().topic("page", 1);
    let large = "x".repeat(300_000);
    let records: Vec<Record> = (0..9).map(|_| Record::to(&topic).value(large.clone())).collect();
    Kafka::shared().produce(&records);
    let mut reader = reader(&plan(&topic));
    let mut count = 0;
    loop {
        let page = values(&mut reader, 100);
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 4, "{} records of 300 kB", page.len());
        count += page.len();
    }
    assert_eq!(count, 9);
}
