//! Delivery: everything between an event's match and the end of its legs.
//!
//! Owns: each destination's queue, order, batches, retries, breaker, pace (retry budget, rate, dedupe), the byte budget of the
//! process and each destination's share of it, the logs that stand before destinations, and the way of a leg through its
//! plan to an end.
//! Invariants
//! - A leg ends exactly once ([`end::End`]); one that is dropped ends as unknown.
//! - A leg is in exactly one place: a queue, a batch, a direct send, a join, or on its way into a log.
//! - No lock of a destination is held while another destination, a mailbox or a ticket is touched.
//!
//! There is no pump task: an egress takes batches from the queue in its own task, and settles there; only a log has a task
//! of its own, which reads. Does not know:
//! lanes and their windows, protocols, configuration files.

pub mod batch;
pub mod breaker;
pub mod budget;
pub mod dead_letter;
pub mod dedupe;
pub mod destination;
pub mod direct;
pub mod door;
pub mod end;
pub mod expiry;
pub mod failure;
pub mod forward;
pub mod leg;
pub mod origin;
pub mod pace;
pub mod queue;
pub mod rate;
pub mod retry_budget;
mod returns;
pub mod room;
pub mod settings;
pub mod shared;
pub mod stored;
pub mod sweep;
pub mod wiring;
