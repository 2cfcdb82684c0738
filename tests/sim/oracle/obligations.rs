//! C1, C2, C3, C17, C19: what was acknowledged met every obligation, unchanged and in time; what was refused had a reason.

use std::time::Duration;

use weft::topology::reload::Removal;
use weft_api::event::{Attributes, Event};
use weft_api::outcome::Outcome;
use weft_inproc::Act;

use super::Found;
use super::facts::{Facts, Life, Owed, Try};
use crate::case::{Load, Part, Setup, Stray, key_of};

/// How much later a log may know an age to have passed: two roundings.
const LOG_GRACE: Duration = Duration::from_millis(2);

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for (number, sink) in facts.world.sinks.iter().enumerate() {
        for delivery in sink.deliveries() {
            untouched(facts, number, &delivery.event, found);
        }
    }
    for load in &facts.case.load {
        for life in facts.lives(&load.key) {
            judge_life(facts, load, life, found);
        }
        ages(facts, load, found);
    }
}

/// C2: what arrives came in, and is the same but for `weft...` extensions.
fn untouched(facts: &Facts<'_>, sink: usize, event: &Event, found: &mut Found) {
    let Some(load) = facts.loads.get(key_of(event).as_str()) else {
        return found.push(format!("C2: d{sink} got {}, which never came in", event.id()));
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
        found.push(format!("C2: d{sink} got {event:?} for {:?}", load.event));
    }
}

/// One stay that ended with a final word: under one of the tables that may have decided it, everything is in order.
fn judge_life(facts: &Facts<'_>, load: &Load, life: &Life, found: &mut Found) {
    let Some(outcome @ (Outcome::Accepted | Outcome::Rejected(_))) = life.outcome() else {
        return;
    };
    let mut wrong = None;
    for table in facts.deciding(life) {
        match under(facts, load, life, outcome, facts.setup(table)) {
            Ok(()) => return,
            Err(why) => wrong = Some(why),
        }
    }
    found.extend(wrong);
}

fn under(facts: &Facts<'_>, load: &Load, life: &Life, outcome: Outcome, setup: &Setup) -> Result<(), String> {
    let (key, ingress) = (&load.key, setup.ingresses[load.ingress].as_ref());
    let Some(ingress) = ingress else {
        return Err(format!(
            "C30: {key} came in through an ingress that was not there"
        ));
    };
    let owed = facts.owed(setup, load);
    if load.expired && !load.malformed && owed.iter().any(|owed| owed.route.is_some()) {
        let sent = (0..facts.sinks.len()).any(|at| {
            facts
                .tries(at, key)
                .any(|it| life.spans(it.stamp) && !it.dead_letter)
        });
        if outcome != Outcome::Accepted || sent {
            return Err(format!(
                "C19: {key} had expired before it came, was {outcome:?}, or was sent all the same"
            ));
        }
        return Ok(());
    }
    if owed.is_empty() {
        let stray = if load.malformed {
            ingress.malformed
        } else {
            ingress.unmatched
        };
        let rejected = matches!(outcome, Outcome::Rejected(_));
        if rejected != (stray == Stray::Reject) {
            return Err(format!(
                "C17: {key} owed nothing ({stray:?}) and ended as {outcome:?}"
            ));
        }
        return Ok(());
    }
    let (mut refused, mut lapsed) = (false, 0);
    for owed in &owed {
        let kept = facts.may_be_kept(owed);
        if met(facts, setup, key, life, owed) || !kept && expired(life, owed) {
            continue;
        }
        if purged(facts, setup, life, owed) || kept && may_lapse(facts, owed, &load.key) {
            lapsed += u64::from(!is_joined(setup, owed));
            continue;
        }
        refused = true;
        let route = owed.route.map(|route| route.name);
        if outcome == Outcome::Accepted {
            let clause = if kept { "C24" } else { "C1" };
            return Err(format!(
                "{clause}: {key} was accepted, and {:?} of route {route:?} never got it in that life",
                owed.part
            ));
        } else if !was_refused(facts, setup, key, owed) {
            return Err(format!(
                "C17: {key} ended as {outcome:?}, and nothing at {:?} refused it",
                owed.part
            ));
        }
    }
    let rejected = matches!(outcome, Outcome::Rejected(_));
    // Where two legs meet in one sink, what met the one may hide that the other was refused.
    let hidden = || owed.iter().any(|owed| was_refused(facts, setup, key, owed));
    if rejected && !refused && !hidden() {
        return Err(format!("C8: {key} ended as {outcome:?}, and nothing refused it"));
    }
    // Whether refusals are dropped may change under a life; each table since its begin may have said so.
    let may_tell = facts.tables(life).any(|table| {
        let ingress = &facts.setup(table).ingresses[load.ingress];
        ingress.as_ref().is_none_or(|ingress| !ingress.holds())
    });
    if rejected && !may_tell {
        return Err(format!(
            "C17: {key} ended as {outcome:?} on an in-order lane that must hold"
        ));
    }
    if outcome == Outcome::Accepted && !life.waits && facts.case.store.is_some() {
        facts.lapsed.set(facts.lapsed.get() + lapsed);
    }
    Ok(())
}

