//! CloudEvents 1.0.2 inside Weft.
//!
//! Owns: the layout of an event, its attribute rules, and the codecs that are not tied to one protocol.
//! Invariant: an [`Event`] that exists is valid; only [`EventBuilder::build`] makes one.
//! Must not know: protocols, routes, configuration.

mod attr;
mod builder;
pub mod check;
pub mod header;
mod invalid;
pub mod json;
mod layout;
mod malformed;
mod mode;
mod rules;
#[cfg(any(test, feature = "cloudevents-sdk"))]
pub mod sdk;
mod stored;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod time;

pub use attr::{AttrKind, AttrValue, Attributes};
pub use builder::EventBuilder;
pub use invalid::{InvalidEvent, Rule};
pub use json::{CLOUDEVENTS_BATCH_JSON, CLOUDEVENTS_JSON};
pub use layout::{Event, SPECVERSION};
pub use malformed::{Coordinates, MALFORMED_TYPE, malformed};
pub use mode::ContentMode;
