//! The remote that an `inproc` ingress takes from: numbered lanes of messages, and a record of what became of each.
//!
//! Owns: the messages, which lanes are assigned, what is committed, and the history that an oracle judges by.
//! Invariants: a message never leaves its lane and offset; nothing is forgotten; whatever breaks the contract of a
//! lane (settled twice, out of order, released while open) is kept as a violation instead of a panic, since it would
//! otherwise be lost in the task that saw it.
//! Must not know: how the router works; which kind of lane its messages go through (`stream`, `request` know).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use weft_api::ingress::Incoming;
use weft_api::outcome::Outcome;

use crate::bell::{Bell, Changes};
use crate::hub::{Clock, Stamp, locked};

/// A handle to one feed; clones are the same feed.
#[derive(Clone, Debug)]
pub struct Feed {
    pub(crate) state: Arc<Mutex<State>>,
    clock: Arc<Clock>,
    bell: Bell,
}

/// One thing that happened at a feed.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// When.
    pub stamp: Stamp,
    /// The lane's number.
    pub lane: u32,
    /// What.
    pub what: Happening,
}

/// What may happen at a feed. Offsets count from 0 in each lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    /// The lane was opened; `from` is the first offset that it will deliver.
    Opened {
        /// What is committed.
        from: u64,
    },
    /// The message went into the router.
    Delivered {
        /// Its offset.
        offset: u64,
        /// The lane's life; 0 for a request.
        epoch: u32,
    },
    /// The router settled the message (for an in-order lane: committed it).
    Settled {
        /// Its offset.
        offset: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// What became of the message was told, and the remote did not hear it: it stands there as if it had not been told.
    AckLost {
        /// Its offset.
        offset: u64,
    },
    /// The client of a request went away before it was answered.
    HungUp {
        /// Its offset.
        offset: u64,
    },
    /// The lane starts again at this offset.
    Rewound {
        /// The first offset that was not settled.
        from: u64,
    },
    /// The lane was closed: it was revoked, or its ingress ended.
    Revoked,
}

/// How the next life of the ingress ends, if a test wants it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// `run` returns an error.
    Error,
    /// `run` panics.
    Panic,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) lanes: Vec<LaneLog>,
    pub(crate) crash: Option<Crash>,
    /// Clients of requests hang up after this time.
    pub(crate) hang_up_after: Option<Duration>,
    /// The remote hears no acknowledgement.
    pub(crate) deaf: bool,
    history: Vec<Entry>,
    violations: Vec<String>,
    duplicates: u64,
}

/// One lane's messages and where they stand.
#[derive(Debug)]
pub(crate) struct LaneLog {
    pub(crate) messages: Vec<Message>,
    pub(crate) assigned: bool,
    /// In order: the first offset that is not settled.
    pub(crate) committed: u64,
    /// One by one: what may be taken, and from when on.
    pub(crate) ready: BTreeSet<(Instant, u64)>,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) incoming: Incoming,
    pub(crate) deliveries: u32,
    /// Its final outcome; released and unknown are not final, the message is offered again.
    pub(crate) outcome: Option<Outcome>,
}

impl Default for LaneLog {
    fn default() -> LaneLog {
        LaneLog {
            messages: Vec::new(),
            assigned: true,
            committed: 0,
            ready: BTreeSet::new(),
        }
    }
}

impl LaneLog {
    /// A new life begins: whatever is not settled for good may be taken at once.
    pub(crate) fn offer_unsettled(&mut self) {
        let open = (0..)
            .zip(&self.messages)
            .filter(|(_, message)| message.outcome.is_none());
        let now = Instant::now();
        self.ready = open.map(|(offset, _)| (now, offset)).collect();
    }
}

impl Feed {
    pub(crate) fn new(clock: Arc<Clock>) -> Feed {
        Feed {
            state: Arc::default(),
            clock,
            bell: Bell::default(),
        }
    }

    /// Appends a message to a lane and returns its offset there. Lanes come into being as they are named; the ingress
    /// section says how many are opened.
    pub fn push(&self, lane: u32, message: impl Into<Incoming>) -> u64 {
        let offset = {
            let mut state = locked(&self.state);
            let lane = state.lane(lane);
            let offset = lane.messages.len() as u64;
            lane.messages.push(Message {
                incoming: message.into(),
                deliveries: 0,
                outcome: None,
            });
            lane.ready.insert((Instant::now(), offset));
            offset
        };
        self.notify();
        offset
    }

    /// Takes a lane away from the ingress: what is unsettled there will come again after [`Feed::assign`].
    pub fn revoke(&self, lane: u32) {
        locked(&self.state).lane(lane).assigned = false;
        self.notify();
    }

