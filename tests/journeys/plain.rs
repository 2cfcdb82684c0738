//! Messages that are no events become some: JMS messages of every kind, and MQTT messages by `event:` templates.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weft_rig::{Client, Python, Receiver, Request, free_port, unique};

use crate::mesh::Brokers;
use crate::support::LIMIT;

/// The annotation by which JMS clients tell what kind of message they sent.
const JMS: &str = "x-opt-jms-msg-type=byte:";

/// Requests by their event's subject.
fn by_subject(receiver: &Receiver, count: usize) -> BTreeMap<String, Request> {
    let requests = receiver.wait_for(count, LIMIT);
    let subject = |request: &Request| request.header("ce-subject").expect("a subject").to_owned();
    let found: BTreeMap<_, _> = requests
        .into_iter()
        .map(|request| (subject(&request), request))
        .collect();
    assert_eq!(found.len(), count);
    found
}

#[test]
fn jms_messages_of_every_kind_become_events() {
    let (brokers, receiver) = (Brokers::shared(), Receiver::start());
    let (name, url) = (unique("jms"), receiver.url("/"));
    let weft = brokers.router(&format!(
        r#"
ingress:
  queue: {{ amqp: {{ connection: queue, address: {name}, kind: queue }} }}
destinations:
  out: {{ http: {{ url: "{url}" }} }}
routes:
  all: {{ to: out }}
"#
    ));
    let send = |subject: &str, kind: u8, more: &dyn Fn(Python) -> Python| {
        let script = brokers.amqp_send(&name).option("--mode", "plain");
        let script = script.option("--subject", subject);
        let script = script.option("--annotation", format!("{JMS}{kind}"));
        let _ = more(script).run();
    };
    send("text", 5, &|script| {
        let script = script
            .option("--section", "value")
            .option("--body", "string:größe ✓");
        script.option("--message-id", "string:ID:text-1")
    });
    let map = r#"{"price": 12.5, "count": 3, "name": "größe", "open": true, "none": null}"#;
    send("map", 2, &|script| {
        script
            .option("--section", "value")
            .flag("--json")
            .option("--body", map)
    });
    send("bytes", 3, &|script| script.option("--body", "binary:00ff0a0d80"));
    send("object", 1, &|script| {
        let script = script.option("--content-type", "application/x-java-serialized-object");
        script.option("--body", "binary:aced00057400016f")
    });
    send("stream", 4, &|script| {
        script
            .option("--section", "value")
            .flag("--json")
            .option("--body", "[1, \"two\", false]")
    });
    send("nothing", 0, &|script| {
        script.option("--section", "value").option("--body", "null:")
    });

    let events = by_subject(&receiver, 6);
    let media = |subject: &str| events[subject].header("content-type");
    for (subject, event) in &events {
        assert_eq!(event.header("ce-type"), Some("weft.amqp.message"), "{subject}");
        assert_eq!(
            event.header("ce-source"),
            Some("weft://default/queue"),
            "{subject}"
        );
        assert!(
            event.header("ce-id").is_some_and(|id| !id.is_empty()),
            "{subject}"
        );
    }
    assert_eq!(&events["text"].body[..], "größe ✓".as_bytes());
    assert_eq!(media("text"), Some("text/plain; charset=utf-8"));
    assert_eq!(events["text"].header("ce-id"), Some("ID:text-1"));
    let expected: Value = serde_json::from_str(map).unwrap();
    assert_eq!(events["map"].json(), expected, "{}", weft.log().tail());
    assert_eq!(media("map"), Some("application/json"));
    assert_eq!(&events["bytes"].body[..], [0x00, 0xff, 0x0a, 0x0d, 0x80]);
    assert_eq!(media("bytes"), Some("application/octet-stream"));
    assert_eq!(
        &events["object"].body[..],
        [0xac, 0xed, 0x00, 0x05, 0x74, 0x00, 0x01, 0x6f]
    );
    assert_eq!(media("object"), Some("application/x-java-serialized-object"));
    assert_eq!(events["stream"].json(), json!([1, "two", false]));
    assert_eq!(media("stream"), Some("application/json"));
    assert_eq!((events["nothing"].body.len(), media("nothing")), (0, None));
}

