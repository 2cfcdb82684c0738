//! RabbitMQ, whose addresses are paths and whose MQTT is 3.1.1 only: through it in both protocols and back.

use weft_rig::{Python, RabbitMq, free_port, unique};

use crate::essence::{assert_equal, by_id};
use crate::mesh::{Web, post};
use crate::support::weft;

/// One of each kind of data.
const EVENTS: usize = 8;

#[test]
fn an_event_is_equal_after_rabbitmq_in_both_protocols() {
    let (rabbit, mut web, http) = (RabbitMq::shared(), Web::start(), free_port());
    let (name, url) = (unique("rabbit"), web.url.clone());
    let (amqp, mqtt) = (rabbit.amqp_url(), rabbit.mqtt_url());
    let weft = weft(&format!(
        r#"
node: {{ name: {name} }}
connections:
  queue: {{ amqp: {{ url: "{amqp}" }} }}
  plant: {{ mqtt: {{ url: "{mqtt}", version: 3.1.1 }} }}
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{http}" }} }}
  queue: {{ amqp: {{ connection: queue, address: /queue/{name} }} }}
  plant: {{ mqtt: {{ connection: plant, subscribe: ["{name}/x"] }} }}
destinations:
  queue: {{ amqp: {{ connection: queue, address: /queue/{name} }} }}
  plant: {{ mqtt: {{ connection: plant, topic: {name}/x }} }}
  out: {{ http: {{ url: "{url}/out" }} }}
routes:
  first: {{ from: [web], to: queue }}
  second: {{ from: [queue], to: plant }}
  third: {{ from: [plant], to: out }}
"#
    ))
    .start();
    let sent = post(&weft, http, "binary", |script: Python| {
        script.option("--data", "every").option("--count", EVENTS)
    });
    assert_equal(&by_id(&sent), &by_id(&web.events(EVENTS)), "RabbitMQ");
}
