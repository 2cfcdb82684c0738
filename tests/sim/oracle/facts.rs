//! What happened, put in order: the lives of each message in the router, and what each sink saw of it.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use weft_api::event::{Attributes, Event};
use weft_api::outcome::Outcome;
use weft_inproc::{Act, Happening, Settling, Stamp};

use crate::case::{
    Case, DestinationCase, IngressCase, Load, Part, RouteCase, Setup, Stray, event_of, key_of,
};
use crate::world::World;

pub(super) struct Facts<'a> {
    pub(super) case: &'a Case,
    pub(super) world: &'a World,
    /// By what a message is found by at a sink.
    pub(super) loads: HashMap<&'a str, &'a Load>,
    /// By the same.
    pub(super) lives: HashMap<&'a str, Vec<Life>>,
    pub(super) sinks: Vec<Seen>,
    /// What was seen among the local dead letters.
    pub(super) dead: HashSet<&'a str>,
    /// Obligations that nobody met, and that may have expired or been purged in a log.
    pub(super) lapsed: Cell<u64>,
}

/// One stay of a message in the router.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) admitted: Stamp,
    /// The table in force then: its place in the world's log.
    pub(super) table: usize,
    /// How it ended, and when; `None` for one that was still there when the case was over.
    pub(super) end: Option<(Stamp, Ended)>,
    /// It was told, and the remote did not hear it.
    pub(super) unheard: bool,
    /// No route took it, or one before it in its lane, and nobody may be told so: a later table may decide (C30).
    pub(super) waits: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    Settled(Outcome),
    /// The client went away; the router goes on with what it has begun.
    HungUp,
    Rewound,
    /// Its lane was closed, or its ingress died.
    Revoked,
}

/// What one sink saw, by message.
#[derive(Default)]
pub(super) struct Seen {
    /// In order.
    pub(super) attempts: Vec<Try>,
    /// The places in `attempts`.
    pub(super) by_key: HashMap<String, Vec<usize>>,
    pub(super) delivered: HashMap<String, Vec<Got>>,
    pub(super) dead_letters: HashMap<String, Vec<(Stamp, Event)>>,
    /// Of `delivered` what the sink confirmed, by what all copies of an event are found by.
    confirmed: HashMap<String, Vec<Stamp>>,
}

/// An event that was handed over.
pub(super) struct Try {
    pub(super) key: String,
    pub(super) stamp: Stamp,
    pub(super) batch: Option<u64>,
    pub(super) answered: Option<(Stamp, Act)>,
    pub(super) dead_letter: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Got {
    pub(super) stamp: Stamp,
    pub(super) confirmed: bool,
}

/// What an event owes: to what, and by which route.
pub(super) struct Owed<'a> {
    pub(super) part: Part,
    pub(super) route: Option<&'a RouteCase>,
}