/// What a real JMS client sends, with what it adds by itself.
#[test]
fn qpid_jms_is_understood() {
    let (brokers, receiver) = (Brokers::shared(), Receiver::start());
    let (name, url) = (unique("qpid"), receiver.url("/"));
    let _weft = brokers.router(&format!(
        r#"
ingress:
  queue: {{ amqp: {{ connection: queue, address: {name}, kind: queue }} }}
destinations:
  out: {{ http: {{ url: "{url}" }} }}
routes:
  all: {{ to: out }}
"#
    ));
    let script = Client::script("Jms.java")
        .option("--port", brokers.artemis.amqp_port())
        .option("--address", &name)
        .option("--do", "send")
        .option("--type", "all")
        .option("--count", 6)
        .option("--correlation", "c-1")
        .option("--group", "g-1");
    let sent = script.run();
    let events = receiver.wait_for(6, LIMIT);
    let binary = STANDARD.decode("AJ+Slv8KDQ==").unwrap();
    let of = |kind: &str| {
        let line = sent.iter().find(|line| line["type"] == kind).unwrap();
        let id = line["id"].as_str().unwrap().replace(':', "%3A");
        let found = events.iter().find(|event| {
            let theirs = event.header("ce-id").unwrap();
            theirs.replace(':', "%3A") == id
        });
        found.unwrap_or_else(|| panic!("{kind}: {id} is not among {events:?}"))
    };
    for kind in ["text", "bytes", "map", "object", "stream"] {
        assert_eq!(of(kind).header("ce-type"), Some("weft.amqp.message"), "{kind}");
        assert_eq!(of(kind).header("ce-weftcorrelationid"), Some("c-1"), "{kind}");
    }
    assert_eq!(&of("text").body[..], "line 0\nünï ✓".as_bytes());
    assert_eq!(
        of("text").header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(&of("bytes").body[..], binary);
    let map = of("map").json();
    assert_eq!(map["text"], "ünï");
    assert_eq!(
        (&map["int"], &map["double"], &map["bool"]),
        (&json!(2), &json!(2.5), &json!(true))
    );
    assert_eq!(
        (&map["long"], &map["bytes"]),
        (&json!(1_u64 << 40), &json!("AJ+Slv8KDQ=="))
    );
    assert_eq!(
        of("object").header("content-type"),
        Some("application/x-java-serialized-object")
    );
    assert_eq!(of("object").body[..2], [0xac, 0xed]);
    assert_eq!(of("stream").json(), json!(["ünï", 4, true, "AJ+Slv8KDQ=="]));
    let event = events
        .iter()
        .find(|event| event.header("ce-id") == Some("rig-5"))
        .expect("the event");
    assert_eq!(event.header("ce-source"), Some("/weft/rig?of=jms"));
    assert_eq!(event.header("ce-anint"), Some("3"));
    assert_eq!(event.header("ce-abool"), Some("false"));
    assert_eq!(event.header("ce-time"), Some("2026-01-02T03:04:10.678Z"));
    assert_eq!(event.header("content-type"), Some("application/json"));
    assert_eq!(&event.body[..], b"{\"n\":5}");
}

#[test]
fn templates_make_events_of_what_amqp_and_mqtt_messages_say() {
    let (brokers, receiver) = (Brokers::shared(), Receiver::start());
    let (name, url) = (unique("templates"), receiver.url("/"));
    let _weft = brokers.router(&format!(
        r#"
ingress:
  queue:
    amqp: {{ connection: queue, address: {name}, kind: queue }}
    event:
      id: "{{data.number}}"
      source: "/{{address}}"
      type: "com.acme.{{properties.kind | else unknown}}"
      subject: "amqp {{subject}}"
      level: "{{annotations.x-opt-level}}"
      group: "{{group_id}}"
  plant:
    mqtt: {{ connection: plant, subscribe: ["{name}/+/temperature"] }}
    event:
      id: "{{data.number}}"
      type: com.acme.temperature
      subject: "mqtt {{topic[1]}}"
      site: "{{user.site | else nowhere}}"
      celsius: "{{data.celsius | round}}"
      datacontenttype: application/json
  old:
    mqtt: {{ connection: old, subscribe: ["{name}/+/old"] }}
    event: {{ id: "{{data | sha256}}", subject: "{{topic[2]}} {{topic[1]}}", type: com.acme.old }}
destinations:
  out: {{ http: {{ url: "{url}" }} }}
routes:
  all: {{ to: out }}
"#
    ));
    let amqp = brokers.amqp_send(&name).option("--mode", "plain");
    let amqp = amqp
        .option("--section", "value")
        .option("--body", "string:{\"number\": 7}");
    let amqp = amqp.option("--subject", "seven").option("--group-id", "g1");
    let amqp = amqp.option("--property", "kind=string:order");
    let _ = amqp.option("--annotation", "x-opt-level=int:3").run();
    let plain = |topic: &str| {
        let script = brokers.mqtt_publish(&format!("{name}/{topic}"));
        script.option("--mode", "plain")
    };
    let five = plain("7/temperature").option("--user-property", "site=paris");
    let _ = five
        .option("--payload", "{\"number\": 8, \"celsius\": 21.5}")
        .run();
    let old = plain("9/old").option("--version", "3.1.1");
    let _ = old.option("--payload", "21.5 °C").run();

    let events = by_subject(&receiver, 3);
    let header = |subject: &str, name: &str| events[subject].header(name).map(str::to_owned);
    let queue = |name: &str| header("amqp%20seven", name);
    assert_eq!(queue("ce-id").as_deref(), Some("7"));
    assert_eq!(queue("ce-source"), Some(format!("/{name}")));
    assert_eq!(queue("ce-type").as_deref(), Some("com.acme.order"));
    assert_eq!(queue("ce-level").as_deref(), Some("3"));
    assert_eq!(queue("ce-group").as_deref(), Some("g1"));
    let plant = |name: &str| header("mqtt%207", name);
    assert_eq!(plant("ce-id").as_deref(), Some("8"));
    assert_eq!(plant("ce-source").as_deref(), Some("weft://default/plant"));
    assert_eq!(plant("ce-site").as_deref(), Some("paris"));
    assert_eq!(plant("ce-celsius").as_deref(), Some("22"));
    assert_eq!(plant("content-type").as_deref(), Some("application/json"));
    let old = |name: &str| header("old%209", name);
    assert_eq!(old("ce-type").as_deref(), Some("com.acme.old"));
    assert_eq!(old("ce-id").map(|id| id.len()), Some(64));
    assert_eq!(&events["old%209"].body[..], "21.5 °C".as_bytes());
}

/// The topic crosses as a subject and comes back as a topic. An ingress and a destination of one name are two clients.
#[test]
fn a_plain_message_crosses_and_comes_back() {
    let (brokers, name, web) = (Brokers::shared(), unique("back"), free_port());
    let receiver = Receiver::start();
    let url = receiver.url("/");
    let _weft = brokers.router(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{web}" }} }}
  plant: {{ mqtt: {{ connection: plant, subscribe: ["{name}/in/+"] }}, event: {{ subject: "{{topic[2]}}", type: com.acme.said }} }}
  queue: {{ amqp: {{ connection: queue, address: {name}, kind: queue }} }}
  answers: {{ mqtt: {{ connection: plant, client_id: {name}, subscribe: ["{name}/out/+"] }} }}
destinations:
  queue: {{ amqp: {{ connection: queue, address: {name}, kind: queue }} }}
  plant: {{ mqtt: {{ connection: plant, topic: "{name}/out/{{subject}}" }} }}
  out: {{ http: {{ url: "{url}" }} }}
routes:
  there: {{ from: [plant], to: queue }}
  back: {{ from: [queue], to: plant }}
  end: {{ from: [answers], to: out }}
"#
    ));
    let script = brokers
        .mqtt_publish(&format!("{name}/in/7"))
        .option("--mode", "plain");
    let script = script
        .option("--content-type", "text/plain")
        .option("--payload", "21.5 °C");
    let _ = script.run();
    let event = &receiver.wait_for(1, LIMIT)[0];
    assert_eq!(event.header("ce-subject"), Some("7"));
    assert_eq!(event.header("ce-type"), Some("com.acme.said"));
    assert_eq!(event.header("ce-source"), Some("weft://default/plant"));
    assert_eq!(event.header("content-type"), Some("text/plain"));
    assert_eq!(&event.body[..], "21.5 °C".as_bytes());
}
