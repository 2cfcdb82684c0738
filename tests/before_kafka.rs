//! Weft starts before its Kafka: it is ready, says once for what it waits, refuses what it cannot deliver, and goes on
//! by itself when the broker comes.
#![allow(clippy::unwrap_used)]

mod support;

use support::{LIMIT, post, record, weft};
use weft_rig::{Broker, Receiver, eventually, free_port, http};

/// Lines that a start and an outage may take in all; a flood has one each second and client.
const LINES_MAX: usize = 30;

#[test]
fn it_waits_for_a_broker_that_comes_later() {
    let mut broker = Broker::reserve();
    let (receiver, port) = (Receiver::start(), free_port());
    let (brokers, url) = (broker.brokers().to_owned(), receiver.url("/"));
    let weft = weft(&format!(
        r#"
connections:
  main: {{ kafka: {{ brokers: ["{brokers}"] }} }}
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}", deadline: 2s }} }}
  log: {{ kafka: {{ connection: main, topics: [in], group: g }} }}
destinations:
  topic: {{ kafka: {{ connection: main, topic: out }}, breaker: {{ max: 1s }} }}
  out: {{ http: {{ url: "{url}" }} }}
routes:
  to-kafka: {{ from: [web], to: topic }}
  from-kafka: {{ from: [log], to: out }}
"#
    ))
    // Ready although its broker is not there.
    .start();
    assert_eq!(http::get(weft.observe_port(), "/readyz").unwrap().status, 200);
    for name in ["log", "topic"] {
        let says = |line: &str| line.contains(&brokers) && line.contains("waiting") && line.contains(name);
        weft.log()
            .wait_for(&format!("what {name} waits for"), LIMIT, says);
    }
    // Not taken, or not known to be: never 2xx.
    let answer = http::post_event(port, "/", &support::event("early")).unwrap();
    assert!(
        [503, 504].contains(&answer.status),
        "{} {}",
        answer.status,
        answer.text()
    );
    if answer.status == 503 {
        assert!(answer.header("retry-after").is_some());
    }

    // Seconds pass here.
    broker.start();
    let before = weft.log().all();
    assert!(
        before.len() <= LINES_MAX,
        "a flood of {} lines:\n{}",
        before.len(),
        weft.log().tail()
    );
    broker.create_topic("in", 1, &[]);
    broker.create_topic("out", 1, &[]);
    eventually("an event to Kafka", LIMIT, || {
        (post(port, "/", "late") == 204).then_some(())
    });
    let written = broker.drain("out");
    assert!(
        written
            .iter()
            .any(|record| record.text_header("ce_id") == Some("late")),
        "{written:?}"
    );

    broker.produce(&[record("in", "1")]);
    let got = receiver.wait_for(1, LIMIT);
    assert_eq!(got[0].header("ce-id"), Some("1"));
    for name in ["name=log", "name=topic"] {
        let said = |line: &String| line.contains(name) && line.contains("refused the connection");
        let waiting: Vec<_> = weft.log().all().into_iter().filter(said).collect();
        assert_eq!(waiting.len(), 1, "the outage is said once: {waiting:#?}");
    }
    assert!(weft.log().all().len() <= 2 * LINES_MAX, "{}", weft.log().tail());
}

#[test]
fn it_outlives_its_broker_s_absence_and_goes_on() {
    let mut broker = Broker::reserve();
    broker.start();
    broker.create_topic("out", 1, &[]);
    let port = free_port();
    let brokers = broker.brokers().to_owned();
    let weft = weft(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}", deadline: 60s }} }}
destinations:
  topic: {{ kafka: {{ brokers: ["{brokers}"], topic: out }}, breaker: {{ max: 1s }} }}
routes:
  all: {{ to: topic }}
"#
    ))
    .start();
    eventually("an event to Kafka", LIMIT, || {
        (post(port, "/", "before") == 204).then_some(())
    });
    broker.kill9();
    // Held until the broker is back, or refused: both are honest, and 204 now would not be.
    let waits = std::thread::spawn(move || post(port, "/", "meanwhile"));
    weft.log().wait_for("the outage", LIMIT, |line| {
        line.contains("waiting") && line.contains("topic")
    });
    broker.start();
    let status = waits.join().unwrap();
    eventually("an event to Kafka", LIMIT, || {
        (post(port, "/", "after") == 204).then_some(())
    });
    let written = broker.drain("out");
    let count = |id: &str| {
        written
            .iter()
            .filter(|record| record.text_header("ce_id") == Some(id))
            .count()
    };
    assert!(count("before") >= 1 && count("after") >= 1, "{written:?}");
    match status {
        204 => assert!(count("meanwhile") >= 1, "acknowledged and lost"),
        503 => assert_eq!(count("meanwhile"), 0, "refused and delivered"),
        status => assert_eq!(status, 504),
    }
    assert!(weft.log().all().len() <= 2 * LINES_MAX, "{}", weft.log().tail());
}