/// Everything that is owed was handed over, and taken, while the life lasted (C8: never accepted before that).
fn met(facts: &Facts<'_>, setup: &Setup, key: &str, life: &Life, owed: &Owed<'_>) -> bool {
    let kept = facts.may_be_kept(owed);
    if kept && facts.dead.contains(key) {
        return true;
    }
    let dead = |at: usize| {
        let letters = facts.sinks[at].dead_letters.get(key);
        letters.is_some_and(|letters| letters.iter().any(|(stamp, _)| Facts::counts(life, *stamp, kept)))
    };
    let stray_letter = matches!(owed.part, Part::Destination(at) if owed.route.is_none() && dead(at));
    delivered(facts, setup, key, life, &owed.part, kept)
        || owed.dead_letter().is_some_and(dead)
        || stray_letter
}

/// `kept`: in a log, it may have been delivered later.
pub(super) fn delivered(
    facts: &Facts<'_>,
    setup: &Setup,
    key: &str,
    life: &Life,
    part: &Part,
    kept: bool,
) -> bool {
    let at_sink = |at: &usize| {
        let got = facts.sinks[*at].delivered.get(key);
        let got = got.is_some_and(|got| got.iter().any(|got| Facts::counts(life, got.stamp, kept)));
        got || facts.left_out(*at, key, life, kept)
    };
    match part {
        Part::Destination(at) => at_sink(at),
        Part::All(all) => all.iter().all(at_sink),
        Part::Group(at) => setup.groups[*at]
            .members
            .iter()
            .any(|member| delivered(facts, setup, key, life, member, kept)),
    }
}

/// Its age had passed before the life ended.
pub(super) fn expired(life: &Life, owed: &Owed<'_>) -> bool {
    let ended = life.end.map(|(stamp, _)| stamp.at);
    owed.max_age()
        .is_some_and(|age| ended.is_none_or(|ended| ended >= life.admitted.at + age))
}

/// Several destinations that a group treats as one count as one, and as stored where one of them has a log.
fn is_joined(setup: &Setup, owed: &Owed<'_>) -> bool {
    let several = |part: &Part| matches!(part, Part::All(_));
    matches!(owed.part, Part::Group(at) if setup.groups[at].members.iter().any(several))
}

/// In a log its age may have passed, that of its route or that of the log.
pub(super) fn may_lapse(facts: &Facts<'_>, owed: &Owed<'_>, key: &str) -> bool {
    let setups = || facts.case.setups.iter();
    // A letter that is sent again has another age.
    let replayed = facts.dead.contains(key);
    let letter = owed.dead_letter().map(Part::Destination);
    let ages = |part: &Part| setups().any(|setup| setup.log_age(part).is_some());
    owed.max_age().is_some() || ages(&owed.part) || letter.as_ref().is_some_and(ages) || replayed
}

