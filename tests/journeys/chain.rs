//! One event through all four protocols, one after the other, and the same way back: equal at the end, and at every hop.

use weft_rig::{free_port, unique};

use crate::essence::{assert_equal, by_id};
use crate::mesh::{Brokers, Web, post};

/// One of each kind of data.
const EVENTS: usize = 8;

/// HTTP -> Kafka -> AMQP -> MQTT -> HTTP, and HTTP -> MQTT -> AMQP -> Kafka -> HTTP, each hop in and out of a broker, in
/// one router. `first` is the mode of the first
/// hops, `then` that of the others.
fn run(label: &str, first: &str, then: &str) {
    let (brokers, mut web, there, back) = (Brokers::shared(), Web::start(), free_port(), free_port());
    let (name, url) = (unique(label), web.url.clone());
    let topic = |part: &str| brokers.kafka.topic(&format!("{label}-{part}"), 2);
    let (log, log_back) = (topic("there"), topic("back"));
    let weft = brokers.router(&format!(
        r#"
ingress:
  there: {{ http: {{ listen: "127.0.0.1:{there}" }} }}
  kafka-there: {{ kafka: {{ connection: log, topics: [{log}], group: {log} }} }}
  amqp-there: {{ amqp: {{ connection: queue, address: {name}.there, kind: queue }} }}
  mqtt-there: {{ mqtt: {{ connection: plant, client_id: {name}-there, subscribe: ["{name}/there/#"] }} }}
  back: {{ http: {{ listen: "127.0.0.1:{back}" }} }}
  mqtt-back: {{ mqtt: {{ connection: plant, client_id: {name}-back, subscribe: ["{name}/back/#"] }} }}
  amqp-back: {{ amqp: {{ connection: queue, address: {name}.back, kind: queue }} }}
  kafka-back: {{ kafka: {{ connection: log, topics: [{log_back}], group: {log_back} }} }}
destinations:
  kafka-there: {{ kafka: {{ connection: log, topic: {log}, mode: {first} }} }}
  amqp-there: {{ amqp: {{ connection: queue, address: {name}.there, kind: queue, mode: {first} }} }}
  mqtt-there: {{ mqtt: {{ connection: plant, topic: {name}/there/x, mode: {then} }} }}
  http-there: {{ http: {{ url: "{url}/there", mode: {then} }} }}
  mqtt-back: {{ mqtt: {{ connection: plant, topic: {name}/back/x, mode: {first} }} }}
  amqp-back: {{ amqp: {{ connection: queue, address: {name}.back, kind: queue, mode: {first}, prefix: "cloudEvents:" }} }}
  kafka-back: {{ kafka: {{ connection: log, topic: {log_back}, mode: {then} }} }}
  http-back: {{ http: {{ url: "{url}/back", mode: {then} }} }}
routes:
  there-1: {{ from: [there], to: kafka-there }}
  there-2: {{ from: [kafka-there], to: amqp-there }}
  there-3: {{ from: [amqp-there], to: mqtt-there }}
  there-4: {{ from: [mqtt-there], to: http-there }}
  back-1: {{ from: [back], to: mqtt-back }}
  back-2: {{ from: [mqtt-back], to: amqp-back }}
  back-3: {{ from: [amqp-back], to: kafka-back }}
  back-4: {{ from: [kafka-back], to: http-back }}
"#
    ));
    for (port, path) in [(there, "/there"), (back, "/back")] {
        let sent = post(&weft, port, first, |script| {
            script.option("--data", "every").option("--count", EVENTS)
        });
        let came = web.events(EVENTS);
        assert!(came.iter().all(|event| event["path"] == path), "{path}");
        assert_equal(&by_id(&sent), &by_id(&came), &format!("{label} {path}"));
    }
}

#[test]
fn an_event_is_equal_after_all_four_protocols_in_binary_mode() {
    run("chain", "binary", "binary");
}

#[test]
fn an_event_is_equal_after_all_four_protocols_in_both_modes() {
    run("mixed", "structured", "binary");
}

#[test]
fn an_event_is_equal_after_all_four_protocols_in_structured_mode() {
    run("whole", "structured", "structured");
}
