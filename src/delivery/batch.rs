//! Batches on their way to an egress: taken from the queue in the egress' own task, settled there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::time::{Instant, Sleep};
use weft_api::crash;
use weft_api::egress::{Batch, BatchQueue, BatchSink, Line};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};

use super::breaker::BreakerState;
use super::dedupe::{NO_CLAIM, Verdict};
use super::destination::{Destination, State, unlock};
use super::end::{End, Ender};
use super::failure;
use super::leg::{Duty, Leg, NO_SHARD, Parting};
use super::shared;
use super::sweep;
use crate::routing::plan::KeyRule;

#[cfg(test)]
mod tests;

/// The egress' end of a destination's queue.
pub struct Outlet {
    destination: Arc<Destination>,
    client: u64,
    timer: Pin<Box<Sleep>>,
}

impl Outlet {
    /// For the client that [`Destination::install`] gave this number.
    #[must_use]
    pub fn new(destination: Arc<Destination>, client: u64) -> Outlet {
        Outlet {
            destination,
            client,
            timer: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
        }
    }
}

/// How much a batch may hold.
struct Most {
    events: usize,
    bytes: u64,
    probing: bool,
}

/// What a look at the queue gave.
enum Look {
    Batch(Vec<Leg>),
    /// Nothing until then, unless somebody wakes us.
    Wait(Option<Instant>),
    /// Legs that shall not be sent any more were met; end them and look again.
    Again,
    Closed,
}

