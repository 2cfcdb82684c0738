//! Every pair of ingress and egress, in every mode, as foreign clients see it: attributes of every type and the data's
//! bytes arrive equal (C2, C35).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{LIMIT, record, weft};
use weft_rig::{Kafka, Python, Receiver, Record, Weft, free_port, http, kcat};

/// Of each kind of data (JSON, text, bytes, none) in turn, from each sender.
const EVENTS: usize = 8;
/// And one each of 0 bytes and 64 KiB.
const EDGES: usize = 2;

/// One router with both ingresses and all five egresses; every event goes to all of them.
struct Pairs {
    kafka: &'static Kafka,
    weft: Weft,
    http: u16,
    topic: String,
    binary: String,
    structured: String,
}

impl Pairs {
    fn start(label: &str, receiver: u16) -> Pairs {
        let kafka = Kafka::shared();
        let topic = |part: &str| kafka.topic(&format!("{label}-{part}"), 2);
        let (from, binary, structured) = (topic("in"), topic("binary"), topic("structured"));
        let (brokers, http, url) = (
            kafka.brokers(),
            free_port(),
            format!("http://127.0.0.1:{receiver}"),
        );
        let weft = weft(&format!(
            r#"
connections:
  main: {{ kafka: {{ brokers: ["{brokers}"] }} }}
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{http}", path: /events }} }}
  log: {{ kafka: {{ connection: main, topics: [{from}], group: {from} }} }}
destinations:
  http-binary: {{ http: {{ url: "{url}/binary" }} }}
  http-structured: {{ http: {{ url: "{url}/structured", mode: structured }} }}
  http-batch: {{ http: {{ url: "{url}/batch", mode: batch }} }}
  kafka-binary: {{ kafka: {{ connection: main, topic: {binary} }} }}
  kafka-structured: {{ kafka: {{ connection: main, topic: {structured}, mode: structured }} }}
routes:
  all: {{ to: [http-binary, http-structured, http-batch, kafka-binary, kafka-structured] }}
"#
        ));
        Pairs {
            kafka,
            weft: weft.start(),
            http,
            topic: from,
            binary,
            structured,
        }
    }
}

/// What must be equal: the attributes and the data as the SDK decoded it. `raw` is the transport's, not the event's.
fn essence(line: &Value) -> Value {
    let mut attributes = line["attributes"].clone();
    // The SDK's own name for the record's key; it is no attribute of the event on the way.
    attributes.as_object_mut().unwrap().remove("partitionkey");
    let data = ["json", "text", "base64"].into_iter().find_map(|kind| {
        let value = line.get(kind)?;
        // No body and an empty one are the same in HTTP, as are null and empty text to the SDK.
        (value != "").then(|| json!({ kind: value }))
    });
    json!({ "attributes": attributes, "data": data })
}

fn by_id<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, Value> {
    let id = |line: &Value| line["attributes"]["id"].as_str().expect("an event").to_owned();
    lines.into_iter().map(|line| (id(line), essence(line))).collect()
}

#[track_caller]
fn assert_equal(sent: &BTreeMap<String, Value>, got: &BTreeMap<String, Value>, what: &str) {
    for (id, event) in sent {
        assert_eq!(got.get(id), Some(event), "{what}: event {id}");
    }
    assert_eq!(got.len(), sent.len(), "{what}: events that nobody sent");
}

#[test]
fn the_python_sdk_reads_on_every_way_what_it_wrote() {
    let mut receiver = Python::script("http_recv.py").spawn();
    let port = receiver.next_line(LIMIT)["port"].as_u64().unwrap();
    let pairs = Pairs::start("sdk", u16::try_from(port).unwrap());

    let mut sent = Vec::new();
    let mut first = 0;
    for (data, count) in [("all", EVENTS), ("edges", EDGES)] {
        for mode in ["binary", "structured", "batch"] {
            let lines = Python::script("http_send.py")
                .option("--url", format!("http://127.0.0.1:{}/events", pairs.http))
                .option("--mode", mode)
                .option("--data", data)
                .option("--count", count)
                .option("--start", first)
                .run();
            for line in &lines {
                assert_eq!(line["status"], 204, "{mode}: {line}\n{}", pairs.weft.log().tail());
            }
            sent.extend(lines);
            first += count;
        }
        for mode in ["binary", "structured"] {
            sent.extend(
                Python::script("produce.py")
                    .option("--brokers", pairs.kafka.brokers())
                    .option("--topic", &pairs.topic)
                    .option("--mode", mode)
                    .option("--data", data)
                    .option("--count", count)
                    .option("--start", first)
                    .run(),
            );
            first += count;
        }
    }
    let sent = by_id(&sent);
    assert_eq!(sent.len(), 5 * (EVENTS + EDGES));
    // The SDK has made one of every type of the type system.
    for name in [
        "subject",
        "time",
        "dataschema",
        "astring",
        "anint",
        "abool",
        "auri",
        "aref",
        "atime",
        "abytes",
    ] {
        assert!(
            sent.values().all(|event| event["attributes"].get(name).is_some()),
            "{name}"
        );
    }

    let mut got: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for _ in 0..3 * sent.len() {
        let line = receiver.next_line(LIMIT);
        let path = line["path"]
            .as_str()
            .unwrap_or_else(|| panic!("the SDK refused an event: {line}"));
        got.entry(path.to_owned()).or_default().push(line);
    }
    for path in ["/binary", "/structured", "/batch"] {
        assert_equal(&sent, &by_id(&got[path]), &format!("to HTTP {path}"));
    }
    for topic in [&pairs.binary, &pairs.structured] {
        let lines = Python::script("consume.py")
            .option("--brokers", pairs.kafka.brokers())
            .option("--topic", topic)
            .option("--count", sent.len())
            .run();
        assert_equal(&sent, &by_id(&lines), &format!("to Kafka {topic}"));
        // The record's key came with those that had one.
        let keys = lines
            .iter()
            .filter(|line| line["key"].as_str().is_some_and(|key| key.starts_with("key-")));
        assert_eq!(keys.count(), 2 * (EVENTS + EDGES), "{topic}");
    }
}

