//! C18, C26, C32: the books of each log balance, a log that failed takes nothing more, and a dead letter leaves only by a
//! replay that ended or by a purge.
//!
//! That what was answered as stored is not lost (C24) is checked by `obligations`, like every other obligation: it may be
//! met at any later time, in any later life.

use weft::topology::desk::State;
use weft_inproc::Stamp;

use super::Found;
use super::facts::Facts;
use crate::case::{DeskOrder, Fault};
use crate::world::{Glimpse, Kept};

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    let log = &facts.world.log;
    for kept in &log.kept {
        took_nothing_more(kept, found);
        if !log.kills.iter().any(|kill| kill.life == kept.life) {
            books(kept, found);
        }
    }
    for pair in log.glimpses.windows(2) {
        left(facts, &pair[0], &pair[1], found);
    }
    jobs(facts, found);
    expiries(facts, found);
}

/// C26: after its first failure nothing is appended before a restart.
fn took_nothing_more(kept: &Kept, found: &mut Found) {
    let appended = kept.log.metrics.appended.get();
    if let Some(at) = kept.failed_at.filter(|at| *at != appended) {
        found.push(format!(
            "C26: the log of {} took {} records after it had failed",
            kept.log.name,
            appended - at
        ));
    }
}

/// C32: what came in and what was found is what ended, and what is there.
fn books(kept: &Kept, found: &mut Found) {
    let (metrics, books) = (&kept.log.metrics, &kept.log.metrics.lane.books);
    let came = metrics.appended.get() + metrics.found.get();
    let mut ended = books.delivered.get() + books.dead_lettered.get() + books.stored.get();
    ended += metrics.damaged.get() + metrics.purged.get() + kept.log.log.open();
    let lapsed = books.expired.get() + books.dropped.get();
    // A dead letter that expires on its way stays.
    let stays = if &*kept.log.name == "local" { 0 } else { lapsed };
    if !(ended + stays..=ended + lapsed).contains(&came) {
        found.push(format!("C32: {came} came or were found: {}", kept.tell()));
    }
    if books.pending.get() != 0 && kept.failed_at.is_none() {
        found.push(format!(
            "C32: the log of {} in life {} has {} legs under way, and is closed",
            kept.log.name,
            kept.life,
            books.pending.get()
        ));
    }
}

/// C18: what was there and is not any more was purged, or sent again and met.
fn left(facts: &Facts<'_>, before: &Glimpse, after: &Glimpse, found: &mut Found) {
    let log = &facts.world.log;
    if facts
        .case
        .trouble
        .iter()
        .any(|it| matches!(it.fault, Fault::Damage(_)))
    {
        return;
    }
    // A job may go on when the look is taken.
    let ran = || log.jobs.iter().filter(|ran| ran.began.order < after.at.order);
    let purges = ran().any(|ran| matches!(ran.order, DeskOrder::Purge { .. }));
    for (id, dead) in &before.letters {
        if after.letters.contains_key(id) || purges {
            continue;
        }
        let since = ran().map(|ran| ran.began).min();
        if !since.is_some_and(|since| went_somewhere(facts, *id, &dead.key, since)) {
            found.push(format!(
                "C18: letter {id}, {}, was there at {:?} and not at {:?}, and went nowhere",
                dead.key, before.at.at, after.at.at
            ));
        }
    }
}

/// Somebody has it since, or it is a dead letter anew.
fn went_somewhere(facts: &Facts<'_>, id: u64, key: &str, since: Stamp) -> bool {
    let later = |stamp: &Stamp| stamp.order > since.order;
    let at_a_sink = facts.sinks.iter().any(|sink| {
        let got = sink.delivered.get(key).into_iter().flatten();
        let dead = sink.dead_letters.get(key).into_iter().flatten();
        got.map(|got| got.stamp).any(|stamp| later(&stamp)) || dead.map(|it| it.0).any(|stamp| later(&stamp))
    });
    let anew = || {
        let mut letters = facts.world.log.glimpses.iter().flat_map(|it| &it.letters);
        letters.any(|(other, dead)| *other > id && dead.key == key)
    };
    // What a destination remembers it is not sent again.
    let left_out = || {
        let mut all = (0..facts.sinks.len()).flat_map(|at| facts.case.destination(at));
        all.any(|it| it.pace.dedupe.is_some())
    };
    // What expires on its way into another log, or there, went by its own rule.
    let expires = || facts.may_expire(key);
    at_a_sink || anew() || left_out() || expires()
}

/// A job ends, and what it says adds up.
fn jobs(facts: &Facts<'_>, found: &mut Found) {
    for ran in &facts.world.log.jobs {
        let progress = ran.job.progress();
        let is_last = facts
            .world
            .log
            .jobs
            .last()
            .is_some_and(|last| last.began == ran.began);
        let stands = progress.state == State::Running;
        if stands
            && is_last
            && facts
                .world
                .log
                .kills
                .iter()
                .all(|kill| kill.at.order < ran.began.order)
        {
            found.push(format!("C18: job {:?} never ended: {progress:?}", ran.order));
        }
        let sum = progress.ended + progress.stayed + progress.purged;
        if !stands && progress.state == State::Done && (progress.under_way != 0 || sum != progress.selected) {
            found.push(format!("C18: job {:?} does not add up: {progress:?}", ran.order));
        }
    }
}

/// C19, C32: what nobody has because its age passed in a log is counted.
fn expiries(facts: &Facts<'_>, found: &mut Found) {
    let log = &facts.world.log;
    let lanes = log.ingress_metrics.iter().chain(&log.lost).map(|(_, it)| it);
    let logs = log.kept.iter().map(|kept| &kept.log.metrics.lane);
    let counted: u64 = lanes
        .chain(logs)
        .map(|it| it.books.expired.get() + it.books.dropped.get())
        .sum();
    let damaged: u64 = log.kept.iter().map(|kept| kept.log.metrics.damaged.get()).sum();
    if facts.lapsed.get() > counted + damaged {
        found.push(format!(
            "C19, C32: {} obligations were met by nobody, and {counted} are counted as expired or dropped",
            facts.lapsed.get()
        ));
    }
}
