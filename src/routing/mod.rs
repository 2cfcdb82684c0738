//! Which routes an event takes.
//!
//! Owns predicates (the CloudEvents filter dialects, CESQL among them) and the index that finds, among thousands of
//! routes, those whose predicate an event meets. Pure: no tokio, no I/O, no clock. Invariants: everything is checked
//! and compiled before the first event; matching allocates nothing but what string functions build; the index gives
//! exactly what asking every predicate in turn would give.
//!
//! Deliberately does not know how events are stored (it asks through `Attributes`), what a plan does, or where the
//! rules came from.

pub mod anycast;
pub mod cesql;
pub mod filter;
pub mod index;
pub mod plan;
pub mod table;

#[cfg(test)]
mod fields;

pub use weft_api::event::{AttrKind, AttrValue, Attributes};