#[test]
fn a_record_of_kcat_arrives_and_kcat_reads_what_leaves() {
    let receiver = Receiver::start();
    let pairs = Pairs::start("kcat", receiver.port());
    kcat::produce(pairs.kafka, &record(&pairs.topic, "from kcat ✓").key("k1"));
    let seen = receiver.wait_for(3, LIMIT);
    let binary = seen.iter().find(|request| request.path == "/binary").unwrap();
    // Spaces and what is not ASCII are percent-encoded in a header's value.
    assert_eq!(binary.header("ce-id"), Some("from%20kcat%20%E2%9C%93"));
    assert_eq!(&binary.body[..], "{\"id\":\"from kcat ✓\"}".as_bytes());

    let read = &kcat::consume(pairs.kafka, &pairs.binary, 1)[0];
    assert_eq!(read["key"], "k1");
    assert_eq!(read["payload"], "{\"id\":\"from kcat ✓\"}");
    let headers = read["headers"].as_array().unwrap();
    let header = |name: &str| {
        let at = headers.iter().step_by(2).position(|n| n == name);
        at.map(|at| headers[2 * at + 1].as_str().unwrap())
    };
    assert_eq!(header("ce_specversion"), Some("1.0"));
    assert_eq!(header("ce_id"), Some("from kcat ✓"));
    assert_eq!(header("ce_source"), Some("/tests"));
    assert_eq!(header("content-type"), Some("application/json"));
    let whole = &kcat::consume(pairs.kafka, &pairs.structured, 1)[0];
    let whole: Value = serde_json::from_str(whole["payload"].as_str().unwrap()).unwrap();
    assert_eq!(whole["id"], "from kcat ✓");
    assert_eq!(whole["data"], json!({ "id": "from kcat ✓" }));
}

/// Bytes that a careless router would change on the way.
fn awkward() -> Vec<(&'static str, Vec<u8>)> {
    let junk = (0..4096u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let numbers = br#"{ "big":12345678901234567890123, "exp":1.0e+2,  "dup":1,"dup":2, "esc":"\u00e9\/" }"#;
    vec![
        ("application/json", numbers.to_vec()),
        ("application/vnd.acme+json", b"[1,\n 2]".to_vec()),
        ("text/plain", "größe ✓ \u{1f600}\r\n\0".as_bytes().to_vec()),
        ("application/octet-stream", junk),
        ("application/octet-stream", vec![0xff]),
        ("application/xml", vec![b'<'; 64 * 1024]),
        ("application/octet-stream", vec![0; 512 * 1024]),
    ]
}

#[test]
fn bytes_are_never_touched() {
    let receiver = Receiver::start();
    let pairs = Pairs::start("bytes", receiver.port());
    let bodies = awkward();
    for (n, (media, body)) in bodies.iter().enumerate() {
        let id = format!("web-{n}");
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", &id),
            ("ce-source", "/t"),
            ("ce-type", "t"),
        ];
        let headers: Vec<_> = headers.into_iter().chain([("content-type", *media)]).collect();
        let answer = http::post(pairs.http, "/events", &headers, body.clone()).unwrap();
        assert_eq!(answer.status, 204, "{id}: {}", answer.text());
        let mut record: Record = record(&pairs.topic, &format!("log-{n}")).value(body.clone());
        record.headers.last_mut().unwrap().1 = Some(media.as_bytes().to_vec());
        pairs.kafka.produce(&[record]);
    }
    let expected = |id: &str| &bodies[id.rsplit_once('-').unwrap().1.parse::<usize>().unwrap()];
    let count = 2 * bodies.len();
    for record in pairs.kafka.consume(&pairs.binary, count, LIMIT) {
        let id = record.text_header("ce_id").unwrap();
        let (media, body) = expected(id);
        assert_eq!(record.text_header("content-type"), Some(*media), "{id}");
        assert!(record.value.as_deref() == Some(body), "{id}: the bytes differ");
    }
    weft_rig::eventually("all requests", LIMIT, || {
        let requests = receiver.requests();
        let binary: Vec<_> = requests
            .into_iter()
            .filter(|request| request.path == "/binary")
            .collect();
        (binary.len() == count).then(|| {
            for request in &binary {
                let id = request.header("ce-id").unwrap();
                let (media, body) = expected(id);
                assert_eq!(request.header("content-type"), Some(*media), "{id}");
                assert!(&request.body[..] == body.as_slice(), "{id}: the bytes differ");
            }
        })
    });
}
