//! What a destination that is well is not sent, or not at once: retries beyond their budget (C23), more than its rate, and
//! copies of what it has (`dedupe`, C4, C32). The real binary, HTTP in and out.
#![allow(clippy::unwrap_used)]

mod support;

use std::thread;
use std::time::Instant;

use support::{Books, LIMIT, post, wait_metric, weft, with_head};
use weft_rig::{Receiver, Reply, Weft, eventually, free_port};

const OUT: [(&str, &str); 1] = [("destination", "out")];

/// A file whose destination has these keys.
fn file(port: u16, receiver: &Receiver, keys: &str) -> String {
    let url = receiver.url("/");
    format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}", deadline: 60s }} }}
destinations:
  out: {{ http: {{ url: "{url}", timeout: 60s }}, {keys} }}
routes:
  all: {{ to: out }}
"#
    )
}

fn rig(keys: &str) -> (Weft, Receiver, u16) {
    let (receiver, port) = (Receiver::start(), free_port());
    let weft = weft(&file(port, &receiver, keys)).start();
    (weft, receiver, port)
}

/// Posts all at once; the statuses.
fn post_all(port: u16, count: usize) -> Vec<thread::JoinHandle<u16>> {
    (0..count)
        .map(|n| thread::spawn(move || post(port, "/", &n.to_string())))
        .collect()
}

fn deferred(weft: &Weft) -> f64 {
    weft.metrics()
        .sum("weft_destination_retries_deferred_total", &OUT)
}

#[test]
fn a_remote_that_fails_gets_no_more_retries_than_the_budget_has_and_every_event_in_the_end() {
    const EVENTS: usize = 8;
    // Twenty to begin with, two a second.
    let keys = "retry: { initial: 1ms, max: 1ms, attempts: 1000000, budget: { share: 0, floor: 2/s } }, \
                breaker: { failures: 1000000 }";
    let (weft, receiver, port) = rig(keys);
    receiver.answer(500);
    let began = Instant::now();
    let clients = post_all(port, EVENTS);
    eventually("every event waits for the budget", LIMIT, || {
        (deferred(&weft) >= EVENTS as f64).then_some(())
    });
    let sent = receiver.count();
    // Sent before now, so earned before now.
    let bound = EVENTS + 20 + (began.elapsed().as_secs_f64() * 2.0).ceil() as usize;
    assert!(sent <= bound, "{sent} of {bound}");
    assert!(sent >= EVENTS + 20, "{sent}: what there is is used");
    receiver.answer(204);
    for client in clients {
        assert_eq!(client.join().unwrap(), 204);
    }
    let books = Books::of(&weft.metrics());
    books.assert_balanced();
    assert_eq!(books.delivered, EVENTS as f64);
}

#[test]
fn a_destination_is_sent_no_more_than_its_rate_whoever_posts_how_fast() {
    const EVENTS: usize = 60;
    let (weft, receiver, port) = rig("rate: { events: 50, per: 1s, burst: 5 }");
    let began = Instant::now();
    for client in post_all(port, EVENTS) {
        assert_eq!(client.join().unwrap(), 204);
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), EVENTS);
    for (n, request) in requests.iter().enumerate() {
        // It was sent before it arrived.
        let there = 5.0 + (request.at - began).as_secs_f64() * 50.0;
        assert!(((n + 1) as f64) <= there, "{} of {there}", n + 1);
    }
    Books::of(&weft.metrics()).assert_balanced();
}

#[test]
fn a_copy_of_what_arrived_is_not_sent_again_and_one_of_what_did_not_is() {
    let keys = "dedupe: { by: [source, id], window: 1h }";
    let (mut weft, receiver, port) = rig(keys);
    let sent = |id: &str| {
        let of_id = |request: &&weft_rig::Request| request.header("ce-id") == Some(id);
        receiver.requests().iter().filter(of_id).count()
    };
    assert_eq!((post(port, "/", "1"), post(port, "/", "1")), (204, 204));
    assert_eq!(sent("1"), 1);

    // While the first is under way, the second waits for its fate: delivered.
    receiver.respond(|_| Reply::status(204).held());
    let twins = || [(); 2].map(|()| thread::spawn(move || post(port, "/", "2")));
    let clients = twins();
    wait_metric(&weft, "weft_destination_pending_events", &OUT, 2.0);
    eventually("the first copy", LIMIT, || (sent("2") == 1).then_some(()));
    receiver.release();
    for client in clients {
        assert_eq!(client.join().unwrap(), 204);
    }
    assert_eq!(sent("2"), 1);
    wait_metric(&weft, "weft_destination_deduplicated_total", &OUT, 2.0);

    // Refused: the second is sent, and would be a third time.
    receiver.answer(422);
    assert_eq!((post(port, "/", "3"), post(port, "/", "3")), (422, 422));
    receiver.answer(204);
    assert_eq!((post(port, "/", "3"), post(port, "/", "3")), (204, 204));
    assert_eq!(sent("3"), 3);

    // A reload that changes other things remembers; another process does not.
    weft.rewrite(&with_head(&file(
        port,
        &receiver,
        &format!("{keys}, queue: {{ events: 77 }}"),
    )));
    weft.sighup();
    wait_metric(&weft, "weft_config_reloads_total", &[("result", "applied")], 1.0);
    assert_eq!(post(port, "/", "1"), 204);
    assert_eq!(sent("1"), 1);
    Books::of(&weft.metrics()).assert_balanced();
    weft.sigterm();
    assert_eq!(weft.wait().code(), Some(0));
    weft.restart();
    assert_eq!(post(port, "/", "1"), 204);
    assert_eq!(sent("1"), 2, "forgotten, so delivered again");
}
