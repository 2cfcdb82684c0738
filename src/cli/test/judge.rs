//! Holds what became of a case against what it expects.
//!
//! Each key of `expect` is looked at on its own, and each that is not met is told with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use weft_api::config::Node;
use weft_api::event::{AttrKind, Attributes as _, Event, time};

use super::file::Expect;
use super::read::{Ready, below};
use super::told::Told;
use super::words::{Names, Said, Text};
use crate::app::{Ending, Fate, PlayedLeg, Rehearsal};

/// An expectation that was not met.
pub(super) struct Failure {
    /// `file:line:column`.
    pub(super) place: String,
    /// `expect.delivered`.
    pub(super) key: String,
    pub(super) expected: String,
    pub(super) got: String,
    /// Which of the case's events it is about.
    pub(super) event: usize,
}

/// Everything that `told` does not meet.
pub(super) fn judge(ready: &Ready<'_>, told: &[Told], rehearsal: &Rehearsal) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (at, one) in told.iter().enumerate() {
        let mut judge = Judge {
            node: ready.node,
            told: one,
            rehearsal,
            at,
            which: match told.len() {
                1 => String::new(),
                all => format!(" (event {} of {all})", at + 1),
            },
            failures: &mut failures,
        };
        judge.all(&ready.case.expect);
    }
    failures
}

struct Judge<'a, 'f> {
    node: &'a Node,
    told: &'a Told,
    rehearsal: &'a Rehearsal,
    at: usize,
    which: String,
    failures: &'f mut Vec<Failure>,
}

impl Judge<'_, '_> {
    fn fail(&mut self, keys: &[&str], expected: impl Into<String>, got: impl Into<String>) {
        let node = below(self.node, keys);
        self.failures.push(Failure {
            place: node.span.to_string(),
            event: self.at,
            key: format!("{}{}", keys.join("."), self.which),
            expected: expected.into(),
            got: got.into(),
        });
    }

    fn all(&mut self, expect: &Expect) {
        let told = self.told;
        self.malformed(expect);
        if let Some(names) = &expect.routes {
            let (mut wanted, mut got) = (names.0.clone(), texts(&told.routes));
            wanted.sort();
            wanted.dedup();
            got.sort();
            if wanted != got {
                self.fail(&["expect", "routes"], list(&names.0), list(&texts(&told.routes)));
            }
        }
        let delivered = told.names(|end| match end {
            Ending::Delivered(at) => Some(at),
            _ => None,
        });
        let letters = told.names(|end| match end {
            Ending::DeadLettered(at) => Some(at),
            _ => None,
        });
        let waits = told.names(|end| match end {
            Ending::Waits(at) => Some(at),
            _ => None,
        });
        self.places("delivered", expect.delivered.as_ref(), &delivered);
        self.places("dead_letter", expect.dead_letter.as_ref(), &letters);
        self.places("waits", expect.waits.as_ref(), &waits);
        self.order(expect.order.as_ref());
        self.refused(expect.refused.as_ref());
        let any = |wanted: &Ending| told.ends().any(|end| end == wanted);
        let flags = [
            ("given_back", expect.given_back, any(&Ending::GivenBack)),
            (
                "discarded",
                expect.discarded,
                matches!(told.fate, Fate::Discarded),
            ),
            (
                "dropped",
                expect.dropped,
                any(&Ending::Dropped) || matches!(told.fate, Fate::Dropped),
            ),
            ("expired", expect.expired, matches!(told.fate, Fate::Expired)),
        ];
        for (key, wanted, is) in flags {
            if wanted.is_some_and(|wanted| wanted != is) {
                let wanted = if is { format!("not {key}") } else { key.to_owned() };
                self.fail(&["expect", key], wanted.replace('_', " "), told.summary());
            }
        }
        self.contents(expect);
        for (name, at) in &expect.to {
            let members = self.rehearsal.members(name);
            let legs = told.legs().iter().filter(|leg| {
                leg.ends.iter().any(|end| {
                    matches!(end, Ending::Delivered(at) | Ending::DeadLettered(at) if members.contains(at))
                })
            });
            let legs: Vec<&PlayedLeg> = legs.collect();
            if legs.is_empty() {
                self.fail(
                    &["expect", "to", name],
                    format!("taken by {name}"),
                    told.summary(),
                );
            }
            for leg in legs {
                self.attributes(&["expect", "to", name], &at.attributes, &at.absent, &leg.event);
            }
        }
    }

    fn malformed(&mut self, expect: &Expect) {
        let told = self.told;
        match (&expect.malformed, &told.malformed) {
            (None | Some(Said::Flag(false)), Some(why)) => {
                let keys: &[&str] = match expect.malformed {
                    Some(_) => &["expect", "malformed"],
                    None => &["expect"],
                };
                let then = match &told.fate {
                    Fate::Refused(_) => "so it is refused".to_owned(),
                    _ => told.summary(),
                };
                self.fail(keys, "an event", format!("malformed, {then}: {why}"));
            }
            (Some(Said::Flag(true)), None) => {
                self.fail(
                    &["expect", "malformed"],
                    "malformed",
                    format!("an event; {}", told.summary()),
                );
            }
            (Some(Said::Because(part)), why) if !why.as_ref().is_some_and(|why| why.contains(part)) => {
                let got = match why {
                    Some(why) => format!("malformed: {why}"),
                    None => format!("an event; {}", told.summary()),
                };
                self.fail(
                    &["expect", "malformed"],
                    format!("malformed, since ...{part}..."),
                    got,
                );
            }
            _ => {}
        }
    }

