//! A store in Kafka, shared by routers with the same file: they take over each other's backlog (C1, C4, C14, C20).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::sink::Sink;
use support::{post, weft};
use weft_rig::{Kafka, Receiver, Record, Reply, Weft, WeftBuilder, eventually, free_port, http};

const EVENTS: usize = 20_000;
const KEYS: usize = 400;
const PARTITIONS: usize = 4;
/// What one partition may have under way.
const WINDOW: usize = 2048;
const CLIENTS: usize = 8;
const LIMIT: Duration = Duration::from_secs(200);

/// A router of its own name and port; everything else is the same in all of them.
struct Gateway<'a> {
    kafka: &'a Kafka,
    url: &'a str,
    topic: &'a str,
    dead: &'a str,
}

impl Gateway<'_> {
    fn yaml(&self, node: &str, port: u16, routes: &str) -> String {
        let (brokers, url, topic, dead) = (self.kafka.brokers(), self.url, self.topic, self.dead);
        format!(
            r#"
node: {{ name: {node} }}
connections:
  main: {{ kafka: {{ brokers: ["{brokers}"] }} }}
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}" }} }}
destinations:
  app:
    http: {{ url: "{url}" }}
    retry: {{ attempts: 2, initial: 50ms, max: 500ms }}
    breaker: {{ initial: 100ms, max: 500ms }}
    store:
      kafka:
        connection: main
        topic: {topic}
        group: {topic}
        session_timeout: 2s
        timeout: 5s
        librdkafka: {{ heartbeat.interval.ms: 400 }}
  dead: {{ kafka: {{ connection: main, topic: {dead} }} }}
routes:
{routes}
"#
        )
    }

    fn router(&self, node: &str, port: u16) -> WeftBuilder {
        weft(&self.yaml(node, port, ALL))
    }
}

const ALL: &str = "  all: { to: app, dead_letter: dead }";
/// What is left of the routes after a change: another one, that takes nothing of what is stored.
const OTHER: &str = "  other: { to: [app, dead], filters: [{ exact: { type: none } }] }";

/// Posts events of this client's keys, one after another, until each is answered 202.
fn post_all(port: u16, client: usize, stop: &AtomicBool, acknowledged: &AtomicUsize) {
    let own: Vec<String> = (0..KEYS)
        .filter(|key| key % (2 * CLIENTS) == client)
        .map(|key| format!("k{key}"))
        .collect();
    for sequence in 0..EVENTS / KEYS {
        for key in &own {
            let id = format!("{key}/{sequence}");
            let event = json!({
                "specversion": "1.0", "id": id, "source": "/tests", "type": "com.example.test", "partitionkey": key,
            });
            while !stop.load(Ordering::Relaxed) {
                match http::post_event(port, "/", &event).map(|answer| answer.status) {
                    Ok(202) => {
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                    // Not taken: it is asked for again.
                    Ok(503 | 429) => {}
                    other => panic!("{id}: {other:?}"),
                }
            }
        }
    }
}

fn tail(routers: &[&Weft]) -> String {
    let logs = routers.iter().map(|weft| weft.log().tail());
    logs.collect::<Vec<_>>().join("\n---\n")
}

#[track_caller]
fn wait_first(sink: &Sink, count: usize, routers: &[&Weft]) {
    let end = Instant::now() + LIMIT;
    eventually(&format!("{count} events"), LIMIT * 2, || {
        let first = sink.tally().first;
        assert!(
            Instant::now() < end,
            "{first} of {count} events; logs:\n{}",
            tail(routers)
        );
        (first >= count).then_some(())
    });
}

/// C1: what was answered 202 is delivered, whoever dies. C4: what was under way comes again, and no more. C20: first
/// deliveries of a key keep its order all the way.
#[test]
fn two_gateways_share_a_store_and_one_delivers_everything_when_the_other_is_killed() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("shared-store", i32::try_from(PARTITIONS).unwrap());
    let dead = kafka.topic("shared-store-dead", 1);
    let sink = Sink::start();
    let url = sink.url();
    sink.fail_for(Duration::from_secs(3600));
    let gateway = Gateway {
        kafka,
        url: &url,
        topic: &topic,
        dead: &dead,
    };
    let ports = [free_port(), free_port()];
    let mut one = gateway.router("one", ports[0]).start();
    let two = gateway.router("two", ports[1]).start();
    for (weft, name) in [(&one, "one"), (&two, "two")] {
        weft.log().wait_for(name, LIMIT, |line| {
            line.contains("partitions assigned") && line.contains("app.log")
        });
    }
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..2 * CLIENTS {
            let (stop, acknowledged, port) = (&stop, &acknowledged, ports[client % 2]);
            scope.spawn(move || post_all(port, client, stop, acknowledged));
        }
        let end = Instant::now() + LIMIT;
        eventually("all acknowledged", LIMIT * 2, || {
            let count = acknowledged.load(Ordering::Relaxed);
            stop.store(Instant::now() > end, Ordering::Relaxed);
            assert!(
                Instant::now() < end,
                "{count} acknowledged; logs:\n{}",
                tail(&[&one, &two])
            );
            (count == EVENTS).then_some(())
        });
    });
    assert_eq!(sink.tally().first, 0, "the receiver has been down all the time");
    sink.fail_for(Duration::ZERO);
    // In the middle of its share, so that it has something under way.
    wait_first(&sink, EVENTS / 10, &[&one, &two]);
    let before = sink.tally().first;
    one.kill9();
    wait_first(&sink, EVENTS, &[&two]);
    eventually("everything is committed", LIMIT, || {
        let ends: Vec<i64> = kafka.offsets(&topic).iter().map(|(_, high)| *high).collect();
        let committed = kafka.committed(&topic, &topic);
        (committed.values().copied().collect::<Vec<_>>() == ends).then_some(())
    });
    let tally = sink.tally();
    eprintln!(
        "{EVENTS} events answered 202, {before} delivered when one was killed, {} came again",
        tally.again
    );
    assert_eq!(tally.first, EVENTS);
    assert!(
        tally.again <= PARTITIONS * 2 * WINDOW,
        "{} came again",
        tally.again
    );
    assert_eq!(
        tally.disorder, [""; 0],
        "first deliveries of a key came out of order"
    );
    assert_eq!(kafka.offsets(&dead), [(0, 0)]);
    let metrics = two.metrics();
    let ended = |ingress, result| {
        metrics.sum(
            "weft_obligations_settled_total",
            &[("ingress", ingress), ("result", result)],
        )
    };
    assert!((ended("web", "stored") - (EVENTS / 2) as f64).abs() < 0.5);
    assert!(ended("app.log", "delivered") > 0.0);
}

