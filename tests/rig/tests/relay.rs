//! The relay: what passes, what is held, and what a cut does to a client of HTTP and of Kafka.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use weft_rig::{Broker, Kafka, Receiver, Record, Relay, http};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn it_forwards_holds_answers_and_cuts() {
    let receiver = Receiver::start();
    let mut relay = Relay::to(receiver.port());
    let port = relay.port();
    assert_eq!(http::get(port, "/one").unwrap().status, 204);

    relay.stall_answers();
    let waiting = thread::spawn(move || http::get(port, "/two"));
    // The server has the request, its client no answer.
    let _ = receiver.wait_for(2, LIMIT);
    assert!(!waiting.is_finished());
    relay.heal();
    assert_eq!(waiting.join().unwrap().unwrap().status, 204);

    relay.stall();
    let waiting = thread::spawn(move || http::get(port, "/three"));
    relay.cut();
    assert!(waiting.join().unwrap().is_err(), "an answer came through a cut");
    assert_eq!(receiver.count(), 2, "a request passed a relay that was stalled");
    assert_eq!(
        http::get(port, "/").map_err(|e| e.kind()).unwrap_err(),
        ErrorKind::ConnectionRefused
    );

    relay.heal();
    relay.delay(Duration::from_millis(40));
    let began = Instant::now();
    assert_eq!(http::get(port, "/four").unwrap().status, 204);
    assert!(began.elapsed() >= Duration::from_millis(80), "there and back");
}

#[test]
fn a_cut_parts_kafka_from_the_far_client_only() {
    let (mut broker, mut relay) = Broker::reserve_with_relay();
    broker.start();
    let topic = broker.topic("far", 1);
    let far = Kafka::at(&relay.address());
    far.produce(&[Record::to(&topic).value("far")]);

    relay.cut();
    let late = {
        let (far, topic) = (far.clone(), topic.clone());
        thread::spawn(move || far.produce(&[Record::to(&topic).value("late")]))
    };
    broker.produce(&[Record::to(&topic).value("near")]);
    relay.heal();
    assert_eq!(late.join().unwrap(), [(0, 2)]);
}
