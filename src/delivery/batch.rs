//! Batches on their way to an egress: taken from the queue in the egress' own task, settled there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};
use weft_api::crash;
use weft_api::egress::{Batch, BatchQueue, BatchSink};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};

use super::breaker::BreakerState;
use super::destination::{Destination, State, unlock};
use super::end::{End, Ender};
use super::failure;
use super::leg::{Duty, Leg};
use super::sweep;

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
                    return Poll::Ready(Some(self.batch(legs)));
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
        let most_events = if probing { 1 } else { most_events };
        let mut legs = take(&mut state, now, most_events as usize, most_bytes, gone);
        if legs.is_empty() && gone.is_empty() {
            return Look::Wait(state.queue.next_due());
        }
        state.filled_at = (!state.queue.is_empty()).then_some(now);
        if probing && let Some(probe) = legs.first_mut() {
            probe.duty.probe = true;
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

    fn batch(&self, legs: Vec<Leg>) -> Batch {
        let (events, duties): (Vec<Event>, Vec<Option<Duty>>) =
            legs.into_iter().map(|leg| (leg.event, Some(leg.duty))).unzip();
        Batch::new(
            events,
            Box::new(InFlight {
                destination: Arc::clone(&self.destination),
                duties,
            }),
        )
    }
}

/// Takes what fits; what must not be sent any more goes to `gone`.
fn take(state: &mut State, now: Instant, events: usize, bytes: u64, gone: &mut Vec<(Leg, End)>) -> Vec<Leg> {
    let mut legs = Vec::new();
    let mut size = 0u64;
    while legs.len() < events && size < bytes {
        let Some(leg) = state.queue.take(now) else { break };
        // One event of any size fits, several only together.
        if !legs.is_empty() && size.saturating_add(leg.bytes()) > bytes {
            state.queue.untake(leg);
            break;
        }
        if let Some(end) = sweep::gone(&leg, now) {
            state.queue.came_back(leg.duty.shard, false);
            gone.push((leg, end));
            continue;
        }
        size += leg.bytes();
        legs.push(leg);
    }
    state.in_flight += u32::try_from(legs.len()).unwrap_or(u32::MAX);
    legs
}

/// The router's side of a batch: what is left of it.
struct InFlight {
    destination: Arc<Destination>,
    duties: Vec<Option<Duty>>,
}

impl InFlight {
    /// The destination's own books first: whoever hears of an end may send the next event at once.
    fn accepted(&self, duties: &mut [Option<Duty>]) -> usize {
        let count = duties.iter().flatten().count();
        if count == 0 {
            return 0;
        }
        crash::point("egress.confirmed");
        let dead = duties.iter().flatten().any(|duty| duty.dead_letter);
        if dead {
            crash::point("dead_letter.confirmed");
        }
        self.destination.metrics.delivered.inc_by(count as u64);
        self.destination
            .let_go(duties.iter().flatten().map(|duty| (duty.shard, duty.bytes)), true);
        let mut ender = Ender::default();
        for duty in duties.iter_mut().filter_map(Option::take) {
            let end = if duty.dead_letter {
                End::DeadLettered
            } else {
                End::Delivered
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
        let index = index as usize;
        let (Some(event), Some(duty)) = (
            events.get(index),
            self.duties.get_mut(index).and_then(Option::take),
        ) else {
            return 0;
        };
        failure::failed(
            &self.destination,
            Leg {
                event: event.clone(),
                duty,
            },
            &error,
        );
        1
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
