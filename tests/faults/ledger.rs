//! The account of one run, kept outside of the router: what its senders were told, and what arrived where.
//!
//! Invariant: an event is acknowledged only when its sender was told so in its own protocol, and has arrived only when
//! the receiver told its own remote that it took it. The ledger knows numbers, not protocols.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{KEYS, owner};

/// See the module. Shared by the threads of senders and receivers.
pub(crate) struct Ledger {
    account: Mutex<Account>,
    moved: Condvar,
}

/// What is in it.
pub(crate) struct Account {
    /// By number.
    acked: Vec<bool>,
    /// How many events are acknowledged.
    pub(crate) acknowledged: usize,
    /// How often a sender sent an event again of which it did not know whether it was taken.
    pub(crate) sent_again: usize,
    /// By number: whether its sender did that, as far as it says of which.
    again: Vec<bool>,
    /// How often a sender was told that its event was not taken.
    pub(crate) refused: usize,
    /// Each event is owed to one of the destinations, not to all.
    shares: bool,
    /// One for each destination, in the order of the flow.
    pub(crate) legs: Vec<Leg>,
    /// Distinct messages in the dead letter that could not become an event.
    pub(crate) malformed: BTreeSet<String>,
    /// Events in the dead letter that no destination has refused.
    pub(crate) undue: Vec<usize>,
    /// When anything was written last.
    moved: Instant,
}

/// What is found in a dead letter.
pub(crate) enum Letter {
    /// An event that a destination refused.
    Event {
        /// Which destination.
        leg: usize,
        /// Which event.
        number: usize,
    },
    /// A message that could not become an event, by the id that the router gave it.
    Malformed(String),
}

/// What arrived at one destination.
pub(crate) struct Leg {
    /// How many events are owed.
    owed: usize,
    times: Vec<u16>,
    /// By key: the highest number so far.
    last: Vec<Option<usize>>,
    /// Events that came at least once.
    pub(crate) distinct: usize,
    /// Events that came, each time counted.
    pub(crate) total: usize,
    /// How many of the repetitions are of events that their sender has not sent again: the router repeated those.
    pub(crate) repeated: usize,
    /// Numbers that came with other data or attributes than they were sent with.
    pub(crate) damaged: Vec<usize>,
    /// Numbers that came for the first time after a later one of their key.
    pub(crate) late: Vec<usize>,
    /// What no sender of this run has sent.
    pub(crate) foreign: usize,
    /// Numbers that may go to the dead letter in place of this destination, and whether they are there.
    diverted: BTreeMap<usize, bool>,
}

impl Leg {
    /// How many came again, each time counted.
    pub(crate) fn duplicates(&self) -> usize {
        self.total - self.distinct
    }

    /// How many went to the dead letter in place of this destination.
    pub(crate) fn dead(&self) -> usize {
        self.diverted.values().filter(|is_there| **is_there).count()
    }
}

impl Ledger {
    /// An empty one for events `0..events` and so many destinations.
    pub(crate) fn new(events: usize, legs: usize, shares: bool) -> Ledger {
        let leg = |leg| Leg {
            owed: (0..events)
                .filter(|number| !shares || owner(*number, legs) == leg)
                .count(),
            times: vec![0; events],
            last: vec![None; KEYS],
            distinct: 0,
            total: 0,
            repeated: 0,
            damaged: Vec::new(),
            late: Vec::new(),
            foreign: 0,
            diverted: BTreeMap::new(),
        };
        let account = Account {
            acked: vec![false; events],
            acknowledged: 0,
            sent_again: 0,
            again: vec![false; events],
            refused: 0,
            shares,
            legs: (0..legs).map(leg).collect(),
            malformed: BTreeSet::new(),
            undue: Vec::new(),
            moved: Instant::now(),
        };
        Ledger {
            account: Mutex::new(account),
            moved: Condvar::new(),
        }
    }

    /// The sender of an event was told that it is taken.
    pub(crate) fn acknowledged(&self, number: usize) {
        self.write(|account| {
            if !std::mem::replace(&mut account.acked[number], true) {
                account.acknowledged += 1;
            }
        });
    }

    /// A sender does not know whether an event was taken, and sends it again.
    pub(crate) fn sent_again(&self, number: Option<usize>) {
        // Not a move: a load that is only ever refused must come to its end.
        let mut account = self.account();
        account.sent_again += 1;
        if let Some(number) = number {
            account.again[number] = true;
        }
    }

