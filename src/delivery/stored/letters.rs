//! The local dead letters: a log without a lane, whose records wait for a person, but no longer than `max_age`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use weft_store::{Most, Reader};

use super::lane::Order;
use super::{DurableQueue, Kind, LOOK_EVERY, record};
use crate::delivery::leg::Leg;

/// How often letters are looked at that may be too old; where `max_age` is shorter, as often as that.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How many are read in one go.
const PIECE: Most = Most {
    records: 1024,
    bytes: 256 * 1024,
};

/// The same for the oldest: a few, of which one says when it came.
const FIRST: Most = Most {
    records: 16,
    bytes: 256 * 1024,
};

/// An operator's job is at work on a log as long as this lives.
pub struct AtWork(Arc<DurableQueue>);

impl AtWork {
    /// From now on.
    #[must_use]
    pub fn on(queue: &Arc<DurableQueue>) -> AtWork {
        queue.jobs.fetch_add(1, Ordering::AcqRel);
        AtWork(Arc::clone(queue))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::AcqRel);
    }
}

impl DurableQueue {
    fn has_job(&self) -> bool {
        self.jobs.load(Ordering::Acquire) > 0
    }
}

/// The oldest letter.
#[derive(Default)]
struct Oldest {
    /// Its sequence, and when it came.
    known: Option<(u64, u64)>,
    looked: Option<Instant>,
}

impl Oldest {
    /// Shows its age. Once it has left, another one is looked for in the log, now and then.
    async fn show(&mut self, queue: &Arc<DurableQueue>, reader: Option<Reader<Leg>>) -> Option<Reader<Leg>> {
        let mut reader = reader?;
        self.known = self.known.filter(|(sequence, _)| queue.log.has_open(*sequence));
        let is_due = self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        if self.known.is_none() && !queue.log.is_empty() && is_due {
            self.looked = Some(Instant::now());
            let known = reader.damaged();
            let read = queue.work.run(move || {
                let mut records = Vec::new();
                reader.rewind();
                let result = reader.read(FIRST, &mut records);
                (reader, records, result)
            });
            let records;
            (reader, records, _) = read.await.ok()?;
            queue.metrics.damaged.inc_by(reader.damaged() - known);
            // One of a later version does not say.
            let mut found = records
                .iter()
                .filter_map(|record| Some((record.sequence, record::stored_ms(&record.payload)?)));
            self.known = found.next();
        }
        let age_ms = |(_, stored_ms)| queue.clock.now_ms().saturating_sub(stored_ms);
        let age = Duration::from_millis(self.known.map_or(0, age_ms));
        queue.metrics.oldest.set(age.as_secs_f64());
        Some(reader)
    }
}

/// Looks after the log until it is told to stop: what waits for room, and what is too old.
pub async fn keep(queue: Arc<DurableQueue>, reader: Reader<Leg>, mut orders: watch::Receiver<Order>) {
    let mut reader = Some(reader);
    let mut sweep_at = Instant::now();
    let mut oldest = Oldest::default();
    loop {
        queue.look();
        if queue.kind == Kind::DeadLetters {
            reader = oldest.show(&queue, reader).await;
        }
        let order = *orders.borrow_and_update();
        match order {
            Order::Stop => return,
            Order::Drain | Order::Purge => {}
            Order::Run if sweep_at <= Instant::now() => {
                reader = sweep(&queue, reader).await;
                let max_age = queue.rules.load().max_age.unwrap_or(SWEEP_EVERY);
                sweep_at = Instant::now() + SWEEP_EVERY.min(max_age);
            }
            Order::Run => {}
        }
        tokio::select! {
            // Orders first: the end waits for nothing.
            biased;
            changed = orders.changed() => if changed.is_err() { return },
            () = queue.bell.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Gives up what is older than `max_age`. The oldest stand first, so that it is done at the first that is younger by its
/// time; one of the future, or of a later version, stands in nobody's way. While an operator's job is at work on the letters, none is
/// taken from under it.
async fn sweep(queue: &Arc<DurableQueue>, reader: Option<Reader<Leg>>) -> Option<Reader<Leg>> {
    let mut reader = reader?;
    if queue.rules.load().max_age.is_none() || queue.has_job() {
        return Some(reader);
    }
    reader.rewind();
    let mut known = reader.damaged();
    loop {
        let read = queue.work.run(move || {
            let mut records = Vec::new();
            let result = reader.read(PIECE, &mut records);
            (reader, records, result)
        });
        let Ok((back, records, result)) = read.await else {
            return None;
        };
        reader = back;
        let damaged = reader.damaged();
        queue.metrics.damaged.inc_by(damaged - known);
        known = damaged;
        if let Err(error) = result {
            tracing::error!(log = %queue.name, %error, "reading the dead letters: it is tried again");
            return Some(reader);
        }
        let mut count = 0;
        let mut done = records.is_empty();
        for record in &records {
            let Some(stored_ms) = record::stored_ms(&record.payload) else {
                continue;
            };
            match queue.too_old_at(stored_ms) {
                Some(at) if at <= Instant::now() => {
                    queue.log.acknowledge(record.sequence..record.sequence + 1);
                    count += 1;
                }
                _ if stored_ms > queue.clock.now_ms() => {}
                _ => {
                    done = true;
                    break;
                }
            }
        }
        if count > 0 {
            queue.metrics.lane.books.expired.inc_by(count);
            tracing::warn!(log = %queue.name, count, "dead letters are older than max_age, and are given up");
        }
        if done || queue.has_job() {
            return Some(reader);
        }
    }
}