    /// Gives a revoked lane back; it starts at what is committed.
    pub fn assign(&self, lane: u32) {
        locked(&self.state).lane(lane).assigned = true;
        self.notify();
    }

    /// Ends the ingress' present life; the one after it starts at what is committed.
    pub fn crash(&self, how: Crash) {
        locked(&self.state).crash = Some(how);
        self.notify();
    }

    /// From now on clients of requests hang up after `wait` without an answer and send again; `None`: never.
    pub fn hang_up_after(&self, wait: Option<Duration>) {
        locked(&self.state).hang_up_after = wait;
    }

    /// From now on every acknowledgement is lost on its way to the remote (or, again, none is): a commit is made good
    /// by the next one that arrives, any other message comes again.
    pub fn lose_acks(&self, lose: bool) {
        locked(&self.state).deaf = lose;
    }

    /// What finally became of a message; `None` while it is not settled for good.
    #[must_use]
    pub fn outcome(&self, lane: u32, offset: u64) -> Option<Outcome> {
        let state = locked(&self.state);
        state
            .lanes
            .get(lane as usize)?
            .messages
            .get(usize::try_from(offset).ok()?)?
            .outcome
    }

    /// The first offset of an in-order lane that is not settled.
    #[must_use]
    pub fn committed(&self, lane: u32) -> u64 {
        locked(&self.state)
            .lanes
            .get(lane as usize)
            .map_or(0, |lane| lane.committed)
    }

    /// How many messages were pushed and are not settled for good, over all lanes.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        let state = locked(&self.state);
        state
            .lanes
            .iter()
            .flat_map(|lane| &lane.messages)
            .filter(|message| message.outcome.is_none())
            .count()
    }

    /// How often a message went into the router although it had gone in before.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        locked(&self.state).duplicates
    }

    /// Everything that happened, in order.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        locked(&self.state).history.clone()
    }

    /// How often a lane started again.
    #[must_use]
    pub fn rewinds(&self) -> usize {
        let rewound = |entry: &&Entry| matches!(entry.what, Happening::Rewound { .. });
        locked(&self.state).history.iter().filter(rewound).count()
    }

    /// What the router did that the contract of a lane forbids; empty in a correct router.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        locked(&self.state).violations.clone()
    }

    /// Returns once every message that was pushed is settled for good. Cancel-safe.
    pub async fn settled(&self) {
        self.until(|feed| feed.unsettled() == 0).await;
    }

    /// Returns once `done` holds; it is asked again after each change. Cancel-safe.
    pub async fn until(&self, mut done: impl FnMut(&Feed) -> bool) {
        let mut changes = self.changes();
        while !done(self) {
            changes.changed().await;
        }
    }

    pub(crate) fn changes(&self) -> Changes {
        self.bell.listen()
    }

    pub(crate) fn notify(&self) {
        self.bell.ring();
    }

    pub(crate) fn record(&self, lane: u32, what: Happening) {
        let stamp = self.clock.stamp();
        locked(&self.state).record(Entry { stamp, lane, what });
        self.notify();
    }

    /// What was recorded as settled just now did not arrive at the remote.
    pub(crate) fn unheard(&self, lane: u32, offset: u64) -> bool {
        let deaf = locked(&self.state).deaf;
        if deaf {
            self.record(lane, Happening::AckLost { offset });
        }
        deaf
    }

    pub(crate) fn violated(&self, lane: u32, rule: &str, found: impl std::fmt::Debug) {
        locked(&self.state)
            .violations
            .push(format!("lane {lane}: {rule}: {found:?}"));
        self.notify();
    }
}

impl State {
    pub(crate) fn lane(&mut self, number: u32) -> &mut LaneLog {
        let index = number as usize;
        if self.lanes.len() <= index {
            self.lanes.resize_with(index + 1, LaneLog::default);
        }
        &mut self.lanes[index]
    }

    fn record(&mut self, entry: Entry) {
        match entry.what {
            Happening::Delivered { offset, .. } => {
                let message = &mut self.lane(entry.lane).messages[offset as usize];
                message.deliveries += 1;
                self.duplicates += u64::from(message.deliveries > 1);
            }
            Happening::Settled { offset, outcome } => {
                let message = &mut self.lane(entry.lane).messages[offset as usize];
                if matches!(outcome, Outcome::Accepted | Outcome::Rejected(_)) {
                    message.outcome = Some(outcome);
                }
            }
            Happening::AckLost { offset } => {
                self.lane(entry.lane).messages[offset as usize].outcome = None;
            }
            _ => {}
        }
        self.history.push(entry);
    }
}
