//! C4, C23 and the settings that pace a destination: its rate is kept, extra sends stay within the retry budget while the
//! breaker is closed, and `dedupe:` neither sends what the sink has confirmed nor two copies at once.
//!
//! Looks at destinations that are there, and paced alike, in every setup. That `dedupe:` loses nothing is checked with the
//! obligations.

use std::collections::HashMap;
use std::time::Duration;

use weft_inproc::{Act, Stamp};

use super::Found;
use super::breaker::Doors;
use super::facts::{Facts, Try};
use crate::case::{PaceCase, event_of};

/// Ten seconds' worth of the floor are kept, and begin there.
const FLOOR_KEPT_S: f64 = 10.0;

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    let doors = Doors::of(facts);
    for sink in 0..facts.sinks.len() {
        let Some(pace) = steady(facts, sink) else { continue };
        let log = &facts.world.log;
        let last = log.tables.last().map_or(0, |table| table.life);
        for life in 0..=last {
            // A bucket is full, and a memory empty, when the router begins.
            let own = |it: &&Try| log.tables[log.table_at(it.stamp.order)].life == life;
            let tries: Vec<&Try> = facts.sinks[sink].attempts.iter().filter(own).collect();
            if let Some((events, burst)) = pace.rate {
                rate(sink, &tries, f64::from(events), f64::from(burst), found);
            }
            if let Some((share, floor)) = pace.retries {
                retries(facts, &doors, sink, &tries, share, f64::from(floor), found);
            }
            if let Some((window, entries)) = pace.dedupe {
                let roomy = entries as usize > facts.case.load.len() * 2;
                copies(sink, &tries, window, roomy, found);
            }
        }
    }
}

fn steady<'a>(facts: &Facts<'a>, sink: usize) -> Option<&'a PaceCase> {
    let mut all = facts.case.destination(sink).map(|it| &it.pace);
    let first = all.next()?;
    (facts.always_there(sink) && all.all(|it| it == first)).then_some(first)
}

/// The naive twin of the bucket.
fn rate(sink: usize, tries: &[&Try], events: f64, burst: f64, found: &mut Found) {
    let (mut tokens, mut at) = (burst, Duration::ZERO);
    for it in tries {
        tokens = (tokens + events * (it.stamp.at - at).as_secs_f64()).min(burst) - 1.0;
        at = it.stamp.at;
        // A direct send is seen a moment after it was decided, timers count in milliseconds.
        if tokens < -1.0 - events / 1000.0 {
            found.push(format!(
                "rate: d{sink} was given {} at {at:?}, and more than {events} a second had left",
                it.key
            ));
            return;
        }
    }
}

/// C23: what is sent again, and was not held by the breaker, is earned by first attempts or brought by time.
fn retries(
    facts: &Facts<'_>,
    doors: &Doors,
    sink: usize,
    tries: &[&Try],
    share: f64,
    floor: f64,
    found: &mut Found,
) {
    let Some(start) = tries.first().map(|it| it.stamp) else {
        return;
    };
    let mut last: HashMap<&str, Stamp> = HashMap::new();
    let (mut firsts, mut extra) = (0.0, 0.0);
    for it in tries {
        let before = last.insert(&it.key, it.stamp);
        // A letter that is sent again is a first attempt.
        let alone = facts.lives(&it.key).len() == 1
            && owed_once(facts, sink, &it.key)
            && !facts.dead.contains(it.key.as_str());
        let again = before.is_some_and(|before| !doors.may_be_open(sink, before, it.stamp));
        if !(again && alone && !it.dead_letter) {
            firsts += 1.0;
            continue;
        }
        extra += 1.0;
        let passed = it.stamp.at.saturating_sub(start.at).as_secs_f64();
        let most = share * firsts + floor * (FLOOR_KEPT_S + passed) + 1.0;
        if extra > most {
            found.push(format!(
                "C23: d{sink} was given {extra} events again until {:?}, and {most:.1} is what its budget allows",
                it.stamp.at
            ));
            return;
        }
    }
}

/// No two legs of the event meet here.
fn owed_once(facts: &Facts<'_>, sink: usize, key: &str) -> bool {
    let load = facts.loads[key];
    facts.lives(key).iter().all(|life| {
        facts.tables(life).all(|table| {
            let places = facts.places(facts.setup(table), load);
            places.iter().filter(|at| **at == sink).count() <= 1
        })
    })
}

/// `dedupe:`: one copy at a time, and none within the window after one was confirmed.
fn copies(sink: usize, tries: &[&Try], window: Duration, roomy: bool, found: &mut Found) {
    let mut last: HashMap<&str, &Try> = HashMap::new();
    for it in tries.iter().filter(|it| !it.dead_letter) {
        let Some(before) = last.insert(event_of(&it.key), it) else {
            continue;
        };
        let Some((answered, act)) = before.answered else {
            continue;
        };
        if answered.order > it.stamp.order {
            found.push(format!(
                "C4, dedupe: d{sink} was given {} while {} was under way",
                it.key, before.key
            ));
        }
        let remembered = it.stamp.at < answered.at + window;
        if act == Act::Accept && remembered && roomy {
            found.push(format!(
                "C4, dedupe: d{sink} was given {} at {:?}, and had confirmed {} at {:?}",
                it.key, it.stamp.at, before.key, answered.at
            ));
        }
    }
}
