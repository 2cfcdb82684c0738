//! The books balance: every obligation that was taken on has ended in exactly one way or is still pending (C32), and
//! what Prometheus and an operator read says so.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Command;
use std::thread;

use serde_json::json;
use support::{Books, LIMIT, event, post, record, wait_committed, wait_metric};
use weft_rig::{Kafka, Metrics, Receiver, Reply, Weft, eventually, free_port, http, promtool};

#[test]
fn every_obligation_ends_in_exactly_one_way() {
    let kafka = Kafka::shared();
    let (topic, dead) = (kafka.topic("books", 1), kafka.topic("books-dead", 1));
    let receiver = Receiver::start();
    receiver.respond(|request| match request.header("ce-id").unwrap_or_default() {
        id if id.starts_with("bad") => Reply::status(400),
        id if id.starts_with("slow") => Reply::status(204).held(),
        _ => Reply::status(204),
    });
    let (web, strict, admin) = (free_port(), free_port(), free_port());
    let (brokers, url) = (kafka.brokers(), receiver.url("/"));
    let config = format!(
        r#"
observe: {{ listen: "${{OBSERVE}}" }}
admin: {{ listen: "127.0.0.1:{admin}" }}
connections:
  main: {{ kafka: {{ brokers: ["{brokers}"] }} }}
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{web}" }} }}
  strict: {{ http: {{ listen: "127.0.0.1:{strict}" }}, unmatched: reject }}
  log:
    kafka: {{ connection: main, topics: [{topic}], group: {topic}, commit_every: 50ms }}
    dead_letter: dead
  lax:
    kafka: {{ connection: main, topics: [{topic}], group: {topic}-lax, commit_every: 50ms }}
    on_rejected: drop
    on_malformed: drop
destinations:
  one: {{ http: {{ url: "{url}one", timeout: 60s }} }}
  two: {{ http: {{ url: "{url}two", timeout: 60s }} }}
  dead: {{ kafka: {{ connection: main, topic: {dead} }} }}
routes:
  web: {{ from: [web], filters: [{{ prefix: {{ type: com.example. }} }}], to: [one, two] }}
  log: {{ from: [log], filters: [{{ prefix: {{ type: com.example. }} }}], to: one, dead_letter: dead }}
  lax: {{ from: [lax], filters: [{{ prefix: {{ type: com.example. }} }}], to: two }}
"#
    );
    let weft = Weft::at(env!("CARGO_BIN_EXE_weft")).config(&config).start();

    for id in 0..5 {
        assert_eq!(post(web, "/", &id.to_string()), 204);
    }
    // Refused by both destinations, and there is no dead letter: given back.
    assert_eq!(post(web, "/", "bad-web"), 422);
    // Unmatched: discarded here, refused there.
    let mut stranger = event("stranger");
    stranger["type"] = json!("org.other");
    assert_eq!(http::post_event(web, "/", &stranger).unwrap().status, 204);
    assert_eq!(http::post_event(strict, "/", &stranger).unwrap().status, 422);
    // Malformed.
    assert_eq!(http::post(web, "/", &[("ce-id", "1")], "x").unwrap().status, 400);
    // Expired: accepted, not delivered, counted.
    let mut old = event("old");
    old["expirytime"] = json!("2020-01-01T00:00:00Z");
    assert_eq!(http::post_event(web, "/", &old).unwrap().status, 204);
    // From Kafka, once with dead letters and once with drops: delivered, unmatched, malformed, refused.
    let mut unknown = record(&topic, "unknown");
    unknown.headers[3].1 = Some(b"org.other".to_vec());
    let malformed = record(&topic, "m").header("ce_time", "never");
    let all = [
        record(&topic, "a"),
        unknown,
        malformed,
        record(&topic, "bad"),
        record(&topic, "b"),
    ];
    kafka.produce(&all);
    wait_committed(kafka, &topic, &topic, 5);
    wait_committed(kafka, &format!("{topic}-lax"), &topic, 5);

    let metrics = weft.metrics();
    let books = Books::of(&metrics);
    books.assert_balanced();
    // 10 from the five, 2 each; `a` and `b` twice.
    assert_eq!(books.delivered, 14.0, "{books:?}");
    assert_eq!(books.dead_lettered, 2.0, "refused and malformed: {books:?}");
    assert_eq!(books.dropped, 1.0, "refused: {books:?}");
    assert_eq!(books.expired, 1.0, "{books:?}");
    assert_eq!(books.returned, 2.0, "{books:?}");
    assert_eq!(books.pending, 0.0, "{books:?}");
    each_ingress_balances(&metrics, &["web", "strict", "log", "lax"]);
    let one = |name: &str, ingress: &str| metrics.sum(name, &[("ingress", ingress)]);
    for ingress in ["web", "strict", "log", "lax"] {
        assert_eq!(one("weft_ingress_unmatched_total", ingress), 1.0, "{ingress}");
    }
    for ingress in ["web", "log", "lax"] {
        assert_eq!(one("weft_ingress_malformed_total", ingress), 1.0, "{ingress}");
    }
    assert_eq!(
        metrics.sum(
            "weft_ingress_dropped_total",
            &[("ingress", "lax"), ("what", "malformed")]
        ),
        1.0
    );
    assert_eq!(
        metrics.sum("weft_memory_used_bytes", &[]),
        0.0,
        "at rest nothing is held"
    );
    assert_eq!(kafka.drain(&dead).len(), 2);

    pending_is_on_the_books(&weft, &receiver, web);
    status_has_a_line_for_each(admin);
    assert_eq!(promtool(&weft.get("/metrics").text()), [""; 0]);
}

#[track_caller]
fn each_ingress_balances(metrics: &Metrics, names: &[&str]) {
    for name in names {
        let of = |family: &str| metrics.sum(family, &[("ingress", name)]);
        let ended = of("weft_obligations_settled_total");
        assert_eq!(
            of("weft_obligations_total"),
            ended + of("weft_obligations_pending"),
            "{name}"
        );
        let admitted = of("weft_ingress_events_total");
        assert_eq!(
            admitted,
            of("weft_ingress_settled_total") + of("weft_ingress_unsettled_events"),
            "{name}"
        );
    }
}

/// While the receiver hangs, what is under way is pending; afterwards it is delivered.
fn pending_is_on_the_books(weft: &Weft, receiver: &Receiver, port: u16) {
    let before = receiver.count();
    let client = thread::spawn(move || post(port, "/", "slow"));
    let _ = receiver.wait_for(before + 2, LIMIT);
    let metrics = weft.metrics();
    let books = Books::of(&metrics);
    books.assert_balanced();
    assert_eq!(books.pending, 2.0, "{books:?}");
    assert_eq!(metrics.sum("weft_destination_pending_events", &[]), 2.0);
    assert!(metrics.sum("weft_memory_used_bytes", &[]) > 0.0);
    eventually("the answer", LIMIT, || {
        receiver.release();
        client.is_finished().then_some(())
    });
    assert_eq!(client.join().unwrap(), 204);
    wait_metric(weft, "weft_obligations_pending", &[], 0.0);
    Books::of(&weft.metrics()).assert_balanced();
}

fn status_has_a_line_for_each(admin: u16) {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["status", "--admin", &format!("127.0.0.1:{admin}")])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for name in ["web", "strict", "log", "lax", "one", "two", "dead"] {
        let lines = text
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(name))
            .count();
        assert_eq!(lines, 1, "{name} in\n{text}");
    }
}
