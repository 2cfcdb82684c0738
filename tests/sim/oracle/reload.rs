//! C30: a reload touches only what changed, or, where it is refused, nothing; each event meets one table.
//!
//! That what an event was given is what one table says is checked by `obligations` (everything that one table owes)
//! and here (nothing that no table owes).

use weft::topology::reload::Changes;

use super::Found;
use super::facts::Facts;
use crate::case::{Fault, Setup};
use crate::world::Reloaded;

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for reload in &facts.world.log.reloads {
        refusal(facts, reload, found);
        report(facts, reload, found);
    }
    nothing_else(facts, found);
    for number in 0..facts.world.feeds.len() {
        reopened(facts, number, found);
    }
}

/// What is not valid, or would leave pending events without a word on them, is refused; everything else is not.
fn refusal(facts: &Facts<'_>, reload: &Reloaded, found: &mut Found) {
    let (from, to) = (&facts.case.setups[reload.from], &facts.case.setups[reload.to]);
    let gone = |at: &usize| from.destinations[*at].is_some() && to.destinations[*at].is_none();
    let speechless = reload.word.is_none() && reload.pending.iter().any(gone);
    // A new log needs the disk.
    let failed = |why: &String| why.starts_with("the store at");
    let by_disk = facts.world.log.disk_failed() && reload.result.as_ref().is_err_and(failed);
    let expected = reload.broken || speechless;
    if reload.result.is_err() != expected && !by_disk {
        found.push(format!(
            "C30: a reload (broken: {}, {:?} pending, {:?}) ended with {:?}",
            reload.broken, reload.pending, reload.word, reload.result
        ));
    }
}

/// What it says that it did is the difference of the two setups.
fn report(facts: &Facts<'_>, reload: &Reloaded, found: &mut Found) {
    let Ok(report) = &reload.result else { return };
    let (from, to) = (&facts.case.setups[reload.from], &facts.case.setups[reload.to]);
    let ingresses = differences('i', from.ingresses.len(), |at| {
        let key = |setup: &Setup| {
            let case = setup.ingresses[at].as_ref();
            case.map(|it| format!("{:?}", (it.window_events, it.window_bytes, it.redeliver_after)))
        };
        (key(from), key(to))
    });
    let destinations = differences('d', from.destinations.len(), |at| {
        let key = |setup: &Setup| {
            let case = setup.destinations[at].as_ref();
            case.map(|it| format!("{:?}", it.client))
        };
        (key(from), key(to))
    });
    if report.ingresses != ingresses || report.destinations != destinations {
        found.push(format!(
            "C30: a reload says {report:?}; {ingresses:?} and {destinations:?} are different"
        ));
    }
}

fn differences(
    letter: char,
    count: usize,
    pair: impl Fn(usize) -> (Option<String>, Option<String>),
) -> Changes {
    let mut changes = Changes::default();
    for at in 0..count {
        let name = format!("{letter}{at}");
        match pair(at) {
            (None, Some(_)) => changes.added.push(name),
            (Some(_), None) => changes.removed.push(name),
            (Some(before), Some(after)) if before != after => changes.changed.push(name),
            _ => {}
        }
    }
    changes
}

/// Nothing is sent to where no table leads that was in force since the message came in for the first time.
fn nothing_else(facts: &Facts<'_>, found: &mut Found) {
    for (number, seen) in facts.sinks.iter().enumerate() {
        for it in &seen.attempts {
            let load = facts.loads[it.key.as_str()];
            let lives = facts.lives(&it.key);
            let leads = |table: usize| facts.places(facts.setup(table), load).contains(&number);
            let mut before = lives
                .iter()
                .filter(|life| life.admitted.order < it.stamp.order)
                .peekable();
            if before.peek().is_none() {
                found.push(format!("C2: {} was sent to d{number} before it came in", it.key));
            } else if !before.any(|life| facts.sending(load, life).any(leads))
                && !facts.dead.contains(it.key.as_str())
            {
                found.push(format!(
                    "C30: {} was sent to d{number}, and no table that it met leads there",
                    it.key
                ));
            }
        }
    }
}

/// An ingress is built again only where it changed, died, or the router did.
fn reopened(facts: &Facts<'_>, number: usize, found: &mut Found) {
    let log = &facts.world.log;
    let built = log.built.lock().expect("nobody panics with it");
    let built = built.iter().filter(|(at, _)| *at == number).count();
    let crashes = facts.case.trouble.iter();
    let crashes = crashes
        .filter(|it| matches!(it.fault, Fault::CrashIngress(at, _) if at == number))
        .count();
    let key = |setup: usize| {
        let case = facts.case.setups[setup].ingresses[number].as_ref();
        case.map(|it| (it.window_events, it.window_bytes, it.redeliver_after))
    };
    let changes = log
        .reloads
        .iter()
        .filter(|it| it.result.is_ok() && key(it.to).is_some() && key(it.from) != key(it.to))
        .count();
    let starts = 1 + log.stops.iter().filter(|stop| stop.again.is_some()).count() + log.kills.len();
    if built > starts + crashes + changes {
        found.push(format!(
            "C30: i{number} was opened {built} times: {starts} starts, {crashes} crashes, {changes} changes"
        ));
    }
}
