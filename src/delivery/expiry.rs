//! When an event is no longer to be delivered, by its own word (C19).

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use weft_api::event::{AttrKind, Attributes, Event, time};

/// The `expirytime` extension (a Timestamp). One that does not parse is no expiry: the event's sender did not mean this
/// extension.
#[must_use]
pub fn told(event: &Event) -> Option<SystemTime> {
    let value = event.get("expirytime")?;
    matches!(value.kind, AttrKind::Timestamp | AttrKind::String)
        .then(|| time::parse(value.text))
        .flatten()
}

/// The same as a moment of the monotonic clock (C31).
#[must_use]
pub fn expiry_of(event: &Event, now: Instant) -> Option<Instant> {
    let left = told(event)?
        .duration_since(SystemTime::now())
        .unwrap_or(Duration::ZERO);
    // A time too far away for the clock never comes.
    now.checked_add(left)
}

/// The earlier of two moments that may never come.
#[must_use]
pub fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
