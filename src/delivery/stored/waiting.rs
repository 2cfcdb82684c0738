//! The legs that wait for room in a log, or for the end of one that failed.
//!
//! Two rows in one: first what other logs hold, then what came from outside. A log may have the last of the room for what
//! another holds already ([`weft_store::Claim::Moved`]), and that other one may be itself, or wait for it: behind what has to wait for
//! room it would wait for ever. Within a row, and once the log has failed, it goes by the order in which they came.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::time::Instant;
use weft_api::outcome::{Reason, SendError};

use super::{DurableQueue, Left, NO_ROOM};
use crate::delivery::end::{End, Ender};
use crate::delivery::failure;
use crate::delivery::leg::Leg;
use crate::delivery::sweep::STALE;

impl DurableQueue {
    /// Puts a leg behind those of its row that wait; it comes back where there are none.
    pub(super) fn behind_those_that_wait(&self, leg: Leg) -> Option<Leg> {
        if self.waits.load(Ordering::Acquire) == 0 {
            return Some(leg);
        }
        let mut waiting = self.waiting();
        let is_first = match waiting.front() {
            None => true,
            Some(front) => {
                let failed = self.failed.load(Ordering::Acquire);
                !failed && leg.duty.is_stored() && !front.duty.is_stored()
            }
        };
        if is_first {
            return Some(leg);
        }
        self.wait(&mut waiting, leg);
        None
    }

    /// Lets a leg wait here, behind those that do already.
    pub(in crate::delivery) fn keep_waiting(&self, leg: Leg) {
        let mut waiting = self.waiting();
        if waiting.is_empty() && !self.failed.load(Ordering::Acquire) {
            tracing::warn!(log = %self.name, "no room in the log: what comes waits, and its sender with it");
        }
        self.wait(&mut waiting, leg);
    }

    fn wait(&self, waiting: &mut VecDeque<Leg>, leg: Leg) {
        if leg.duty.is_stored() && !self.failed.load(Ordering::Acquire) {
            let end = waiting.partition_point(|known| known.duty.is_stored());
            waiting.insert(end, leg);
        } else {
            waiting.push_back(leg);
        }
        self.waits.store(waiting.len(), Ordering::Release);
    }

    /// Appends what waits, as far as there is room. The lock is held all the while: nothing that comes gets past.
    pub(super) fn append_waiting(self: &Arc<Self>) {
        let mut refused = Vec::new();
        {
            let mut waiting = self.waiting();
            while let Some(leg) = waiting.pop_front() {
                match self.append(leg) {
                    None => {}
                    Some((leg, Left::Waits | Left::Failed)) => {
                        waiting.push_front(leg);
                        break;
                    }
                    Some(left) => refused.push(left),
                }
            }
            self.waits.store(waiting.len(), Ordering::Release);
        }
        for (leg, left) in refused {
            self.refuse(leg, left);
        }
    }

    /// The log has failed: sends on what has somewhere to go, in order. What stays is counted all the while, so that plans
    /// lead nothing past it; what comes meanwhile gets behind it.
    pub(super) fn send_on(self: &Arc<Self>) {
        let why = self.log.failure().unwrap_or_else(|| Arc::from(NO_ROOM));
        let error = SendError::destination(Reason::StoreFailed, &*why);
        let mut stay = VecDeque::new();
        loop {
            let leg = self.waiting().pop_front();
            let Some(leg) = leg else { break };
            stay.extend(failure::past_failed(self, leg, &error));
        }
        let mut waiting = self.waiting();
        stay.append(&mut waiting);
        *waiting = stay;
        self.waits.store(waiting.len(), Ordering::Release);
    }

    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut ender = Ender::default();
        let expired = |leg: &Leg| leg.duty.expires.is_some_and(|at| at <= now);
        for leg in self.take_waiting(|leg| leg.duty.is_stale() || expired(leg)) {
            let end = if leg.duty.is_stale() { STALE } else { End::Expired };
            ender.end(leg.duty, end);
        }
    }

    pub(super) fn take_waiting(&self, takes: impl Fn(&Leg) -> bool) -> Vec<Leg> {
        let mut waiting = self.waiting();
        let (gone, stay): (VecDeque<Leg>, VecDeque<Leg>) =
            std::mem::take(&mut *waiting).into_iter().partition(takes);
        *waiting = stay;
        self.waits.store(waiting.len(), Ordering::Release);
        gone.into()
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, VecDeque<Leg>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
