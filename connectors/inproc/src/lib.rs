//! Connectors without a network: `inproc`, an ingress and an egress in memory with scripted faults, and `log`, a
//! destination that prints.
//!
//! Owns: [`Hub`] with its [`Feed`]s (where an `inproc` ingress takes messages from) and [`Sink`]s (where an `inproc`
//! egress delivers to). A test holds the hub, pushes and scripts through it, and reads there what became of it all.
//!
//! Invariants
//! - Nothing is global: a hub is handed to [`Inproc`] by whoever lists the connectors.
//! - All waiting is tokio's and all chance is seeded, so that a paused clock and a seed decide everything.
//!
//! Must not know: the router. Both connectors see only the contract in `weft_api`.

#![forbid(unsafe_code)]

mod answer;
mod bell;
mod connector;
mod direct;
mod egress;
mod feed;
mod hub;
mod log;
mod options;
mod request;
mod sink;
mod stream;

pub use answer::{Act, Answer, Faults, Policy};
pub use connector::Inproc;
pub use feed::{Crash, Entry, Feed, Happening};
pub use hub::{Hub, Stamp};
pub use log::Log;
pub use options::{IngressOptions, Settling};
pub use sink::{Attempt, Delivery, Sink};
