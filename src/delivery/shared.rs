//! Legs in a log that routers share: what travels beside the event (`docs/adr/0015-shared-store.md`).
//!
//! Such a log is a topic of Kafka, and a record of it is the event itself, as a CloudEvent that anybody can read. What the
//! event does not say stands in one more extension, [`NAME`], as JSON: [`put`] on the way into the topic, [`take`] on the
//! way out of it. Nobody else ever sees it: a leg that does not get into the log has its event as it was.
//!
//! Invariants
//! - What comes out is the event that went in: attributes, their types and their order, the transport's key, the data.
//! - A record that is not ours is an event like any other, and one of a later version is not guessed at.
//!
//! Does not know: Kafka, and what a route or path by that name is now.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use weft_api::event::{AttrKind, Attributes, Event, EventBuilder, time};
use weft_api::outcome::{Reason, SendError};

use super::leg::{Duty, LastFailure, NO_ROUTE};
use super::stored::record::{Record, wall_ms};
use super::{dead_letter, expiry};
use crate::routing::plan::{Choice, KeyRule, Path};

#[cfg(test)]
mod tests;

/// The extension.
pub const NAME: &str = "weftleg";

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;
/// Content types by which a record would be taken for another event than it is (Kafka binding, 3).
const ENVELOPES: &str = "application/cloudevents";
/// The highest count that is believed.
const COUNT_MAX: u32 = u32::MAX / 2;
/// How much larger than its event a record may be.
pub const ROOM: u64 = 64 * 1024;
/// Most attributes of a record, the note among them. A reader lists a bounded number of headers: what had more would come
/// out as something broken, and hold its partition up.
pub const ATTRIBUTES_MAX: usize = 1000;

/// Why a record is no leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// A later version wrote it.
    Later(u32),
    /// Nobody's: it was changed, or is a fault of ours.
    Broken(String),
}

/// What stands in the extension. Names are short, and what is usual is left out: it is in every record.
#[derive(Serialize, Deserialize, Default)]
struct Note<'a> {
    v: u32,
    #[serde(borrow, skip_serializing_if = "str::is_empty", default)]
    route: Cow<'a, str>,
    /// When it was admitted, and when it was put in.
    since: String,
    stored: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    expires: Option<String>,
    #[serde(skip_serializing_if = "is_zero", default)]
    attempts: u32,
    #[serde(skip_serializing_if = "is_zero", default)]
    tries: u32,
    /// How often it was sent again out of the dead letters.
    #[serde(skip_serializing_if = "is_zero", default)]
    replays: u32,
    #[serde(skip_serializing_if = "is_false", default)]
    maybe_delivered: bool,
    #[serde(skip_serializing_if = "is_false", default)]
    dead_letter: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    path: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    failure: Option<Failed>,
    /// The transport's key, where the record's is another; base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    key: Option<String>,
    /// It has none, and the record has one.
    #[serde(skip_serializing_if = "is_false", default)]
    keyless: bool,
    /// The types of extensions that are no String, which headers do not have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    types: BTreeMap<String, String>,
    /// A content type that would make the record another event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    datacontenttype: Option<String>,
    /// What the event itself had under this name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    weftleg: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// The choices that led into the log.
#[derive(Serialize, Deserialize)]
struct Way {
    #[serde(skip_serializing_if = "str::is_empty", default)]
    root: Box<str>,
    choices: Vec<Chosen>,
}