/// The user said that what is pending there shall be dropped (C30).
fn purged(facts: &Facts<'_>, setup: &Setup, life: &Life, owed: &Owed<'_>) -> bool {
    let mut all = setup.places(&owed.part);
    all.extend(owed.dead_letter());
    let kept = facts.may_be_kept(owed);
    all.into_iter()
        .any(|at| facts.removed_during(at, life, Removal::Purge, kept))
}

/// Some destination of this obligation, or its dead letter, refused the event or used up its attempts, or was given
/// up because it was down or gone.
fn was_refused(facts: &Facts<'_>, setup: &Setup, key: &str, owed: &Owed<'_>) -> bool {
    let mut all = setup.places(&owed.part);
    all.extend(owed.dead_letter());
    let life = facts.lives(key).last();
    // Among the members of an anycast attempts add up.
    let failed = |at: &usize| facts.tries(*at, key).filter(|it| it.failed()).count();
    let failed: usize = all.iter().map(failed).sum();
    let least = all
        .iter()
        .filter_map(|at| facts.least(*at, |it| it.attempts))
        .min();
    let exhausted = least.is_some_and(|least| failed >= least as usize);
    exhausted
        || all.into_iter().any(|at| {
            given_up(facts, at, key)
                || life.is_some_and(|life| facts.removed_during(at, life, Removal::DeadLetter, false))
        })
}

/// A destination refused the event, used up its attempts, or may have been given up because it was down.
pub(super) fn given_up(facts: &Facts<'_>, at: usize, key: &str) -> bool {
    let acts: Vec<Act> = facts
        .tries(at, key)
        .filter_map(|it| it.answered)
        .map(|(_, act)| act)
        .collect();
    let failed = acts.iter().filter(|act| **act == Act::Fail).count();
    let attempts = facts.least(at, |it| it.attempts).unwrap_or(1);
    acts.contains(&Act::Reject)
        || failed >= attempts as usize
        || facts.case.destination(at).any(|it| it.unavailable.is_some())
}

/// C19: nothing is handed over after its age has passed. Dead letters do not age. C30: and under a table that leads there.
fn ages(facts: &Facts<'_>, load: &Load, found: &mut Found) {
    let key = &load.key;
    for number in 0..facts.sinks.len() {
        for it in facts.tries(number, key).filter(|it| !it.dead_letter) {
            let mut before = facts
                .lives(key)
                .iter()
                .filter(|life| life.admitted.order < it.stamp.order)
                .peekable();
            if before.peek().is_some() && !before.any(|life| leads_in_time(facts, load, life, number, it)) {
                found.push(format!(
                    "C19, C30: {key} was handed to d{number} at {:?}, past its age, or under no table that leads there",
                    it.stamp.at
                ));
            }
        }
    }
}

/// Where two obligations meet in one destination, the longest age decides.
fn leads_in_time(facts: &Facts<'_>, load: &Load, life: &Life, sink: usize, it: &Try) -> bool {
    // Its letter may have been sent anywhere, as new.
    if facts.dead.contains(load.key.as_str()) {
        return true;
    }
    let tables = if facts.may_keep(load) {
        facts.sending(load, life)
    } else {
        facts.deciding(life)
    };
    let (mut tables, kept) = (tables, facts.may_keep(load));
    tables.any(|table| {
        let setup = facts.setup(table);
        facts.owed(setup, load).iter().any(|owed| {
            // A log counts in milliseconds.
            let grace = if kept { LOG_GRACE } else { Duration::ZERO };
            let late = |age| it.stamp.at >= life.admitted.at + age + grace;
            // Where it waits, its age counts from the look at it that found a route.
            let in_time = life.waits || !owed.max_age().is_some_and(late);
            in_time && setup.places(&owed.part).contains(&sink)
        })
    })
}
