//! The deadlines that a driver sleeps until.

use std::time::Duration;

use weft_amqp_wire::machine::{Config, Ended, Event};
use weft_amqp_wire::performative::*;

use super::script::*;

fn idle(limit: Option<u64>, asked: Option<u32>) -> Peer {
    let config = Config {
        idle_timeout: limit.map(Duration::from_millis),
        ..config()
    };
    let open = Open {
        idle_time_out: asked,
        ..open()
    };
    Peer::with(config, &open, &begin())
}

fn due(peer: &Peer) -> Option<Duration> {
    peer.client
        .next_deadline()
        .map(|at| at.saturating_duration_since(peer.now))
}

#[test]
fn a_peer_that_wants_no_beats_or_beats_at_once_gets_what_is_sane() {
    assert_eq!(due(&idle(None, None)), None);
    assert_eq!(due(&idle(None, Some(0))), None);
    assert_eq!(due(&idle(None, Some(1))), Some(Duration::from_millis(50)));
}

#[test]
fn a_deadline_that_was_looked_at_lies_in_the_future() {
    for mut peer in [
        idle(Some(700), Some(1000)),
        idle(None, Some(1000)),
        idle(Some(700), None),
    ] {
        for _ in 0..20 {
            let Some(at) = peer.client.next_deadline() else {
                break;
            };
            peer.now = at;
            peer.client.on_time(at);
            assert!(peer.client.next_deadline().is_none_or(|next| next > at));
            peer.hear_all();
        }
    }
    let mut peer = idle(None, Some(1000));
    peer.client.close();
    peer.hear();
    assert_eq!(due(&peer), None, "closing beats no more");
}

#[test]
fn a_silent_peer_is_given_up_whatever_was_going_on() {
    let mut peer = idle(Some(1000), None);
    peer.wait(999);
    assert_eq!(peer.events(), []);
    // A heartbeat is a sign of life.
    peer.bytes(&[0, 0, 0, 8, 2, 0, 0, 0]);
    peer.wait(999);
    assert_eq!(peer.events(), []);
    peer.wait(1);
    assert_eq!(peer.events(), [Event::Ended(Ended::Silent)]);

    let silent = Config {
        idle_timeout: Some(Duration::from_secs(1)),
        ..config()
    };
    let mut peer = Peer::start(silent);
    peer.wait(1000);
    assert_eq!(peer.events(), [Event::Ended(Ended::Silent)]);

    let mut peer = idle(Some(1000), None);
    peer.client.close();
    peer.wait(1000);
    assert_eq!(peer.events(), [Event::Ended(Ended::Silent)]);
}
