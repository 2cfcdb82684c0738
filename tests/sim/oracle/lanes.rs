//! C5, C7, C21: an in-order lane settles a contiguous prefix of what its present life took in, nothing of a former
//! life is told, and no lane has more unsettled than its window.

use std::collections::BTreeSet;
use std::time::Duration;

use weft_inproc::{Happening, Settling};

use super::Found;
use super::facts::Facts;

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for number in 0..facts.world.feeds.len() {
        for lane in 0..facts.case.kind(number).lanes {
            one_lane(facts, number, lane, found);
        }
    }
}

fn one_lane(facts: &Facts<'_>, number: usize, lane: u32, found: &mut Found) {
    let kind = facts.case.kind(number).settle;
    let in_order = kind == Settling::InOrder;
    let window = facts.case.ingress(number).map(|it| it.window_events).max();
    let window = window.unwrap_or(0) as usize;
    // The next to be settled, and what this life took in and did not settle.
    let (mut next, mut open) = (0, BTreeSet::new());
    let mut now = Duration::ZERO;
    let history = facts.world.feeds[number].history().into_iter();
    for entry in history.filter(|entry| entry.lane == lane) {
        // At the end of each moment: within one, the ledger may have settled what the connector has not heard of yet.
        if entry.stamp.at > now && kind != Settling::Request && open.len() > window {
            found.push(format!(
                "C21: i{number} lane {lane} had {} unsettled at {now:?}, its window is {window}",
                open.len()
            ));
        }
        now = entry.stamp.at;
        match entry.what {
            Happening::Opened { from } => {
                (next, open) = (from, BTreeSet::new());
            }
            Happening::Revoked => open.clear(),
            Happening::Rewound { from } => {
                open.clear();
                if from != next {
                    found.push(format!(
                        "C5: i{number} lane {lane} starts again at {from}, and {next} is the first that is not settled"
                    ));
                }
            }
            Happening::Delivered { offset, .. } => _ = open.insert(offset),
            Happening::Settled { offset, outcome } => {
                let known = open.remove(&offset);
                if in_order && (!known || offset != next) {
                    found.push(format!(
                        "C5: i{number} lane {lane} settled {offset} as {outcome:?}; {next} was the first unsettled one of \
                         its life"
                    ));
                }
                next = offset + 1;
            }
            Happening::HungUp { offset } => _ = open.remove(&offset),
            Happening::AckLost { .. } => {}
        }
    }
}
