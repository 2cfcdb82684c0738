//! Weft, an event mesh router.

#![forbid(unsafe_code)]

pub mod delivery;
pub mod lane;
pub mod metrics;
pub mod routing;
#[cfg(test)]
mod testing;
pub mod topology;
