//! Weft's durable logs.
//!
//! A [`Store`] is a directory with one [`Log`] for each place that keeps something. Records are appended in any task, and
//! their tokens told once they are on the disk: a thread writes what all logs have, syncs each file once, and goes round
//! again (C24). They are read in order ([`Reader`]), acknowledged in any order, and leave the disk a segment at a time.
//!
//! Owns: the layout on the disk (`docs/store-format.md`), group commit, recovery (C25, C26, C28), bounds (C27).
//! Does not know: events, destinations, what a record says.
//!
//! | to look for | file |
//! |---|---|
//! | the directory, its lock and its logs | `store.rs` |
//! | what may be done with a log | `log.rs`, `reader.rs` |
//! | rounds of the thread, or of a caller | `commit.rs`, `driver.rs`, and what it does in `write.rs`, `settle.rs`, `retain.rs`, `spares.rs` |
//! | the bytes | `record.rs`, `segment.rs`, `journal.rs` |
//! | what a start makes of them | `recover.rs` |

#![forbid(unsafe_code)]

mod acked;
mod bell;
mod commit;
pub mod disk;
mod driver;
mod journal;
mod log;
mod reader;
mod record;
mod recover;
mod retain;
mod room;
mod segment;
mod settle;
mod space;
mod spares;
mod stats;
mod store;
mod window;
mod write;

use std::sync::Arc;
use std::time::Duration;

pub use driver::Driver;
pub use log::{Claim, Holding, Log, LogSettings, Refused};
pub use reader::{Most, Reader, Record};
pub use record::PAYLOAD_MAX;
pub use stats::Stats;
pub use store::{OpenError, Settings, Store, Survey, survey};

/// When a token is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sync {
    /// Once its record is on the disk.
    #[default]
    Always,
    /// Once its record is written: a crash of the machine, not of the process, loses what was written in so long a time.
    Interval(Duration),
}

/// What hears of records.
pub trait Keeper<T>: Send + std::marker::Sync {
    /// These are durable: their sequences follow each other from `first` on. Called on the commit thread: everybody waits
    /// for it.
    fn stored(&self, log: &Arc<Log<T>>, first: u64, tokens: Vec<T>);
    /// Of these nobody knows: the log has failed.
    fn failed(&self, log: &Arc<Log<T>>, tokens: Vec<T>, why: &Arc<str>);
    /// A place at which tests kill the process.
    fn point(&self, _name: &str) {}
}
