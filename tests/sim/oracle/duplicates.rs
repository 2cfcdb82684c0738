//! C4: each duplicate at a sink has an occasion: a delivery that nobody confirmed (time-out, crash, reconnect), or
//! another stay of the message in the router (rewind, rebalance, crash, stop, a sender that repeats). What the router
//! can see of it stands in its counters. That no occasion brings back more than a window is checked by `lanes`.

use weft_inproc::{Act, Happening};

use super::Found;
use super::facts::{Ended, Facts, Life};
use crate::case::Part;

/// How many obligations an event may have: routes, and parts of each.
const MOST_LEGS: usize = 16;

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    // A crash may repeat what a log had under way, and a replay sends again what may be elsewhere.
    // What a log had not surely written when it failed may be found by the next start, and was delivered past it.
    let log = &facts.world.log;
    let failed = log.kept.iter().filter(|kept| kept.failed_at.is_some()).count();
    let (kills, jobs) = (log.kills.len() + failed, log.jobs.len());
    for (number, seen) in facts.sinks.iter().enumerate() {
        for (key, got) in &seen.delivered {
            let confirmed = got.iter().filter(|got| got.confirmed).count();
            let lives = facts.lives(key);
            let legs: usize = lives.iter().map(|life| legs(facts, key, life, number)).sum();
            let legs = legs * (1 + kills) + jobs * usize::from(facts.dead.contains(key.as_str())) * MOST_LEGS;
            if confirmed > legs && !lives.iter().any(|life| in_a_nested_one(facts, key, life, number)) {
                found.push(format!(
                    "C4: d{number} confirmed {key} {confirmed} times, and {} lives owed it there {legs} times",
                    lives.len()
                ));
            }
        }
        counted(facts, number, found);
    }
    rewinds(facts, found);
    stale(facts, found);
}

/// C4, C5: of a life that ended with its lane nothing more is sent; what was under way then may still arrive.
fn stale(facts: &Facts<'_>, found: &mut Found) {
    for (number, seen) in facts.sinks.iter().enumerate() {
        for it in &seen.attempts {
            if facts.may_keep(facts.loads[it.key.as_str()]) {
                continue;
            }
            let lives = facts.lives(&it.key).iter();
            let life = lives.rev().find(|life| life.admitted.order < it.stamp.order);
            let Some((ended, Ended::Rewound | Ended::Revoked)) = life.and_then(|life| life.end) else {
                continue;
            };
            // The router hears of it in the same moment.
            if it.stamp.at > ended.at {
                found.push(format!(
                    "C4, C5: d{number} was given {} at {:?}, whose life had ended at {:?}",
                    it.key, it.stamp.at, ended.at
                ));
            }
        }
    }
}

/// How many obligations of one life may be met by a plain delivery at this sink.
fn legs(facts: &Facts<'_>, key: &str, life: &Life, sink: usize) -> usize {
    let load = facts.loads[key];
    let under = |table: usize| {
        let setup = facts.setup(table);
        let owed = facts.owed(setup, load).into_iter();
        owed.filter(|owed| setup.places(&owed.part).contains(&sink))
            .count()
    };
    // One table decides; a lane that is held may wait for a later one, and so may a log.
    facts.sending(load, life).map(under).max().unwrap_or(0)
}

/// The sink is one of several that a group treats as one member: where another of them fails, all get it again when the
/// group comes back to that member (a re-pick).
fn in_a_nested_one(facts: &Facts<'_>, key: &str, life: &Life, sink: usize) -> bool {
    let setup = facts.setup(life.table);
    let nested = |part: &Part| matches!(part, Part::All(all) if all.contains(&sink));
    let owed = facts.owed(setup, facts.loads[key]);
    owed.iter().any(|owed| match owed.part {
        Part::Group(at) => setup.groups[at].members.iter().any(nested),
        _ => false,
    })
}

/// An event that is sent again to where it may have arrived is counted as a possible duplicate.
fn counted(facts: &Facts<'_>, sink: usize, found: &mut Found) {
    let mut again = 0;
    for key in facts.sinks[sink].by_key.keys() {
        let load = facts.loads[key.as_str()];
        // Where several legs of one event may meet, no one can say which of them came again.
        let Some(life) = facts.lives(key).first() else {
            continue;
        };
        let alone = facts.tables(life).all(|table| {
            let places = facts.places(facts.setup(table), load);
            places.iter().filter(|at| **at == sink).count() <= 1
        });
        // A multicast inside a group is counted as a whole, at its first destination.
        if !alone || in_a_nested_one(facts, key, life, sink) {
            continue;
        }
        let tries: Vec<_> = facts.tries(sink, key).filter(|it| life.spans(it.stamp)).collect();
        let unknown = |act: Option<Act>| {
            matches!(
                act,
                Some(Act::Timeout { .. } | Act::Forget { .. } | Act::Panic | Act::Quit)
            )
        };
        again += tries
            .windows(2)
            .filter(|pair| unknown(pair[0].answered.map(|(_, act)| act)))
            .count() as u64;
    }
    let metrics = facts.world.log.destination_metrics(sink);
    let known: u64 = metrics.iter().map(|it| it.possible_duplicates.get()).sum();
    if known < again {
        found.push(format!(
            "C4, C32: d{sink} was sent {again} events that it may have had, and {known} are counted"
        ));
    }
}

/// Every lane that starts again is counted.
fn rewinds(facts: &Facts<'_>, found: &mut Found) {
    for number in 0..facts.world.feeds.len() {
        let (seen, counted) = rewinds_of(facts, number);
        if counted < seen {
            found.push(format!(
                "C4, C32: i{number} started {seen} lanes again, and {counted} are counted"
            ));
        }
    }
}

/// How many rewinds an ingress was told of, and how many are counted.
pub(super) fn rewinds_of(facts: &Facts<'_>, number: usize) -> (u64, u64) {
    let seen = facts.world.feeds[number]
        .history()
        .into_iter()
        .filter(|entry| matches!(entry.what, Happening::Rewound { .. }))
        .count() as u64;
    let metrics = facts.world.log.ingress_metrics.iter();
    let counted = metrics
        .chain(&facts.world.log.lost)
        .filter(|(at, _)| *at == number)
        .map(|(_, it)| it.rewinds.get())
        .sum();
    (seen, counted)
}
