//! What became of a case: plays it through the router's own admission and plans, and says so in a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use weft_api::event::{Attributes as _, Event};

use super::file::TestFile;
use super::read::Ready;
use super::words::Text;
use crate::app::{Behaviour, Ending, Fate, PlayedLeg, Rehearsal};

/// What became of one event of a case.
pub(super) struct Told {
    pub(super) routes: Vec<Arc<str>>,
    /// Why it could not become the event that it should have been.
    pub(super) malformed: Option<String>,
    pub(super) fate: Fate,
    /// The event as it came in, if the router got one.
    pub(super) event: Option<Event>,
}

/// Plays a case; several are told where a batch comes in.
///
/// # Errors
/// Nothing can be built of the configuration: a fault of ours, since it was checked.
pub(super) fn play(ready: &Ready<'_>, rehearsal: &Rehearsal) -> Result<Vec<Told>, String> {
    let mut given: BTreeMap<Arc<str>, Behaviour> = BTreeMap::new();
    for (name, behave) in &ready.case.given {
        let members = rehearsal.members(name);
        // What is said of a destination by its own name goes before what is said of its group.
        let own = members.iter().any(|member| **member == **name);
        for member in members {
            if own || !ready.case.given.contains_key(&*member) {
                given.insert(member, (*behave).into());
            }
        }
    }
    let settled = |fate| Told {
        routes: Vec::new(),
        malformed: None,
        fate,
        event: None,
    };
    let incoming = match ready.input.incoming(ready.ingress) {
        Ok(incoming) => incoming,
        Err(why) => return Ok(vec![settled(Fate::Refused(why))]),
    };
    if incoming.is_empty() {
        return Ok(vec![settled(Fate::Dropped)]);
    }
    let mut told = Vec::with_capacity(incoming.len());
    for incoming in incoming {
        let event = incoming.event.clone();
        let reason = || event.get("weftreason").map(|reason| reason.text.to_owned());
        let malformed = incoming.malformed.then(|| reason().unwrap_or_default());
        let played = rehearsal.play(&ready.ingress.name, incoming, &given)?;
        told.push(Told {
            routes: played.routes,
            malformed,
            fate: played.fate,
            event: Some(event),
        });
    }
    Ok(told)
}

impl Told {
    pub(super) fn legs(&self) -> &[PlayedLeg] {
        match &self.fate {
            Fate::Owed(legs) => legs,
            _ => &[],
        }
    }

    pub(super) fn ends(&self) -> impl Iterator<Item = &Ending> {
        self.legs().iter().flat_map(|leg| &leg.ends)
    }

    pub(super) fn names(&self, pick: impl Fn(&Ending) -> Option<&Arc<str>>) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for name in self.ends().filter_map(pick) {
            if !names.contains(name) {
                names.push(Arc::clone(name));
            }
        }
        names
    }

    /// What became of it, in a line.
    pub(super) fn summary(&self) -> String {
        let mut said: Vec<String> = Vec::new();
        match &self.fate {
            Fate::Discarded => said.push("no route matches: discarded".to_owned()),
            Fate::Dropped => said.push("dropped".to_owned()),
            Fate::Expired => said.push("expired".to_owned()),
            Fate::Refused(why) => said.push(format!("refused: {why}")),
            Fate::Owed(_) => said.extend(self.ends().map(|end| match end {
                Ending::Delivered(at) => format!("delivered to {at}"),
                Ending::DeadLettered(at) => format!("dead letter to {at}"),
                Ending::Waits(at) => format!("waits at {at}"),
                Ending::Held(at) => format!("refused by {at}, no dead letter: its lane is held"),
                Ending::Refused => "refused, no dead letter: its sender is told".to_owned(),
                Ending::Dropped => "refused, no dead letter: dropped".to_owned(),
                Ending::GivenBack => "given back to its sender".to_owned(),
            })),
        }
        said.join("; ")
    }
}

/// A command that shows why: the same event, before the same ingress.
pub(super) fn hint(ready: &Ready<'_>, told: &Told, files: &[String], file: &TestFile) -> Option<String> {
    const EVENT_MAX: usize = 2000;
    // Why a message is malformed has been said; the event that keeps it explains nothing more.
    let event = told.event.as_ref().filter(|_| told.malformed.is_none())?;
    let mut bytes = Vec::new();
    weft_api::event::json::encode(event, &mut bytes);
    let event = String::from_utf8(bytes).ok()?;
    let mut line = String::new();
    // Writing to a String cannot fail.
    for (name, Text(value)) in &file.env {
        let _ = write!(line, "{name}={} ", quoted(value));
    }
    let files = files
        .iter()
        .map(|file| quoted(file))
        .collect::<Vec<_>>()
        .join(" ");
    let event = match event.len() {
        0..=EVENT_MAX => quoted(&event),
        _ => "@EVENT.json  (with the event as JSON in that file)".to_owned(),
    };
    let _ = write!(
        line,
        "weft explain {files} --ingress {} --event {event}",
        ready.ingress.name
    );
    Some(line)
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
