//! Request lanes (HTTP): what stands behind [`weft_api::ingress::RequestLane`].
//!
//! One event a request, one future a request. An event with a single destination that nothing waits for is sent from
//! the request's own task, with clients that the lane owns, so that nothing crosses a thread; everything else gets a
//! ticket and goes through the queues. An event that does not fit is refused at once (C8, C21).

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;
use weft_api::crash;
use weft_api::egress::DirectSend;
use weft_api::ingress::{
    Incoming, LaneSpec, RequestLaneBackend, RequestLanesBackend, Verdict, VerdictFuture,
};
use weft_api::outcome::{Outcome, Reason};

use super::admit::{CurrentGate, Gate, Owed, Owing, Scratch};
use super::books::{self, Pulse};
use crate::delivery::budget::Budget;
use crate::delivery::destination::Destination;
use crate::delivery::forward::forward;
use crate::delivery::origin::{Charge, Origin, Port, Ticket};
use crate::routing::plan::{Steps, Target};

mod allowance;
mod direct;
#[cfg(test)]
mod tests;

use allowance::Allowance;
use direct::{Direct, Rest, Taken};

/// What a refused sender is asked to wait when nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Opens the lanes of one ingress.
pub struct RequestLaneSet {
    port: Arc<Port>,
    gate: CurrentGate,
    budget: Arc<Budget>,
    pulse: Arc<Pulse>,
    /// How many of its lanes are open.
    lanes: Arc<AtomicU64>,
}

struct Lane {
    port: Arc<Port>,
    gate: CurrentGate,
    charge: Arc<Allowance>,
    /// The lanes of the ingress.
    lanes: Arc<AtomicU64>,
    senders: Mutex<Vec<Sender>>,
}

/// A direct sender of this lane and the client of the destination that it belongs to.
struct Sender {
    destination: Arc<Destination>,
    life: u64,
    send: Arc<dyn DirectSend>,
}

/// Where one obligation starts.
struct Choice {
    owing: Owing,
    steps: Steps,
    target: Target,
}

impl RequestLaneSet {
    /// For one ingress.
    #[must_use]
    pub fn new(port: Arc<Port>, gate: CurrentGate, budget: Arc<Budget>, pulse: Arc<Pulse>) -> RequestLaneSet {
        RequestLaneSet {
            port,
            gate,
            budget,
            pulse,
            lanes: Arc::default(),
        }
    }
}

impl RequestLanesBackend for RequestLaneSet {
    fn open(&self, spec: LaneSpec) -> Arc<dyn RequestLaneBackend> {
        let charge = Allowance::new(spec.window, Arc::clone(&self.budget), Arc::clone(&self.pulse));
        self.lanes.fetch_add(1, Ordering::Relaxed);
        Arc::new(Lane {
            port: Arc::clone(&self.port),
            gate: Arc::clone(&self.gate),
            charge: Arc::new(charge),
            lanes: Arc::clone(&self.lanes),
            senders: Mutex::new(Vec::new()),
        })
    }
}

impl RequestLaneBackend for Lane {
    fn submit(self: Arc<Self>, incoming: Incoming, deadline: Duration) -> VerdictFuture {
        let now = Instant::now();
        crash::point("ingress.received");
        let admitted = self.admit(incoming, now);
        crash::point("ingress.queued");
        match admitted {
            Admitted::Verdict(verdict) => Box::pin(std::future::ready(verdict)),
            Admitted::Direct(direct) => detached(direct.run(self, now + deadline)),
            Admitted::Ticket(ticket, matched) => detached(wait(ticket, matched, now + deadline)),
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.charge.has_room(bytes)
    }
}

#[expect(clippy::large_enum_variant, reason = "a box would be an allocation a request")]
enum Admitted {
    Verdict(Verdict),
    Direct(Direct),
    Ticket(Arc<Ticket>, u32),
}

impl Lane {
    fn admit(&self, incoming: Incoming, now: Instant) -> Admitted {
        let bytes = incoming.event.size();
        let metrics = &self.port.metrics;
        metrics.events.inc();
        metrics.bytes.inc_by(bytes);
        metrics.malformed.inc_by(u64::from(incoming.malformed));
        if !self.charge.try_take(bytes) {
            return self.refuse(Reason::Overloaded, RETRY_AFTER, 0);
        }
        let gate = self.gate.load();
        let (owed, matched) = gate.admit(incoming, now, &mut Scratch::default());
        let owings = match owed {
            Owed::Legs(owings) => owings,
            Owed::Nothing { outcome, why, .. } => {
                self.charge.release(bytes);
                books::without_legs(&self.port, outcome, why);
                books::settled(&self.port, outcome, 1);
                return Admitted::Verdict(Verdict {
                    outcome,
                    matched,
                    stored: false,
                    retry_after: None,
                });
            }
        };
        let choices = choose(&gate, owings);
        if let Err((reason, wait)) = reserve(&gate, &choices, self.share(&gate)) {
            self.charge.release(bytes);
            return self.refuse(reason, wait, matched);
        }
        match self.direct(&gate, choices, bytes, matched) {
            Ok(direct) => Admitted::Direct(direct),
            Err(choices) => Admitted::Ticket(self.enqueue(&gate, choices, bytes, now), matched),
        }
    }

