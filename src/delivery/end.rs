//! How a leg ends, and the reporting of ends in runs: one lock a lane and batch, one counter update a kind.

use std::sync::Arc;

use weft_api::outcome::{Outcome, Reason};

use super::leg::Duty;
use super::origin::{Origin, Port, Settled};
use super::sweep::STALE;

/// The end of a leg: exactly one of these, exactly once. Each is one kind of C32's books.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The remote confirmed it.
    Delivered,
    /// A dead-letter destination confirmed it, or the local dead letters have it.
    DeadLettered,
    /// A log has it on the disk (C24), and delivers it.
    Stored,
    /// Dropped by a rule that the user wrote (`on_rejected: drop`, `on_malformed: drop`); the sender may be told why.
    Dropped(Outcome),
    /// Its time had passed (C19).
    Expired,
    /// Given back to the ingress: not accepted, so the sender still has it.
    Returned(Outcome),
}

impl End {
    /// What the slot learns.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            End::Delivered | End::DeadLettered | End::Stored | End::Expired => Outcome::Accepted,
            End::Dropped(outcome) | End::Returned(outcome) => outcome,
        }
    }

    /// The same for a dead letter that was sent again: what nobody has, and nobody keeps, goes back to where it was.
    #[must_use]
    pub fn kept(self) -> End {
        match self {
            End::Expired => End::Returned(Outcome::Released(Reason::Expired)),
            End::Dropped(Outcome::Accepted) => End::Returned(Outcome::Released(Reason::Removed)),
            End::Dropped(outcome) => End::Returned(outcome),
            other => other,
        }
    }
}

/// Ends legs one after another and reports them in runs: legs of one lane that follow each other share one lock.
/// Dropping it reports what is left.
#[derive(Default)]
pub struct Ender {
    port: Option<Arc<Port>>,
    settled: Vec<Settled>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    delivered: u64,
    dead_lettered: u64,
    stored: u64,
    dropped: u64,
    expired: u64,
    returned: u64,
}

impl Ender {
    /// Ends one leg.
    pub fn end(&mut self, mut duty: Duty, end: End) {
        duty.unhold();
        if let Some(origin) = duty.take_origin() {
            self.report(origin, end);
        }
    }

    /// Tells an origin what became of its leg.
    pub(super) fn report(&mut self, origin: Origin, end: End) {
        match origin {
            Origin::Slot { lane, epoch, seq } => {
                self.switch_to(&lane.port);
                let end = match end {
                    // The log has it still, and hands it out again: that one is its end.
                    End::Returned(_) => end,
                    _ if lane.port.is_log && lane.epoch() != epoch => STALE,
                    end if lane.port.keeps => end.kept(),
                    end => end,
                };
                self.tally.count(end);
                self.settled.push(Settled {
                    lane: lane.index,
                    epoch,
                    seq,
                    outcome: end.outcome(),
                });
            }
            Origin::Ticket(ticket) => {
                self.switch_to(ticket.port());
                self.tally.count(end);
                ticket.end(end);
            }
            // A branch of a join is no obligation of its own: the leg that was split is counted when the join ends.
            Origin::Join(join) => join.end(end, self),
        }
    }

    /// Reports what has been gathered.
    pub fn flush(&mut self) {
        if let Some(port) = &self.port {
            self.tally.report(port);
            port.mailbox.push(&mut self.settled);
        }
    }

    fn switch_to(&mut self, port: &Arc<Port>) {
        if self.port.as_ref().is_none_or(|now| !Arc::ptr_eq(now, port)) {
            self.flush();
            self.port = Some(Arc::clone(port));
        }
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Tally {
    fn count(&mut self, end: End) {
        match end {
            End::Delivered => self.delivered += 1,
            End::DeadLettered => self.dead_lettered += 1,
            End::Stored => self.stored += 1,
            End::Dropped(_) => self.dropped += 1,
            End::Expired => self.expired += 1,
            End::Returned(_) => self.returned += 1,
        }
    }

    fn report(&mut self, port: &Port) {
        let books = &port.metrics.books;
        let mut total = 0;
        for (count, counter) in [
            (self.delivered, &books.delivered),
            (self.dead_lettered, &books.dead_lettered),
            (self.stored, &books.stored),
            (self.dropped, &books.dropped),
            (self.expired, &books.expired),
            (self.returned, &books.returned),
        ] {
            if count > 0 {
                counter.inc_by(count);
                total += count;
            }
        }
        books.pending.sub(i64::try_from(total).unwrap_or(i64::MAX));
        *self = Tally::default();
    }
}
