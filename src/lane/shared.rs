//! What comes out of a log that routers share: each record is owed to the place before which the log stands.
//!
//! No route is asked. The record says under which one it was stored, where it stood in its plan and what had become of it;
//! names are resolved in the table that is in force, so that routers with different files may share a log for a while
//! (a rolling update): a path that is gone leaves the leg at the log's own place, a route that is gone leaves it without
//! a dead letter of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use weft_api::event::{Attributes, Event};
use weft_api::ingress::Incoming;

use super::admit::Owing;
use crate::delivery::leg::{LastFailure, Leg, NO_ROUTE};
use crate::delivery::shared::{self, Unreadable};
use crate::delivery::stored::clock::{self, WallClock};
use crate::routing::plan::{NodeId, Steps};
use crate::routing::table::Table;

#[cfg(test)]
mod tests;

/// The log that an ingress reads.
pub struct OfLog {
    /// Where it stands.
    pub node: NodeId,
    /// What is below.
    pub below: NodeId,
    /// How long after its arrival in the log a record is still delivered.
    pub max_age: Option<Duration>,
    /// Tells ages.
    pub clock: Arc<WallClock>,
}

/// What had become of a leg when it went into the log.
pub struct Kept {
    /// The choices that led it there.
    pub steps: Steps,
    since: Instant,
    attempts: u32,
    tries: u32,
    replays: u16,
    maybe_delivered: bool,
    dead_letter: bool,
    failure: Option<Box<LastFailure>>,
}

impl OfLog {
    /// What the record that `event` came as is owed to.
    ///
    /// # Errors
    /// It is no leg.
    pub(super) fn owed(&self, event: Event, table: &Table, now: Instant) -> Result<Owing, Unreadable> {
        let record = shared::take(event, SystemTime::now())?;
        let route = table.route_named(&record.route);
        let own = record.expires_ms.and_then(clock::instant);
        let aged = self
            .max_age
            .and_then(|max_age| self.clock.end_of(record.stored_ms, max_age));
        let age = Duration::from_millis(clock::now_ms().saturating_sub(record.admitted_ms));
        let kept = Kept {
            steps: table.place_at(self.node, route, &record.path),
            // Older than the process' clock is as old as that.
            since: now.checked_sub(age).unwrap_or(now),
            attempts: record.attempts,
            tries: record.tries,
            replays: record.replays,
            maybe_delivered: record.maybe_delivered,
            dead_letter: record.dead_letter,
            failure: record.failure,
        };
        Ok(Owing {
            event: record.event,
            route: route.unwrap_or(NO_ROUTE),
            node: self.below,
            expires: own.into_iter().chain(aged).min(),
            dead_letter: None,
            kept: Some(Box::new(kept)),
        })
    }
}

/// Why a record that came as this holds its lane up, and what can be done; `None` where it is not for what it is.
pub(super) fn complaint(incoming: &Incoming) -> Option<String> {
    const PAST: &str = "add `store: { path: ... }`, whose local dead letters take it, and restart; or move the group's offset past it";
    if incoming.malformed {
        let why = incoming
            .event
            .get("weftreason")
            .map_or("it is no event", |why| why.text);
        return Some(format!("{why} ({PAST})"));
    }
    match shared::take(incoming.event.clone(), SystemTime::now()) {
        Ok(_) => None,
        Err(Unreadable::Broken(why)) => Some(format!("{why} ({PAST})")),
        Err(Unreadable::Later(version)) => Some(format!(
            "a later version of Weft wrote it ({version}): it waits for a router that can read it, such as this one after an update"
        )),
    }
}

impl Kept {
    /// Makes the leg what it was.
    pub(super) fn restore(self, leg: &mut Leg) {
        leg.duty.since = self.since;
        // `unavailable:` bounds the event's wait, not that of its turn.
        leg.duty.waiting = Some(self.since);
        leg.duty.attempts = self.attempts;
        leg.duty.tries = self.tries;
        leg.duty.replays = self.replays;
        leg.duty.maybe_delivered = self.maybe_delivered;
        leg.duty.dead_letter = self.dead_letter;
        leg.duty.failure = self.failure;
    }
}
