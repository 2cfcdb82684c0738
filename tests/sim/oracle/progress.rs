//! C14: a stuck destination delays another only where both hang on one in-order lane. A lane whose events owe only
//! calm destinations goes on whatever befalls the others.

use std::time::Duration;

use weft_inproc::{Faults, Settling};

use super::Found;
use super::facts::Facts;
use crate::case::{Fault, HEALED, Load, Trouble};

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    // The budget is everybody's, and a router that is stopped or reloaded makes nobody wait in vain.
    let case = facts.case;
    let roomy = case.setups.iter().all(|setup| setup.budget >= 1 << 30);
    let touched = |trouble: &Trouble| {
        let disk = matches!(
            trouble.fault,
            Fault::Kill { .. } | Fault::Disk(..) | Fault::FullDisk(_)
        );
        disk || matches!(trouble.fault, Fault::Reload(_) | Fault::Restart { .. })
    };
    if !roomy || case.trouble.iter().any(touched) {
        return;
    }
    for number in 0..facts.world.feeds.len() {
        for lane in 0..case.kind(number).lanes {
            let own = || {
                case.load
                    .iter()
                    .filter(move |load| (load.ingress, load.lane) == (number, lane))
            };
            if is_calm(facts, number, lane) && own().all(|load| owes_calm_ones(facts, load)) {
                let enough = time_needed(facts, own());
                if enough.is_some_and(|enough| enough < HEALED / 2) {
                    goes_on(facts, own(), found);
                }
            }
        }
    }
}

/// Nothing befalls this lane, and it does not hold a lane up or turn anybody away for want of room.
fn is_calm(facts: &Facts<'_>, number: usize, lane: u32) -> bool {
    let own = |trouble: &Trouble| match &trouble.fault {
        Fault::Revoke(at, its) | Fault::Assign(at, its) => (*at, *its) == (number, lane),
        Fault::RevokeAll(at)
        | Fault::AssignSome(at, _)
        | Fault::CrashIngress(at, _)
        | Fault::HangUps(at, _)
        | Fault::LoseAcks(at, _) => *at == number,
        _ => false,
    };
    let kind = facts.case.kind(number);
    kind.settle != Settling::Request && !facts.case.trouble.iter().any(own)
}

fn owes_calm_ones(facts: &Facts<'_>, load: &Load) -> bool {
    let setup = &facts.case.setups[0];
    let Some(ingress) = &setup.ingresses[load.ingress] else {
        return false;
    };
    let rejects = crate::case::Stray::Reject;
    if ingress.holds() && (ingress.unmatched == rejects || ingress.malformed == rejects) {
        return false;
    }
    facts
        .places(setup, load)
        .into_iter()
        .all(|at| sink_is_calm(facts, at))
}

fn sink_is_calm(facts: &Facts<'_>, at: usize) -> bool {
    let Faults { delay_max, .. } = facts.case.sinks[at];
    let calm = Faults {
        delay_max,
        ..Faults::default()
    };
    let out = |trouble: &Trouble| matches!(trouble.fault, Fault::Outage(sink, _) if sink == at);
    let paced = facts.case.destination(at).any(|it| it.pace.rate.is_some());
    facts.case.sinks[at] == calm && !paced && !facts.case.trouble.iter().any(out)
}

/// How long it takes at most to send everything to these destinations, one after another; `None` where somebody in
/// trouble sends there, too, and may fill the queue.
fn time_needed<'a>(facts: &Facts<'_>, own: impl Iterator<Item = &'a Load>) -> Option<Duration> {
    let setup = &facts.case.setups[0];
    let mut places: Vec<usize> = own.flat_map(|load| facts.places(setup, load)).collect();
    places.sort_unstable();
    places.dedup();
    let mut needed = Duration::ZERO;
    for load in &facts.case.load {
        let at_ours: Vec<usize> = facts.places(setup, load);
        let at_ours = at_ours.into_iter().filter(|at| places.contains(at));
        for at in at_ours {
            let linger = setup.destinations[at]
                .as_ref()
                .map_or(Duration::ZERO, |it| it.linger);
            needed += facts.case.sinks[at].delay_max + linger;
        }
    }
    Some(needed)
}

/// Everything that came in before the last of it could have been sent is settled before the trouble ends.
fn goes_on<'a>(facts: &Facts<'_>, own: impl Iterator<Item = &'a Load>, found: &mut Found) {
    let Some(healed) = facts.world.log.healed else {
        return;
    };
    for load in own.filter(|load| load.at < HEALED / 2) {
        let settled = facts.lives(&load.key).last().and_then(|life| life.end);
        if settled.is_none_or(|(stamp, _)| stamp.order > healed.order) {
            found.push(format!(
                "C14: {} owes only destinations that are well, and waited from {:?} until others were",
                load.key, load.at
            ));
        }
    }
}
