//! What Weft itself refuses to hand to Kafka, and will try again, is not passed by what follows it in its key (C20).
#![allow(clippy::unwrap_used)]

mod support;

use support::{LIMIT, record, wait_committed, wait_metric, weft};
use weft_rig::{Kafka, eventually};

const EVENTS: usize = 40;
/// The event for a topic that does not exist yet.
const BAD: usize = 11;

/// The numbers that a topic has of a key, in order.
fn numbers(kafka: &Kafka, topic: &str, key: &str) -> Vec<usize> {
    let records = kafka.drain(topic);
    let of_key = records
        .iter()
        .filter(|record| record.key.as_deref() == Some(key.as_bytes()));
    of_key
        .map(|record| record.text_header("ce_id").unwrap().parse().unwrap())
        .collect()
}

#[test]
fn an_event_that_is_refused_in_mid_batch_and_held_is_not_passed_by_its_key() {
    let kafka = Kafka::shared();
    let (from, good) = (kafka.topic("order", 1), kafka.topic("order-good", 1));
    let late = format!("{good}-late");
    let event = |n: usize| {
        let subject = if n == BAD { &late } else { &good };
        record(&from, &n.to_string())
            .header("ce_subject", subject.as_str())
            .key(if n % 2 == 1 { "odd" } else { "even" })
    };
    // All there before, so that they come in one batch.
    kafka.produce(&(0..EVENTS).map(event).collect::<Vec<_>>());
    let brokers = kafka.brokers();
    let weft = weft(&format!(
        r#"
connections:
  main: {{ kafka: {{ brokers: ["{brokers}"] }} }}
ingress:
  in: {{ kafka: {{ connection: main, topics: [{from}], group: {from}, commit_every: 50ms }} }}
destinations:
  out: {{ kafka: {{ connection: main, topic: "{{subject}}" }} }}
routes:
  all: {{ to: out }}
"#
    ))
    .start();
    wait_metric(&weft, "weft_ingress_held_lanes", &[("ingress", "in")], 1.0);
    eventually("some tries", LIMIT, || {
        let tries = weft
            .metrics()
            .sum("weft_destination_rejected_total", &[("destination", "out")]);
        (tries > 2.5).then_some(())
    });
    let even: Vec<usize> = (0..EVENTS).step_by(2).collect();
    let odd = |below: usize| -> Vec<usize> { (1..below).step_by(2).filter(|n| *n != BAD).collect() };
    assert_eq!(numbers(kafka, &good, "even"), even, "another key does not wait");
    assert_eq!(numbers(kafka, &good, "odd"), odd(BAD), "{BAD} was passed");
    kafka.create_topic(&late, 1, &[]);
    wait_committed(kafka, &from, &from, i64::try_from(EVENTS).unwrap());
    assert_eq!(numbers(kafka, &late, "odd"), [BAD]);
    assert_eq!(numbers(kafka, &good, "odd"), odd(EVENTS));
}
