//! The router's side of the contract in miniature: it hands out batches, takes messages in, and writes down what the
//! connector does with them.
//!
//! Owns: the desks at which a test sits in the router's place. Naive on purpose: it is the twin that a connector is
//! judged by. Must not know: any protocol.

mod egress;
mod gate;
mod heard;
mod ingress;
mod lanes;
mod pump;
mod requests;

pub use egress::{EgressDesk, Fate, Given};
pub use ingress::{Admitted, IngressDesk};
pub use pump::{Pump, Pumped};

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
