//! The contract between Weft and its connectors, and the event that travels between them.

#![forbid(unsafe_code)]

pub mod event;
pub mod mapping;
pub mod template;
