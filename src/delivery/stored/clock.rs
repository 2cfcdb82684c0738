//! The wall clock as `max_age` sees it (C31): one that steps expires nothing.
//!
//! An age in a log outlives the process, so that only the wall clock can tell it. That clock is set by people and by NTP;
//! where it moves by more than the process' own clock did, ages mean nothing for as long as `max_age` is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use weft_store::disk::{Disk, Real};

use super::DurableQueue;
use super::record::wall_ms;

/// How far both clocks may drift apart between two looks.
const DRIFT_MAX: Duration = Duration::from_secs(60);

/// See the module.
pub struct WallClock {
    /// Whose clock it is.
    machine: Arc<dyn Disk>,
    seen: Mutex<Seen>,
}

struct Seen {
    at: Instant,
    wall_ms: u64,
    stepped: Option<Instant>,
}

impl WallClock {
    /// A clock that has not stepped yet.
    #[must_use]
    pub fn new() -> WallClock {
        WallClock::of(Arc::new(Real))
    }

    /// The clock of this machine.
    #[must_use]
    pub fn of(machine: Arc<dyn Disk>) -> WallClock {
        let seen = Seen {
            at: Instant::now(),
            wall_ms: machine.wall_ms(),
            stepped: None,
        };
        WallClock {
            machine,
            seen: Mutex::new(seen),
        }
    }

    /// Milliseconds since 1970, now.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.machine.wall_ms()
    }

    /// The moment that so many milliseconds since 1970 are; now, for the past.
    #[must_use]
    pub fn instant(&self, at_ms: u64) -> Option<Instant> {
        Instant::now().checked_add(Duration::from_millis(at_ms.saturating_sub(self.now_ms())))
    }

    /// Looks whether the clock has stepped since the last look; at least once a minute, or drift passes for a step.
    pub fn look(&self) {
        self.look_at(self.now_ms());
    }

    fn look_at(&self, wall_ms: u64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let passed = u64::try_from(now.duration_since(seen.at).as_millis()).unwrap_or(u64::MAX);
        let expected = seen.wall_ms.saturating_add(passed);
        if Duration::from_millis(expected.abs_diff(wall_ms)) > DRIFT_MAX {
            seen.stepped = Some(now);
        }
        (seen.at, seen.wall_ms) = (now, wall_ms);
    }

    /// When something that came at `since_ms` is older than `max_age`; not before one `max_age` after the clock stepped.
    /// `None`: never.
    #[must_use]
    pub fn end_of(&self, since_ms: u64, max_age: Duration) -> Option<Instant> {
        self.look();
        // What comes out of the future has come just now.
        let age = Duration::from_millis(self.now_ms().saturating_sub(since_ms));
        let end = Instant::now().checked_add(max_age.saturating_sub(age))?;
        let stepped = self.seen.lock().unwrap_or_else(PoisonError::into_inner).stepped;
        match stepped {
            Some(at) => Some(end.max(at.checked_add(max_age)?)),
            None => Some(end),
        }
    }
}

impl DurableQueue {
    /// The time at which something that came at `stored_ms` is too old to be delivered.
    pub(super) fn too_old_at(&self, stored_ms: u64) -> Option<Instant> {
        let max_age = self.rules.load().max_age?;
        let end = self.clock.end_of(stored_ms, max_age)?;
        // Whether the clock stepped while nobody looked cannot be told from a long rest: either way there is time.
        let rested = self
            .rested_ms
            .is_some_and(|rest| Duration::from_millis(rest) > max_age);
        let later = self.opened.checked_add(max_age).filter(|_| rested);
        Some(later.map_or(end, |later| end.max(later)))
    }
}

/// Milliseconds since 1970, now.
#[must_use]
pub fn now_ms() -> u64 {
    wall_ms(SystemTime::now())
}

/// The moment that so many milliseconds since 1970 are; now, for the past.
#[must_use]
pub fn instant(at_ms: u64) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_millis(at_ms.saturating_sub(now_ms())))
}

impl Default for WallClock {
    fn default() -> WallClock {
        WallClock::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const HOUR_MS: u64 = 3_600_000;

    #[tokio::test(start_paused = true)]
    async fn a_record_is_given_up_once_it_is_older_than_max_age() {
        let clock = WallClock::new();
        let now = now_ms();
        let left = clock.end_of(now - HOUR_MS / 2, HOUR).unwrap() - Instant::now();
        assert!(left <= HOUR / 2 && left > HOUR / 2 - Duration::from_secs(1));
        assert!(clock.end_of(now - 2 * HOUR_MS, HOUR).unwrap() <= Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_steps_expires_nothing_for_one_max_age() {
        let clock = WallClock::new();
        let now = now_ms();
        // Paused time stands still, so that this is a step of three hours.
        clock.look_at(now + 3 * HOUR_MS);
        let end = clock.end_of(now - 9 * HOUR_MS, HOUR).unwrap();
        assert!(end >= Instant::now() + HOUR);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_out_of_the_future_has_its_whole_max_age() {
        let clock = WallClock::new();
        let end = clock.end_of(now_ms() + 5 * HOUR_MS, HOUR).unwrap();
        assert_eq!(end - Instant::now(), HOUR);
    }
}
