//! C29: a stop takes nothing more in, waits for what is there up to its deadline, and releases the rest; the next life
//! is given it again.

use std::time::Duration;

use super::Found;
use super::duplicates::rewinds_of;
use super::facts::{Ended, Facts, Life};
use crate::world::Stopped;

/// How long the connectors may take to return once the drain is over: one after another, ingresses and destinations.
const ENDING: Duration = Duration::from_secs(11);

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for stop in &facts.world.log.stops {
        let again = stop.again.map_or(u64::MAX, |again| again.order);
        for load in &facts.case.load {
            for life in facts.lives(&load.key) {
                let admitted = life.admitted.order;
                // An ingress hears of it by a message: what it does in the same moment came before.
                let late = life.admitted.at > stop.began.at;
                if late && admitted > stop.began.order && admitted < again {
                    found.push(format!(
                        "C29: {} was taken in at {:?}, while the router stopped",
                        load.key, life.admitted.at
                    ));
                }
                if stop.left == 0 && was_cut_off(life, stop) && !rewinding(facts, load.ingress) {
                    found.push(format!(
                        "C29: the drain left nothing, and {} was there and not settled when the router stopped",
                        load.key
                    ));
                }
                let told = life.outcome().is_some() && life.ended() > stop.ended.order;
                if told && admitted < stop.ended.order && life.ended() < again {
                    found.push(format!(
                        "C29: {} was settled by a router that had stopped",
                        load.key
                    ));
                }
            }
        }
        let took = stop.ended.at.saturating_sub(stop.began.at);
        if took > stop.deadline + ENDING {
            found.push(format!(
                "C29: a stop took {took:?}, its deadline was {:?}",
                stop.deadline
            ));
        }
        for (number, sink) in facts.sinks.iter().enumerate() {
            let after = |order: u64| order > stop.ended.order && order < again;
            let late = sink
                .attempts
                .iter()
                .find(|it| after(it.stamp.order) && it.stamp.at > stop.ended.at);
            if let Some(late) = late {
                found.push(format!(
                    "C29: d{number} was given {} by a router that had stopped",
                    late.key
                ));
            }
        }
    }
}

/// It was there when the stop began, and its lane was closed under it.
fn was_cut_off(life: &Life, stop: &Stopped) -> bool {
    let closed = match life.end {
        Some((at, Ended::Revoked)) => at.order > stop.began.order && at.order < stop.ended.order,
        Some(_) => false,
        None => true,
    };
    closed && life.admitted.order < stop.began.order
}

/// A lane of this ingress was about to start again, and never did: what it had taken in was given up already.
fn rewinding(facts: &Facts<'_>, ingress: usize) -> bool {
    let (seen, counted) = rewinds_of(facts, ingress);
    counted > seen
}
