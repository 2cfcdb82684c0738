//! Segments whose records are all acknowledged: they stay as long as the file says, and go then, or when their room is
//! needed.
//!
//! Owns: which logs have such segments, on the commit thread, and the wall clock that they age by. Invariant: what is only
//! retained never makes a log full, nor the space, nor the disk: the oldest of it goes first. A clock that is set ahead makes
//! nothing old (C31).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::log::{Held, Log, State};

/// For how long nothing is looked at at the most: a wall clock may be set.
const LONGEST: Duration = Duration::from_secs(3600);
/// An empty log that rests gives its last segment away after so long, too.
const IDLE_MS: u64 = 60_000;
/// How soon at the earliest.
const PAUSE_MS: u64 = 50;
/// Segments of one log that go in one round: to remove a file takes milliseconds, and records wait.
const AT_ONCE: usize = 16;

/// A wall clock that goes ahead of the process' own by more has stepped.
const STEP_MIN: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Retainer<T> {
    disk: Arc<dyn Disk>,
    /// Both clocks at the last look.
    seen: (Instant, u64),
    /// When the wall clock stepped last: what is retained has its whole time again.
    stepped: Option<Instant>,
    /// Logs that have something to give away some time, and when, by the clock.
    aging: BTreeMap<u64, (Arc<Log<T>>, u64)>,
}

impl<T> Retainer<T> {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Retainer<T> {
        Retainer {
            seen: (disk.now(), disk.wall_ms()),
            stepped: None,
            disk,
            aging: BTreeMap::new(),
        }
    }

    /// When something is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let first = self.aging.values().map(|(_, at)| *at).min()?;
        let left = Duration::from_millis(first.saturating_sub(self.disk.wall_ms()));
        Some(self.disk.now() + left.min(LONGEST))
    }

    /// The logs that have something due now: it is to be swept.
    pub(crate) fn take_due(&mut self) -> Vec<Arc<Log<T>>> {
        let now = self.disk.wall_ms();
        let due = self.aging.extract_if(.., |_, (_, at)| *at <= now);
        due.map(|(_, (log, _))| log).collect()
    }

    /// Removes what nobody needs any more of this log. Says whether there is more room now.
    pub(crate) fn sweep(&mut self, log: &Arc<Log<T>>) -> bool {
        let now = self.clock();
        let mut gone = Vec::new();
        let mut state = log.lock();
        let retain = state.settings.retain.map(in_ms);
        let rests = retain.map_or(0, |retain| self.rests(retain));
        let (room, mut next) = (state.charged(), None::<u64>);
        let mut index = 0;
        while let Some(held) = state.segments.get(index) {
            if held.segment.title.first > state.acked.next() {
                break;
            }
            let until = retain.map(|retain| held.newest.saturating_add(retain).max(now + rests));
            if !(held.retained || state.is_done(index)) {
                index += 1;
            } else if let Some(until) = until.filter(|until| *until > now) {
                next = Some(next.map_or(until, |next| next.min(until)));
                state.retain(index);
                index += 1;
            } else if gone.len() == AT_ONCE {
                next = Some(now);
                break;
            } else {
                gone.extend(state.remove(index));
            }
        }
        if let Some(last) = idle(&state) {
            // A log that is full needs it now; but what could not be sealed is not tried again at once.
            let last = if log.is_full() { 0 } else { last };
            next = Some(next.unwrap_or(u64::MAX).min(last.max(now + PAUSE_MS)));
        }
        let more = state.charged() < room;
        drop(state);
        match next {
            Some(at) => self.aging.insert(log.id, (Arc::clone(log), at)),
            None => self.aging.remove(&log.id),
        };
        self.remove(gone);
        more
    }

    /// Whether the last segment of this log is to be sealed: all of it is acknowledged, and nothing came for long, or
    /// nothing can come before it is gone.
    pub(crate) fn is_idle(&self, log: &Log<T>) -> bool {
        idle(&log.lock()).is_some_and(|at| log.is_full() || at <= self.disk.wall_ms())
    }

    /// The wall clock, which may have stepped.
    fn clock(&mut self) -> u64 {
        let (now, wall) = (self.disk.now(), self.disk.wall_ms());
        let passed = now.saturating_duration_since(self.seen.0);
        if wall > self.seen.1.saturating_add(in_ms(passed + STEP_MIN)) {
            tracing::warn!("the clock has stepped: what a log retains stays for its whole time again");
            self.stepped = Some(now);
        }
        self.seen = (now, wall);
        wall
    }

    /// For how many milliseconds more nothing is too old that is retained for so many.
    fn rests(&self, retain: u64) -> u64 {
        let since = self
            .stepped
            .map(|at| in_ms(self.disk.now().saturating_duration_since(at)));
        since.map_or(0, |since| retain.saturating_sub(since))
    }

    /// Has retained segments go that stand in the way of records.
    pub(crate) fn trim(&mut self) {
        for (log, _) in self.aging.values() {
            let (over, space) = {
                let state = log.lock();
                let all = state.charged() + state.retained();
                (
                    all.saturating_sub(state.settings.max_bytes),
                    Arc::clone(&state.space),
                )
            };
            self.give(over, |other| other.id == log.id);
            self.give(space.excess(), |other| Arc::ptr_eq(&other.lock().space, &space));
        }
    }

    /// Has retained segments go until so many bytes are free again. Returns how many are.
    pub(crate) fn free(&mut self, bytes: u64) -> u64 {
        self.give(bytes, |_| true)
    }

    fn give(&self, bytes: u64, of: impl Fn(&Log<T>) -> bool) -> u64 {
        let mut given = 0;
        while given < bytes {
            let logs = self.aging.values().map(|(log, _)| log).filter(|log| of(log));
            let oldest = logs
                .filter_map(|log| Some((oldest(&log.lock())?, log)))
                .min_by_key(|(found, _)| found.0);
            let Some(((_, index), log)) = oldest else { break };
            let gone = log.lock().remove(index);
            given += gone.as_ref().map_or(0, |held| held.end);
            self.remove(gone);
        }
        given
    }

    fn remove(&self, gone: impl IntoIterator<Item = Held>) {
        for held in gone {
            // It may come back after a power cut; all of it is acknowledged, so that it goes again.
            if let Err(error) = self.disk.remove(&held.segment.path) {
                tracing::warn!(path = %held.segment.path.display(), %error, "removing a segment");
            }
        }
    }
}

/// The age and the index of the oldest segment that is only retained.
fn oldest<T>(state: &State<T>) -> Option<(u64, usize)> {
    let retained = state
        .segments
        .iter()
        .enumerate()
        .filter(|(_, held)| held.retained);
    retained.map(|(index, held)| (held.newest, index)).min()
}

/// When the last segment of a log that is empty is no longer needed, should nothing come.
fn idle<T>(state: &State<T>) -> Option<u64> {
    let last = state.segments.back()?;
    let rests = !last.sealed && state.failed.is_none() && state.batch.tokens.is_empty();
    let empty = last.next == state.next && state.unwritten_count == 0 && state.open_in(0..state.next) == 0;
    let retain = state.settings.retain.map_or(0, in_ms).max(IDLE_MS);
    (rests && empty && state.synced == state.next && !last.range().is_empty())
        .then(|| last.newest.saturating_add(retain))
}

fn in_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
