//! CloudEvents 1.0.2 inside Weft.
//!
//! Owns: the layout of an event, its attribute rules, and the codecs that are not tied to one protocol.
//! Invariant: an [`Event`] that exists is valid; only [`EventBuilder::build`] makes one.
//! Must not know: protocols, routes, configuration.

mod attr;
mod builder;
mod invalid;
mod layout;
mod rules;
pub mod time;

pub use attr::{AttrKind, AttrValue, Attributes};
pub use builder::EventBuilder;
pub use invalid::{InvalidEvent, Rule};
pub use layout::{Event, SPECVERSION};

#[cfg(test)]
mod tests;