    /// These destinations and no others; a group stands for any of its members.
    fn places(&mut self, key: &str, wanted: Option<&Names>, got: &[Arc<str>]) {
        let Some(Names(wanted)) = wanted else { return };
        let members: Vec<Vec<Arc<str>>> = wanted.iter().map(|name| self.rehearsal.members(name)).collect();
        let all = members
            .iter()
            .all(|members| members.iter().any(|member| got.contains(member)));
        let only = got
            .iter()
            .all(|name| members.iter().any(|members| members.contains(name)));
        if !(all && only) {
            // Where it went otherwise; what the list says already is not said again.
            let shown = self.told.ends().count() == got.len() && !got.is_empty();
            let summary = match self.told.summary() {
                summary if shown || summary.is_empty() => String::new(),
                summary => format!("  ({summary})"),
            };
            self.fail(
                &["expect", key],
                list(wanted),
                format!("{}{summary}", list(&texts(got))),
            );
        }
    }

    fn order(&mut self, wanted: Option<&Names>) {
        let Some(Names(wanted)) = wanted else { return };
        let tried: Vec<Vec<String>> = self.told.legs().iter().map(|leg| texts(&leg.tried)).collect();
        if !tried.contains(wanted) {
            let got = match tried.is_empty() {
                true => self.told.summary(),
                false => tried
                    .iter()
                    .map(|names| names.join(", then "))
                    .collect::<Vec<_>>()
                    .join("; and "),
            };
            self.fail(&["expect", "order"], wanted.join(", then "), got);
        }
    }

    fn refused(&mut self, wanted: Option<&Said>) {
        let told = self.told;
        let refused = matches!(told.fate, Fate::Refused(_))
            || told
                .ends()
                .any(|end| matches!(end, Ending::Refused | Ending::Held(_) | Ending::Dropped));
        match wanted {
            Some(Said::Flag(wanted)) if *wanted != refused => {
                let expected = if refused { "not refused" } else { "refused" };
                self.fail(&["expect", "refused"], expected, told.summary());
            }
            Some(Said::Because(part)) => {
                let because = matches!(&told.fate, Fate::Refused(why) if why.contains(part));
                if !because {
                    let expected = format!("refused as it comes in, since ...{part}...");
                    self.fail(&["expect", "refused"], expected, told.summary());
                }
            }
            _ => {}
        }
    }

    /// Attributes and data of the event as each obligation has it, or as it came in where it owes nothing.
    fn contents(&mut self, expect: &Expect) {
        let told = self.told;
        let nothing = expect.attributes.is_empty() && expect.absent.0.is_empty() && expect.data.is_none();
        if nothing {
            return;
        }
        let events: Vec<&Event> = match told.legs() {
            [] => told.event.iter().collect(),
            legs => legs.iter().map(|leg| &leg.event).collect(),
        };
        if events.is_empty() {
            self.fail(&["expect"], "an event", told.summary());
        }
        for event in events {
            self.attributes(&["expect"], &expect.attributes, &expect.absent, event);
            if let Some(wanted) = &expect.data
                && !is_data(wanted, event)
            {
                let got = match event.data() {
                    Some(data) => String::from_utf8_lossy(data).into_owned(),
                    None => "no data".to_owned(),
                };
                let wanted = match wanted {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                self.fail(&["expect", "data"], wanted, got);
                break;
            }
        }
    }

    fn attributes(&mut self, keys: &[&str], wanted: &BTreeMap<String, Text>, absent: &Names, event: &Event) {
        let with =
            |last: &[&str]| -> Vec<String> { keys.iter().chain(last).map(|key| (*key).to_owned()).collect() };
        let mut failed: Vec<(Vec<String>, String, String)> = Vec::new();
        for (name, Text(value)) in wanted {
            let got = event.get(name);
            let same = got.is_some_and(|got| got.text == value || is_moment(got.kind, name, got.text, value));
            let got = got.map(|value| value.text.to_owned());
            if !same {
                let has: Vec<&str> = event.attributes().map(|(name, _)| name).collect();
                let got = got.unwrap_or_else(|| format!("absent; it has {}", has.join(", ")));
                failed.push((with(&["attributes", name]), value.clone(), got));
            }
        }
        for name in &absent.0 {
            if let Some(value) = event.get(name) {
                failed.push((
                    with(&["absent"]),
                    format!("no {name}"),
                    format!("{name}: {}", value.text),
                ));
            }
        }
        for (keys, expected, got) in failed {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            // Every obligation has the same event but for what routes add: once is enough.
            let node = below(self.node, &keys);
            let key = format!("{}{}", keys.join("."), self.which);
            let place = node.span.to_string();
            if !self
                .failures
                .iter()
                .any(|known| known.place == place && known.key == key && known.got == got)
            {
                self.fail(&keys, expected, got);
            }
        }
    }
}

/// Whether both are the same moment, however it is written.
fn is_moment(kind: AttrKind, name: &str, got: &str, wanted: &str) -> bool {
    let moment = kind == AttrKind::Timestamp || name == "time";
    moment && time::parse(got).is_some_and(|got| time::parse(wanted) == Some(got))
}

/// Text is compared as it is, anything else as JSON; JSON data that is a text equals that text.
fn is_data(wanted: &Value, event: &Event) -> bool {
    let Some(data) = event.data() else {
        return wanted.is_null();
    };
    let parsed = serde_json::from_slice::<Value>(data);
    match wanted {
        Value::String(text) if text.as_bytes() == &data[..] => true,
        wanted => parsed.is_ok_and(|got| got == *wanted),
    }
}

fn texts(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
