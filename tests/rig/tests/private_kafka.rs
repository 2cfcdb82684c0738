//! A broker of one's own: it comes late, dies and hangs as told, and keeps its address and what it acknowledged.
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::time::Duration;

use weft_rig::{Broker, Record};

#[test]
fn a_broker_keeps_address_and_data_over_kill_and_stop() {
    let mut broker = Broker::reserve();
    assert!(
        TcpStream::connect(("127.0.0.1", broker.port())).is_err(),
        "somebody listens before the start"
    );
    broker.start();
    let topic = broker.topic("kept", 1);
    broker.produce(&[Record::to(&topic).value("one")]);

    broker.kill9();
    assert_eq!(broker.pid(), None);
    assert!(
        TcpStream::connect(("127.0.0.1", broker.port())).is_err(),
        "somebody listens after the kill"
    );
    broker.start();
    broker.produce(&[Record::to(&topic).value("two")]);

    broker.freeze();
    broker.thaw();
    broker.stop();
    broker.start();
    let values: Vec<_> = broker
        .consume(&topic, 2, Duration::from_secs(60))
        .into_iter()
        .map(|r| r.value)
        .collect();
    assert_eq!(values, [Some(b"one".to_vec()), Some(b"two".to_vec())]);
}
