//! Lanes: the router's side of what an ingress holds in its hands.
//!
//! Owns: the ledger of slots, credit, epochs and rewinds, and the admission of an event, which matches
//! it and queues its legs in the connector's own task.
//! Invariants
//! - A slot settles exactly once, and an in-order lane's settled prefix is contiguous.
//! - Bytes are charged once, at admission, and freed when the slot settles (C21).
//! - Nothing of an older epoch is ever reported.
//!
//! Does not know: protocols, what a destination does with a leg, configuration files.

pub mod admit;
pub mod books;
pub mod ledger;
pub mod limbo;
pub mod request;
pub mod shared;
pub mod stream;