    /// A sender was told that an event was not taken.
    pub(crate) fn refused(&self) {
        self.account().refused += 1;
    }

    /// An event has arrived at a destination, equal to what was sent or not.
    pub(crate) fn arrived(&self, leg: usize, number: usize, intact: bool) {
        self.write(|account| {
            let owes = account.owes(leg, number);
            let again = account.again.get(number).is_some_and(|again| *again);
            let leg = &mut account.legs[leg];
            if !owes {
                leg.foreign += 1;
                return;
            }
            let Some(times) = leg.times.get_mut(number) else {
                leg.foreign += 1;
                return;
            };
            *times = times.saturating_add(1);
            let is_first = *times == 1;
            leg.total += 1;
            if !intact {
                leg.damaged.push(number);
            }
            if is_first {
                leg.distinct += 1;
                let last = &mut leg.last[number % KEYS];
                if last.is_some_and(|last| last > number) {
                    leg.late.push(number);
                }
                *last = (*last).max(Some(number));
            } else {
                leg.repeated += usize::from(!again);
            }
        });
    }

    /// Something arrived that no sender of this run has sent.
    pub(crate) fn foreign(&self, leg: usize) {
        self.write(|account| account.legs[leg].foreign += 1);
    }

    /// This destination refuses an event for good: it is owed to the dead letter from now on.
    pub(crate) fn diverted(&self, leg: usize, number: usize) {
        self.write(|account| {
            account.legs[leg].diverted.entry(number).or_insert(false);
        });
    }

    /// A dead letter has arrived.
    pub(crate) fn dead_lettered(&self, letter: Letter) {
        self.write(|account| {
            match letter {
                Letter::Event { leg, number } => {
                    let owed = account.legs[leg].diverted.get_mut(&number);
                    match owed {
                        Some(is_there) => *is_there = true,
                        None => account.undue.push(number),
                    }
                }
                Letter::Malformed(id) => {
                    account.malformed.insert(id);
                }
            };
        });
    }

    /// How far the load is.
    pub(crate) fn progress(&self) -> usize {
        self.read(Account::progress)
    }

    /// Looks at the account.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        look(&self.account())
    }

    /// Waits until the account is as wanted, or nothing was written for so long; says whether it is.
    pub(crate) fn wait(&self, quiet: Duration, wanted: impl Fn(&Account) -> bool) -> bool {
        let mut account = self.account();
        let began = Instant::now();
        while !wanted(&account) {
            let idle = account.moved.max(began).elapsed();
            let Some(left) = quiet.checked_sub(idle) else {
                return false;
            };
            let waited = self.moved.wait_timeout(account, left);
            account = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Account)) {
        let mut account = self.account();
        change(&mut account);
        account.moved = Instant::now();
        drop(account);
        self.moved.notify_all();
    }
}

impl Account {
    /// How long nothing was written.
    pub(crate) fn quiet(&self) -> Duration {
        self.moved.elapsed()
    }

    /// How far the load is: events that came, or are in the dead letter, at the destination that is ahead, or at all that
    /// share the events.
    pub(crate) fn progress(&self) -> usize {
        let ended = self.legs.iter().map(|leg| leg.distinct + leg.dead());
        if self.shares {
            ended.sum()
        } else {
            ended.max().unwrap_or(0)
        }
    }

    /// Whether an event is owed to a destination.
    pub(crate) fn owes(&self, leg: usize, number: usize) -> bool {
        !self.shares || owner(number, self.legs.len()) == leg
    }

    /// Whether everything that is owed to a destination has come there, or is in the dead letter.
    pub(crate) fn has_all(&self, leg: usize) -> bool {
        let leg = &self.legs[leg];
        leg.distinct + leg.dead() == leg.owed
    }

    /// Whether every event is acknowledged and has arrived everywhere.
    pub(crate) fn is_complete(&self) -> bool {
        self.acknowledged == self.acked.len() && (0..self.legs.len()).all(|leg| self.has_all(leg))
    }

    /// The numbers that were acknowledged and never came to a destination.
    pub(crate) fn lost(&self, leg: usize) -> Vec<usize> {
        let owes = |number: &usize| self.owes(leg, *number);
        let leg = &self.legs[leg];
        let is_dead = |number: &usize| leg.diverted.get(number) == Some(&true);
        let missing = |number: &usize| self.acked[*number] && leg.times[*number] == 0 && !is_dead(number);
        (0..self.acked.len()).filter(owes).filter(missing).collect()
    }
}
