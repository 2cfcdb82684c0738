//! Replay (C18): letters out of a log, or out of what a destination holds, are sent again, through the routes that are in
//! force.
//!
//! One task a job. Like the lane of a log it has a window and a mailbox, and hands out legs whose end comes back; unlike
//! that lane it reads only what is meant, once, and in no order that anybody was promised (C20).
//!
//! Owns: what is read and not settled. Invariants
//! - A dead letter leaves its pile only when all its legs have ended: delivered, in another log, or as a dead letter that
//!   is itself durable. What expires, is dropped or given back, and what can go nowhere, stays.
//! - At most [`WINDOW`] letters, or [`WINDOW_BYTES`] and one letter, are under way. A crash repeats those at most (C4).
//! - A letter is one obligation of the books, however many legs it has: their ends are joined.
//! - What comes into the pile while the job runs is not part of it: a letter that dies again does not go round.
//! - A job is done only once what left is gone for good ([`Pile::close`]).

pub mod hunt;
pub mod job;
pub mod letter;
pub mod pile;
pub mod remote;
pub mod scan;
pub mod way;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::Instant;
use weft_api::crash;
use weft_api::outcome::{Outcome, Reason};

use crate::delivery::forward::start;
use crate::delivery::leg::{Leg, NO_ROUTE};
use crate::delivery::origin::{Claim, Join, LanePort, Origin, Port, Settled};
use crate::delivery::wiring::Wiring;
use job::{Job, Progress, State, Work};
use letter::Letter;
use pile::Pile;
use scan::{Found, Look};
use way::{Owed, Way, owed};

#[cfg(test)]
mod tests;

/// How many letters may be under way.
pub const WINDOW: usize = 64;
/// The same in bytes of events.
pub const WINDOW_BYTES: u64 = 4 << 20;
/// What is read ahead.
const AHEAD: Look = Look {
    letters: WINDOW,
    bytes: 1 << 20,
    records: 20_000,
    read: 16 << 20,
};
/// How long what is under way may take to end once the job is cancelled.
const GRACE: Duration = Duration::from_secs(5);
/// What stays and may have arrived all the same.
const ENDED_UNDER_WAY: &str = "the job ended while it was under way: it may have been delivered";
/// How much of a pause a rate makes good at once.
const BURST: Duration = Duration::from_millis(100);

/// See the module.
pub struct Replay {
    job: Arc<Job>,
    /// `None` once it is closed.
    pile: Option<Pile>,
    wiring: Arc<ArcSwapOption<Wiring>>,
    port: Arc<LanePort>,
    epoch: u32,
    claim: Claim,
    ready: VecDeque<Letter>,
    /// Bytes of what is under way, by the letter.
    open: HashMap<u64, u64>,
    open_bytes: u64,
    /// How the books of the port stood.
    before: [u64; 4],
    inbox: Vec<Settled>,
    /// When the next letter is due by the rate.
    due: Instant,
    /// When what is under way is given up.
    end: Option<Instant>,
    /// Why it goes on no further.
    failed: Option<String>,
    /// What was asked for by its number and was not met.
    missing: BTreeSet<u64>,
}

impl Replay {
    /// A job over what lies in `pile`. The ends of what is sent count in the books of `port`, which is nobody else's while
    /// it runs.
    #[must_use]
    pub fn new(job: Arc<Job>, pile: Pile, port: &Arc<Port>, wiring: Arc<ArcSwapOption<Wiring>>) -> Replay {
        let missing = job.order.selection.ids.iter().copied().collect();
        let epoch = port.take_epoch();
        let lane = LanePort::new(Arc::clone(port), Arc::clone(&job.log), 0, epoch, false);
        Replay {
            before: kinds(port),
            claim: port.mailbox.claim(),
            port: Arc::new(lane),
            epoch,
            job,
            pile: Some(pile),
            wiring,
            ready: VecDeque::new(),
            open: HashMap::new(),
            open_bytes: 0,
            inbox: Vec::new(),
            due: Instant::now(),
            end: None,
            failed: None,
            missing,
        }
    }

