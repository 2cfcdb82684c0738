//! A receiver that is slow or hangs: what is taken in is bounded exactly, the rest is refused at once or stays where it
//! is, and memory stays flat (C21, C22).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use support::{Books, LIMIT, event, post, records, wait_committed, wait_metric, weft};
use weft_rig::{Kafka, Receiver, Reply, Weft, eventually, free_port, http};

/// `queue.events` of the destination: what it may have waiting and under way.
const QUEUE: usize = 20;
const CLIENTS: usize = 200;

fn hanging() -> Receiver {
    let receiver = Receiver::start();
    receiver.respond(|_| Reply::status(204).held());
    receiver
}

fn web(receiver: &Receiver, port: u16) -> Weft {
    let url = receiver.url("/");
    let weft = weft(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}", deadline: 60s }} }}
destinations:
  out:
    http: {{ url: "{url}", timeout: 60s, concurrency: 4 }}
    queue: {{ events: {QUEUE} }}
routes:
  all: {{ to: out }}
"#
    ));
    weft.start()
}

#[test]
fn http_takes_exactly_what_the_queue_holds_and_refuses_the_rest_at_once() {
    let (receiver, port) = (hanging(), free_port());
    let weft = web(&receiver, port);
    let answers = Arc::new(Mutex::new(Vec::new()));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let answers = Arc::clone(&answers);
            thread::spawn(move || {
                let began = Instant::now();
                let answer = http::post_event(port, "/", &event(&n.to_string())).unwrap();
                answers.lock().unwrap().push((answer, began.elapsed()));
            })
        })
        .collect();
    // All that are refused are answered while the receiver still hangs; the others are not.
    eventually("the refusals", LIMIT, || {
        (answers.lock().unwrap().len() >= CLIENTS - QUEUE).then_some(())
    });
    wait_metric(
        &weft,
        "weft_destination_pending_events",
        &[("destination", "out")],
        QUEUE as f64,
    );
    let refused = std::mem::take(&mut *answers.lock().unwrap());
    assert_eq!(
        refused.len(),
        CLIENTS - QUEUE,
        "exactly the queue's bound is taken in"
    );
    for (answer, _) in &refused {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(
            answer
                .header("retry-after")
                .is_some_and(|wait| wait.parse::<u32>().is_ok_and(|s| s > 0))
        );
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let mut times: Vec<Duration> = refused.iter().map(|(_, time)| *time).collect();
    times.sort_unstable();
    let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    eprintln!("refusals with {CLIENTS} clients at once, connecting included: p50 {p50:?}, p99 {p99:?}");
    let alone = Instant::now();
    assert_eq!(post(port, "/", "alone"), 503);
    eprintln!("a single refusal: {:?}", alone.elapsed());

    eventually("the rest", LIMIT, || {
        receiver.release();
        (answers.lock().unwrap().len() == QUEUE).then_some(())
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert!(
        answers
            .lock()
            .unwrap()
            .iter()
            .all(|(answer, _)| answer.status == 204)
    );
    assert_eq!(receiver.count(), QUEUE, "what was refused was not sent");
    // There is room again.
    receiver.answer(204);
    assert_eq!(post(port, "/", "again"), 204);
    let books = Books::of(&weft.metrics());
    books.assert_balanced();
    assert_eq!(books.delivered, (QUEUE + 1) as f64);
}

#[test]
fn a_flood_against_a_hanging_receiver_costs_no_memory() {
    let (receiver, port) = (hanging(), free_port());
    let weft = web(&receiver, port);
    let waiting: Vec<_> = (0..QUEUE)
        .map(|n| thread::spawn(move || post(port, "/", &n.to_string())))
        .collect();
    wait_metric(
        &weft,
        "weft_destination_pending_events",
        &[("destination", "out")],
        QUEUE as f64,
    );
    let before = weft.peak_mib();
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/t"),
        ("ce-type", "t"),
    ];
    let flood = || {
        for _ in 0..250 {
            let answer = http::post(port, "/", &headers, vec![b'x'; 512 * 1024]).unwrap();
            assert_eq!(answer.status, 503);
        }
    };
    // A GiB in all.
    thread::scope(|scope| (0..8).for_each(|_| _ = scope.spawn(flood)));
    let grown = weft.peak_mib() - before;
    eprintln!("memory grew by {grown} MiB while 1 GiB was refused");
    assert!(grown < 48, "{grown} MiB");
    eventually("the end of those that waited", LIMIT, || {
        receiver.release();
        waiting.iter().all(thread::JoinHandle::is_finished).then_some(())
    });
}

#[test]
fn kafka_holds_its_partition_while_the_receiver_hangs() {
    const EVENTS: usize = 4_000;
    const WINDOW: usize = 50;
    /// What the ingress may have polled and hold back, in events: an eighth of the memory, and some to spare.
    const SPILL: usize = 1000;
    let kafka = Kafka::shared();
    let topic = kafka.topic("slow", 1);
    let receiver = hanging();
    let (brokers, url) = (kafka.brokers(), receiver.url("/"));
    let mut weft = weft(&format!(
        r#"
limits: {{ memory: 32MiB }}
ingress:
  in:
    kafka: {{ brokers: ["{brokers}"], topics: [{topic}], group: {topic} }}
    window: {{ events: {WINDOW} }}
destinations:
  out:
    http: {{ url: "{url}", timeout: 120s, concurrency: 4 }}
    queue: {{ events: {QUEUE} }}
routes:
  all: {{ to: out }}
"#
    ))
    .start();
    let before = weft.peak_mib();
    let all: Vec<_> = records(&topic, EVENTS)
        .into_iter()
        .map(|r| r.value(vec![b'x'; 16 * 1024]))
        .collect();
    kafka.produce(&all);
    drop(all);
    // The lag is seen, and says what waits: all but what was polled.
    let began = Instant::now();
    eventually("the lag", LIMIT * 2, || {
        let lag = weft
            .metrics()
            .sum("weft_ingress_lag_events", &[("ingress", "in")]);
        assert!(
            began.elapsed() < LIMIT,
            "the lag is {lag} of {EVENTS}:\n{}",
            weft.log().tail()
        );
        (lag >= (EVENTS - WINDOW - SPILL) as f64).then_some(())
    });
    let metrics = weft.metrics();
    let pending = metrics.sum("weft_destination_pending_events", &[("destination", "out")]);
    assert!(
        (QUEUE as f64..=WINDOW as f64).contains(&pending),
        "{pending} pending"
    );
    assert_eq!(metrics.sum("weft_ingress_overdelivered_total", &[]), 0.0);
    assert_eq!(receiver.count(), 4, "concurrency: 4");
    assert_eq!(
        kafka.committed(&topic, &topic).get(&0).copied().unwrap_or(0),
        0,
        "nothing is settled"
    );
    let grown = weft.peak_mib() - before;
    eprintln!(
        "memory grew by {grown} MiB before {} MiB in Kafka",
        EVENTS * 16 / 1024
    );
    assert!(grown < 64, "{grown} MiB");

    receiver.answer(204);
    receiver.release();
    wait_committed(kafka, &topic, &topic, EVENTS as i64);
    let grown = weft.peak_mib() - before;
    eprintln!("memory grew by {grown} MiB until all were delivered");
    assert!(grown < 96, "{grown} MiB");
    Books::of(&weft.metrics()).assert_balanced();
    weft.sigterm();
    assert_eq!(weft.wait().code(), Some(0));
}