#[derive(Serialize, Deserialize)]
struct Chosen {
    at: Box<str>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    tried: Vec<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct Failed {
    class: Box<str>,
    reason: String,
    first: String,
    last: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(word: &bool) -> bool {
    !*word
}

/// The event as it stands in the log. `order_by`: its value is the record's key, so that the log keeps the order that the
/// destination asks for. `now`: one moment on both clocks.
///
/// # Errors
/// The event's fault: no reader would get it back.
pub fn put(
    event: &Event,
    duty: &Duty,
    order_by: &KeyRule,
    now: (Instant, SystemTime),
) -> Result<Event, SendError> {
    // The note takes the place of the event's own, if it has one.
    if event.attributes().filter(|(name, _)| *name != NAME).count() >= ATTRIBUTES_MAX {
        let detail =
            format!("a record of the store can have {ATTRIBUTES_MAX} attributes, and this event has more");
        return Err(SendError::event(Reason::TooLarge, detail));
    }
    let mut note = of_duty(duty, now);
    let ordered = match order_by {
        KeyRule::Attribute(_) => order_by.of(event).map(Bytes::copy_from_slice),
        KeyRule::Key | KeyRule::None => None,
    };
    let own = event.transport_key().cloned();
    let key = ordered.or_else(|| own.clone());
    let partition_key = || event.get("partitionkey").map(|value| value.text.as_bytes());
    match (&own, key.as_deref().or_else(partition_key)) {
        (None, None) => {}
        (None, Some(_)) => note.keyless = true,
        (Some(own), Some(record)) if **own == *record && !own.is_empty() => {}
        (Some(own), _) => note.key = Some(STANDARD.encode(own)),
    }
    let mut builder = EventBuilder::new();
    for (name, value) in event.attributes() {
        match name {
            "datacontenttype" if is_envelope(value.text) => {
                note.datacontenttype = Some(value.text.to_owned());
                continue;
            }
            NAME => note.weftleg = Some(value.text.to_owned()),
            _ => {}
        }
        if let Some(word) = word_of(value.kind).filter(|_| !is_core(name)) {
            note.types.insert(name.to_owned(), word.to_owned());
        }
        builder.set(name, value.kind, value.text);
    }
    let text = serde_json::to_string(&note).unwrap_or_default();
    builder.set(NAME, AttrKind::String, &text);
    if let Some(data) = event.data() {
        builder.data(data.clone());
    }
    // The note is made of names, times and cleaned text. Without it the event would come out under no route, as new.
    let built = builder
        .build()
        .map_err(|error| SendError::event(Reason::Failed, format!("making its record: {error}")))?;
    Ok(built.with_key(key))
}

/// The leg that a record stands for. `now`: when one that is not ours came.
///
/// # Errors
/// See [`Unreadable`].
pub fn take(event: Event, now: SystemTime) -> Result<Record, Unreadable> {
    let Some(text) = event.get(NAME).map(|value| value.text) else {
        return Ok(foreign(event, now));
    };
    let broken = |why: &dyn std::fmt::Display| Unreadable::Broken(format!("`{NAME}` cannot be read: {why}"));
    let Version { v } = serde_json::from_str(text).map_err(|error| broken(&error))?;
    if v != VERSION {
        return Err(Unreadable::Later(v));
    }
    let note: Note<'_> = serde_json::from_str(text).map_err(|error| broken(&error))?;
    let original = original(&event, &note).map_err(|why| broken(&why))?;
    let moment = |text: &str| time::parse(text).ok_or_else(|| broken(&"a time is none"));
    let failure = note.failure.as_ref().map(|failed| {
        let reason = Reason::ALL.iter().find(|known| known.as_str() == &*failed.class);
        Ok(Box::new(LastFailure {
            error: SendError::event(reason.copied().unwrap_or(Reason::Failed), failed.reason.as_str()),
            first: moment(&failed.first)?,
            last: moment(&failed.last)?,
        }))
    });
    let expires = note.expires.as_deref().map(moment).transpose()?;
    Ok(Record {
        route: (*note.route).into(),
        path: note.path.map(Way::into_path).unwrap_or_default(),
        // Counted on from here; whoever may write there may write anything.
        attempts: note.attempts.min(COUNT_MAX),
        tries: note.tries.min(COUNT_MAX),
        replays: u16::try_from(note.replays).unwrap_or(u16::MAX),
        maybe_delivered: note.maybe_delivered,
        dead_letter: note.dead_letter,
        admitted_ms: wall_ms(moment(&note.since)?),
        stored_ms: wall_ms(moment(&note.stored)?),
        expires_ms: expires.map(wall_ms),
        failure: failure.transpose()?,
        event: original,
    })
}

fn of_duty(duty: &Duty, now: (Instant, SystemTime)) -> Note<'_> {
    let (instant, wall) = now;
    let table = &duty.wiring.table;
    let known = (duty.route != NO_ROUTE).then_some(duty.route);
    let route = known.map_or("", |route| &table.routes[route as usize].name);
    let since = wall.checked_sub(instant.saturating_duration_since(duty.since));
    let expires = |at: Instant| wall.checked_add(at.saturating_duration_since(instant));
    let path = table.path(known, &duty.steps);
    let failure = duty.failure.as_ref().map(|failure| Failed {
        class: failure.error.reason.as_str().into(),
        reason: dead_letter::clean(&failure.error.detail),
        first: time::format(failure.first),
        last: time::format(failure.last),
    });
    Note {
        v: VERSION,
        route: Cow::Borrowed(route),
        since: time::format(since.unwrap_or(wall)),
        stored: time::format(wall),
        expires: duty.expires.and_then(expires).map(time::format),
        attempts: duty.attempts,
        tries: duty.tries,
        replays: duty.replays.into(),
        maybe_delivered: duty.maybe_delivered,
        dead_letter: duty.dead_letter,
        path: (!path.choices.is_empty()).then(|| Way::of(path)),
        failure,
        ..Note::default()
    }
}

/// What somebody else wrote into the topic: owed to the destination, under no route.
fn foreign(event: Event, now: SystemTime) -> Record {
    Record {
        route: "".into(),
        path: Path::default(),
        attempts: 0,
        tries: 0,
        replays: 0,
        maybe_delivered: false,
        dead_letter: false,
        admitted_ms: wall_ms(now),
        stored_ms: wall_ms(now),
        expires_ms: expiry::told(&event).map(wall_ms),
        failure: None,
        event,
    }
}

fn original(event: &Event, note: &Note<'_>) -> Result<Event, String> {
    let mut builder = EventBuilder::new();
    for (name, value) in event.attributes() {
        let text = match (name, &note.weftleg) {
            (NAME, None) => continue,
            (NAME, Some(own)) => own,
            _ => value.text,
        };
        let kind = match note.types.get(name) {
            Some(word) => kind_of(word).ok_or_else(|| format!("`{word}` is no type"))?,
            None if name == NAME => AttrKind::String,
            None => value.kind,
        };
        builder.set(name, kind, text);
    }
    if let Some(media) = &note.datacontenttype {
        builder.datacontenttype(media);
    }
    if let Some(data) = event.data() {
        builder.data(data.clone());
    }
    let key = match &note.key {
        _ if note.keyless => None,
        Some(key) => Some(Bytes::from(
            STANDARD.decode(key).map_err(|error| error.to_string())?,
        )),
        None => event.transport_key().cloned(),
    };
    let built = builder.build().map_err(|invalid| invalid.to_string())?;
    Ok(built.with_key(key))
}

impl Way {
    fn of(path: Path) -> Way {
        let chosen = |choice: Choice| Chosen {
            at: choice.current,
            tried: choice.tried,
        };
        Way {
            root: path.root,
            choices: path.choices.into_iter().map(chosen).collect(),
        }
    }

