//! C15, C16: of a one-of or first-of plan one member has an event at a time; an anycast chooses anew only after a
//! failure, and a fallback goes on only after a failure that its `on:` names.
//!
//! Looks at the first life of events that owe one group and nothing else that its members may meet: there, every
//! attempt is known to be of that obligation.

use std::collections::HashMap;

use weft_inproc::Act;

use super::Found;
use super::breaker::Doors;
use super::facts::{Facts, Life, Owed, Try};
use crate::case::{GroupCase, GroupKind, Load, Part};

/// An attempt at the event of a group: which member, where, and the attempt.
struct Turn<'a> {
    member: usize,
    sink: usize,
    it: &'a Try,
}

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    let doors = Doors::of(facts);
    let (mut keys, mut moves) = (HashMap::new(), 0);
    for load in &facts.case.load {
        let Some(life) = facts.lives(&load.key).first() else {
            continue;
        };
        let setup = facts.setup(life.table);
        for owed in facts.owed(setup, load) {
            let Part::Group(number) = owed.part else { continue };
            // Out of a log it goes on in another life.
            if facts.may_be_kept(&owed) {
                continue;
            }
            let group = &setup.groups[number];
            let Some(turns) = turns(facts, load, life, &owed, group) else {
                continue;
            };
            one_at_a_time(load, group, &turns, found);
            moves += turns
                .windows(2)
                .filter(|pair| pair[0].member != pair[1].member)
                .count() as u64;
            match group.kind {
                GroupKind::Fallback {
                    refused,
                    unavailable,
                    timeout,
                } => {
                    let on = On {
                        refused,
                        unavailable,
                        timeout,
                    };
                    fallback(facts, &doors, load, life, group, on, &turns, found);
                }
                _ => anycast(load, group, &turns, found),
            }
            if let GroupKind::Hash { .. } = group.kind {
                steady(
                    facts,
                    &doors,
                    load,
                    life,
                    (life.table, number),
                    &turns,
                    &mut keys,
                    found,
                );
            }
        }
    }
    counted(facts, moves, found);
}

/// C32: whatever goes from one member to another is counted.
fn counted(facts: &Facts<'_>, moves: u64, found: &mut Found) {
    let all = (0..facts.sinks.len()).flat_map(|sink| facts.world.log.destination_metrics(sink));
    let counted: u64 = all
        .map(|it| it.moved_repick.get() + it.moved_fallback.get())
        .sum();
    if counted < moves {
        found.push(format!(
            "C32: {moves} moves from one member to another were seen, and {counted} are counted"
        ));
    }
}

/// The attempts of this obligation in this life, in order; `None` where others may be among them.
fn turns<'a>(
    facts: &'a Facts<'_>,
    load: &Load,
    life: &Life,
    owed: &Owed<'_>,
    group: &GroupCase,
) -> Option<Vec<Turn<'a>>> {
    let setup = facts.setup(life.table);
    let own = setup.places(&owed.part);
    let all = facts.places(setup, load);
    let others = all.iter().filter(|at| own.contains(at)).count() > own.len();
    if others || facts.tables(life).count() > 1 {
        return None;
    }
    let mut turns = Vec::new();
    for (member, part) in group.members.iter().enumerate() {
        for sink in setup.places(part) {
            let tries = facts
                .tries(sink, &load.key)
                .filter(|it| life.spans(it.stamp) && !it.dead_letter);
            turns.extend(tries.map(|it| Turn { member, sink, it }));
        }
    }
    turns.sort_by_key(|turn| turn.it.stamp);
    Some(turns)
}

