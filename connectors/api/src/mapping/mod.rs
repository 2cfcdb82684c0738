//! How messages that are no CloudEvents become events.
//!
//! Owns: the words `accept` and `event` of an ingress. Invariant: what comes out went through the event's one
//! validator. Must not know: how a protocol tells that a message is a CloudEvent already.

mod plain;
mod section;

use schemars::JsonSchema;
use serde::Deserialize;

pub use crate::template::Inputs;
pub use plain::{MapError, MappingError, PlainDefaults, PlainMapping};

/// What an ingress takes (`accept:`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// CloudEvents only; anything else is malformed.
    CloudEvents,
    /// Plain messages only: even what looks like a CloudEvent is data, mapped as `event` says.
    Plain,
    /// A CloudEvent where the message says that it is one, else a plain message.
    #[default]
    Both,
}

impl Accept {
    /// Whether a message may be a CloudEvent.
    pub fn cloudevents(self) -> bool {
        self != Accept::Plain
    }

    /// Whether a message may be plain.
    pub fn plain(self) -> bool {
        self != Accept::CloudEvents
    }
}
