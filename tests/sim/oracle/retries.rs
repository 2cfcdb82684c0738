//! C23: attempts count the event's own failures only, and what was held by an open breaker is a first attempt
//! afterwards; between attempts there is a wait.

use weft_api::event::Attributes;
use weft_inproc::{Act, Stamp};

use super::Found;
use super::breaker::outages;
use super::facts::{Facts, Life};
use crate::case::{Load, Part};

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for sink in &facts.sinks {
        for (key, letters) in &sink.dead_letters {
            for (stamp, event) in letters {
                let text = |name: &str| event.get(name).map(|value| value.text);
                let at =
                    text("weftdestination").and_then(|name| name.strip_prefix('d')?.parse::<usize>().ok());
                // Out of a log it goes on in another life.
                if let (Some("exhausted"), Some(at)) = (text("weftclass"), at)
                    && !facts.may_keep(facts.loads[key.as_str()])
                {
                    exhausted(facts, facts.loads[key.as_str()], at, *stamp, found);
                }
            }
        }
    }
}

/// A dead letter says that the event's attempts are used up: as many failures of its own happened, in this life, since
/// the breaker closed the last time.
fn exhausted(facts: &Facts<'_>, load: &Load, at: usize, dead: Stamp, found: &mut Found) {
    let lives = facts.lives(&load.key);
    let life = lives.iter().rev().find(|life| life.admitted.order < dead.order);
    let Some(life) = life else { return };
    // What a former life began may have ended here.
    let former = lives
        .iter()
        .any(|it| it.admitted.order < life.admitted.order && it.straggles());
    let alone = alone_at(facts, load, life, at);
    let last = facts
        .tries(at, &load.key)
        // The dead letter itself may have failed there.
        .filter(|it| !it.dead_letter)
        .filter_map(|it| it.answered)
        .filter(|(stamp, act)| *act == Act::Fail && stamp.order < dead.order)
        .last()
        .map_or(dead.order, |(stamp, _)| stamp.order);
    let since = if former || !alone {
        None
    } else {
        let closed = outages(facts, at).into_iter().filter_map(|outage| outage.shut);
        closed
            .filter(|shut| shut.order < last)
            .map(|shut| shut.order)
            .max()
            .max(Some(life.admitted.order))
    };
    let places = if alone {
        vec![at]
    } else {
        (0..facts.sinks.len()).collect()
    };
    let own = |sink: usize| {
        let own = facts.tries(sink, &load.key).filter(|it| !it.dead_letter);
        let failed = own.filter_map(|it| it.answered);
        failed
            .filter(|(stamp, act)| *act == Act::Fail && Some(stamp.order) >= since)
            .count()
    };
    let failed: usize = places.into_iter().map(own).sum();
    let attempts = facts.least(at, |it| it.attempts).unwrap_or(1) as usize;
    if failed < attempts {
        found.push(format!(
            "C23: {} is dead because its {attempts} attempts at d{at} are used up, and {failed} failures were its own",
            load.key
        ));
    }
}

/// No other obligation of the event, and no other member of a plan, may have used up attempts.
fn alone_at(facts: &Facts<'_>, load: &Load, life: &Life, at: usize) -> bool {
    facts.tables(life).all(|table| {
        let setup = facts.setup(table);
        let owed = facts.owed(setup, load);
        let grouped = owed
            .iter()
            .any(|owed| !matches!(owed.part, Part::Destination(_)) && setup.places(&owed.part).contains(&at));
        !grouped
    })
}
