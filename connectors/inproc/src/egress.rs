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
use crate::sink::{Hanging, Sink};

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
    /// Its number at the sink.
    attempt: usize,
    act: Act,
    /// `None` while it hangs.
    due: Option<Instant>,
    hanging: Option<Hanging>,
}

#[async_trait]
impl Egress for InprocEgress {
    fn profile(&self) -> EgressProfile {
        self.profile
    }

    fn direct(&self) -> Option<Arc<dyn DirectFactory>> {
        self.direct.then(|| {
            Arc::new(Direct {
                sink: self.sink.clone(),
            }) as Arc<dyn DirectFactory>
        })
    }

    async fn run(self: Box<Self>, mut cx: EgressContext) -> Result<(), EgressError> {
        let mut changes = self.sink.changes();
        let mut flights: Vec<Flight> = Vec::new();
        let (mut let_go, _) = self.sink.let_go_count();
        let stop = cx.stop.clone();
        let mut open = true;
        cx.report.health(Health::Ready);
        while open || !flights.is_empty() {
            self.let_go(&mut flights, &mut let_go);
            let due = flights
                .iter()
                .flat_map(|flight| &flight.waiting)
                .filter_map(|waiting| waiting.due)
                .min();
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.settle_due(&mut flights)?,
                () = stop.stopped() => return Ok(()),
                batch = cx.next_batch(), if open => match batch {
                    Some(batch) => self.take(batch, &mut flights),
                    None => open = false,
                },
                () = changes.changed() => {}
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
        let ordered = self.profile.keeps_order_or_fails;
        // The last event of each line that keeps order: when it is due, or `None` if it hangs and so holds up the rest.
        let mut lines: HashMap<Option<&[u8]>, Option<Instant>> = HashMap::new();
        if ordered && let Some(last) = flights.iter().flat_map(|flight| &flight.waiting).next_back() {
            lines.insert(None, last.due);
        }
        let mut waiting = Vec::with_capacity(batch.events().len());
        for (index, event) in (0..).zip(batch.events()) {
            let (attempt, answer) = self.sink.attempt(event, Some(number));
            let line = if ordered {
                Some(None)
            } else {
                event.key().map(Some)
            };
            let before = line.map_or(Some(now), |line| lines.get(&line).copied().unwrap_or(Some(now)));
            let due = before
                .filter(|_| answer.act != Act::Hang)
                .map(|before| before.max(now + answer.after));
            if let Some(line) = line {
                lines.insert(line, due);
            }
            let hanging = due.is_none().then(|| self.sink.hang());
            waiting.push(Waiting {
                index,
                attempt,
                act: answer.act,
                due,
                hanging,
            });
        }
        flights.push(Flight { batch, waiting });
        self.sink.notify();
    }

    fn check(&self, batch: &Batch, flights: &[Flight]) {
        let events = batch.events();
        let bytes: u64 = events.iter().map(Event::size).sum();
        let held: usize = flights.iter().map(|flight| flight.batch.unsettled()).sum();
        if events.is_empty() || events.len() > self.profile.batch_events as usize {
            self.sink
                .violated("a batch has between one event and batch_events", events.len());
        }
        if bytes > self.profile.batch_bytes && events.len() > 1 {
            self.sink.violated("a batch keeps to batch_bytes", bytes);
        }
        if held + events.len() > self.profile.in_flight as usize {
            self.sink
                .violated("no more than in_flight is given out", held + events.len());
        }
        if !self.profile.keeps_order_or_fails && self.sink.is_keyed() {
            let unsettled = |flight: &'_ Flight| -> Vec<Vec<u8>> {
                let keys = flight
                    .waiting
                    .iter()
                    .map(|waiting| flight.batch.events()[waiting.index as usize].key());
                keys.flatten().map(<[u8]>::to_vec).collect()
            };
            let keys: HashSet<Vec<u8>> = flights.iter().flat_map(unsettled).collect();
            if let Some(key) = events
                .iter()
                .filter_map(Event::key)
                .find(|key| keys.contains(*key))
            {
                self.sink
                    .violated("a key is in flight once", String::from_utf8_lossy(key));
            }
        }
    }

