//! C6, C8, C22: what a sender is told is true. Released only where nothing has it; a final word once, and only about
//! what is not acknowledged yet.

use weft_api::outcome::Outcome;
use weft_inproc::Happening;

use super::Found;
use super::facts::{Ended, Facts, Life};
use crate::case::Load;

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for load in &facts.case.load {
        let lives = facts.lives(&load.key);
        for (number, life) in lives.iter().enumerate() {
            released(facts, load, life, lives, found);
            let next = lives.get(number + 1);
            let accepted = life.outcome() == Some(Outcome::Accepted);
            // In order, a commit is lost without a word; what comes again then was told by nobody but the next life.
            let in_order = facts.case.kind(load.ingress).settle == weft_inproc::Settling::InOrder;
            if let Some(next) = next
                && accepted
                && !life.unheard
                && !in_order
            {
                found.push(format!(
                    "C22: {} was acknowledged, and taken in again at {:?}",
                    load.key, next.admitted.at
                ));
            }
        }
    }
    for (number, feed) in facts.world.feeds.iter().enumerate() {
        told_once(number, feed, found);
    }
}

/// C8: released means to a client that certainly nobody has it: it may send it elsewhere. To a queue (C6) it means only
/// that the message shall be kept: other destinations may have it.
fn released(facts: &Facts<'_>, load: &Load, life: &Life, lives: &[Life], found: &mut Found) {
    if facts.case.kind(load.ingress).settle != weft_inproc::Settling::Request {
        return;
    }
    let Some(Outcome::Released(reason)) = life.outcome() else {
        return;
    };
    // What a former life began may arrive at any time.
    let first = lives
        .first()
        .is_some_and(|first| first.admitted.order == life.admitted.order);
    for (number, seen) in facts.sinks.iter().enumerate() {
        let got = seen.delivered.get(&load.key).into_iter().flatten();
        let own = got.filter(|got| first && got.stamp.order > life.admitted.order);
        let until = lives
            .iter()
            .find(|other| other.admitted.order > life.admitted.order);
        let until = until.map_or(u64::MAX, |next| next.admitted.order);
        if own.into_iter().any(|got| got.stamp.order < until) {
            found.push(format!(
                "C8: {} was released ({reason:?}), and d{number} has it",
                load.key
            ));
        }
    }
}

/// C5, C22: each stay is settled at most once, and nothing is told of a message that is not there.
fn told_once(number: usize, feed: &weft_inproc::Feed, found: &mut Found) {
    let mut open = std::collections::HashSet::new();
    for entry in feed.history() {
        match entry.what {
            Happening::Delivered { offset, .. } => {
                if !open.insert((entry.lane, offset)) {
                    found.push(format!(
                        "C4: i{number} lane {} took {offset} in while it had it",
                        entry.lane
                    ));
                }
            }
            Happening::Settled { offset, outcome } => {
                if !open.remove(&(entry.lane, offset)) {
                    found.push(format!(
                        "C22: i{number} lane {} settled {offset} as {outcome:?}, which was not there",
                        entry.lane
                    ));
                }
            }
            Happening::HungUp { offset } => _ = open.remove(&(entry.lane, offset)),
            Happening::AckLost { .. } => {}
            Happening::Rewound { .. } | Happening::Opened { .. } | Happening::Revoked => {
                open.retain(|(lane, _)| *lane != entry.lane);
            }
        }
    }
}

impl Life {
    /// What a life began may go on after it has ended.
    pub(super) fn straggles(&self) -> bool {
        matches!(self.end, None | Some((_, Ended::HungUp | Ended::Revoked)))
            || matches!(self.outcome(), Some(Outcome::Unknown(_) | Outcome::Released(_)))
    }
}
