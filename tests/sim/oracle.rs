//! Judges a case that has run: what was owed, by a naive reading of the routes, against what feeds and sinks saw.
//!
//! Knows nothing of the router's state but its counters, which have to balance with what happened outside.

use std::collections::HashMap;
use std::time::Duration;

use weft_api::event::{AttrKind, Attributes, Event};
use weft_api::outcome::Outcome;
use weft_inproc::{Act, Happening, Settling, Stamp};

use crate::case::{Case, GroupCase, Load, Part, Stray};
use crate::world::World;

/// How a simulated event is found again.
type Id = String;

struct Oracle<'a> {
    case: &'a Case,
    world: &'a World,
    found: Vec<String>,
    loads: HashMap<Id, &'a Load>,
    sinks: Vec<Seen>,
    /// When each event went into the router, each time.
    admitted: HashMap<Id, Vec<Stamp>>,
}

/// What one sink saw of each event.
#[derive(Default)]
struct Seen {
    delivered: HashMap<Id, Vec<Stamp>>,
    dead_letters: HashMap<Id, Vec<Event>>,
    answers: HashMap<Id, Vec<(Stamp, Act)>>,
}

/// What an event owes: to what, and by which route.
struct Owed {
    part: Part,
    dead_letter: Option<usize>,
    max_age: Option<Duration>,
    route: Option<usize>,
}

/// Every promise that was broken, in words; empty for a correct router.
pub(crate) fn judge(case: &Case, world: &World) -> Vec<String> {
    let mut oracle = Oracle {
        case,
        world,
        found: Vec::new(),
        loads: case
            .load
            .iter()
            .map(|load| (load.event.id().to_owned(), load))
            .collect(),
        sinks: Vec::new(),
        admitted: HashMap::new(),
    };
    oracle
        .found
        .extend(world.overruns.iter().map(|line| format!("C21: {line}")));
    oracle
        .found
        .extend(world.stuck.iter().map(|line| format!("liveness: {line}")));
    oracle.contracts();
    oracle.look_at_sinks();
    oracle.look_at_feeds();
    for load in &case.load {
        oracle.obligations(load);
    }
    oracle.ages();
    oracle.order();
    oracle.dead_letters();
    if world.stuck.is_empty() {
        oracle.books();
    }
    oracle.found
}

