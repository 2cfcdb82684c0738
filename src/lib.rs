//! Weft, an event mesh router.

#![forbid(unsafe_code)]

pub mod metrics;
