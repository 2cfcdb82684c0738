//! Heartbeats, silence, and the deadlines that a driver sleeps until.

use std::time::Duration;

use weft_amqp_wire::machine::{Config, Ended, Event};
use weft_amqp_wire::performative::*;

use super::peer::*;

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
fn half_of_what_we_bear_is_asked_of_the_peer() {
    let mut peer = Peer::start(Config {
        idle_timeout: Some(Duration::from_secs(30)),
        ..config()
    });
    peer.bytes(&welcome(&open(), &begin()));
    let said = peer.hear();
    assert!(matches!(said.as_slice(), [Performative::Open(open), ..] if open.idle_time_out == Some(15_000)));
}

#[test]
fn our_silence_is_broken_at_half_of_what_the_peer_bears() {
    let mut peer = idle(None, Some(1000));
    assert_eq!(due(&peer), Some(Duration::from_millis(500)));
    peer.wait(499);
    assert_eq!(peer.hear_all(), []);
    peer.wait(1);
    assert_eq!(peer.hear_all(), [Said::Beat]);
    assert_eq!(due(&peer), Some(Duration::from_millis(500)));
    // What is said anyhow is as good as a beat.
    peer.now += Duration::from_millis(400);
    peer.client.hold(true);
    peer.client.attach_sender(&sender_spec("s")).unwrap();
    peer.hear();
    peer.wait(400);
    assert_eq!(peer.hear_all(), []);
}

#[test]
fn a_peer_that_wants_no_beats_or_beats_at_once_gets_what_is_sane() {
    assert_eq!(due(&idle(None, None)), None);
    assert_eq!(due(&idle(None, Some(0))), None);
    assert_eq!(due(&idle(None, Some(1))), Some(Duration::from_millis(50)));
}

#[test]
fn what_waits_to_be_written_needs_no_beat_and_no_clock() {
    let mut peer = idle(None, Some(1000));
    peer.client.attach_sender(&sender_spec("s")).unwrap();
    assert_eq!(due(&peer), None, "a driver would spin");
    let before = peer.client.output().len();
    peer.wait(10_000);
    assert_eq!(peer.client.output().len(), before);
    peer.hear();
    assert_eq!(due(&peer), Some(Duration::from_millis(500)));
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
