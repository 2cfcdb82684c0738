//! What the tests of the real binary share: the head of every file, the books, and a receiver for floods.
// Each test binary takes a part of it.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod letters;
pub(crate) mod sink;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use weft_rig::{Kafka, Metrics, Record, Weft, WeftBuilder, eventually, http};

/// Far more than anything takes on an idle machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Every file begins so: ports of its own, nothing on the default ones.
pub(crate) const HEAD: &str = "observe: { listen: \"${OBSERVE}\" }\nadmin: { listen: \"off\" }\n";

/// A router with a file, of which [`HEAD`] is the beginning. It reads the file again when it is told to, not by itself.
pub(crate) fn weft(yaml: &str) -> WeftBuilder {
    Weft::at(env!("CARGO_BIN_EXE_weft"))
        .config(&with_head(yaml))
        .arg("--no-watch")
}

/// The whole file.
pub(crate) fn with_head(yaml: &str) -> String {
    format!("{HEAD}{yaml}")
}

/// A structured event with a little data.
pub(crate) fn event(id: &str) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/tests", "type": "com.example.test", "data": { "id": id } })
}

/// Posts such an event and returns the status.
#[track_caller]
pub(crate) fn post(port: u16, path: &str, id: &str) -> u16 {
    http::post_event(port, path, &event(id)).unwrap().status
}

/// A record in binary mode.
pub(crate) fn record(topic: &str, id: &str) -> Record {
    Record::to(topic)
        .header("ce_specversion", "1.0")
        .header("ce_id", id)
        .header("ce_source", "/tests")
        .header("ce_type", "com.example.test")
        .header("content-type", "application/json")
        .value(format!("{{\"id\":\"{id}\"}}"))
}

/// Records `0`, `1`, ... of one partition, without keys.
pub(crate) fn records(topic: &str, count: usize) -> Vec<Record> {
    (0..count)
        .map(|id| record(topic, &id.to_string()).partition(0))
        .collect()
}

/// Waits until a group has committed `offset` of partition 0.
#[track_caller]
pub(crate) fn wait_committed(kafka: &Kafka, group: &str, topic: &str, offset: i64) {
    let mut last = BTreeMap::new();
    let deadline = std::time::Instant::now() + LIMIT;
    while last.get(&0) != Some(&offset) {
        assert!(
            std::time::Instant::now() < deadline,
            "{group} committed {last:?} of {topic}, not {offset}"
        );
        last = kafka.committed(group, topic);
    }
}

/// Waits until a metric's sum is `value`; shows the last one otherwise.
#[track_caller]
pub(crate) fn wait_metric(weft: &Weft, name: &str, labels: &[(&str, &str)], value: f64) {
    let deadline = std::time::Instant::now() + LIMIT;
    let mut last = f64::NAN;
    eventually(&format!("{name}{labels:?} = {value}"), LIMIT * 2, || {
        last = weft.metrics().sum(name, labels);
        let passed = std::time::Instant::now() > deadline;
        assert!(
            !passed,
            "{name}{labels:?} is {last}, not {value}; the log:\n{}",
            weft.log().tail()
        );
        ((last - value).abs() < 0.5).then_some(())
    });
}

/// The books of C32, over all ingresses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Books {
    pub(crate) obligations: f64,
    pub(crate) delivered: f64,
    pub(crate) dead_lettered: f64,
    pub(crate) stored: f64,
    pub(crate) dropped: f64,
    pub(crate) expired: f64,
    pub(crate) returned: f64,
    pub(crate) pending: f64,
}

impl Books {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        let ended = |result| metrics.sum("weft_obligations_settled_total", &[("result", result)]);
        Self {
            obligations: metrics.sum("weft_obligations_total", &[]),
            delivered: ended("delivered"),
            dead_lettered: ended("dead_lettered"),
            stored: ended("stored"),
            dropped: ended("dropped"),
            expired: ended("expired"),
            returned: ended("returned"),
            pending: metrics.sum("weft_obligations_pending", &[]),
        }
    }

    /// Panics unless both sides are equal.
    #[track_caller]
    pub(crate) fn assert_balanced(&self) {
        let ended =
            self.delivered + self.dead_lettered + self.stored + self.dropped + self.expired + self.returned;
        assert!(
            (self.obligations - ended - self.pending).abs() < 0.5,
            "the books do not balance: {self:?}"
        );
    }
}
