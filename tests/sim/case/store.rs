//! What a store adds to a case: logs at destinations and groups, local dead letters, and what befalls disk, process and
//! letters.
//!
//! Drawn after everything else and by numbers of its own, so that a case is the same without it.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use weft_store::disk::sim::Fault as DiskFault;

use super::setup::Setup;
use super::trouble::{Fault, Trouble};
use super::{Case, HEALED, ms};

/// The store of a case.
#[derive(Clone, Debug)]
pub(crate) struct StoreCase {
    /// Bytes for all logs.
    pub(crate) max_bytes: u64,
    /// How long a round of it takes.
    pub(crate) round: Duration,
    /// What is done with the dead letters once everything has healed.
    pub(crate) last: Option<DeskOrder>,
}

/// The log of a destination or group.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LogCase {
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Option<Duration>,
    /// `when_full: move`
    pub(crate) moves: bool,
}

/// What an operator does with the dead letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DeskOrder {
    /// To the obligation that failed.
    Replay {
        rate: Option<u32>,
    },
    /// To this destination.
    ReplayTo(usize),
    /// By all routes, as from this ingress.
    ReplayAll(usize),
    Purge {
        limit: Option<u64>,
    },
    Cancel,
}

pub(super) fn add(rng: &mut Rng, case: &mut Case) {
    logs(rng, &mut case.setups);
    letters(rng, &mut case.setups);
    let end = HEALED.as_millis() as u64;
    let destinations = case.sinks.len();
    let mut befall = |at, fault| case.trouble.push(Trouble { at, fault });
    for _ in 0..rng.u32(0..3) {
        let fault = Fault::Kill {
            power: rng.bool(),
            calls: rng.bool().then(|| rng.u64(0..40)),
            pause: ms(rng, 1..1000),
        };
        befall(ms(rng, 0..end), fault);
    }
    if rng.u32(0..3) == 0 {
        let kinds = [
            DiskFault::Write,
            DiskFault::Sync,
            DiskFault::Sync,
            DiskFault::SyncFull,
            DiskFault::Read,
            DiskFault::Rename,
        ];
        for _ in 0..rng.u32(1..4) {
            let kind = kinds[rng.usize(0..kinds.len())];
            befall(ms(rng, 0..end), Fault::Disk(kind, rng.u64(0..20)));
        }
    }
    if rng.u32(0..4) == 0 {
        let at = ms(rng, 0..end);
        befall(at, Fault::FullDisk(true));
        befall(at + ms(rng, 0..8000), Fault::FullDisk(false));
    }
    if rng.u32(0..5) == 0 {
        for _ in 0..rng.u32(1..4) {
            befall(ms(rng, 0..end), Fault::Damage(rng.u64(..)));
        }
    }
    let order = |rng: &mut Rng| match rng.u32(0..6) {
        0 => DeskOrder::ReplayTo(rng.usize(0..destinations)),
        1 => DeskOrder::ReplayAll(rng.usize(0..case.setups[0].ingresses.len())),
        2 => DeskOrder::Purge {
            limit: rng.bool().then(|| rng.u64(1..10)),
        },
        3 => DeskOrder::Cancel,
        _ => DeskOrder::Replay {
            rate: rng.bool().then(|| rng.u32(1..200)),
        },
    };
    for _ in 0..rng.u32(0..5) {
        let fault = Fault::Desk(order(rng));
        case.trouble.push(Trouble {
            at: ms(rng, 0..end),
            fault,
        });
    }
    case.trouble.sort_by_key(|trouble| trouble.at);
    let small = rng.u32(0..8) == 0;
    case.store = Some(StoreCase {
        max_bytes: if small { rng.u64(60_000..200_000) } else { 1 << 30 },
        round: ms(rng, 0..20),
        last: rng.bool().then(|| order(rng)),
    });
}

/// Some destinations and groups have a log, and lose or get it with a setup. The last has every destination that ever
/// was, so that everything that is in a log can go somewhere.
fn logs(rng: &mut Rng, setups: &mut [Setup]) {
    let (destinations, groups) = (setups[0].destinations.len(), setups[0].groups.len());
    let mut places: Vec<Option<LogCase>> = (0..destinations + groups)
        .map(|_| rng.bool().then(|| LogCase::draw(rng)))
        .collect();
    let mut known = setups[0].destinations.clone();
    let last = setups.len() - 1;
    for (number, setup) in setups.iter_mut().enumerate() {
        for place in &mut places {
            if number > 0 && number < last && rng.u32(0..5) == 0 {
                *place = rng.bool().then(|| LogCase::draw(rng));
            }
        }
        for (at, destination) in setup.destinations.iter_mut().enumerate() {
            if number == last && destination.is_none() {
                destination.clone_from(&known[at]);
            }
            if let Some(destination) = destination {
                destination.log.clone_from(&places[at]);
            }
            if destination.is_some() {
                known[at].clone_from(destination);
            }
        }
        for (at, group) in setup.groups.iter_mut().enumerate() {
            group.log.clone_from(&places[destinations + at]);
        }
    }
}

/// Some routes have their dead letters here.
fn letters(rng: &mut Rng, setups: &mut [Setup]) {
    let mut local = BTreeMap::new();
    for route in setups.iter_mut().flat_map(|setup| &mut setup.routes) {
        if *local.entry(route.name).or_insert_with(|| rng.bool()) {
            route.local = true;
            route.dead_letter = None;
        }
    }
}

impl LogCase {
    fn draw(rng: &mut Rng) -> LogCase {
        LogCase {
            max_bytes: if rng.u32(0..3) == 0 {
                rng.u64(20_000..80_000)
            } else {
                1 << 30
            },
            max_age: (rng.u32(0..5) == 0).then(|| ms(rng, 500..15_000)),
            moves: rng.u32(0..3) == 0,
        }
    }
}