    /// Runs until everything has ended, or the job is cancelled, or `stop` says so.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        let Some(mut pile) = self.pile.take() else { return };
        self.work(&mut pile, stop).await;
        // Before the pile ends: what can leave no more shall not be sent any more.
        self.revoke();
        self.settle_the_last(&mut pile);
        self.leave();
        let closed = pile.close().await;
        let failed = self.failed.take().into_iter().chain(closed.err());
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() && self.end.is_none() {
            self.tell_missing();
        }
        self.job.end(match (&failed[..], self.end) {
            ([_, ..], _) => State::Failed(failed.join("; ")),
            ([], Some(_)) => State::Cancelled,
            ([], None) => State::Done,
        });
    }

    async fn work(&mut self, pile: &mut Pile, mut stop: watch::Receiver<bool>) {
        let mut cancelled = self.job.cancelled();
        loop {
            self.settle(pile);
            let ends = *cancelled.borrow_and_update() || *stop.borrow_and_update();
            if ends || self.failed.is_some() {
                self.give_up();
            }
            if self.end.is_none() {
                self.send();
                self.look(pile);
            }
            if self.is_over(pile) {
                return;
            }
            let waits_for_the_rate = self.has_room() && !self.ready.is_empty();
            let due = self.end.or(waits_for_the_rate.then_some(self.due));
            let (mailbox, claim) = (&self.port.port.mailbox, self.claim);
            let inbox = &mut self.inbox;
            tokio::select! {
                // Outcomes first: what they free is what everything else waits for.
                biased;
                () = std::future::poll_fn(|cx| mailbox.poll_take(claim, inbox, cx)) => {}
                changed = cancelled.changed(), if self.end.is_none() => if changed.is_err() { return },
                changed = stop.changed(), if self.end.is_none() => if changed.is_err() { return },
                found = pile.looked() => match found {
                    Ok(found) => self.take(pile, found),
                    Err(why) => self.failed = Some(why),
                },
                () = until(due) => {}
            }
        }
    }

    /// Nothing more is sent; what is under way may still end.
    fn give_up(&mut self) {
        self.ready.clear();
        self.end.get_or_insert_with(|| Instant::now() + GRACE);
    }

    fn has_room(&self) -> bool {
        self.open.len() < WINDOW && self.open_bytes < WINDOW_BYTES
    }

    fn is_over(&self, pile: &Pile) -> bool {
        match self.end {
            Some(end) => self.open.is_empty() || Instant::now() >= end,
            None => self.open.is_empty() && self.ready.is_empty() && pile.is_over(),
        }
    }

    /// Begins to look on, if there is nothing left to send.
    fn look(&self, pile: &mut Pile) {
        if !self.ready.is_empty() {
            return;
        }
        let selected = self.job.progress().selected;
        let left = self.job.order.limit.map(|limit| limit.saturating_sub(selected));
        if left == Some(0) {
            pile.is_enough();
        }
        let mut look = AHEAD;
        if let Some(left) = left {
            look.letters = look.letters.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        pile.look(look);
    }

    fn take(&mut self, pile: &mut Pile, found: Found) {
        for letter in &found.letters {
            self.missing.remove(&letter.id);
        }
        self.job.update(|progress| {
            progress.looked += found.looked;
            progress.unreadable += found.unreadable;
            progress.selected += found.letters.len() as u64;
        });
        if self.job.order.work == Work::Purge {
            self.purge(pile, &found.letters);
        } else if self.end.is_none() {
            self.ready.extend(found.letters);
        }
    }

    fn purge(&self, pile: &mut Pile, letters: &[Letter]) {
        letters.iter().for_each(|letter| pile.remove(letter.id));
        let count = letters.len() as u64;
        pile.purged(count);
        self.job.update(|progress| progress.purged += count);
    }

    /// Sends what there is room for.
    fn send(&mut self) {
        let Some(wiring) = self.wiring.load_full() else {
            return;
        };
        let way = match &self.job.order.work {
            Work::Replay(way) | Work::Again(way) => way.clone(),
            Work::Purge => return,
        };
        while self.has_room() {
            let now = Instant::now();
            if self.job.order.every.is_some() && self.due > now {
                return;
            }
            let Some(letter) = self.ready.pop_front() else {
                return;
            };
            match owed(&letter, &way, &wiring, now) {
                Ok(legs) => self.hand_out(&letter, &way, legs, &wiring, now),
                Err(why) => self.job.update(|progress| progress.stays(letter.id, why)),
            }
        }
    }

    fn hand_out(&mut self, letter: &Letter, way: &Way, legs: Vec<Owed>, wiring: &Arc<Wiring>, now: Instant) {
        if let Some(every) = self.job.order.every {
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            self.due = self.due.max(earliest) + every;
        }
        self.port.port.metrics.obligations.inc();
        self.port.port.metrics.books.pending.inc();
        self.open.insert(letter.id, letter.event.size());
        self.open_bytes += letter.event.size();
        self.job.update(|progress| {
            progress.sent += 1;
            progress.under_way += 1;
        });
        let slot = Origin::Slot {
            lane: Arc::clone(&self.port),
            epoch: self.epoch,
            seq: letter.id,
        };
        let replays = match way {
            Way::Again(_) => letter.replays,
            _ => letter.replays.saturating_add(1),
        };
        let leg = |owed: Owed, origin: Origin| {
            let mut leg = Leg::new(owed.event, origin, Arc::clone(wiring), owed.route, now);
            leg.duty.expires = owed.expires;
            leg.duty.replays = replays;
            leg.duty.failure.clone_from(&letter.failure);
            start(leg, owed.node);
        };
        let mut legs = legs.into_iter();
        match (legs.next(), legs.len()) {
            (Some(only), 0) => leg(only, slot),
            (first, others) => {
                let whole = Leg::new(letter.event.clone(), slot, Arc::clone(wiring), NO_ROUTE, now);
                let join = Join::new(whole, others + 1);
                for owed in first.into_iter().chain(legs) {
                    leg(owed, Origin::Join(Arc::clone(&join)));
                }
            }
        }
        crash::point("replay.sent");
    }

    /// Applies what came back.
    fn settle(&mut self, pile: &mut Pile) {
        let keeps = matches!(self.job.order.work, Work::Again(_));
        let mut inbox = std::mem::take(&mut self.inbox);
        let now = kinds(&self.port.port);
        for settled in inbox.drain(..) {
            let Some(bytes) = self
                .open
                .remove(&settled.seq)
                .filter(|_| settled.epoch == self.epoch)
            else {
                continue;
            };
            self.open_bytes -= bytes;
            let accepted = settled.outcome == Outcome::Accepted;
            if accepted && !keeps {
                crash::point("replay.ended");
                pile.remove(settled.seq);
            }
            self.job.update(|progress| {
                progress.under_way -= 1;
                match accepted {
                    true => progress.ended += 1,
                    false => progress.stays(settled.seq, given_back(settled.outcome)),
                }
            });
        }
        self.inbox = inbox;
        self.job.update(|progress| self.kinds(progress, now));
    }

    /// What was asked for and is not there; what a limit left out may be.
    fn tell_missing(&mut self) {
        let missing = std::mem::take(&mut self.missing);
        let limit = self.job.order.limit;
        self.job.update(|progress| {
            if limit.is_none_or(|limit| progress.selected < limit) {
                progress.missing = missing.into_iter().collect();
            }
        });
    }

    /// Legs of this job are nobody's from now on. Those that wait come back.
    fn revoke(&self) {
        self.port.set_epoch(self.port.port.take_epoch());
        if let Some(wiring) = self.wiring.load().as_ref() {
            for destination in &wiring.destinations {
                destination.sweep_stale();
            }
        }
    }

    /// Applies what has come back by now, without waiting for more.
    fn settle_the_last(&mut self, pile: &mut Pile) {
        let mailbox = &self.port.port.mailbox;
        let mut cx = Context::from_waker(Waker::noop());
        let _ = mailbox.poll_take(self.claim, &mut self.inbox, &mut cx);
        self.settle(pile);
    }

    /// What is under way is not waited for any more; what it stood for is still there.
    fn leave(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.job.update(|progress| {
            progress.under_way = 0;
            for id in open.keys() {
                progress.stays(*id, ENDED_UNDER_WAY.to_owned());
            }
        });
    }

    fn kinds(&self, progress: &mut Progress, now: [u64; 4]) {
        for (kind, (now, before)) in progress.kinds.iter_mut().zip(now.into_iter().zip(self.before)) {
            *kind = now.saturating_sub(before);
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.revoke();
        self.leave();
        self.job.end(State::Cancelled);
    }
}

/// Why a letter that was sent is still here.
fn given_back(outcome: Outcome) -> String {
    let reason = outcome.reason().map_or("", |reason| reason.as_str());
    match outcome {
        Outcome::Released(Reason::Abandoned) => "the job ended before it was sent".to_owned(),
        Outcome::Unknown(Reason::Abandoned) => ENDED_UNDER_WAY.to_owned(),
        Outcome::Unknown(_) => format!("it came back ({reason}), and may have been delivered"),
        _ => format!("it came back ({reason})"),
    }
}

/// What ended how so far, in the order of [`Progress::kinds`].
fn kinds(port: &Port) -> [u64; 4] {
    let books = &port.metrics.books;
    [
        books.delivered.get(),
        books.dead_lettered.get(),
        books.stored.get(),
        books.expired.get() + books.dropped.get(),
    ]
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
