//! A leg as a log keeps it: the event, and what its way needs to go on where it was.
//!
//! ```text
//!  0 version u8   1 flags u8   2 attempts u32   6 tries u32
//! 10 admitted u64  18 stored u64  26 expires u64: milliseconds since 1970
//! 34 the route, then the path: the root, the number of choices u8, for each its member, the number tried u8, those
//!    the failure, if there is one: first u64, last u64, reason, detail
//!    how often it was a dead letter that was sent again u16, if it was
//!    the event (`Event::store`), with its data behind it
//! ```
//! Numbers are little-endian; a text is its length u16 and UTF-8. Everything that a reload may change is told by its name:
//! a record outlives the table that made it. Does not know: logs, lanes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes};
use weft_api::event::{Event, EventBuilder};
use weft_api::outcome::{Reason, SendError};

use crate::delivery::leg::{LastFailure, Leg, NO_ROUTE};
use crate::routing::plan::{Choice, Path};

const VERSION: u8 = 1;
const MAYBE_DELIVERED: u8 = 1;
const DEAD_LETTER: u8 = 2;
const EXPIRES: u8 = 4;
const FAILED: u8 = 8;
const REPLAYED: u8 = 16;

/// What a record says.
#[derive(Debug)]
pub struct Record {
    /// The event.
    pub event: Event,
    /// The name of its route; empty where there was none.
    pub route: Box<str>,
    /// The choices that led to the log.
    pub path: Path,
    /// See [`crate::delivery::leg::Duty`].
    pub attempts: u32,
    /// The same.
    pub tries: u32,
    /// The same.
    pub maybe_delivered: bool,
    /// The same.
    pub dead_letter: bool,
    /// The same.
    pub replays: u16,
    /// When it was admitted, in milliseconds since 1970.
    pub admitted_ms: u64,
    /// When it came into the log.
    pub stored_ms: u64,
    /// When it expires by its own or its route's word.
    pub expires_ms: Option<u64>,
    /// What failed.
    pub failure: Option<Box<LastFailure>>,
}

/// Appends the record of a leg but for the event's data, which the caller puts behind it. `now`: the same moment on both
/// clocks.
pub fn write(leg: &Leg, now: (tokio::time::Instant, u64), into: &mut Vec<u8>) {
    let duty = &leg.duty;
    let (instant, now_ms) = now;
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    into.push(VERSION);
    into.push(
        flag(duty.maybe_delivered, MAYBE_DELIVERED)
            | flag(duty.dead_letter, DEAD_LETTER)
            | flag(duty.expires.is_some(), EXPIRES)
            | flag(duty.failure.is_some(), FAILED)
            | flag(duty.replays > 0, REPLAYED),
    );
    into.extend_from_slice(&duty.attempts.to_le_bytes());
    into.extend_from_slice(&duty.tries.to_le_bytes());
    let admitted = now_ms.saturating_sub(millis(instant.saturating_duration_since(duty.since)));
    let expires = duty.expires.map_or(0, |at| {
        now_ms.saturating_add(millis(at.saturating_duration_since(instant)))
    });
    for time in [admitted, now_ms, expires] {
        into.extend_from_slice(&time.to_le_bytes());
    }
    let table = &duty.wiring.table;
    let route = (duty.route != NO_ROUTE).then_some(duty.route);
    text(into, route.map_or("", |route| &table.routes[route as usize].name));
    let path = table.path(route, &duty.steps);
    text(into, &path.root);
    count(into, path.choices.len());
    for choice in &path.choices {
        text(into, &choice.current);
        count(into, choice.tried.len());
        choice.tried.iter().for_each(|tried| text(into, tried));
    }
    if let Some(failure) = &duty.failure {
        for at in [failure.first, failure.last] {
            into.extend_from_slice(&wall_ms(at).to_le_bytes());
        }
        text(into, failure.error.reason.as_str());
        text(into, &failure.error.detail);
    }
    if duty.replays > 0 {
        into.extend_from_slice(&duty.replays.to_le_bytes());
    }
    leg.event.store(into);
}

/// Reads what [`write()`] wrote. `None`: a later version, or a fault of ours, since checksums say that it is whole.
#[must_use]
pub fn read(payload: Vec<u8>, builder: &mut EventBuilder) -> Option<Record> {
    let mut bytes = Bytes::from(payload);
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let flags = bytes.try_get_u8().ok()?;
    let attempts = bytes.try_get_u32_le().ok()?;
    let tries = bytes.try_get_u32_le().ok()?;
    let admitted_ms = bytes.try_get_u64_le().ok()?;
    let stored_ms = bytes.try_get_u64_le().ok()?;
    let expires = bytes.try_get_u64_le().ok()?;
    let route = take_text(&mut bytes)?;
    let root = take_text(&mut bytes)?;
    let mut choices = Vec::new();
    for _ in 0..bytes.try_get_u8().ok()? {
        let current = take_text(&mut bytes)?;
        let mut tried = Vec::new();
        for _ in 0..bytes.try_get_u8().ok()? {
            tried.push(take_text(&mut bytes)?);
        }
        choices.push(Choice { current, tried });
    }
    let failure = if flags & FAILED != 0 {
        Some(take_failure(&mut bytes)?)
    } else {
        None
    };
    let replays = match flags & REPLAYED {
        0 => 0,
        _ => bytes.try_get_u16_le().ok()?,
    };
    Some(Record {
        event: Event::read_stored(&bytes, builder)?,
        route,
        path: Path { root, choices },
        attempts,
        tries,
        maybe_delivered: flags & MAYBE_DELIVERED != 0,
        dead_letter: flags & DEAD_LETTER != 0,
        replays,
        admitted_ms,
        stored_ms,
        expires_ms: (flags & EXPIRES != 0).then_some(expires),
        failure,
    })
}

/// When a record came into its log, without reading the rest.
#[must_use]
pub fn stored_ms(payload: &[u8]) -> Option<u64> {
    let bytes = payload.get(18..26).filter(|_| payload[0] == VERSION)?;
    bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn take_failure(bytes: &mut Bytes) -> Option<Box<LastFailure>> {
    let time = |ms: u64| UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    let first = time(bytes.try_get_u64_le().ok()?)?;
    let last = time(bytes.try_get_u64_le().ok()?)?;
    let reason = take_text(bytes)?;
    let reason = Reason::ALL.iter().find(|known| known.as_str() == &*reason);
    let detail = take_text(bytes)?;
    let error = SendError::event(reason.copied().unwrap_or(Reason::Failed), detail);
    Some(Box::new(LastFailure { error, first, last }))
}

/// A text; what is longer than its length can say is cut.
fn text(into: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    into.extend_from_slice(&u16::try_from(end).unwrap_or(u16::MAX).to_le_bytes());
    into.extend_from_slice(&text.as_bytes()[..end]);
}

fn count(into: &mut Vec<u8>, count: usize) {
    into.push(u8::try_from(count).expect("plans are 8 deep and have 64 members at most"));
}

fn take_text(bytes: &mut Bytes) -> Option<Box<str>> {
    let length = usize::from(bytes.try_get_u16_le().ok()?);
    if bytes.len() < length {
        return None;
    }
    let text = bytes.split_to(length);
    std::str::from_utf8(&text).ok().map(Into::into)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds since 1970; 0 before.
#[must_use]
pub fn wall_ms(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}
