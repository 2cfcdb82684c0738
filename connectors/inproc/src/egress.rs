//! The egress over batches: hands each event to the sink and settles it when its answer is due.
//!
//! Owns: what is in flight and when each of it is answered.
//! Invariants: within a batch, events of one key reach the sink in the batch's order; with `ordered`, everything does,
//! and a failure fails all that is in flight behind it, as a remote that keeps order does.
//! Must not know: the router's queue; why the sink answers as it does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};
use weft_api::egress::{Batch, DirectFactory, Egress, EgressContext, EgressError, EgressProfile};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};
use weft_api::status::Health;

use crate::answer::Act;
use crate::direct::Direct;
use crate::hub::locked;
use crate::sink::Sink;

pub(crate) struct InprocEgress {
    pub(crate) sink: Sink,
    pub(crate) profile: EgressProfile,
    pub(crate) direct: bool,
}

/// A batch that is not settled.
struct Flight {
    batch: Batch,
    waiting: Vec<Waiting>,
}

/// An event that is not answered.
struct Waiting {
    index: u32,
    act: Act,
    /// `None` while it hangs.
    due: Option<Instant>,
}

#[async_trait]
impl Egress for InprocEgress {
    fn profile(&self) -> EgressProfile {
        self.profile
    }

    fn direct(&self) -> Option<Arc<dyn DirectFactory>> {
        self.direct.then(|| Arc::new(Direct { sink: self.sink.clone() }) as Arc<dyn DirectFactory>)
    }

    async fn run(self: Box<Self>, mut cx: EgressContext) -> Result<(), EgressError> {
        let mut changes = self.sink.changes();
        let mut flights: Vec<Flight> = Vec::new();
        let mut let_go = locked(&self.sink.state).let_go.0;
        let mut open = true;
        cx.report.health(Health::Ready);
        while open || !flights.is_empty() {
            self.let_go(&mut flights, &mut let_go);
            let due = flights.iter().flat_map(|flight| &flight.waiting).filter_map(|waiting| waiting.due).min();
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.settle_due(&mut flights)?,
                () = cx.stop.stopped() => return Ok(()),
                batch = cx.next_batch(), if open => match batch {
                    Some(batch) => self.take(batch, &mut flights),
                    None => open = false,
                },
                _ = changes.changed() => {}
            }
        }
        Ok(())
    }

    async fn probe(&self) -> Result<(), SendError> {
        Ok(())
    }
}

impl InprocEgress {
    /// Takes a batch in; what the router promised about batches is checked here.
    fn take(&self, batch: Batch, flights: &mut Vec<Flight>) {
        self.check(&batch, flights);
        let number = {
            let mut state = locked(&self.sink.state);
            state.batches += 1;
            state.batches
        };
        let now = Instant::now();
        let last_of_all = flights.iter().flat_map(|flight| &flight.waiting).filter_map(|waiting| waiting.due).max();
        let mut last = last_of_all.filter(|_| self.profile.keeps_order_or_fails);
        let mut last_of_key: HashMap<&[u8], Instant> = HashMap::new();
        let mut waiting = Vec::with_capacity(batch.events().len());
        for (index, event) in (0..).zip(batch.events()) {
            let answer = self.sink.attempt(event, Some(number));
            let mut due = (now + answer.after).max(last.unwrap_or(now));
            if let Some(key) = event.key() {
                due = due.max(last_of_key.get(key).copied().unwrap_or(now));
                last_of_key.insert(key, due);
            }
            if self.profile.keeps_order_or_fails {
                last = Some(due);
            }
            let hangs = answer.act == Act::Hang;
            if hangs {
                locked(&self.sink.state).hanging += 1;
            }
            waiting.push(Waiting { index, act: answer.act, due: (!hangs).then_some(due) });
        }
        flights.push(Flight { batch, waiting });
        self.sink.notify();
    }

