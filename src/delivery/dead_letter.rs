//! What a dead letter looks like (C18): the event as it was, and why it is here, in `weft...` extensions.

use std::time::SystemTime;

use weft_api::crash;
use weft_api::event::{AttrKind, Attributes, Event, MALFORMED_TYPE, check, time};
use weft_api::outcome::Reason;

use super::leg::{Leg, NO_ROUTE};

/// What describes a dead letter (`docs/extensions.md`).
const DESCRIPTION: [&str; 8] = [
    "weftclass",
    "weftreason",
    "weftdestination",
    "weftroute",
    "weftattempts",
    "weftfirst",
    "weftlast",
    "weftreplays",
];
/// Most characters of the error's text that travel with the event.
const DETAIL_CHARS_MAX: usize = 512;

/// Makes the leg one that is owed to a dead-letter destination.
/// `destination`: where it failed, if it got that far.
pub fn wrap(mut leg: Leg, destination: Option<&str>, reason: Reason) -> Leg {
    let route = match leg.duty.route {
        NO_ROUTE => None,
        route => leg
            .duty
            .wiring
            .table
            .routes
            .get(route as usize)
            .map(|route| route.name.to_string()),
    };
    leg.event = describe(&leg, destination, route.as_deref(), reason);
    leg.duty.bytes = leg.event.size();
    leg.duty.dead_letter = true;
    leg.duty.attempts = 0;
    leg.duty.round = false;
    leg.duty.waiting = None;
    leg.duty.expires = None;
    leg.duty.unhold();
    crash::point("dead_letter.made");
    leg
}

/// The event as it was before it became a dead letter.
#[must_use]
pub fn original(event: &Event) -> Event {
    let mut builder = event.edit();
    for name in DESCRIPTION.into_iter().filter(|name| !is_own(event, name)) {
        builder.remove(name);
    }
    match builder.build() {
        Ok(original) => original.with_key(event.transport_key().cloned()),
        Err(error) => {
            // An event with less in it is no less valid.
            tracing::error!(%error, "a dead letter keeps its description");
            event.clone()
        }
    }
}

/// What a malformed message became says by itself what was wrong with it.
fn is_own(event: &Event, name: &str) -> bool {
    name == "weftreason" && event.ty() == MALFORMED_TYPE
}

/// How often a dead letter was sent again.
#[must_use]
pub fn replays(event: &Event) -> u16 {
    let told = event.get("weftreplays").and_then(|value| value.text.parse().ok());
    told.unwrap_or(0)
}

fn describe(leg: &Leg, destination: Option<&str>, route: Option<&str>, reason: Reason) -> Event {
    let mut builder = leg.event.edit();
    // What an earlier description said, this router's or another's, is not this one's.
    for name in DESCRIPTION.into_iter().filter(|name| !is_own(&leg.event, name)) {
        builder.remove(name);
    }
    builder.set("weftclass", AttrKind::String, reason.as_str());
    if let Some(destination) = destination {
        builder.set("weftdestination", AttrKind::String, destination);
    }
    builder.set(
        "weftattempts",
        AttrKind::Integer,
        &leg.duty.tries.min(i32::MAX as u32).to_string(),
    );
    if leg.duty.replays > 0 {
        builder.set("weftreplays", AttrKind::Integer, &leg.duty.replays.to_string());
    }
    if let Some(route) = route {
        builder.set("weftroute", AttrKind::String, route);
    }
    if let Some(failure) = &leg.duty.failure {
        let detail = clean(&failure.error.detail);
        if !detail.is_empty() && !is_own(&leg.event, "weftreason") {
            builder.set("weftreason", AttrKind::String, &detail);
        }
        builder.set("weftfirst", AttrKind::Timestamp, &stamp(failure.first));
        builder.set("weftlast", AttrKind::Timestamp, &stamp(failure.last));
    }
    match builder.build() {
        Ok(event) => event.with_key(leg.event.transport_key().cloned()),
        Err(error) => {
            // Only the attributes set above could be at fault, and each is made of names and cleaned text.
            tracing::error!(%error, "dead letter without its description");
            leg.event.clone()
        }
    }
}

/// Text that may stand in an attribute.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| check::value(AttrKind::String, c.encode_utf8(&mut [0; 4])))
        .take(DETAIL_CHARS_MAX)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn stamp(at: SystemTime) -> String {
    time::format(at)
}