impl<'a> Facts<'a> {
    pub(super) fn gather(case: &'a Case, world: &'a World) -> Facts<'a> {
        let loads = case.load.iter().map(|load| (load.key.as_str(), load)).collect();
        let sinks = world.sinks.iter().map(Seen::of).collect();
        let letters = world.log.glimpses.iter().flat_map(|it| it.letters.values());
        let mut facts = Facts {
            case,
            world,
            loads,
            lives: lives(case, world),
            sinks,
            dead: letters.map(|dead| dead.key.as_str()).collect(),
            lapsed: Cell::new(0),
        };
        facts.find_who_waits();
        facts
    }

    /// Notes the lives that stand in an in-order lane behind an event that no route took, that event among them.
    fn find_who_waits(&mut self) {
        let mut waiting: Vec<(&'a str, usize)> = Vec::new();
        for number in 0..self.world.feeds.len() {
            if self.case.kind(number).settle != Settling::InOrder {
                continue;
            }
            for lane in 0..self.case.kind(number).lanes {
                // Those that hold the lane up, until when.
                let mut until = 0;
                for (load, at, life) in self.of_lane(number, lane) {
                    let setup = self.setup(life.table);
                    let ingress = setup.ingresses[number].as_ref();
                    let stray = |it: &IngressCase| {
                        if load.malformed {
                            it.malformed
                        } else {
                            it.unmatched
                        }
                    };
                    let rejected = ingress.map(stray) == Some(Stray::Reject);
                    let refused = rejected && self.owed(setup, load).is_empty();
                    let behind = !load.malformed && until > life.admitted.order;
                    if refused && !load.malformed {
                        until = until.max(life.ended());
                    }
                    if refused || behind {
                        waiting.push((load.key.as_str(), at));
                    }
                }
            }
        }
        for (key, at) in waiting {
            if let Some(lives) = self.lives.get_mut(key) {
                lives[at].waits = true;
            }
        }
    }

    /// Every life of every message of a lane, in the order of their admission.
    fn of_lane(&self, number: usize, lane: u32) -> Vec<(&'a Load, usize, Life)> {
        let own = self
            .case
            .load
            .iter()
            .filter(|load| (load.ingress, load.lane) == (number, lane));
        let mut all: Vec<(&Load, usize, Life)> = own
            .flat_map(|load| {
                let lives = self.lives(&load.key).iter().enumerate();
                lives.map(move |(at, life)| (load, at, *life))
            })
            .collect();
        all.sort_by_key(|(_, _, life)| life.admitted);
        all
    }

    /// The tables under which a life may have been decided: one, unless it waits.
    pub(super) fn deciding(&self, life: &Life) -> std::ops::RangeInclusive<usize> {
        if life.waits {
            self.tables(life)
        } else {
            life.table..=life.table
        }
    }

    pub(super) fn lives(&self, key: &str) -> &[Life] {
        self.lives.get(key).map_or(&[], Vec::as_slice)
    }

    /// The setup of a table.
    pub(super) fn setup(&self, table: usize) -> &'a Setup {
        &self.case.setups[self.world.log.tables[table].setup]
    }

    /// Every table that was in force during a life, the first one first.
    pub(super) fn tables(&self, life: &Life) -> std::ops::RangeInclusive<usize> {
        let last = self
            .world
            .log
            .table_at(life.end.map_or(u64::MAX, |(stamp, _)| stamp.order));
        life.table..=last
    }

    /// The naive twin of table and plans: what a message owes under a setup.
    pub(super) fn owed<'s>(&self, setup: &'s Setup, load: &Load) -> Vec<Owed<'s>> {
        let Some(ingress) = &setup.ingresses[load.ingress] else {
            return Vec::new();
        };
        let stray = |stray: Stray| match stray {
            Stray::To(at) => vec![Owed {
                part: Part::Destination(at),
                route: None,
            }],
            Stray::Forget | Stray::Reject => Vec::new(),
        };
        if load.malformed {
            return stray(ingress.malformed);
        }
        let mut matched = false;
        let mut owed: Vec<Owed<'s>> = Vec::new();
        for route in setup.routes.iter().filter(|it| it.matches(load.ingress, load.ty)) {
            matched = true;
            for part in &route.parts {
                if !owed.iter().any(|known| known.part == *part) {
                    owed.push(Owed {
                        part: part.clone(),
                        route: Some(route),
                    });
                }
            }
        }
        if matched { owed } else { stray(ingress.unmatched) }
    }

    /// Every destination that a message may be sent to under a setup.
    pub(super) fn places(&self, setup: &Setup, load: &Load) -> Vec<usize> {
        let owed = self.owed(setup, load);
        let mut all: Vec<usize> = owed.iter().flat_map(|owed| setup.places(&owed.part)).collect();
        all.extend(owed.iter().filter_map(Owed::dead_letter));
        all
    }

    /// The attempts at a message at one sink, in order.
    pub(super) fn tries(&self, sink: usize, key: &str) -> impl Iterator<Item = &Try> {
        let seen = &self.sinks[sink];
        let places = seen.by_key.get(key).map_or(&[][..], Vec::as_slice);
        places.iter().map(|at| &seen.attempts[*at])
    }

    /// Some setup may have left a copy out here, since the sink has one: it was confirmed before the life ended, and is
    /// not forgotten when it begins. Dead letters are never left out.
    pub(super) fn left_out(&self, sink: usize, key: &str, life: &Life, kept: bool) -> bool {
        let windows = self.case.destination(sink).filter_map(|it| it.pace.dedupe);
        let Some(window) = windows.map(|(window, _)| window).max() else {
            return false;
        };
        let known = self.sinks[sink].confirmed.get(event_of(key));
        known.into_iter().flatten().any(|stamp| {
            let remembered = stamp.at + window >= life.admitted.at;
            remembered && (kept || stamp.order < life.ended())
        })
    }

    /// The most that any setup says.
    pub(super) fn most<T: Ord>(&self, sink: usize, of: impl Fn(&DestinationCase) -> T) -> Option<T> {
        self.case.destination(sink).map(of).max()
    }

    /// The least that any setup says.
    pub(super) fn least<T: Ord>(&self, sink: usize, of: impl Fn(&DestinationCase) -> T) -> Option<T> {
        self.case.destination(sink).map(of).min()
    }

    /// The sink is there, and not changed by anything, for the whole of the case.
    pub(super) fn always_there(&self, sink: usize) -> bool {
        self.case
            .setups
            .iter()
            .all(|setup| setup.destinations[sink].is_some())
    }

    /// Whether this destination was taken away under this word while the life lasted.
    pub(super) fn removed_during(
        &self,
        sink: usize,
        life: &Life,
        word: weft::topology::reload::Removal,
        kept: bool,
    ) -> bool {
        let ended = if kept { u64::MAX } else { life.ended() };
        self.world.log.reloads.iter().any(|reload| {
            let there = |setup: usize| self.case.setups[setup].destinations[sink].is_some();
            reload.result.is_ok()
                && reload.word == Some(word)
                && there(reload.from)
                && !there(reload.to)
                // Legs of plans that were made before may still come to what is gone.
                && reload.began.order < ended
        })
    }
}

