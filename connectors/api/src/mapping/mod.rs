//! How messages that are not CloudEvents become events.

use schemars::JsonSchema;
use serde::Deserialize;

/// Which messages an ingress takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Accept {
    /// CloudEvents only; anything else is malformed.
    CloudEvents,
    /// Every message is plain, and becomes an event by `event:`.
    Plain,
    /// CloudEvents where they are recognised, plain messages otherwise.
    Both,
}