/// C15, C16: nobody else has it while one member does.
fn one_at_a_time(load: &Load, group: &GroupCase, turns: &[Turn<'_>], found: &mut Found) {
    for pair in turns.windows(2) {
        let [before, after] = pair else { continue };
        let still = before
            .it
            .answered
            .is_some_and(|(answered, _)| answered.order > after.it.stamp.order);
        // What stands behind a failure in an ordered sink is answered together with it.
        if before.member != after.member && still {
            found.push(format!(
                "C15: {} was at d{} and d{} of {:?} at once",
                load.key, before.sink, after.sink, group.kind
            ));
        }
    }
}

/// C15: chosen anew only after a failure, and never where the file says to wait.
fn anycast(load: &Load, group: &GroupCase, turns: &[Turn<'_>], found: &mut Found) {
    for pair in turns.windows(2) {
        let [before, after] = pair else { continue };
        if before.member == after.member {
            continue;
        }
        let act = before.it.answered.map(|(_, act)| act);
        // A multicast inside a group is taken only when all of it is.
        let alone = matches!(group.members[before.member], Part::Destination(_));
        if act == Some(Act::Accept) && alone {
            found.push(format!(
                "C15: d{} had taken {}, and d{} got it, too",
                before.sink, load.key, after.sink
            ));
        }
        if let GroupKind::Hash { wait: true } = group.kind {
            found.push(format!(
                "C15: {} waits for d{}, and went to d{}",
                load.key, before.sink, after.sink
            ));
        }
    }
}

#[derive(Clone, Copy)]
struct On {
    refused: bool,
    unavailable: bool,
    timeout: bool,
}

/// C16: whoever is behind in the list gets it only after a failure of each one before it that `on:` names.
#[expect(
    clippy::too_many_arguments,
    reason = "all that is known of one event in one group"
)]
fn fallback(
    facts: &Facts<'_>,
    doors: &Doors,
    load: &Load,
    life: &Life,
    group: &GroupCase,
    on: On,
    turns: &[Turn<'_>],
    found: &mut Found,
) {
    let setup = facts.setup(life.table);
    for (at, turn) in turns.iter().enumerate() {
        for passed in 0..turn.member {
            let sinks = setup.places(&group.members[passed]);
            let excused = sinks.iter().any(|sink| {
                let acts = || {
                    let own = turns[..at].iter().filter(|it| it.sink == *sink);
                    own.filter_map(|it| it.it.answered.map(|(_, act)| act))
                };
                let failed = acts().filter(|act| *act == Act::Fail).count();
                let attempts = facts.least(*sink, |it| it.attempts).unwrap_or(1) as usize;
                let refused = acts().any(|act| act == Act::Reject) || failed >= attempts;
                let unknown = turns[..at]
                    .iter()
                    .any(|it| it.sink == *sink && may_have_it(it.it));
                let deadline = facts.case.destination(*sink).any(|it| it.unavailable.is_some());
                let closed = doors.may_be_open(*sink, life.admitted, turn.it.stamp);
                on.refused && refused || on.unavailable && (closed || deadline) || on.timeout && unknown
            });
            if !excused {
                found.push(format!(
                    "C16: {} went to d{} past {sinks:?} of {:?}, which had answered {:?}",
                    load.key,
                    turn.sink,
                    group.kind,
                    turns[..at]
                        .iter()
                        .map(|turn| (turn.sink, turn.it.answered.map(|(_, act)| act)))
                        .collect::<Vec<_>>()
                ));
            }
        }
    }
}

fn may_have_it(it: &Try) -> bool {
    match it.answered {
        Some((_, act)) => matches!(
            act,
            Act::Timeout { .. } | Act::Forget { .. } | Act::Panic | Act::Quit | Act::Hang
        ),
        // Its egress went away with it.
        None => true,
    }
}

/// C15: a key keeps its member while no member's door was ever closed.
#[expect(
    clippy::too_many_arguments,
    reason = "all that is known of one event in one group"
)]
fn steady(
    facts: &Facts<'_>,
    doors: &Doors,
    load: &Load,
    life: &Life,
    group: (usize, usize),
    turns: &[Turn<'_>],
    keys: &mut HashMap<((usize, usize), Vec<u8>), usize>,
    found: &mut Found,
) {
    let setup = facts.setup(life.table);
    let (Some(key), Some(first)) = (load.event.key(), turns.first()) else {
        return;
    };
    let start = facts.world.log.tables[0].since;
    let places = setup.places(&Part::Group(group.1));
    if places
        .iter()
        .any(|at| doors.may_be_open(*at, start, first.it.stamp))
    {
        return;
    }
    let member = *keys.entry((group, key.to_vec())).or_insert(first.member);
    if member != first.member {
        found.push(format!(
            "C15: {} went to member {} of g{}, and its key belongs to member {member}",
            load.key, first.member, group.1
        ));
    }
}