    fn check(&self, batch: &Batch, flights: &[Flight]) {
        let events = batch.events();
        let bytes: u64 = events.iter().map(Event::size).sum();
        let held: usize = flights.iter().map(|flight| flight.batch.unsettled()).sum();
        if events.is_empty() || events.len() > self.profile.batch_events as usize {
            self.sink.violated("a batch has between one event and batch_events", events.len());
        }
        if bytes > self.profile.batch_bytes && events.len() > 1 {
            self.sink.violated("a batch keeps to batch_bytes", bytes);
        }
        if held + events.len() > self.profile.in_flight as usize {
            self.sink.violated("no more than in_flight is given out", held + events.len());
        }
        if !self.profile.keeps_order_or_fails {
            let unsettled = |flight: &'_ Flight| {
                let keys = flight.waiting.iter().filter_map(|w| flight.batch.events()[w.index as usize].key());
                keys.map(<[u8]>::to_vec).collect::<Vec<_>>()
            };
            let keys: HashSet<Vec<u8>> = flights.iter().flat_map(unsettled).collect();
            if let Some(key) = events.iter().filter_map(Event::key).find(|key| keys.contains(*key)) {
                self.sink.violated("a key has one unsettled batch", String::from_utf8_lossy(key));
            }
        }
    }

    fn let_go(&self, flights: &mut [Flight], seen: &mut u64) {
        let mut state = locked(&self.sink.state);
        let (count, act) = state.let_go;
        if count == *seen {
            return;
        }
        *seen = count;
        for waiting in flights.iter_mut().flat_map(|flight| &mut flight.waiting).filter(|w| w.due.is_none()) {
            (waiting.act, waiting.due) = (act, Some(Instant::now()));
            state.hanging -= 1;
        }
    }

    /// Answers everything that is due, in order of its time; then drops the batches that have nothing left.
    fn settle_due(&self, flights: &mut Vec<Flight>) -> Result<(), EgressError> {
        let now = Instant::now();
        let mut due: Vec<(Instant, usize, u32, Act)> = Vec::new();
        for (flight, at) in flights.iter().zip(0..) {
            let ripe = flight.waiting.iter().filter_map(|w| Some((w.due.filter(|due| *due <= now)?, at, w.index, w.act)));
            due.extend(ripe);
        }
        due.sort_by_key(|(time, flight, index, _)| (*time, *flight, *index));
        // The last failure of each kind of line: a key, or with `ordered` the whole sink.
        let mut failed_keys: HashSet<(usize, Vec<u8>)> = HashSet::new();
        for (_, at, index, act) in due {
            let flight = &mut flights[at];
            if !flight.waiting.iter().any(|waiting| waiting.index == index) {
                continue; // failed below, behind an earlier one
            }
            flight.waiting.retain(|waiting| waiting.index != index);
            let event = flight.batch.events()[index as usize].clone();
            let line = event.key().map(|key| (at, key.to_vec()));
            if line.as_ref().is_some_and(|line| failed_keys.contains(line)) {
                flight.batch.fail(index, behind());
                continue;
            }
            if act.delivers() {
                self.sink.deliver(&event, act == Act::Accept);
            }
            match act {
                Act::Accept => flight.batch.accept(&[index]),
                Act::Forget { .. } | Act::Hang => {}
                Act::Panic => panic!("inproc: the script makes this egress panic"),
                Act::Quit => return Err(EgressError("inproc: the script ended this egress".to_owned())),
                Act::Reject | Act::Fail | Act::Down { .. } | Act::Timeout { .. } => {
                    let error = act.error().expect("each of these acts has an error");
                    flight.batch.fail(index, error);
                }
            }
            if !matches!(act, Act::Accept | Act::Reject) {
                failed_keys.extend(line);
                if self.profile.keeps_order_or_fails {
                    fail_behind(flights, at, index);
                }
            }
        }
        flights.retain(|flight| !flight.waiting.is_empty());
        self.sink.notify();
        Ok(())
    }
}

/// Fails everything that was handed over after this event.
fn fail_behind(flights: &mut [Flight], at: usize, index: u32) {
    for (number, flight) in flights.iter_mut().enumerate().skip(at) {
        let (kept, failed): (Vec<Waiting>, Vec<Waiting>) = std::mem::take(&mut flight.waiting)
            .into_iter()
            .partition(|waiting| (number, waiting.index) <= (at, index));
        flight.waiting = kept;
        for waiting in failed {
            flight.batch.fail(waiting.index, behind());
        }
    }
}

fn behind() -> SendError {
    let detail = "inproc: not sent, since an event before it failed";
    SendError::destination(Reason::Unavailable, detail).retry_after(Some(Duration::ZERO))
}
