//! A load on an egress that goes on while its remote is hurt: what fails is given again, first and in order, as the
//! router's queue does it.
//!
//! Owns: which numbers are open. Invariants: of one key, a number is given first only when all before it were
//! accepted, or, where the remote keeps order, were given before it in the same wave; nothing new follows a failure
//! before everything on its way has come back.
//! Must not know: what hurts the remote.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use weft_api::event::Event;

use super::{EgressDesk, Fate};
use crate::events::keyed;

/// The most that is on its way at a time.
const WAVE_MAX: usize = 500;
/// Keys where the remote keeps order: few, so that each is in flight many times.
const KEYS: usize = 5;
/// Between two waves while the remote fails; the router would wait for longer.
const BREATH: Duration = Duration::from_millis(50);

/// The load's controls.
pub struct Pump {
    accepted: watch::Sender<usize>,
    finish: watch::Sender<bool>,
}

/// What a load came to: events `0..events` were all accepted in the end; number `n` has the key `n % keys`.
#[derive(Clone, Copy, Debug)]
pub struct Pumped {
    /// How many.
    pub events: usize,
    /// How many keys.
    pub keys: usize,
    /// Most that was on its way at a time.
    pub window: usize,
    /// Deliveries that failed.
    pub failures: usize,
    /// Those of them that the remote may have taken.
    pub maybe: usize,
}

impl Pump {
    /// A load that has not begun.
    #[must_use]
    pub fn new() -> Pump {
        Pump {
            accepted: watch::Sender::new(0),
            finish: watch::Sender::new(false),
        }
    }

    /// Runs until [`Pump::finish`] was said and everything that was begun is accepted.
    pub async fn run(&self, desk: &EgressDesk) -> Pumped {
        let profile = desk.profile;
        let window = (profile.in_flight as usize).min(WAVE_MAX);
        let mut pumped = Pumped {
            events: 0,
            keys: if profile.keeps_order_or_fails {
                KEYS
            } else {
                window
            },
            window,
            failures: 0,
            maybe: 0,
        };
        let mut open = BTreeSet::new();
        loop {
            while open.len() < window && !*self.finish.borrow() {
                open.insert(pumped.events);
                pumped.events += 1;
            }
            if open.is_empty() {
                return pumped;
            }
            let failures = pumped.failures;
            self.wave(desk, &mut open, &mut pumped).await;
            if pumped.failures > failures {
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    /// Gives what is open, and waits until all of it has come back.
    async fn wave(&self, desk: &EgressDesk, open: &mut BTreeSet<usize>, pumped: &mut Pumped) {
        let mut keys = BTreeSet::new();
        let in_order = desk.profile.keeps_order_or_fails;
        let numbers: Vec<usize> = open
            .iter()
            .copied()
            .filter(|number| in_order || keys.insert(number % pumped.keys))
            .collect();
        let batch = desk.profile.batch_events.min(desk.profile.in_flight) as usize;
        let given: Vec<_> = numbers
            .chunks(batch)
            .map(|numbers| {
                let events = numbers.iter().map(|number| event(*number, pumped.keys));
                (numbers, desk.give(events.collect()))
            })
            .collect();
        for (numbers, given) in given {
            for (number, fate) in numbers.iter().zip(given.settled().await) {
                match fate {
                    Fate::Accepted => {
                        open.remove(number);
                        self.accepted.send_modify(|count| *count += 1);
                    }
                    Fate::Failed(error) => {
                        pumped.failures += 1;
                        pumped.maybe += usize::from(error.maybe_delivered);
                    }
                    Fate::Abandoned => {
                        pumped.failures += 1;
                        pumped.maybe += 1;
                    }
                }
            }
        }
    }

    /// How many are accepted.
    #[must_use]
    pub fn accepted(&self) -> usize {
        *self.accepted.borrow()
    }

    /// Waits until so many are accepted.
    pub async fn reached(&self, count: usize) {
        let mut accepted = self.accepted.subscribe();
        // The sender is held by `self`.
        _ = accepted.wait_for(|accepted| *accepted >= count).await;
    }

    /// Begin nothing new.
    pub fn finish(&self) {
        self.finish.send_replace(true);
    }
}

impl Default for Pump {
    fn default() -> Pump {
        Pump::new()
    }
}

fn event(number: usize, keys: usize) -> Event {
    keyed(&number.to_string(), &format!("k{}", number % keys))
}