    fn let_go(&self, flights: &mut [Flight], seen: &mut u64) {
        let (count, act) = self.sink.let_go_count();
        if count == *seen {
            return;
        }
        *seen = count;
        for waiting in flights
            .iter_mut()
            .flat_map(|flight| &mut flight.waiting)
            .filter(|w| w.due.is_none())
        {
            (waiting.act, waiting.due, waiting.hanging) = (act, Some(Instant::now()), None);
        }
    }

    /// Answers everything that is due, in order of its time; then drops the batches that have nothing left.
    fn settle_due(&self, flights: &mut Vec<Flight>) -> Result<(), EgressError> {
        let now = Instant::now();
        let mut due: Vec<(Instant, usize, u32)> = Vec::new();
        for (at, flight) in flights.iter().enumerate() {
            let ripe = flight
                .waiting
                .iter()
                .filter(|waiting| waiting.due.is_some_and(|due| due <= now));
            due.extend(ripe.filter_map(|waiting| Some((waiting.due?, at, waiting.index))));
        }
        due.sort();
        for (_, at, index) in due {
            let waiting = &mut flights[at].waiting;
            // It may be gone: failed behind one that was answered just now.
            if let Some(place) = waiting.iter().position(|waiting| waiting.index == index) {
                let Waiting { act, attempt, .. } = waiting.remove(place);
                self.settle(flights, at, index, act, attempt)?;
            }
        }
        flights.retain(|flight| !flight.waiting.is_empty());
        self.sink.notify();
        Ok(())
    }

    fn settle(
        &self,
        flights: &mut [Flight],
        at: usize,
        index: u32,
        act: Act,
        attempt: usize,
    ) -> Result<(), EgressError> {
        let batch = &mut flights[at].batch;
        if act.delivers() {
            self.sink
                .deliver(&batch.events()[index as usize], act == Act::Accept);
        }
        self.sink.answered(attempt, act);
        match act {
            Act::Accept => batch.accept(&[index]),
            Act::Forget { .. } | Act::Hang => {}
            Act::Panic => panic!("inproc: the script makes this egress panic"),
            Act::Quit => return Err(EgressError("inproc: the script ended this egress".to_owned())),
            Act::Reject | Act::Fail | Act::Down { .. } | Act::Timeout { .. } => {
                batch.fail(index, act.error().expect("each of these acts has an error"));
            }
        }
        if !matches!(act, Act::Accept | Act::Reject) {
            self.fail_behind(flights, at, index);
        }
        Ok(())
    }

    /// An event will come again: what was handed over after it, and must not overtake it, fails with it.
    fn fail_behind(&self, flights: &mut [Flight], at: usize, index: u32) {
        let ordered = self.profile.keeps_order_or_fails;
        let reach = if ordered { flights.len() } else { at + 1 };
        let key = flights[at].batch.events()[index as usize]
            .key()
            .map(<[u8]>::to_vec);
        for (number, flight) in flights.iter_mut().enumerate().take(reach).skip(at) {
            let Flight { batch, waiting } = flight;
            let behind = waiting.extract_if(.., |waiting| {
                let same_line = ordered
                    || key.is_some() && batch.events()[waiting.index as usize].key() == key.as_deref();
                same_line && (number, waiting.index) > (at, index)
            });
            let behind: Vec<Waiting> = behind.collect();
            for waiting in behind {
                self.sink.answered(waiting.attempt, UNSENT);
                batch.fail(waiting.index, unsent());
            }
        }
    }
}

/// As what an event counts that was not sent since one before it failed.
const UNSENT: Act = Act::Down {
    reason: Reason::Unavailable,
    retry_after: Some(Duration::ZERO),
};

fn unsent() -> SendError {
    let detail = "inproc: not sent, since an event before it failed";
    SendError::destination(Reason::Unavailable, detail).retry_after(Some(Duration::ZERO))
}