impl Oracle<'_> {
    fn wrong(&mut self, line: String) {
        self.found.push(line);
    }

    /// What feeds and sinks saw at once: a slot settles once, a prefix is contiguous, batches keep to the profile.
    fn contracts(&mut self) {
        for (number, feed) in self.world.feeds.iter().enumerate() {
            self.found.extend(
                feed.violations()
                    .into_iter()
                    .map(|line| format!("ingress i{number}: {line}")),
            );
        }
        for (number, sink) in self.world.sinks.iter().enumerate() {
            self.found.extend(
                sink.violations()
                    .into_iter()
                    .map(|line| format!("destination d{number}: {line}")),
            );
        }
    }

    fn look_at_sinks(&mut self) {
        for number in 0..self.world.sinks.len() {
            let sink = &self.world.sinks[number];
            let mut seen = Seen::default();
            for attempt in sink.attempts() {
                let id = attempt.event.id().to_owned();
                seen.answers
                    .entry(id)
                    .or_default()
                    .push((attempt.stamp, attempt.answer.act));
            }
            for delivery in sink.deliveries() {
                let id = delivery.event.id().to_owned();
                self.untouched(number, &delivery.event);
                match delivery.event.get("weftclass") {
                    Some(_) => seen.dead_letters.entry(id).or_default().push(delivery.event),
                    None => seen.delivered.entry(id).or_default().push(delivery.stamp),
                }
            }
            self.sinks.push(seen);
        }
    }

    /// C2: what arrives came in, and is the same but for `weft...` extensions.
    fn untouched(&mut self, sink: usize, event: &Event) {
        let Some(load) = self.loads.get(event.id()) else {
            return self.wrong(format!("C2: d{sink} got {}, which never came in", event.id()));
        };
        let mut same = event.data() == load.event.data() && event.key() == load.event.key();
        same &= load
            .event
            .attributes()
            .all(|(name, value)| event.get(name) == Some(value));
        let mut extra = event
            .attributes()
            .filter(|(name, _)| load.event.get(name).is_none());
        same &= extra.all(|(name, _)| name.starts_with("weft"));
        if !same {
            self.wrong(format!("C2: d{sink} got {event:?} for {:?}", load.event));
        }
    }

    fn look_at_feeds(&mut self) {
        for (number, feed) in self.world.feeds.iter().enumerate() {
            for entry in feed.history() {
                if let Happening::Delivered { offset, .. } = entry.what {
                    let id = format!("{number}-{}-{offset}", entry.lane);
                    self.admitted.entry(id).or_default().push(entry.stamp);
                }
            }
        }
    }

    /// The naive twin of table and plans.
    fn owed(&self, load: &Load) -> Vec<Owed> {
        let ingress = &self.case.ingresses[load.ingress];
        let stray = |stray: Stray| match stray {
            Stray::To(at) => vec![Owed {
                part: Part::Destination(at),
                dead_letter: None,
                max_age: None,
                route: None,
            }],
            Stray::Forget | Stray::Reject => Vec::new(),
        };
        if load.malformed {
            return stray(ingress.malformed);
        }
        let routes = || {
            self.case
                .routes
                .iter()
                .enumerate()
                .filter(|(_, route)| route.matches(load.ingress, load.ty))
        };
        if routes().next().is_none() {
            return stray(ingress.unmatched);
        }
        let mut owed: Vec<Owed> = Vec::new();
        for (number, route) in routes() {
            for part in &route.parts {
                if !owed.iter().any(|known| known.part == *part) {
                    let (dead_letter, max_age) = (route.dead_letter, route.max_age);
                    owed.push(Owed {
                        part: part.clone(),
                        dead_letter,
                        max_age,
                        route: Some(number),
                    });
                }
            }
        }
        owed
    }

    /// C1: what was acknowledged met every obligation; what was refused had a reason.
    fn obligations(&mut self, load: &Load) {
        let id = load.event.id();
        let offset: u64 = id
            .rsplit('-')
            .next()
            .and_then(|text| text.parse().ok())
            .expect("ids end with the offset");
        let Some(outcome) = self.world.feeds[load.ingress].outcome(load.lane, offset) else {
            return;
        };
        let ingress = &self.case.ingresses[load.ingress];
        let owed = self.owed(load);
        let matched = owed.iter().any(|owed| owed.route.is_some());
        if load.expired && matched {
            if outcome != Outcome::Accepted || self.sinks.iter().any(|sink| sink.answers.contains_key(id)) {
                self.wrong(format!(
                    "C19: {id} had expired before it came, was {outcome:?}, or was sent all the same"
                ));
            }
            return;
        }
        if owed.is_empty() {
            let stray = if load.malformed {
                ingress.malformed
            } else {
                ingress.unmatched
            };
            let rejected = matches!(outcome, Outcome::Rejected(_));
            if rejected != (stray == Stray::Reject) {
                self.wrong(format!("{id} owed nothing ({stray:?}) and ended as {outcome:?}"));
            }
            return;
        }
        let mut refused = false;
        for owed in owed {
            if self.met(id, &owed) || self.may_have_expired(id, &owed) {
                continue;
            }
            refused = true;
            if outcome == Outcome::Accepted {
                self.wrong(format!(
                    "C1: {id} was accepted, and {:?} of route {:?} never got it",
                    owed.part, owed.route
                ));
            } else if !self.was_refused(id, &owed) {
                self.wrong(format!(
                    "C17: {id} ended as {outcome:?}, and nothing at {:?} refused it",
                    owed.part
                ));
            }
        }
        if !refused
            && matches!(outcome, Outcome::Rejected(_))
            && ingress.settle == Settling::InOrder
            && !ingress.drop_rejected
        {
            self.wrong(format!(
                "C17: {id} ended as {outcome:?} on an in-order lane that must hold"
            ));
        }
    }

    fn met(&self, id: &str, owed: &Owed) -> bool {
        let dead = |at: usize| self.sinks[at].dead_letters.contains_key(id);
        self.delivered(id, &owed.part)
            || owed.dead_letter.is_some_and(dead)
            || self.malformed_letter(id, owed)
    }

    /// A malformed message goes to its destination as a dead letter from the start.
    fn malformed_letter(&self, id: &str, owed: &Owed) -> bool {
        match owed.part {
            Part::Destination(at) => owed.route.is_none() && self.sinks[at].dead_letters.contains_key(id),
            _ => false,
        }
    }

    fn delivered(&self, id: &str, part: &Part) -> bool {
        match part {
            Part::Destination(at) => self.sinks[*at].delivered.contains_key(id),
            Part::All(all) => all.iter().all(|at| self.sinks[*at].delivered.contains_key(id)),
            Part::Group(at) => self.case.groups[*at]
                .members
                .iter()
                .any(|member| self.delivered(id, member)),
        }
    }

    /// It had an age, and some life of it in the router lasted at least as long.
    fn may_have_expired(&self, id: &str, owed: &Owed) -> bool {
        let Some(max_age) = owed.max_age else { return false };
        let Some(first) = self.admitted.get(id).and_then(|times| times.first()) else {
            return false;
        };
        let load = self.loads[id];
        let settled = self.world.feeds[load.ingress]
            .history()
            .into_iter()
            .rfind(|entry| {
                let offset = id.rsplit('-').next().and_then(|text| text.parse().ok());
                entry.lane == load.lane
                    && matches!(entry.what, Happening::Settled { offset: at, .. } if Some(at) == offset)
            });
        settled.is_some_and(|entry| entry.stamp.at >= first.at + max_age)
    }

    /// Some destination of this obligation, or its dead letter, refused the event or used up its attempts, or was given
    /// up because it was down.
    fn was_refused(&self, id: &str, owed: &Owed) -> bool {
        let mut all = places(&self.case.groups, &owed.part);
        all.extend(owed.dead_letter);
        all.into_iter().any(|at| self.given_up(at, id))
    }

    /// A destination refused the event, used up its attempts, or may have been given up because it was down.
    fn given_up(&self, at: usize, id: &str) -> bool {
        let case = &self.case.destinations[at];
        let answers = self.sinks[at].answers.get(id).map_or(&[][..], Vec::as_slice);
        let failed = answers.iter().filter(|(_, act)| *act == Act::Fail).count();
        let rejected = answers.iter().any(|(_, act)| *act == Act::Reject);
        rejected || failed >= case.attempts as usize || case.unavailable.is_some()
    }

    /// C19: nothing is handed over after its age has passed. Dead letters do not age.
    fn ages(&mut self) {
        let mut wrong = Vec::new();
        for load in &self.case.load {
            let id = load.event.id();
            let owed = self.owed(load);
            // Where two obligations meet in one destination, or a dead letter does, the longest age decides.
            for (number, seen) in self.sinks.iter().enumerate() {
                let reaches = |owed: &&Owed| {
                    places(&self.case.groups, &owed.part).contains(&number)
                        || owed.dead_letter == Some(number)
                };
                let through: Vec<&Owed> = owed.iter().filter(reaches).collect();
                let dead_letter = through.iter().any(|owed| owed.dead_letter == Some(number));
                let ages: Option<Vec<Duration>> = through.iter().map(|owed| owed.max_age).collect();
                let Some(age) = ages
                    .and_then(|ages| ages.into_iter().max())
                    .filter(|_| !dead_letter)
                else {
                    continue;
                };
                let times = self.admitted.get(id).map_or(&[][..], Vec::as_slice);
                for (stamp, _) in seen.answers.get(id).into_iter().flatten() {
                    if !times
                        .iter()
                        .any(|time| time.order < stamp.order && stamp.at < time.at + age)
                    {
                        wrong.push(format!(
                            "C19: {id} was handed to d{number} at {:?}, past {age:?}",
                            stamp.at
                        ));
                    }
                }
            }
        }
        self.found.extend(wrong);
    }

    /// C20: first deliveries of one key to one destination follow the order of an in-order lane, where neither
    /// fallback nor re-pick leads to that destination.
    fn order(&mut self) {
        let mut wrong = Vec::new();
        for (number, seen) in self.sinks.iter().enumerate() {
            let in_group = self.case.groups.iter().any(|group| {
                group
                    .members
                    .iter()
                    .any(|part| places(&self.case.groups, part).contains(&number))
            });
            if in_group || !self.case.destinations[number].keyed {
                continue;
            }
            let mut last: HashMap<(usize, u32, Vec<u8>), (&Load, Stamp)> = HashMap::new();
            for load in &self.case.load {
                let in_order = self.case.ingresses[load.ingress].settle == Settling::InOrder;
                let first = seen
                    .delivered
                    .get(load.event.id())
                    .and_then(|times| times.first());
                let (Some(key), Some(first), true) = (load.event.key(), first, in_order) else {
                    continue;
                };
                let line = (load.ingress, load.lane, key.to_vec());
                let Some((before, earlier)) = last.insert(line, (load, *first)) else {
                    continue;
                };
                // NOTE: an event that the remote refused, or that was given up here, lets those behind it pass: it is held,
                // or went to the dead letter, and comes late if its lane starts again before that has it.
                if earlier.order > first.order && !self.given_up(number, before.event.id()) {
                    let (before, id) = (before.event.id(), load.event.id());
                    wrong.push(format!(
                        "C20: d{number} got {id} before {before}, which has the same key"
                    ));
                }
            }
        }
        self.found.extend(wrong);
    }

    /// C18, C23: a dead letter says why, and that is true. Attempts are the event's own failures.
    fn dead_letters(&mut self) {
        let mut wrong = Vec::new();
        for event in self
            .sinks
            .iter()
            .flat_map(|seen| seen.dead_letters.values().flatten())
        {
            let id = event.id();
            let text = |name: &str| event.get(name).map(|value| value.text);
            let reason = text("weftclass").unwrap_or_default();
            if reason == "malformed" {
                if !self.loads[id].malformed {
                    wrong.push(format!("C18: {id} was no malformed message"));
                }
                continue;
            }
            let at = text("weftdestination").and_then(|name| name.strip_prefix('d')?.parse::<usize>().ok());
            let Some(at) = at else {
                wrong.push(format!("C18: the dead letter of {id} names no destination"));
                continue;
            };
            let answers = self.sinks[at].answers.get(id).map_or(&[][..], Vec::as_slice);
            let count = |wanted: Act| answers.iter().filter(|(_, act)| *act == wanted).count();
            let case = &self.case.destinations[at];
            let holds = match reason {
                "refused" => count(Act::Reject) > 0,
                "exhausted" => count(Act::Fail) >= case.attempts as usize,
                _ => case.unavailable.is_some(),
            };
            if !holds {
                wrong.push(format!(
                    "C23: {id} is dead because of {reason} at d{at}, which answered {answers:?}"
                ));
            }
            let attempts = event
                .get("weftattempts")
                .filter(|value| value.kind == AttrKind::Integer);
            if attempts.is_none() || text("weftroute").is_none() || text("weftfirst") > text("weftlast") {
                wrong.push(format!(
                    "C18: the dead letter of {id} lacks attempts, route or times: {event:?}"
                ));
            }
        }
        self.found.extend(wrong);
    }

    /// C21, C32: at rest nothing is charged, nothing is pending, and what came in is what went out.
    fn books(&mut self) {
        if self.world.budget.used() != 0 {
            self.wrong(format!(
                "C21: {} bytes are still charged",
                self.world.budget.used()
            ));
        }
        for destination in &self.world.destinations {
            let standing = destination.standing();
            let rest = (
                standing.pending_events,
                standing.pending_bytes,
                standing.in_flight,
            );
            if rest != (0, 0, 0) {
                self.found.push(format!(
                    "C21: {} still has {rest:?} events, bytes, in flight",
                    destination.name
                ));
            }
        }
        for (number, metrics) in self.world.ingress_metrics.iter().enumerate() {
            let ends = [
                &metrics.delivered,
                &metrics.dead_lettered,
                &metrics.dropped,
                &metrics.expired,
                &metrics.returned,
            ];
            let ends: Vec<u64> = ends.into_iter().map(|counter| counter.get()).collect();
            let (owed, pending) = (metrics.obligations.get(), metrics.pending.get());
            if owed != ends.iter().sum::<u64>() || pending != 0 {
                self.found.push(format!(
                    "C32: i{number}: {owed} obligations, ends {ends:?}, {pending} pending"
                ));
            }
            if metrics.overdelivered.get() != 0 {
                self.found.push(format!(
                    "i{number}: {} events were taken past the credit",
                    metrics.overdelivered.get()
                ));
            }
            if metrics.held_lanes.get() != 0 {
                self.found.push(format!(
                    "C32: i{number}: {} lanes are still held",
                    metrics.held_lanes.get()
                ));
            }
        }
    }
}

/// Every destination that a part may lead to.
fn places(groups: &[GroupCase], part: &Part) -> Vec<usize> {
    match part {
        Part::Destination(at) => vec![*at],
        Part::All(all) => all.clone(),
        Part::Group(at) => groups[*at]
            .members
            .iter()
            .flat_map(|member| places(groups, member))
            .collect(),
    }
}