    /// How many requests one of several destinations may hold: as many as the lanes leave free, or one that does not
    /// answer would take the windows from all the others. Its requests may be spread over the lanes, so the free places
    /// are counted as if all lanes were as full as this one.
    fn share(&self, gate: &Gate) -> u64 {
        if gate.wiring.destinations.len() < 2 {
            return u64::MAX;
        }
        let lanes = self.lanes.load(Ordering::Relaxed);
        self.charge.free_events().saturating_mul(lanes).max(1)
    }

    fn refuse(&self, reason: Reason, wait: Duration, matched: u32) -> Admitted {
        let verdict = Verdict {
            matched,
            ..Verdict::released(reason, wait.max(RETRY_AFTER))
        };
        books::settled(&self.port, verdict.outcome, 1);
        Admitted::Verdict(verdict)
    }

    /// The way past the queue, for a single obligation to a destination that can be sent to from here.
    #[expect(
        clippy::result_large_err,
        reason = "the choices go on to the queue; a box would be an allocation"
    )]
    fn direct(
        &self,
        gate: &Gate,
        mut choices: SmallVec<[Choice; 2]>,
        bytes: u64,
        matched: u32,
    ) -> Result<Direct, SmallVec<[Choice; 2]>> {
        let [
            Choice {
                owing,
                target: Target::To(id),
                ..
            },
        ] = &choices[..]
        else {
            return Err(choices);
        };
        if owing.expires.is_some() || owing.dead_letter.is_some() {
            return Err(choices);
        }
        let destination = gate.wiring.destination(*id);
        let Some(send) = self.sender(destination) else {
            return Err(choices);
        };
        let Some(pass) = destination.try_direct(&owing.event) else {
            return Err(choices);
        };
        let Some(choice) = choices.pop() else {
            return Err(choices);
        };
        let taken = Taken {
            charge: Arc::clone(&self.charge),
            bytes,
            passed_on: false,
        };
        let sending = send.send(choice.owing.event.clone());
        Ok(Direct {
            pass,
            sending,
            rest: Rest {
                choice,
                wiring: Arc::clone(&gate.wiring),
                taken,
            },
            matched,
        })
    }

    /// This lane's sender for a destination, made anew when the destination has got another client.
    fn sender(&self, destination: &Arc<Destination>) -> Option<Arc<dyn DirectSend>> {
        let client = destination.direct()?;
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let known = senders
            .iter()
            .position(|sender| Arc::ptr_eq(&sender.destination, destination));
        if let Some(at) = known
            && senders[at].life == client.life
        {
            return Some(Arc::clone(&senders[at].send));
        }
        // Senders of clients that are gone, with their connections.
        senders.retain(|sender| {
            sender
                .destination
                .direct()
                .is_some_and(|client| client.life == sender.life)
        });
        let send = client.factory.open();
        senders.push(Sender {
            destination: Arc::clone(destination),
            life: client.life,
            send: Arc::clone(&send),
        });
        Some(send)
    }

    fn enqueue(&self, gate: &Gate, choices: SmallVec<[Choice; 2]>, bytes: u64, now: Instant) -> Arc<Ticket> {
        let count = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        books::obligations(&self.port, count);
        let ticket = self.ticket(bytes, count);
        for Choice { owing, steps, target } in choices {
            let reserved = owing.event.size();
            let leg = owing.into_leg(Origin::Ticket(Arc::clone(&ticket)), &gate.wiring, steps, now);
            match target {
                Target::To(id) => gate.wiring.destination(id).push_reserved(leg, reserved),
                Target::All(_) | Target::Log(_) => forward(leg, target),
            }
        }
        ticket
    }

    fn ticket(&self, bytes: u64, legs: u32) -> Arc<Ticket> {
        let charge: Arc<dyn Charge> = Arc::clone(&self.charge) as Arc<dyn Charge>;
        Arc::new(Ticket::new(Arc::clone(&self.port), charge, bytes, legs))
    }
}

