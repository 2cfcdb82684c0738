//! Data that a careless router would change on the way: numbers that no float holds, members that come twice, escapes,
//! text of many scripts, binary junk, nothing. What is judged is the body at a binary destination, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use weft_rig::{Python, Receiver, Record, eventually, free_port, http, unique};

use crate::mesh::Brokers;
use crate::support::{LIMIT, record};

/// Longer ones do not fit into an argument of a script.
const ARGUMENT_MAX: usize = 48 * 1024;

/// Media type and body.
fn awkward() -> Vec<(&'static str, Vec<u8>)> {
    let junk = (0..4096u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let numbers = br#"{ "big":12345678901234567890123, "exp":1.0e+2,  "dup":1,"dup":2, "esc":"\u00e9\/" }"#;
    vec![
        ("application/json", numbers.to_vec()),
        ("application/vnd.acme+json", b"[1,\n 2]".to_vec()),
        (
            "text/plain",
            "größe ✓ \u{1f600} \u{202e}e\u{301}\r\n\t".as_bytes().to_vec(),
        ),
        ("application/octet-stream", junk),
        ("application/octet-stream", vec![0xff]),
        ("application/json", b"no JSON at all".to_vec()),
        ("application/xml", vec![b'<'; 64 * 1024]),
        ("application/octet-stream", vec![0; 512 * 1024]),
    ]
}

/// The fields of an event named `id`, by their names without prefix.
fn fields(id: &str) -> [(&'static str, String); 4] {
    [
        ("specversion", "1.0".to_owned()),
        ("id", id.to_owned()),
        ("source", "/t".to_owned()),
        ("type", "t".to_owned()),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn bytes_are_never_touched() {
    let (brokers, receiver, web) = (Brokers::shared(), Receiver::start(), free_port());
    let (name, url) = (unique("bytes"), receiver.url("/"));
    let (log, out) = (
        brokers.kafka.topic("bytes-in", 1),
        brokers.kafka.topic("bytes", 1),
    );
    let bodies = awkward();
    let is_text = |body: &[u8]| std::str::from_utf8(body).is_ok_and(|text| text.len() < ARGUMENT_MAX);
    let by_amqp = bodies
        .iter()
        .filter(|(_, body)| body.len() < ARGUMENT_MAX)
        .count();
    let by_mqtt = bodies.iter().filter(|(_, body)| is_text(body)).count();
    let count = 2 * bodies.len() + by_amqp + by_mqtt;
    let subscription = brokers.mqtt_subscribe(&format!("{name}/to"), "5", count);
    let weft = brokers.router(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{web}" }} }}
  log: {{ kafka: {{ connection: log, topics: [{log}], group: {log} }} }}
  queue: {{ amqp: {{ connection: queue, address: {name}.in, kind: queue }} }}
  plant: {{ mqtt: {{ connection: plant, subscribe: ["{name}/from"] }} }}
destinations:
  http: {{ http: {{ url: "{url}" }} }}
  kafka: {{ kafka: {{ connection: log, topic: {out} }} }}
  amqp: {{ amqp: {{ connection: queue, address: {name}.out, kind: queue }} }}
  mqtt: {{ mqtt: {{ connection: plant, topic: {name}/to }} }}
routes:
  all: {{ to: [http, kafka, amqp, mqtt] }}
"#
    ));
    for (n, (media, body)) in bodies.iter().enumerate() {
        let id = format!("web-{n}");
        let headers = fields(&id).map(|(name, value)| (format!("ce-{name}"), value));
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        headers.push(("content-type", media));
        let answer = http::post(web, "/", &headers, body.clone()).unwrap();
        assert_eq!(
            answer.status,
            204,
            "{id}: {}\n{}",
            answer.text(),
            weft.log().tail()
        );

        let mut record: Record = record(&log, &format!("log-{n}")).value(body.clone());
        record.headers.last_mut().unwrap().1 = Some(media.as_bytes().to_vec());
        brokers.kafka.produce(&[record]);

        let plain = |script: Python| script.option("--mode", "plain").option("--content-type", media);
        if body.len() < ARGUMENT_MAX {
            let mut script = plain(brokers.amqp_send(&format!("{name}.in")));
            script = script.option("--body", format!("binary:{}", hex(body)));
            for (field, value) in fields(&format!("queue-{n}")) {
                script = script.option("--property", format!("cloudEvents_{field}=string:{value}"));
            }
            let _ = script.run();
        }
        if is_text(body) {
            let mut script = plain(brokers.mqtt_publish(&format!("{name}/from")));
            script = script.option("--payload", String::from_utf8_lossy(body));
            for (field, value) in fields(&format!("plant-{n}")) {
                script = script.option("--user-property", format!("{field}={value}"));
            }
            let _ = script.run();
        }
    }
    let judge = |way: &str, id: &str, media: Option<&str>, came: &[u8]| {
        let (expected, body) = &bodies[id.rsplit_once('-').unwrap().1.parse::<usize>().unwrap()];
        assert_eq!(media, Some(*expected), "{way}: {id}");
        assert!(came == body.as_slice(), "{way}: the bytes of {id} differ");
    };
    let judge_lines = |way: &str, lines: &[Value]| {
        for line in lines {
            let attributes = &line["attributes"];
            let raw = STANDARD.decode(line["raw"].as_str().unwrap()).unwrap();
            let media = attributes["datacontenttype"].as_str();
            judge(way, attributes["id"].as_str().unwrap(), media, &raw);
        }
    };
    eventually("all requests", LIMIT, || {
        (receiver.count() == count).then_some(())
    });
    for request in receiver.requests() {
        let media = request.header("content-type");
        judge("HTTP", request.header("ce-id").unwrap(), media, &request.body);
    }
    for record in brokers.kafka.consume(&out, count, LIMIT) {
        let media = record.text_header("content-type");
        let body = record.value.as_deref().unwrap();
        judge("Kafka", record.text_header("ce_id").unwrap(), media, body);
    }
    judge_lines("AMQP", &brokers.amqp_receive(&format!("{name}.out"), count));
    judge_lines("MQTT", &subscription.messages());
}
