//! Weft, an event mesh router.

#![forbid(unsafe_code)]

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod delivery;
pub mod lane;
pub mod metrics;
pub mod routing;
pub mod shutdown;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod topology;
pub mod watch;