fn choose(gate: &Gate, owings: SmallVec<[Owing; 2]>) -> SmallVec<[Choice; 2]> {
    let choice = |owing: Owing| {
        let mut steps = Steps::new();
        let target = gate.target(&owing, &mut steps);
        Choice { owing, steps, target }
    };
    owings.into_iter().map(choice).collect()
}

/// Reserves room at every destination, or at none: an event that cannot go everywhere it must is not begun.
fn reserve(gate: &Gate, choices: &[Choice], share: u64) -> Result<(), (Reason, Duration)> {
    let mut reserved: SmallVec<[(&Arc<Destination>, u64); 4]> = SmallVec::new();
    for choice in choices {
        let bytes = choice.owing.event.size();
        let Target::To(id) = choice.target else {
            let room = match choice.target {
                Target::Log(id) => gate.wiring.log(id).has_room(bytes),
                _ => !gate.is_full(choice.target, share),
            };
            if !room {
                unreserve(&reserved);
                return Err((full_because(gate, choice.target), RETRY_AFTER));
            }
            continue;
        };
        let destination = gate.wiring.destination(id);
        let mine = reserved
            .iter()
            .filter(|(known, _)| Arc::ptr_eq(known, destination));
        let own = mine.fold((0, 0), |(events, sum), (_, bytes)| (events + 1, sum + bytes));
        let refusal = if !destination.is_available() {
            Some((Reason::Unavailable, destination.probe_in()))
        } else if destination.requests() >= share || !destination.try_reserve(bytes, own) {
            Some((Reason::Overloaded, RETRY_AFTER))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            unreserve(&reserved);
            return Err(refusal);
        }
        reserved.push((destination, bytes));
    }
    Ok(())
}

/// A log that failed has no room, but that is no overload.
fn full_because(gate: &Gate, target: Target) -> Reason {
    match target {
        Target::Log(id) if gate.wiring.log(id).view().failed => Reason::StoreFailed,
        _ => Reason::Overloaded,
    }
}

fn unreserve(reserved: &[(&Arc<Destination>, u64)]) {
    for (destination, bytes) in reserved {
        destination.unreserve(*bytes);
    }
}

/// Waits for the last leg, but not past the deadline.
async fn wait(ticket: Arc<Ticket>, matched: u32, deadline: Instant) -> Verdict {
    // Dropped while it waits (its runtime went away), nobody will ever tell the sender: what is not dispatched goes.
    let _closing = Closing(Arc::clone(&ticket));
    let (outcome, stored) = tokio::select! {
        biased;
        done = ticket.done() => done,
        () = tokio::time::sleep_until(deadline) => {
            let sent = ticket.close();
            (if sent { Outcome::Unknown(Reason::Deadline) } else { Outcome::Released(Reason::Deadline) }, false)
        }
    };
    books::settled(ticket.port(), outcome, 1);
    crash::point("ingress.settled");
    Verdict {
        stored,
        ..verdict(outcome, matched)
    }
}

/// Closes a ticket that nobody waits for any more.
struct Closing(Arc<Ticket>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn verdict(outcome: Outcome, matched: u32) -> Verdict {
    let retry_after = matches!(outcome, Outcome::Released(_)).then_some(RETRY_AFTER);
    Verdict {
        outcome,
        matched,
        stored: false,
        retry_after,
    }
}

/// A future that goes on by itself when it is dropped unfinished: a client that hangs up changes nothing for legs
/// already dispatched.
fn detached(work: impl Future<Output = Verdict> + Send + 'static) -> VerdictFuture {
    Box::pin(Detached(Some(Box::pin(work))))
}

struct Detached(Option<Pin<Box<dyn Future<Output = Verdict> + Send>>>);

impl Future for Detached {
    type Output = Verdict;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        // Taken out first: work that panics must not be found here by `drop` and polled again.
        let Some(mut work) = self.0.take() else {
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(work);
        }
        polled
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        if let Some(work) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lanes.fetch_sub(1, Ordering::Relaxed);
    }
}
