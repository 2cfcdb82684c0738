//! Open-loop senders: events go out by a time table that does not wait for answers. One module a protocol; each runs a
//! thread of its own, tells the books of each event, and ends when it is dropped.

pub mod amqp;
pub mod http;
pub mod kafka;
pub mod mqtt;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{event, tool};

/// How often a sender looks at its time table. What is due is sent at once, so that a rate is kept whatever the tick is.
pub const TICK: Duration = Duration::from_millis(1);

/// The most that is sent at one look, which bounds what a sender that was held up sends in one go.
const BURST_MAX: u64 = 10_000;

/// What the events of a run look like: the data, and a type for each flow.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The data of every event.
    pub data: Vec<u8>,
    /// The `type` of the events of each flow.
    pub kinds: Vec<String>,
}

impl Shape {
    /// One flow of the event that all scenarios send.
    #[must_use]
    pub fn plain() -> Self {
        let kind = event::ATTRIBUTES.iter().find(|(name, _)| *name == "type");
        Self {
            data: event::data(),
            kinds: vec![kind.map_or("", |(_, value)| value).to_owned()],
        }
    }

    /// Several flows that differ in their type, with data of so many bytes.
    #[must_use]
    pub fn flows(flows: usize, bytes: usize) -> Self {
        Self {
            data: event::data_of(bytes),
            kinds: (0..flows).map(|flow| format!("com.acme.flow-{flow}")).collect(),
        }
    }

    /// The attributes of a flow's events but for the id.
    pub fn attributes(&self, flow: usize) -> impl Iterator<Item = (&'static str, &str)> {
        let kind = self.kinds[flow].as_str();
        let own = move |(name, value)| (name, if name == "type" { kind } else { value });
        event::ATTRIBUTES.into_iter().map(own)
    }
}

/// A rate that can be changed while the sender runs.
#[derive(Debug)]
pub struct Pace(Mutex<Table>);

#[derive(Debug)]
struct Table {
    since: Instant,
    due: f64,
    rate: f64,
}

impl Pace {
    /// Nothing is due yet.
    #[must_use]
    pub fn still() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Table {
            since: Instant::now(),
            due: 0.0,
            rate: 0.0,
        })))
    }

    /// From now on so many events a second.
    pub fn set(&self, rate: f64) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        table.due = table.at(now);
        (table.since, table.rate) = (now, rate);
    }

    /// How many of them must be sent now, when so many have been.
    #[must_use]
    pub fn due(&self, sent: u64) -> u64 {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (table.at(Instant::now()) as u64)
            .saturating_sub(sent)
            .min(BURST_MAX)
    }
}

impl Table {
    fn at(&self, now: Instant) -> f64 {
        self.due + (now - self.since).as_secs_f64() * self.rate
    }
}

/// A sender's thread; dropped, it ends.
#[derive(Debug)]
pub struct Offering {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Offering {
    fn spawn(run: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Self {
            stop,
            thread: Some(std::thread::spawn(move || run(&seen))),
        }
    }
}

impl Drop for Offering {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A sender that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Says why a sender ends early. The run sees that nothing is offered any more, and is void.
fn complain(who: &str, error: &dyn std::fmt::Display) {
    tool::note(&format!("{who}: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_rate_neither_skips_nor_repeats_what_was_due() {
        let pace = Pace::still();
        assert_eq!(pace.due(0), 0);
        pace.set(1e12);
        while pace.due(0) == 0 {}
        pace.set(0.0);
        let due = pace.0.lock().map(|table| table.due).expect("nobody panics") as u64;
        assert_eq!(pace.due(due), 0);
        assert_eq!(pace.due(due - 1), 1);
        assert_eq!(pace.due(0), due.min(BURST_MAX));
    }

    #[test]
    fn flows_differ_in_type_alone() {
        let shape = Shape::flows(2, 300);
        assert_eq!(shape.data.len(), 300);
        let (a, b): (Vec<_>, Vec<_>) = (shape.attributes(0).collect(), shape.attributes(1).collect());
        assert_eq!(a.iter().zip(&b).filter(|(a, b)| a != b).count(), 1);
        assert!(Shape::plain().attributes(0).eq(event::ATTRIBUTES));
    }
}