    fn into_path(self) -> Path {
        let choice = |chosen: Chosen| Choice {
            current: chosen.at,
            tried: chosen.tried,
        };
        Path {
            root: self.root,
            choices: self.choices.into_iter().map(choice).collect(),
        }
    }
}

fn is_envelope(media: &str) -> bool {
    let head = media.trim_start().get(..ENVELOPES.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(ENVELOPES))
}

/// Core attributes have the type that the specification gives them.
fn is_core(name: &str) -> bool {
    matches!(
        name,
        "id" | "source" | "type" | "subject" | "time" | "datacontenttype" | "dataschema"
    )
}

const TYPES: [(AttrKind, &str); 6] = [
    (AttrKind::Boolean, "Boolean"),
    (AttrKind::Integer, "Integer"),
    (AttrKind::Binary, "Binary"),
    (AttrKind::Uri, "URI"),
    (AttrKind::UriReference, "URI-reference"),
    (AttrKind::Timestamp, "Timestamp"),
];

/// None for a String.
fn word_of(kind: AttrKind) -> Option<&'static str> {
    TYPES
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, word)| *word)
}

fn kind_of(word: &str) -> Option<AttrKind> {
    TYPES
        .iter()
        .find(|(_, known)| *known == word)
        .map(|(kind, _)| *kind)
}