impl Try {
    /// It failed by the event's own fault, and may be tried again.
    pub(super) fn failed(&self) -> bool {
        matches!(self.answered, Some((_, Act::Fail)))
    }
}

impl Owed<'_> {
    pub(super) fn dead_letter(&self) -> Option<usize> {
        self.route.and_then(|route| route.dead_letter)
    }

    pub(super) fn max_age(&self) -> Option<Duration> {
        self.route.and_then(|route| route.max_age)
    }
}

impl Life {
    /// Where its end stands in the order of things.
    pub(super) fn ended(&self) -> u64 {
        self.end.map_or(u64::MAX, |(stamp, _)| stamp.order)
    }

    /// Whether something happened while it lasted.
    pub(super) fn spans(&self, stamp: Stamp) -> bool {
        self.admitted.order < stamp.order && stamp.order < self.ended()
    }

    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self.end {
            Some((_, Ended::Settled(outcome))) => Some(outcome),
            _ => None,
        }
    }
}

impl Seen {
    fn of(sink: &weft_inproc::Sink) -> Seen {
        let mut seen = Seen::default();
        for attempt in sink.attempts() {
            let key = key_of(&attempt.event);
            seen.by_key
                .entry(key.clone())
                .or_default()
                .push(seen.attempts.len());
            seen.attempts.push(Try {
                key,
                stamp: attempt.stamp,
                batch: attempt.batch,
                answered: attempt.answered,
                dead_letter: attempt.event.get("weftclass").is_some(),
            });
        }
        for delivery in sink.deliveries() {
            let key = key_of(&delivery.event);
            let (stamp, confirmed) = (delivery.stamp, delivery.confirmed);
            if delivery.event.get("weftclass").is_some() {
                let letters = seen.dead_letters.entry(key).or_default();
                letters.push((stamp, delivery.event));
                continue;
            }
            if confirmed {
                let event = event_of(&key).to_owned();
                seen.confirmed.entry(event).or_default().push(stamp);
            }
            let got = seen.delivered.entry(key).or_default();
            got.push(Got { stamp, confirmed });
        }
        seen
    }
}

fn lives<'a>(case: &'a Case, world: &World) -> HashMap<&'a str, Vec<Life>> {
    let keys: HashMap<(usize, u32, u64), &str> = case
        .load
        .iter()
        .map(|load| ((load.ingress, load.lane, load.offset), load.key.as_str()))
        .collect();
    let mut lives: HashMap<&str, Vec<Life>> = HashMap::new();
    for (number, feed) in world.feeds.iter().enumerate() {
        for entry in feed.history() {
            let (stamp, lane) = (entry.stamp, entry.lane);
            let mut end = |offset: u64, how: Ended| {
                let life = lives
                    .get_mut(keys[&(number, lane, offset)])
                    .and_then(|lives| lives.last_mut());
                if let Some(life) = life.filter(|life| life.end.is_none()) {
                    life.end = Some((stamp, how));
                }
            };
            let offsets = || 0..case.load.len() as u64;
            match entry.what {
                Happening::Delivered { offset, .. } => {
                    // One that a reload takes away keeps its table until it has gone.
                    let has = |table: &usize| {
                        case.setups[world.log.tables[*table].setup].ingresses[number].is_some()
                    };
                    let now = world.log.table_at(stamp.order);
                    let table = (0..=now).rev().find(has).unwrap_or(now);
                    lives
                        .entry(keys[&(number, lane, offset)])
                        .or_default()
                        .push(Life {
                            admitted: stamp,
                            table,
                            end: None,
                            unheard: false,
                            waits: false,
                        });
                }
                Happening::Settled { offset, outcome } => end(offset, Ended::Settled(outcome)),
                Happening::HungUp { offset } => end(offset, Ended::HungUp),
                Happening::AckLost { offset } => {
                    let life = lives
                        .get_mut(keys[&(number, lane, offset)])
                        .and_then(|lives| lives.last_mut());
                    if let Some(life) = life {
                        life.unheard = true;
                    }
                }
                Happening::Rewound { .. } => offsets()
                    .take_while(|offset| keys.contains_key(&(number, lane, *offset)))
                    .for_each(|offset| end(offset, Ended::Rewound)),
                Happening::Opened { .. } | Happening::Revoked => offsets()
                    .take_while(|offset| keys.contains_key(&(number, lane, *offset)))
                    .for_each(|offset| end(offset, Ended::Revoked)),
            }
        }
    }
    lives
}
