//! C23: the naive twin of a destination's breaker. From what a sink answered, in order, it tells when the breaker was
//! certainly open (then only single probes may reach the sink, each after a wait) and when it may have been.

use std::time::Duration;

use weft_api::outcome::Reason;
use weft_inproc::{Act, Stamp};

use super::Found;
use super::facts::{Facts, Try};

/// For each sink: when its breaker may have been open, in order.
pub(super) struct Doors(Vec<Vec<(Stamp, Option<Stamp>)>>);

/// A time in which the breaker was certainly open; `shut` is the answer that closed it.
pub(super) struct Outage {
    pub(super) opened: Stamp,
    pub(super) shut: Option<Stamp>,
}

pub(super) fn check(facts: &Facts<'_>, found: &mut Found) {
    for sink in 0..facts.sinks.len() {
        for outage in outages(facts, sink) {
            only_probes(facts, sink, &outage, found);
        }
    }
}

/// When the breaker was certainly open. Failures that are the destination's count whatever they hit; those that may be
/// an event's own are left out here.
pub(super) fn outages(facts: &Facts<'_>, sink: usize) -> Vec<Outage> {
    let failures = facts.most(sink, |it| it.breaker_failures).unwrap_or(1);
    let (mut outages, mut failed): (Vec<Outage>, u32) = (Vec::new(), 0);
    let mut open = false;
    for (stamp, what) in told(facts, sink) {
        let at_once = matches!(
            what,
            Told::Answer(Act::Down {
                reason: Reason::Unauthorised | Reason::Misconfigured,
                ..
            })
        );
        match what {
            Told::Answer(Act::Accept | Act::Reject) | Told::Anew => {
                failed = 0;
                if let Some(last) = outages.last_mut().filter(|_| open) {
                    last.shut = Some(stamp);
                }
                open = false;
            }
            Told::Answer(Act::Down { .. } | Act::Timeout { .. }) => {
                failed += 1;
                if !open && (at_once || failed >= failures) {
                    open = true;
                    outages.push(Outage {
                        opened: stamp,
                        shut: None,
                    });
                }
            }
            Told::Answer(_) => {}
        }
    }
    outages
}

enum Told {
    Answer(Act),
    /// The destination was made anew: its breaker is another.
    Anew,
}

/// What the router was told about a sink, in order.
fn told(facts: &Facts<'_>, sink: usize) -> Vec<(Stamp, Told)> {
    let answers = facts.sinks[sink].attempts.iter();
    let mut all: Vec<(Stamp, Told)> = answers
        .filter_map(|it| it.answered.map(|(stamp, act)| (stamp, Told::Answer(act))))
        .collect();
    let log = &facts.world.log;
    let lives = log
        .tables
        .windows(2)
        .filter(|pair| pair[0].life != pair[1].life)
        .map(|pair| pair[1].since);
    let removed = log.reloads.iter().filter(|reload| {
        let there = |setup: usize| facts.case.setups[setup].destinations[sink].is_some();
        reload.result.is_ok() && there(reload.from) != there(reload.to)
    });
    all.extend(lives.chain(removed.map(|it| it.began)).map(|at| (at, Told::Anew)));
    all.sort_by_key(|(stamp, _)| *stamp);
    all
}

/// While it is open one event at a time goes there, alone, and the first not at once.
fn only_probes(facts: &Facts<'_>, sink: usize, outage: &Outage, found: &mut Found) {
    // Two destinations of one name, one of them on its way out, have two breakers.
    if !facts.always_there(sink) {
        return;
    }
    let until = outage.shut.map_or(u64::MAX, |shut| shut.order);
    let within = |it: &&Try| it.stamp.order > outage.opened.order && it.stamp.order < until;
    // A direct send is decided a moment before it is seen here.
    let late = |it: &&Try| it.batch.is_some() || it.stamp.at > outage.opened.at;
    let tries: Vec<&Try> = facts.sinks[sink]
        .attempts
        .iter()
        .filter(within)
        .filter(late)
        .collect();
    let wait = facts.least(sink, |it| it.breaker_initial).unwrap_or_default() / 2;
    // A setting may be changed while the breaker waits; timers count in milliseconds.
    let wait = wait.saturating_sub(Duration::from_millis(1));
    // Failures that may have been the event's own may have opened it before.
    let before = told(facts, sink)
        .into_iter()
        .filter(|(stamp, _)| stamp.order < outage.opened.order);
    let opened_before = before.fold(false, |may, (_, what)| match what {
        Told::Answer(Act::Accept | Act::Reject) | Told::Anew => false,
        Told::Answer(Act::Fail) => true,
        Told::Answer(_) => may,
    });
    if let Some(first) = tries.first()
        && first.stamp.at < outage.opened.at + wait
        && !opened_before
    {
        found.push(format!(
            "C23: d{sink} opened its breaker at {:?}, and was probed at {:?}, before {wait:?} had passed",
            outage.opened.at, first.stamp.at
        ));
    }
    for pair in tries.windows(2) {
        let open = pair[0]
            .answered
            .is_some_and(|(answered, _)| answered.order > pair[1].stamp.order);
        let together = pair[0].batch == pair[1].batch || pair[0].batch.is_none();
        if open || together {
            found.push(format!(
                "C23: d{sink} was given {} and {} while its breaker was open",
                pair[0].key, pair[1].key
            ));
        }
    }
}

