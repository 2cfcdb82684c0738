//! The brokers that the journeys share, and the scripts that send to them and read from them. It knows ports and names,
//! not what an event is.

use serde_json::Value;
use weft_rig::{Artemis, Kafka, Mosquitto, Python, PythonProcess, Weft, unique};

use crate::support::{LIMIT, weft};

/// Any receiver that gets less than it waits for says so after this time.
const SECONDS: u64 = 60;

/// The three brokers.
#[derive(Clone, Copy)]
pub(crate) struct Brokers {
    pub(crate) kafka: &'static Kafka,
    pub(crate) artemis: &'static Artemis,
    pub(crate) mosquitto: &'static Mosquitto,
}

impl Brokers {
    pub(crate) fn shared() -> Brokers {
        Brokers {
            kafka: Kafka::shared(),
            artemis: Artemis::shared(),
            mosquitto: Mosquitto::shared(),
        }
    }

    /// A router with the connections `log` (Kafka), `queue` (AMQP), `plant` (MQTT 5) and `old` (MQTT 3.1.1), and a node
    /// of its own, whose name makes the sessions at the MQTT broker its own.
    pub(crate) fn router(self, yaml: &str) -> Weft {
        let (node, kafka) = (unique("node"), self.kafka.brokers());
        let (amqp, mqtt) = (self.artemis.amqp_url(), self.mosquitto.url());
        weft(&format!(
            r#"
node: {{ name: {node} }}
connections:
  log: {{ kafka: {{ brokers: ["{kafka}"] }} }}
  queue: {{ amqp: {{ url: "{amqp}" }} }}
  plant: {{ mqtt: {{ url: "{mqtt}" }} }}
  old: {{ mqtt: {{ url: "{mqtt}", version: 3.1.1 }} }}
{yaml}"#
        ))
        .start()
    }

    /// Produces by the SDK and confluent-kafka.
    pub(crate) fn produce(self, topic: &str) -> Python {
        Python::script("produce.py")
            .option("--brokers", self.kafka.brokers())
            .option("--topic", topic)
    }

    /// Reads a Kafka topic by the SDK.
    pub(crate) fn consume(self, topic: &str, count: usize) -> Vec<Value> {
        Python::script("consume.py")
            .option("--brokers", self.kafka.brokers())
            .option("--topic", topic)
            .option("--count", count)
            .option("--seconds", SECONDS)
            .run()
    }

    /// Sends to a queue by Proton.
    pub(crate) fn amqp_send(self, address: &str) -> Python {
        Python::script("amqp_send.py")
            .option("--port", self.artemis.amqp_port())
            .option("--address", address)
            .option("--capability", "queue")
    }

    /// Reads a queue by Proton: the messages, without the line that says that the link is attached.
    pub(crate) fn amqp_receive(self, address: &str, count: usize) -> Vec<Value> {
        let mut lines = Python::script("amqp_recv.py")
            .option("--port", self.artemis.amqp_port())
            .option("--address", address)
            .option("--capability", "queue")
            .option("--count", count)
            .option("--seconds", SECONDS)
            .run();
        lines.remove(0);
        lines
    }

    /// Publishes by Paho.
    pub(crate) fn mqtt_publish(self, topic: &str) -> Python {
        Python::script("mqtt_pub.py")
            .option("--port", self.mosquitto.port())
            .option("--topic", topic)
    }

    /// Subscribes by Paho, and is subscribed when it returns.
    pub(crate) fn mqtt_subscribe(self, topic: &str, version: &str, count: usize) -> Subscription {
        let mut process = Python::script("mqtt_sub.py")
            .option("--port", self.mosquitto.port())
            .option("--topic", topic)
            .option("--version", version)
            .option("--count", count)
            .option("--seconds", 3 * SECONDS)
            .spawn();
        assert!(process.next_line(LIMIT).get("subscribed").is_some());
        Subscription { process, count }
    }
}

/// A subscriber of Paho's.
pub(crate) struct Subscription {
    process: PythonProcess,
    count: usize,
}

impl Subscription {
    /// All messages that it was made for.
    #[track_caller]
    pub(crate) fn messages(mut self) -> Vec<Value> {
        (0..self.count).map(|_| self.process.next_line(LIMIT)).collect()
    }
}

/// The SDK behind an HTTP server.
pub(crate) struct Web {
    process: PythonProcess,
    pub(crate) url: String,
}

impl Web {
    pub(crate) fn start() -> Web {
        let mut process = Python::script("http_recv.py").spawn();
        let port = process.next_line(LIMIT)["port"].as_u64().unwrap();
        Web {
            process,
            url: format!("http://127.0.0.1:{port}"),
        }
    }

    /// The next `count` events, on whatever path. Panics where the SDK refuses one.
    #[track_caller]
    pub(crate) fn events(&mut self, count: usize) -> Vec<Value> {
        let events: Vec<Value> = (0..count).map(|_| self.process.next_line(LIMIT)).collect();
        for event in &events {
            assert!(event["path"].is_string(), "the SDK refused an event: {event}");
        }
        events
    }
}

/// Posts events by the SDK; `more` adds options. Panics where one is not delivered.
#[track_caller]
pub(crate) fn post(weft: &Weft, port: u16, mode: &str, more: impl FnOnce(Python) -> Python) -> Vec<Value> {
    let script = Python::script("http_send.py")
        .option("--url", format!("http://127.0.0.1:{port}/"))
        .option("--mode", mode);
    let lines = more(script).run();
    for line in &lines {
        assert_eq!(
            line["status"],
            204,
            "{mode}: {}\n{}",
            line["answer"],
            weft.log().tail()
        );
    }
    lines
}
