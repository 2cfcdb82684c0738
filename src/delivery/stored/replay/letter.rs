//! A record of a log as an operator sees it, and the choice among many.
//!
//! Does not know: where a letter would go, who asks.

use std::time::SystemTime;

use weft_api::event::{Attributes, Event, EventBuilder, MALFORMED_TYPE};
use weft_api::outcome::Reason;

use crate::delivery::dead_letter;
use crate::delivery::leg::LastFailure;
use crate::delivery::stored::record;

/// One record that was read to be looked at, or to be sent again.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its sequence in the log.
    pub id: u64,
    /// The event as the log has it: a dead letter's with its description.
    pub event: Event,
    /// The route that owed it; empty where there was none.
    pub route: Box<str>,
    /// Some destination, or none, could not have it.
    pub dead: bool,
    /// When it came into the log, in milliseconds since 1970.
    pub stored_ms: u64,
    /// How often it was sent.
    pub attempts: u32,
    /// How often it had been sent again.
    pub replays: u16,
    /// What failed.
    pub failure: Option<Box<LastFailure>>,
}

/// Which letters are meant: those for which everything holds that is said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// The destination that failed.
    pub destination: Option<Box<str>>,
    /// The route.
    pub route: Option<Box<str>>,
    /// The code of the reason.
    pub reason: Option<Box<str>>,
    /// The event's `type`.
    pub ty: Option<Box<str>>,
    /// The event's `id`.
    pub event: Option<Box<str>>,
    /// Attributes with these values.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// In the log since then, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// In the log before then.
    pub until_ms: Option<u64>,
    /// One of these; empty: any.
    pub ids: Vec<u64>,
}

impl Letter {
    /// Reads a record. `None`: a later version wrote it.
    #[must_use]
    pub fn read(record: weft_store::Record, builder: &mut EventBuilder) -> Option<Letter> {
        let id = record.sequence;
        let record = record::read(record.payload, builder)?;
        let told = match record.dead_letter {
            true => dead_letter::replays(&record.event),
            false => 0,
        };
        let known = record.replays.max(told);
        Some(Letter {
            id,
            route: record.route,
            dead: record.dead_letter,
            stored_ms: record.stored_ms,
            attempts: record.tries,
            replays: known,
            failure: record.failure,
            event: record.event,
        })
    }

    /// Why it is here. What no route wanted, and the file sends here, has no description.
    #[must_use]
    pub fn reason(&self) -> &str {
        let told = self.told("weftclass").filter(|_| self.dead);
        told.unwrap_or(Reason::Unmatched.as_str())
    }

    /// What happened, in one line.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.told("weftreason")
            .filter(|_| self.dead || self.event.ty() == MALFORMED_TYPE)
    }

    /// The destination that failed.
    #[must_use]
    pub fn destination(&self) -> Option<&str> {
        self.told("weftdestination").filter(|_| self.dead)
    }

    /// When it failed first and last.
    #[must_use]
    pub fn failed_at(&self) -> Option<(SystemTime, SystemTime)> {
        self.failure.as_ref().map(|failure| (failure.first, failure.last))
    }

    /// The event as it is sent again.
    #[must_use]
    pub fn original(&self) -> Event {
        match self.dead {
            true => dead_letter::original(&self.event),
            false => self.event.clone(),
        }
    }

    fn told(&self, name: &str) -> Option<&str> {
        self.event.get(name).map(|value| value.text)
    }
}

impl Selection {
    /// Whether nothing is said, so that everything is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Selection::default()
    }

    /// The sequences between which everything lies that is meant.
    #[must_use]
    pub fn bounds(&self) -> (u64, u64) {
        match (self.ids.iter().min(), self.ids.iter().max()) {
            (Some(first), Some(last)) => (*first, last.saturating_add(1)),
            _ => (0, u64::MAX),
        }
    }

    /// Whether this one is meant.
    #[must_use]
    pub fn takes(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<Box<str>>, value: Option<&str>| match wanted {
            Some(wanted) => value == Some(&**wanted),
            None => true,
        };
        let has = |(name, value): &(Box<str>, Box<str>)| letter.told(name) == Some(&**value);
        (self.ids.is_empty() || self.ids.contains(&letter.id))
            && self.since_ms.is_none_or(|since| letter.stored_ms >= since)
            && self.until_ms.is_none_or(|until| letter.stored_ms < until)
            && is(&self.destination, letter.destination())
            && is(&self.route, Some(&letter.route))
            && is(&self.reason, Some(letter.reason()))
            && is(&self.ty, Some(letter.event.ty()))
            && is(&self.event, Some(letter.event.id()))
            && self.attributes.iter().all(has)
    }
}
