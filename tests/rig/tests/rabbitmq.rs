//! RabbitMQ with Proton and Paho.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use serde_json::json;
use weft_rig::{Client, RabbitMq, rabbitmq, unique};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn events_go_through_a_queue_of_amqp() {
    let broker = RabbitMq::shared();
    let address = format!("/queue/{}", unique("trip"));
    for mode in ["binary", "structured"] {
        let call = |script| {
            let call = Client::script(script).option("--port", broker.amqp_port());
            call.option("--address", &address).option("--count", 4)
        };
        let sent = call("amqp_send.py").option("--mode", mode);
        let sent = sent
            .option("--user", rabbitmq::USER)
            .option("--password", rabbitmq::PASSWORD)
            .run();
        let read = call("amqp_recv.py").run().split_off(1);
        for (sent, read) in sent.iter().zip(&read) {
            assert_eq!(sent["raw"], read["raw"]);
            assert_eq!(sent["attributes"], read["attributes"], "{mode}");
        }
    }
}

#[test]
fn events_go_through_a_topic_of_mqtt() {
    let broker = RabbitMq::shared();
    let topic = format!("rig/{}", unique("trip"));
    let call = |script| {
        let call = Client::script(script).option("--port", broker.mqtt_port());
        call.option("--version", "3.1.1")
            .option("--topic", &topic)
            .option("--count", 2)
    };
    let mut reader = call("mqtt_sub.py").spawn();
    assert_eq!(reader.next_line(LIMIT)["subscribed"], json!([1]));
    for sent in call("mqtt_pub.py").option("--mode", "structured").run() {
        assert_eq!(reader.next_line(LIMIT)["attributes"], sent["attributes"]);
    }
}