impl BatchQueue for Outlet {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Batch>> {
        loop {
            let mut gone = Vec::new();
            let look = self.look(&mut gone, cx);
            let mut ender = Ender::default();
            for (leg, end) in gone {
                if end == End::Expired {
                    self.destination.metrics.expired.inc();
                }
                ender.end(leg.duty, end);
            }
            drop(ender);
            match look {
                Look::Again => {}
                Look::Closed => return Poll::Ready(None),
                Look::Batch(legs) => {
                    crash::point("egress.taken");
                    // Where none of them can become a record of a log, there may be others.
                    if let Some(batch) = self.batch(legs) {
                        return Poll::Ready(Some(batch));
                    }
                }
                Look::Wait(None) => return Poll::Pending,
                Look::Wait(Some(due)) => {
                    self.timer.as_mut().reset(due);
                    if self.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Outlet {
    fn look(&self, gone: &mut Vec<(Leg, End)>, cx: &mut Context<'_>) -> Look {
        let destination = &self.destination;
        let settings = destination.settings();
        let now = Instant::now();
        let mut state = destination.lock();
        if state.client != self.client {
            return Look::Closed;
        }
        state.consumer = Some(cx.waker().clone());
        let room = state.profile.in_flight.saturating_sub(state.in_flight);
        if room == 0 {
            return Look::Wait(None);
        }
        let probing = match state.breaker.state() {
            BreakerState::Closed => false,
            BreakerState::Probing => return Look::Wait(None),
            BreakerState::Open { until } if now < until => return Look::Wait(Some(until)),
            BreakerState::Open { .. } => true,
        };
        let most_events = settings
            .batch
            .events
            .unwrap_or(u32::MAX)
            .min(state.profile.batch_events)
            .min(room)
            .max(1);
        let most_bytes = settings
            .batch
            .bytes
            .unwrap_or(u64::MAX)
            .min(state.profile.batch_bytes);
        if !settings.batch.linger.is_zero() && !probing && state.queue.len() < most_events as usize {
            let since = state.filled_at.unwrap_or(now);
            if !state.queue.is_empty() && now < since + settings.batch.linger {
                return Look::Wait(Some(since + settings.batch.linger));
            }
        }
        let room = state.pace.room(now);
        if room == 0 {
            let waits = !state.queue.is_empty();
            return Look::Wait(state.pace.room_due(now).filter(|_| waits));
        }
        let most = Most {
            events: if probing {
                1
            } else {
                most_events.min(room) as usize
            },
            bytes: most_bytes,
            probing,
        };
        let mut legs = take(destination, &mut state, now, &most, gone);
        if legs.is_empty() && gone.is_empty() {
            let token = state
                .pace
                .token_due(now)
                .filter(|_| state.queue.waits_for_token());
            return Look::Wait(match (state.queue.next_due(), token) {
                (Some(due), Some(token)) => Some(due.min(token)),
                (due, token) => due.or(token),
            });
        }
        state.filled_at = (!state.queue.is_empty()).then_some(now);
        if probing && let Some(probe) = legs.first_mut() {
            probe.duty.probe = state.breaker.life();
            state.breaker.start_probe(now);
            destination.publish_breaker(&state);
        }
        let left = gone.iter().map(|(leg, _)| leg.bytes()).sum();
        destination.discharge(&mut state, gone.len() as u64, left);
        destination.publish_in_flight(&state);
        unlock(state);
        if legs.is_empty() {
            Look::Again
        } else {
            Look::Batch(legs)
        }
    }

    fn batch(&self, legs: Vec<Leg>) -> Option<Batch> {
        let (events, duties): (Vec<Event>, Vec<Option<Duty>>) =
            legs.into_iter().map(|leg| (leg.event, Some(leg.duty))).unzip();
        let mut in_flight = InFlight {
            destination: Arc::clone(&self.destination),
            duties,
            originals: None,
        };
        let settings = self.destination.settings();
        if settings.shared_log.is_none() {
            return Some(Batch::new(events, Box::new(in_flight)));
        }
        let records = in_flight.records_of(events, &settings.order_by);
        (!records.is_empty()).then(|| Batch::new(records, Box::new(in_flight)))
    }
}

/// Takes what fits; what must not be sent any more goes to `gone`.
fn take(
    destination: &Destination,
    state: &mut State,
    now: Instant,
    most: &Most,
    gone: &mut Vec<(Leg, End)>,
) -> Vec<Leg> {
    let mut legs = Vec::new();
    let mut size = 0u64;
    let mut turn = state.pace.turn(&state.breaker, most.probing, now);
    while legs.len() < most.events && size < most.bytes {
        let Some(mut leg) = state.queue.take(now, turn.leave()) else {
            break;
        };
        // One event of any size fits, several only together.
        if !legs.is_empty() && size.saturating_add(leg.bytes()) > most.bytes {
            state.queue.untake(leg);
            break;
        }
        let identity = match state.pace.look(&leg, now) {
            Verdict::Send(identity) => identity,
            Verdict::UnderWay(claim) => {
                state.queue.put_aside(leg, claim);
                continue;
            }
            Verdict::Delivered => {
                state.queue.came_back(leg.duty.shard, false);
                destination.metrics.deduplicated.inc();
                let end = sweep::repeated(&leg, now);
                gone.push((leg, end));
                continue;
            }
        };
        if let Some(end) = sweep::gone(&leg, now) {
            let Parting { shard, claim, .. } = leg.duty.part();
            state.queue.came_back(shard, false);
            state.end_claim(destination, claim, None);
            gone.push((leg, end));
            continue;
        }
        size += leg.bytes();
        turn.sends(&leg.duty);
        if leg.duty.claim == NO_CLAIM {
            leg.duty.claim = state.pace.claim(identity);
        }
        legs.push(leg);
    }
    state.in_flight += u32::try_from(legs.len()).unwrap_or(u32::MAX);
    state.pace.took(&turn, legs.len(), now);
    destination
        .metrics
        .retries_deferred
        .inc_by(state.queue.take_deferred());
    legs
}

/// The router's side of a batch: what is left of it.
struct InFlight {
    destination: Arc<Destination>,
    duties: Vec<Option<Duty>>,
    /// Of a shared log: the events as they are everywhere else.
    originals: Option<Vec<Event>>,
}

impl InFlight {
    /// What a shared log gets in place of these events; those that no record can hold are refused here, and are not in it.
    fn records_of(&mut self, events: Vec<Event>, order_by: &KeyRule) -> Vec<Event> {
        let now = (Instant::now(), SystemTime::now());
        let put = |(event, duty): (&Event, &Option<Duty>)| match duty {
            Some(duty) => shared::put(event, duty, order_by, now),
            None => Ok(event.clone()),
        };
        let records: Vec<_> = events.iter().zip(&self.duties).map(put).collect();
        self.originals = Some(events);
        for (index, record) in (0..).zip(&records) {
            // As an egress does it: what is behind one that stays waits for it.
            if let Err(error) = record
                && let (_, Some(line)) = self.refuse(index, &[], error.clone())
            {
                self.recall(line, index + 1, &[]);
            }
        }
        let originals = self.originals.take().unwrap_or_default();
        let duties = std::mem::take(&mut self.duties);
        let all = duties.into_iter().zip(originals).zip(records);
        let kept = all.filter_map(|((duty, event), record)| Some(((Some(duty?), event), record.ok()?)));
        let (kept, records): (Vec<_>, Vec<_>) = kept.unzip();
        let (duties, originals) = kept.into_iter().unzip();
        self.duties = duties;
        self.originals = Some(originals);
        records
    }

    /// Takes a leg out, to be settled.
    fn take(&mut self, index: usize, events: &[Event]) -> Option<Leg> {
        let event = self.originals.as_deref().unwrap_or(events).get(index)?;
        let duty = self.duties.get_mut(index)?.take()?;
        Some(Leg {
            event: event.clone(),
            duty,
        })
    }

    /// The destination's own books first: whoever hears of an end may send the next event at once.
    fn accepted(&self, duties: &mut [Option<Duty>]) -> usize {
        let count = duties.iter().flatten().count();
        if count == 0 {
            return 0;
        }
        crash::point("egress.confirmed");
        // What a log has is under way still, a dead letter as well.
        let stored = self.originals.is_some();
        let dead = !stored && duties.iter().flatten().any(|duty| duty.dead_letter);
        if dead {
            crash::point("dead_letter.confirmed");
        }
        self.destination.metrics.delivered.inc_by(count as u64);
        self.destination
            .let_go(duties.iter_mut().flatten().map(Duty::part), true);
        let mut ender = Ender::default();
        for duty in duties.iter_mut().filter_map(Option::take) {
            let end = match duty.dead_letter {
                _ if stored => End::Stored,
                true => End::DeadLettered,
                false => End::Delivered,
            };
            ender.end(duty, end);
        }
        drop(ender);
        if dead {
            crash::point("dead_letter.settled");
        }
        count
    }
}

impl BatchSink for InFlight {
    fn accept(&mut self, indices: &[u32]) -> usize {
        let take = |index: &u32| self.duties.get_mut(*index as usize).and_then(Option::take);
        let mut duties: Vec<Option<Duty>> = indices.iter().map(take).collect();
        self.accepted(&mut duties)
    }

    fn accept_rest(&mut self) {
        let mut duties = std::mem::take(&mut self.duties);
        self.accepted(&mut duties);
    }

    fn fail(&mut self, index: u32, events: &[Event], error: SendError) -> usize {
        self.refuse(index, events, error).0
    }

    fn refuse(&mut self, index: u32, events: &[Event], error: SendError) -> (usize, Option<Line>) {
        let Some(leg) = self.take(index as usize, events) else {
            return (0, None);
        };
        let shard = leg.duty.shard;
        let stays = failure::failed(&self.destination, leg, &error);
        (1, (stays && shard != NO_SHARD).then_some(Line(shard.into())))
    }

    fn recall(&mut self, line: Line, unsent: u32, events: &[Event]) -> Vec<u32> {
        let of_line = |duty: &Option<Duty>| duty.as_ref().is_some_and(|duty| u32::from(duty.shard) == line.0);
        let all = 0..u32::try_from(self.duties.len()).unwrap_or(u32::MAX);
        let recalled: Vec<u32> = all
            .skip(unsent as usize)
            .filter(|index| of_line(&self.duties[*index as usize]))
            .collect();
        if !recalled.is_empty() {
            let legs = recalled
                .iter()
                .filter_map(|index| self.take(*index as usize, events));
            let legs: Vec<Leg> = legs.collect();
            legs.iter().for_each(failure::not_under_way);
            self.destination.take_back(legs);
        }
        recalled
    }

    fn abandon(&mut self, events: &[Event]) {
        // Back to front, so that legs go back to the head of the queue in their order.
        for index in (0..events.len()).rev() {
            if self.duties.get(index).is_some_and(Option::is_some) {
                let error =
                    SendError::destination(Reason::Abandoned, "the egress gave no answer").maybe_delivered();
                self.fail(u32::try_from(index).unwrap_or(u32::MAX), events, error);
            }
        }
    }
}
