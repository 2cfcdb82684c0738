//! A record of a log, or a message that is held elsewhere, as an operator sees it, and the choice among many.
//!
//! Does not know: where a letter would go, who asks.

use std::time::SystemTime;

use weft_api::browse::Held;
use weft_api::event::{Attributes, Event, EventBuilder, MALFORMED_TYPE, time};
use weft_api::outcome::{Reason, SendError};

use crate::delivery::dead_letter;
use crate::delivery::leg::LastFailure;
use crate::delivery::stored::record;

/// The reason of what lies among dead letters elsewhere and is none of Weft's.
pub const FOREIGN: &str = "foreign";

/// One that was read to be looked at, or to be sent again.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its sequence in the log, or its place elsewhere.
    pub id: u64,
    /// That place as people read it, where it is the same tomorrow; never that of a log's.
    pub place: Option<Box<str>>,
    /// The event as the log has it: a dead letter's with its description.
    pub event: Event,
    /// The route that owed it; empty where there was none.
    pub route: Box<str>,
    /// Some destination, or none, could not have it.
    pub dead: bool,
    /// It lies elsewhere, and nothing in it says that it is a dead letter: its reason is [`FOREIGN`].
    pub foreign: bool,
    /// When it came there, in milliseconds since 1970; 0 where nobody tells.
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
            place: None,
            route: record.route,
            dead: record.dead_letter,
            foreign: false,
            stored_ms: record.stored_ms,
            attempts: record.tries,
            replays: known,
            failure: record.failure,
            event: record.event,
        })
    }

    /// One that is held elsewhere: all that is known of it stands in it.
    #[must_use]
    pub fn held(held: Held) -> Letter {
        let event = held.incoming.event;
        let dead = event.get("weftclass").is_some();
        let told = |name: &str| event.get(name).map(|value| value.text).filter(|_| dead);
        let failure = failure(told);
        let last_ms = failure.as_ref().map(|failure| record::wall_ms(failure.last));
        Letter {
            id: held.place,
            place: None,
            route: told("weftroute").unwrap_or_default().into(),
            dead,
            foreign: !dead,
            stored_ms: held.at_ms.or(last_ms).unwrap_or(0),
            attempts: told("weftattempts")
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
            replays: if dead { dead_letter::replays(&event) } else { 0 },
            failure: failure.map(Box::new),
            event,
        }
    }

    /// Why it is here. What no route wanted, and the file sends here, has no description.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self.told("weftclass").filter(|_| self.dead) {
            Some(told) => told,
            None if self.foreign => FOREIGN,
            None => Reason::Unmatched.as_str(),
        }
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

/// What failed, as a description tells.
fn failure<'a>(told: impl Fn(&str) -> Option<&'a str>) -> Option<LastFailure> {
    let reason = told("weftclass")?;
    let reason = Reason::ALL.iter().find(|known| known.as_str() == reason);
    let detail = told("weftreason").unwrap_or_default().to_owned();
    Some(LastFailure {
        error: SendError::event(reason.copied().unwrap_or(Reason::Failed), detail),
        first: told("weftfirst").and_then(time::parse)?,
        last: told("weftlast").and_then(time::parse)?,
    })
}
