//! What comes in: numbered messages, each at its time in its lane, some of them twice.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use weft_api::event::{AttrKind, Attributes, Event, EventBuilder};

use super::ms;
use super::setup::{Setup, TYPES};

/// Tells the messages of one event apart, which its sender sent more than once.
const COPY: &str = "simcopy";

#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) at: Duration,
    pub(crate) ingress: usize,
    pub(crate) lane: u32,
    pub(crate) offset: u64,
    /// What it is found by at the sinks: [`key_of`] its event.
    pub(crate) key: String,
    pub(crate) event: Event,
    pub(crate) ty: usize,
    pub(crate) malformed: bool,
    pub(crate) expired: bool,
}

/// How a message is found again at a sink: the id of its event, and which copy of it this is.
pub(crate) fn key_of(event: &Event) -> String {
    match event.get(COPY) {
        Some(copy) => format!("{}+{}", event.id(), copy.text),
        None => event.id().to_owned(),
    }
}

/// What all copies of an event are found by.
pub(crate) fn event_of(key: &str) -> &str {
    key.split('+').next().unwrap_or(key)
}

pub(super) fn draw(rng: &mut Rng, setup: &Setup) -> Vec<Load> {
    let mut load = Vec::new();
    for (number, ingress) in (0..).zip(&setup.ingresses) {
        for lane in 0..ingress.as_ref().map_or(0, |ingress| ingress.lanes) {
            load.extend(lane_load(rng, number, lane));
        }
    }
    load.sort_by_key(|load| load.at);
    load
}

fn lane_load(rng: &mut Rng, ingress: usize, lane: u32) -> Vec<Load> {
    let count = rng.usize(10..80);
    let spread = rng.u64(1..15_000);
    let mut times: Vec<_> = (0..count).map(|_| ms(rng, 0..spread)).collect();
    times.sort();
    let repeats = rng.u32(0..3) == 0;
    // Some lanes carry one type only: what they owe may have nothing in common with the lanes beside them.
    let only = rng.bool().then(|| rng.usize(0..TYPES));
    let mut load: Vec<Load> = Vec::new();
    for (offset, at) in (0..).zip(times) {
        let again = repeats && rng.u32(0..12) == 0;
        let former = load.len().checked_sub(1 + rng.usize(0..3)).filter(|_| again);
        load.push(match former {
            Some(former) => copy(&load[former], at, offset),
            None => fresh(rng, (ingress, lane, offset), at, only),
        });
    }
    load
}

/// The sender sends an event again that it has sent before.
fn copy(former: &Load, at: Duration, offset: u64) -> Load {
    let mut builder = former.event.edit();
    builder.set(COPY, AttrKind::Integer, &offset.to_string());
    let event = builder.build().expect("a copy of a valid event");
    let event = event.with_key(former.event.transport_key().cloned());
    Load {
        at,
        offset,
        key: key_of(&event),
        event,
        ..*former
    }
}

fn fresh(
    rng: &mut Rng,
    (ingress, lane, offset): (usize, u32, u64),
    at: Duration,
    only: Option<usize>,
) -> Load {
    let mut builder = EventBuilder::new();
    let ty = only.unwrap_or_else(|| rng.usize(0..TYPES));
    builder
        .id(&format!("{ingress}-{lane}-{offset}"))
        .source(&format!("/sim/{ingress}"))
        .ty(&format!("com.acme.t{ty}"));
    builder.set("number", AttrKind::Integer, &offset.to_string());
    builder.datacontenttype("application/octet-stream");
    let size = if rng.u32(0..20) == 0 {
        rng.usize(0..8_000)
    } else {
        rng.usize(0..200)
    };
    builder.data((0..size).map(|_| rng.u8(..)).collect::<Vec<_>>().into());
    match rng.u32(0..4) {
        0 => {}
        1 => _ = builder.extension("partitionkey", &format!("p{}", rng.u32(0..4))),
        _ => _ = builder.key(Bytes::from(format!("k{}", rng.u32(0..6)))),
    }
    let expired = rng.u32(0..25) == 0;
    if rng.u32(0..10) == 0 || expired {
        let time = if expired {
            "2001-01-01T00:00:00Z"
        } else {
            "2999-01-01T00:00:00Z"
        };
        builder.set("expirytime", AttrKind::Timestamp, time);
    }
    let event = builder.build().expect("the simulator makes valid events");
    Load {
        at,
        ingress,
        lane,
        offset,
        key: key_of(&event),
        event,
        ty,
        malformed: rng.u32(0..40) == 0,
        expired,
    }
}
