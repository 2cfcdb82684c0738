//! PUBLISH packets to events and back: the CloudEvents MQTT binding 1.0.2, and plain messages.
//!
//! Owns: what a topic, each property and a payload mean (`docs/connectors/mqtt.md` has the tables).
//! Invariants: pure, no client; no packet can panic here; a message that cannot become the event that it should have
//! been becomes one of type `weft.malformed` with its bytes as they were; nothing that an event holds can add a level,
//! a wildcard or a NUL to a topic (C34).
//! Does not know: sessions, packet identifiers, quality of service, acknowledgements.

pub(crate) mod binary;
pub(crate) mod egress;
pub(crate) mod ingress;
pub(crate) mod metadata;
pub(crate) mod plain;
pub(crate) mod publish;
#[cfg(test)]
mod round_trip;
pub(crate) mod structured;
#[cfg(test)]
mod tests;
pub(crate) mod topic;

pub(crate) use egress::Layout;
pub(crate) use ingress::{Mapper, Mapping};
pub(crate) use publish::{Properties, Publish, UserProperties};

/// The longest string or binary value of MQTT, in bytes: its length has two.
pub(crate) const FIELD_MAX: usize = 65_535;
