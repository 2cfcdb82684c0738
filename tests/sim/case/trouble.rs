//! What befalls a case: at the remotes, in the connectors, and by whoever runs the router.

use std::time::Duration;

use fastrand::Rng;
use weft::topology::reload::Removal;
use weft_api::outcome::Reason;
use weft_inproc::{Act, Answer, Crash, Settling};
use weft_store::disk::sim::Fault as DiskFault;

use super::setup::Setup;
use super::store::DeskOrder;
use super::{HEALED, ms};

#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Revoke(usize, u32),
    Assign(usize, u32),
    /// All lanes of an ingress go to somebody else.
    RevokeAll(usize),
    /// These come back to us.
    AssignSome(usize, Vec<u32>),
    CrashIngress(usize, Crash),
    HangUps(usize, Option<Duration>),
    /// The remote hears no acknowledgement, or hears them again.
    LoseAcks(usize, bool),
    /// The sink answers everything so.
    Outage(usize, Answer),
    /// The sink goes back to its usual faults.
    Recover(usize),
    Reload(Reload),
    /// The router is stopped, and started again after a pause.
    Restart {
        drain: Duration,
        pause: Duration,
    },
    /// The process ends where it stands, or the power fails: at once, or at so many calls of the disk from now.
    Kill {
        power: bool,
        calls: Option<u64>,
        pause: Duration,
    },
    /// The disk fails so, at so many calls from now.
    Disk(DiskFault, u64),
    /// Nothing fits on the disk, or again does.
    FullDisk(bool),
    /// A bit of a log turns, chosen by this.
    Damage(u64),
    /// An operator does something with the dead letters.
    Desk(DeskOrder),
}

#[derive(Clone, Debug)]
pub(crate) struct Reload {
    /// The number of the setup that is to come.
    pub(crate) to: usize,
    /// `removed:` for every destination that goes; without it the reload is refused while something is pending there.
    pub(crate) word: Option<Removal>,
    /// A route leads to a name that nothing has: must change nothing.
    pub(crate) broken: bool,
}

pub(super) fn draw(rng: &mut Rng, setups: &mut Vec<Setup>) -> Vec<Trouble> {
    let mut trouble = Vec::new();
    for number in 0..setups[0].ingresses.len() {
        at_ingress(rng, &setups[0], number, &mut trouble);
    }
    for _ in 0..rng.u32(0..5) {
        at_sink(rng, setups[0].destinations.len(), &mut trouble);
    }
    if rng.bool() {
        reloads(rng, setups, &mut trouble);
    }
    if rng.u32(0..4) == 0 {
        let end = HEALED.as_millis() as u64;
        for _ in 0..rng.u32(1..3) {
            let (drain, pause) = (ms(rng, 0..4000), ms(rng, 1..1000));
            let fault = Fault::Restart { drain, pause };
            trouble.push(Trouble {
                at: ms(rng, 0..end),
                fault,
            });
        }
    }
    trouble.sort_by_key(|trouble| trouble.at);
    trouble
}

/// One sink answers nothing, or is not there, until everything heals.
pub(super) fn one_is_stuck(rng: &mut Rng, destinations: usize) -> Trouble {
    let down = Act::Down {
        reason: Reason::Unavailable,
        retry_after: None,
    };
    let act = if rng.u32(0..4) > 0 { Act::Hang } else { down };
    let number = rng.usize(0..destinations);
    Trouble {
        at: ms(rng, 0..3000),
        fault: Fault::Outage(number, act.into()),
    }
}

fn at_ingress(rng: &mut Rng, setup: &Setup, number: usize, trouble: &mut Vec<Trouble>) {
    let end = HEALED.as_millis() as u64;
    let Some(ingress) = &setup.ingresses[number] else {
        return;
    };
    let mut befall = |at, fault| trouble.push(Trouble { at, fault });
    if rng.u32(0..3) == 0 {
        let how = if rng.bool() { Crash::Error } else { Crash::Panic };
        befall(ms(rng, 0..end), Fault::CrashIngress(number, how));
    }
    if rng.u32(0..4) == 0 {
        let at = ms(rng, 0..end);
        befall(at, Fault::LoseAcks(number, true));
        befall(at + ms(rng, 1..2000), Fault::LoseAcks(number, false));
    }
    if ingress.settle == Settling::Request {
        if rng.bool() {
            let patience = ms(rng, 1..500);
            befall(ms(rng, 0..end / 2), Fault::HangUps(number, Some(patience)));
            befall(ms(rng, end / 2..end), Fault::HangUps(number, None));
        }
        return;
    }
    for _ in 0..rng.u32(0..3) {
        let lane = rng.u32(0..ingress.lanes);
        let at = ms(rng, 0..end);
        befall(at, Fault::Revoke(number, lane));
        befall(at + ms(rng, 0..3000), Fault::Assign(number, lane));
    }
    for _ in 0..rng.u32(0..2) {
        let at = ms(rng, 0..end);
        befall(at, Fault::RevokeAll(number));
        let some = (0..ingress.lanes).filter(|_| rng.bool()).collect();
        let soon = if rng.bool() {
            Duration::ZERO
        } else {
            ms(rng, 0..500)
        };
        befall(at + soon, Fault::AssignSome(number, some));
        befall(
            at + soon + ms(rng, 0..4000),
            Fault::AssignSome(number, (0..ingress.lanes).collect()),
        );
    }
}

fn at_sink(rng: &mut Rng, destinations: usize, trouble: &mut Vec<Trouble>) {
    let end = HEALED.as_millis() as u64;
    let number = rng.usize(0..destinations);
    let reason = [
        Reason::Unavailable,
        Reason::Overloaded,
        Reason::Unauthorised,
        Reason::Misconfigured,
    ];
    let reason = reason[rng.usize(0..reason.len())];
    let answer = match rng.u32(0..7) {
        0 => Act::Hang.into(),
        1 => Act::Fail.after(ms(rng, 0..50)),
        2 => Act::Accept.after(ms(rng, 300..2500)),
        3 => Act::Timeout {
            delivered: rng.bool(),
        }
        .after(ms(rng, 50..1000)),
        _ => Act::Down {
            reason,
            retry_after: rng.bool().then(|| ms(rng, 1..3000)),
        }
        .into(),
    };
    // Now and then it is gone until everything heals.
    let at = ms(rng, 0..end);
    trouble.push(Trouble {
        at,
        fault: Fault::Outage(number, answer),
    });
    if rng.u32(0..4) > 0 {
        trouble.push(Trouble {
            at: at + ms(rng, 0..6000),
            fault: Fault::Recover(number),
        });
    }
}

fn reloads(rng: &mut Rng, setups: &mut Vec<Setup>, trouble: &mut Vec<Trouble>) {
    let end = HEALED.as_millis() as u64;
    let mut times: Vec<_> = (0..rng.u32(1..=4)).map(|_| ms(rng, 0..end)).collect();
    times.sort();
    for at in times {
        let next = setups[setups.len() - 1].changed(rng);
        setups.push(next);
        let word = [
            None,
            Some(Removal::Drain),
            Some(Removal::DeadLetter),
            Some(Removal::Purge),
        ];
        let reload = Reload {
            to: setups.len() - 1,
            word: word[rng.usize(0..word.len())],
            broken: rng.u32(0..6) == 0,
        };
        trouble.push(Trouble {
            at,
            fault: Fault::Reload(reload),
        });
    }
}