/// C1 and C20 once more: gateways die in turn while events come in at both and the receiver comes and goes. A client whose
/// gateway died asks the other one, so that a key's events take both ways.
#[test]
fn nothing_is_lost_when_gateways_are_killed_in_turn_while_events_come_in() {
    const KILLS: usize = 6;
    let kafka = Kafka::shared();
    let topic = kafka.topic("shared-turns", i32::try_from(PARTITIONS).unwrap());
    let dead = kafka.topic("shared-turns-dead", 1);
    let sink = Sink::start();
    let url = sink.url();
    let gateway = Gateway {
        kafka,
        url: &url,
        topic: &topic,
        dead: &dead,
    };
    let ports = [free_port(), free_port()];
    let mut pair = [
        gateway.router("one", ports[0]).start(),
        gateway.router("two", ports[1]).start(),
    ];
    let (done, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (done, acknowledged) = (&done, &acknowledged);
            scope.spawn(move || {
                for sequence in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                    let id = format!("c{client}/{sequence}");
                    let mut event = support::event(&id);
                    event["partitionkey"] = format!("c{client}").into();
                    let ways = [client, client + 1].into_iter().cycle();
                    let taken = |way: &usize| {
                        let answer = http::post_event(ports[way % 2], "/", &event);
                        answer.is_ok_and(|answer| answer.status == 202)
                    };
                    let _ = ways.into_iter().find(taken);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for kill in 0..KILLS {
            let before = acknowledged.load(Ordering::Relaxed);
            eventually("further answers", LIMIT, || {
                (acknowledged.load(Ordering::Relaxed) >= before + 300).then_some(())
            });
            sink.fail_for(Duration::from_millis(500));
            pair[kill % 2].kill9();
            pair[kill % 2].restart();
        }
        done.store(true, Ordering::Relaxed);
    });
    let [one, two] = &pair;
    let count = acknowledged.load(Ordering::Relaxed);
    wait_first(&sink, count, &[one, two]);
    let tally = sink.tally();
    eprintln!(
        "{count} events answered 202 over {KILLS} kills, {} came again",
        tally.again
    );
    assert_eq!(tally.first, count);
    assert!(
        tally.again <= KILLS * PARTITIONS * 2 * WINDOW,
        "{} came again",
        tally.again
    );
    assert_eq!(
        tally.disorder, [""; 0],
        "first deliveries of a key came out of order"
    );
    assert_eq!(kafka.offsets(&dead), [(0, 0)]);
}

/// C1, C10: what Kafka has not confirmed is not acknowledged, and what it has outlives it.
#[test]
fn a_broker_that_is_killed_takes_nothing_with_it_that_was_acknowledged() {
    const EACH: usize = 300;
    let mut kafka = Kafka::private();
    kafka.create_topic("store", 2, &[]);
    kafka.create_topic("dead", 1, &[]);
    let sink = Sink::start();
    let url = sink.url();
    let port = free_port();
    let router = Gateway {
        kafka: &kafka,
        url: &url,
        topic: "store",
        dead: "dead",
    }
    .router("one", port);
    let weft = router.start();
    let (acknowledged, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (acknowledged, refused) = (&acknowledged, &refused);
            scope.spawn(move || {
                for sequence in 0..EACH {
                    let id = format!("c{client}/{sequence}");
                    let mut event = support::event(&id);
                    event["partitionkey"] = format!("c{client}").into();
                    while post_one(port, &event) != 202 {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        eventually("some answers", LIMIT, || {
            (acknowledged.load(Ordering::Relaxed) >= CLIENTS * EACH / 3).then_some(())
        });
        kafka.kill9();
        eventually("refusals", LIMIT, || {
            (refused.load(Ordering::Relaxed) > 0).then_some(())
        });
        kafka.start();
    });
    wait_first(&sink, CLIENTS * EACH, &[&weft]);
    let tally = sink.tally();
    eprintln!(
        "{} events answered 202, {} refused while Kafka was away, {} came again",
        CLIENTS * EACH,
        refused.load(Ordering::Relaxed),
        tally.again
    );
    assert_eq!(
        tally.disorder, [""; 0],
        "first deliveries of a key came out of order"
    );
    assert_eq!(kafka.offsets("dead"), [(0, 0)]);
}

/// Posts once; whoever is asked to wait does.
fn post_one(port: u16, event: &serde_json::Value) -> u16 {
    let answer = http::post_event(port, "/", event).unwrap();
    if let Some(seconds) = answer.header("retry-after").and_then(|text| text.parse().ok()) {
        thread::sleep(Duration::from_secs(seconds));
    }
    answer.status
}

/// C2, C18: what comes out is what went in, and a record in the topic is an event that a person can read.
#[test]
fn a_stored_event_arrives_as_it_was_and_a_poisonous_one_goes_to_the_dead_letter_of_its_route() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("shared-poison", 1);
    let dead = kafka.topic("shared-poison-dead", 1);
    let receiver = Receiver::start();
    receiver.respond(|request| {
        Reply::status(if request.header("ce-id") == Some("poison") {
            422
        } else {
            204
        })
    });
    let url = receiver.url("/");
    let gateway = Gateway {
        kafka,
        url: &url,
        topic: &topic,
        dead: &dead,
    };
    let port = free_port();
    let _weft = gateway.router("one", port).start();
    assert_eq!(post(port, "/", "poison"), 202);
    let data = [0u8, 255, 10, 13];
    let sent = [
        ("ce-specversion", "1.0"),
        ("ce-id", "fine"),
        ("ce-source", "/tests"),
        ("ce-type", "com.example.test"),
        ("ce-partitionkey", "p"),
        ("ce-weftleg", "mine"),
        ("ce-count", "7"),
        ("content-type", "application/octet-stream"),
    ];
    assert_eq!(http::post(port, "/", &sent, data.to_vec()).unwrap().status, 202);
    let requests = receiver.wait_for(2, LIMIT);
    let fine = requests
        .iter()
        .find(|request| request.header("ce-id") == Some("fine"))
        .unwrap();
    for (name, value) in sent {
        assert_eq!(fine.header(name), Some(value), "{name}");
    }
    let attributes = fine.headers.iter().filter(|(name, _)| name.starts_with("ce-"));
    assert_eq!((attributes.count(), &fine.body[..]), (7, &data[..]));
    let letters = kafka.consume(&dead, 1, LIMIT);
    let said = |name: &str| letters[0].text_header(name);
    assert_eq!(
        (said("ce_id"), said("ce_weftroute")),
        (Some("poison"), Some("all"))
    );
    assert_eq!(
        (said("ce_weftdestination"), said("ce_weftleg")),
        (Some("app"), None)
    );
    let records = kafka.drain(&topic);
    let record = records
        .iter()
        .find(|record| record.text_header("ce_id") == Some("fine"))
        .unwrap();
    assert_eq!(
        (record.key.as_deref(), record.value.as_deref()),
        (Some(&b"p"[..]), Some(&data[..]))
    );
    let note: serde_json::Value = serde_json::from_str(record.text_header("ce_weftleg").unwrap()).unwrap();
    assert_eq!(
        (&note["route"], &note["weftleg"]),
        (&json!("all"), &json!("mine"))
    );
}

/// A rolling update takes the route away while its events are stored; and somebody writes an event of his own.
#[test]
fn what_is_stored_under_a_route_that_is_gone_is_delivered_to_its_destination() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("shared-gone", 1);
    let dead = kafka.topic("shared-gone-dead", 1);
    let receiver = Receiver::start();
    receiver.answer(503);
    let url = receiver.url("/");
    let gateway = Gateway {
        kafka,
        url: &url,
        topic: &topic,
        dead: &dead,
    };
    let port = free_port();
    let mut weft = gateway.router("one", port).start();
    for id in ["1", "2", "3"] {
        assert_eq!(post(port, "/", id), 202);
    }
    weft.sigterm();
    assert_eq!(weft.wait().code(), Some(0), "{}", weft.log().tail());
    weft.rewrite(&support::with_head(&gateway.yaml("one", port, OTHER)));
    kafka.produce(&[support::record(&topic, "by-hand").key("k")]);
    receiver.answer(204);
    weft.restart();
    eventually("four arrivals", LIMIT, || {
        (receiver.accepted() >= 4).then_some(())
    });
    let mut arrived: Vec<String> = receiver
        .requests()
        .iter()
        .filter(|request| request.accepted)
        .map(|request| request.header("ce-id").unwrap().to_owned())
        .collect();
    arrived.sort_unstable();
    assert_eq!(arrived, ["1", "2", "3", "by-hand"]);
    assert_eq!(kafka.drain(&dead), Vec::<Record>::new());
}

/// What `weft check --connect` prints of a file.
fn check_connect(path: &std::path::Path) -> String {
    let asked = std::process::Command::new(env!("CARGO_BIN_EXE_weft"))
        .arg("check")
        .arg(path)
        .arg("--connect")
        .output()
        .unwrap();
    String::from_utf8(asked.stdout).unwrap()
}

/// The topic has to be there, as for any destination; `check --connect` looks from both sides.
#[test]
fn check_asks_for_the_topic_of_a_store() {
    let kafka = Kafka::shared();
    let (there, dead) = (
        kafka.topic("shared-checked", 1),
        kafka.topic("shared-checked-dead", 1),
    );
    let path = std::env::temp_dir().join(format!("weft-shared-store-{}.yaml", std::process::id()));
    for (topic, found) in [(there.as_str(), true), ("shared-never-made", false)] {
        let gateway = Gateway {
            kafka,
            url: "http://127.0.0.1:9/",
            topic,
            dead: &dead,
        };
        std::fs::write(&path, gateway.yaml("one", 18080, ALL)).unwrap();
        let out = check_connect(&path);
        let told = |name: &str| {
            out.lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        for name in ["ingress app.log", "destination app.log"] {
            assert_eq!(told(name).ends_with("  ok"), found, "{out}");
        }
    }
    let _ = std::fs::remove_file(&path);
}

/// The topic that `create` makes takes what the broker's default would refuse; one that loses what is stored is refused.
#[test]
fn the_topic_of_a_store_keeps_what_is_in_it() {
    let kafka = Kafka::shared();
    let dead = kafka.topic("shared-keeps-dead", 1);
    let topic = format!("{dead}-made");
    let path = std::env::temp_dir().join(format!("weft-shared-keeps-{}.yaml", std::process::id()));
    let gateway = Gateway {
        kafka,
        url: "http://127.0.0.1:9/",
        topic: &topic,
        dead: &dead,
    };
    let yaml = gateway.yaml("one", 18080, ALL);
    let made = yaml.replace(
        "        timeout: 5s",
        "        timeout: 5s\n        create: { partitions: 1, replication: 1 }",
    );
    std::fs::write(&path, format!("limits: {{ event: 2MiB }}\n{made}")).unwrap();
    let of_writer = |out: &str| {
        out.lines()
            .find(|line| line.starts_with("destination app.log"))
            .unwrap()
            .to_owned()
    };
    let out = check_connect(&path);
    assert!(of_writer(&out).ends_with("  ok"), "{out}");
    let body = vec![b'x'; 2 << 20];
    assert_eq!(kafka.produce(&[Record::to(&topic).value(body)]), [(0, 0)]);

    kafka.configure_topic(&topic, &[("cleanup.policy", "compact")]);
    let out = check_connect(&path);
    assert!(of_writer(&out).contains("compact"), "{out}");
    let _ = std::fs::remove_file(&path);
}
