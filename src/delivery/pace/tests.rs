//! Through destination and outlet, under a paused clock.
#![allow(clippy::unwrap_used)]

mod budget;
mod copies;
mod mix;
mod speed;

use std::time::Duration;

use weft_api::egress::EgressProfile;
use weft_api::event::Event;
use weft_api::ingress::{Incoming, LaneEvent, LaneId, Lanes, Settle};
use weft_api::outcome::Outcome;

use crate::delivery::settings::Settings;
use crate::testing::{Draft, Remote, World, event, spec, to};

const LONG: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One destination `a` with these settings, and a lane that leads to it.
fn world(settings: impl FnOnce(&mut Settings)) -> (World, Lanes, LaneId) {
    start(Draft::new(&["a"]).route(to("a")).settings("a", settings))
}

/// The remote of `a`, which keeps order or fails, so that a batch has several events of a key.
fn pipelined(world: &World) -> Remote {
    let profile = EgressProfile {
        batch_events: 100,
        batch_bytes: u64::MAX,
        in_flight: 1000,
        keeps_order_or_fails: true,
    };
    world.remote_with("a", profile)
}

fn start(draft: Draft) -> (World, Lanes, LaneId) {
    let world = draft.build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 1000));
    (world, lanes, lane)
}

fn deliver(lanes: &mut Lanes, lane: LaneId, events: impl IntoIterator<Item = Event>) {
    lanes.deliver(lane, &mut events.into_iter().map(Incoming::from).collect());
}

fn plain(lanes: &mut Lanes, lane: LaneId, ids: &[&str]) {
    deliver(lanes, lane, ids.iter().map(|id| event(id)));
}

/// How many slots were settled since the last look, all of them as accepted.
fn settled(lanes: &mut Lanes) -> u64 {
    let mut count = 0;
    while let Some((_, LaneEvent::Settled { first, last, outcome })) = lanes.try_next() {
        assert_eq!(outcome, Outcome::Accepted);
        count += last - first + 1;
    }
    count
}

/// Everything was accepted, and the books balance.
fn at_rest(world: &World, lanes: &mut Lanes) {
    settled(lanes);
    world.assert_at_rest();
}