impl Doors {
    pub(super) fn of(facts: &Facts<'_>) -> Doors {
        Doors((0..facts.sinks.len()).map(|sink| doors(facts, sink)).collect())
    }

    /// Whether the breaker may have been open at some time between these.
    pub(super) fn may_be_open(&self, sink: usize, from: Stamp, until: Stamp) -> bool {
        self.0[sink].iter().any(|(opened, shut)| {
            opened.order < until.order && shut.is_none_or(|shut| shut.order > from.order)
        })
    }
}

/// When it may have been open: a row of failures without an answer that is one, or an egress that ended.
fn doors(facts: &Facts<'_>, sink: usize) -> Vec<(Stamp, Option<Stamp>)> {
    let failures = facts.least(sink, |it| it.breaker_failures).unwrap_or(1);
    let mut doors: Vec<(Stamp, Option<Stamp>)> = Vec::new();
    let (mut open, mut failed) = (false, 0);
    let all = told(facts, sink);
    for (stamp, what) in all {
        match what {
            Told::Answer(Act::Accept | Act::Reject) => {
                failed = 0;
                if let Some(last) = doors.last_mut().filter(|_| open) {
                    last.1 = Some(stamp);
                }
                open = false;
            }
            Told::Anew => {
                (open, failed) = (true, 0);
                doors.push((stamp, None));
            }
            Told::Answer(act) => {
                failed += 1;
                let at_once = !matches!(act, Act::Fail | Act::Timeout { .. })
                    && !matches!(
                        act,
                        Act::Down {
                            reason: Reason::Unavailable | Reason::Overloaded,
                            ..
                        }
                    );
                if !open && (at_once || failed >= failures) {
                    open = true;
                    doors.push((stamp, None));
                }
            }
        }
    }
    doors.extend(lost_at(facts, sink));
    doors
}

/// What is forgotten in a batch, or goes with its egress, counts as failed when that ends, not when it was seen: until
/// something is taken that was sent after that, the breaker may have been open.
fn lost_at(facts: &Facts<'_>, sink: usize) -> Vec<(Stamp, Option<Stamp>)> {
    let tries = &facts.sinks[sink].attempts;
    let ended = |it: &Try| match it.answered {
        None => {
            let mut deaths = tries.iter().filter_map(|it| it.answered);
            let died = |(stamp, act): &(Stamp, Act)| {
                matches!(act, Act::Panic | Act::Quit) && stamp.order > it.stamp.order
            };
            deaths.find(died).map(|(stamp, _)| stamp.order)
        }
        Some((_, Act::Forget { .. } | Act::Panic | Act::Quit)) => {
            let batch = tries.iter().filter(|other| other.batch == it.batch);
            batch
                .filter_map(|it| it.answered)
                .map(|(stamp, _)| stamp.order)
                .max()
        }
        Some(_) => Some(0),
    };
    let mut lost = Vec::new();
    for it in tries {
        let ended = ended(it);
        if ended == Some(0) {
            continue;
        }
        let taken = |it: &&Try| {
            let answer = matches!(it.answered, Some((_, Act::Accept | Act::Reject)));
            answer && ended.is_some_and(|ended| it.stamp.order > ended)
        };
        let shut = tries.iter().find(taken).and_then(|it| it.answered);
        lost.push((it.stamp, shut.map(|(stamp, _)| stamp)));
    }
    lost
}
