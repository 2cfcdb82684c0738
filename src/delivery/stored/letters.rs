//! The local dead letters: a log without a lane, whose records wait for a person, but no longer than `max_age`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use weft_store::{Most, Reader};

use super::lane::Order;
use super::{DurableQueue, LOOK_EVERY, record};
use crate::delivery::leg::Leg;

/// How often letters are looked at that may be too old; where `max_age` is shorter, as often as that.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How many are read in one go.
const PIECE: Most = Most {
    records: 1024,
    bytes: 256 * 1024,
};

/// Looks after the log until it is told to stop: what waits for room, and what is too old.
pub async fn keep(queue: Arc<DurableQueue>, reader: Reader<Leg>, mut orders: watch::Receiver<Order>) {
    let mut reader = Some(reader);
    let mut sweep_at = Instant::now();
    loop {
        queue.look();
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
            changed = orders.changed() => if changed.is_err() { return },
            () = queue.bell.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Gives up what is older than `max_age`. The oldest stand first, so that it is done at the first that is not.
async fn sweep(queue: &Arc<DurableQueue>, reader: Option<Reader<Leg>>) -> Option<Reader<Leg>> {
    let mut reader = reader?;
    if queue.rules.load().max_age.is_none() {
        return Some(reader);
    }
    reader.rewind();
    let mut known = reader.damaged();
    loop {
        let read = tokio::task::spawn_blocking(move || {
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
        let is_old = |record: &&weft_store::Record| {
            let stored_ms = record::stored_ms(&record.payload);
            stored_ms
                .and_then(|at| queue.too_old_at(at))
                .is_some_and(|at| at <= Instant::now())
        };
        let old = records.iter().take_while(is_old).count();
        if let (Some(first), Some(last)) = (records[..old].first(), records[..old].last()) {
            // What was acknowledged between them before is not counted again.
            queue.log.acknowledge(first.sequence..last.sequence + 1);
            queue.metrics.lane.books.expired.inc_by(old as u64);
            tracing::warn!(log = %queue.name, count = old, "dead letters are older than max_age, and are given up");
        }
        if old < records.len() || records.is_empty() {
            return Some(reader);
        }
    }
}
