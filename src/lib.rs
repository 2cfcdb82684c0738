//! Weft, an event mesh router.

#![forbid(unsafe_code)]

pub mod admin;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;
pub mod watch;
