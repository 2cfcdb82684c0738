//! C18: a dead letter is the event as it was, and says why it is there; what it says is true.

use weft_api::event::{AttrKind, Attributes, Event};
use weft_inproc::Act;

use super::Found;
use super::facts::Facts;

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for sink in &facts.sinks {
        for (key, letters) in &sink.dead_letters {
            for (_, event) in letters {
                letter(facts, key, event, found);
            }
        }
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
    if text("weftroute").is_none() || text("weftfirst") > text("weftlast") {
        found.push(format!(
            "C18: the dead letter of {key} lacks route or times: {event:?}"
        ));
    }
}
