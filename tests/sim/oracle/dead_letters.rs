//! C18: a dead letter is the event as it was, and says why it is there; what it says is true.

use std::collections::BTreeSet;

use weft_api::event::{AttrKind, Attributes, Event};
use weft_inproc::Act;

use super::Found;
use super::facts::Facts;
use crate::case::Setup;

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for sink in &facts.sinks {
        for (key, letters) in &sink.dead_letters {
            for (_, event) in letters {
                letter(facts, key, event, found);
            }
        }
    }
    for dead in facts.world.log.glimpses.iter().flat_map(|it| it.letters.values()) {
        letter(facts, &dead.key, &dead.event, found);
    }
}

fn letter(facts: &Facts<'_>, key: &str, event: &Event, found: &mut Found) {
    let text = |name: &str| event.get(name).map(|value| value.text);
    let reason = text("weftclass").unwrap_or_default();
    if reason == "malformed" {
        if !facts.loads[key].malformed {
            found.push(format!("C18: {key} was no malformed message"));
        }
        return;
    }
    let at = text("weftdestination").and_then(|name| name.strip_prefix('d')?.parse::<usize>().ok());
    let Some(at) = at else {
        return found.push(format!("C18: the dead letter of {key} names no destination"));
    };
    let answers: Vec<Act> = facts
        .tries(at, key)
        .filter_map(|it| it.answered.map(|(_, act)| act))
        .collect();
    let holds = match reason {
        "refused" => answers.contains(&Act::Reject),
        "exhausted" => answers.contains(&Act::Fail),
        "removed" => !facts.always_there(at),
        _ => facts.case.destination(at).any(|it| it.unavailable.is_some()),
    };
    if !holds {
        found.push(format!(
            "C18: {key} is dead because of {reason} at d{at}, which answered {answers:?}"
        ));
    }
    let tries = event
        .get("weftattempts")
        .filter(|value| value.kind == AttrKind::Integer)
        .and_then(|value| value.text.parse::<usize>().ok());
    let known = (0..facts.sinks.len())
        .map(|sink| facts.tries(sink, key).count())
        .sum();
    if tries.is_none_or(|tries| tries > known) {
        found.push(format!(
            "C18: the dead letter of {key} tells of {tries:?} tries; {known} were made"
        ));
    }
    let routeless = text("weftroute").is_none() && !may_lack_its_route(facts, key);
    if routeless || text("weftfirst") > text("weftlast") {
        found.push(format!(
            "C18: the dead letter of {key} lacks route or times: {event:?}"
        ));
    }
}

/// Out of a log, what no route took may be dead, too; and a route that is gone has no name.
fn may_lack_its_route(facts: &Facts<'_>, key: &str) -> bool {
    let load = facts.loads[key];
    let stray = || {
        let mut lives = facts.lives(key).iter();
        lives.any(|life| {
            let mut owed = facts.owed(facts.setup(life.table), load).into_iter();
            owed.any(|owed| owed.route.is_none())
        })
    };
    let names = |setup: &Setup| {
        setup
            .routes
            .iter()
            .map(|route| route.name)
            .collect::<BTreeSet<_>>()
    };
    let mut setups = facts.case.setups.iter();
    facts.case.store.is_some()
        && (stray() || setups.any(|setup| names(setup) != names(&facts.case.setups[0])))
}
