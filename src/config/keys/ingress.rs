//! The keys of an ingress beside its connector's section.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_api::config::{ByteSize, HumanDuration};
use weft_api::mapping::Accept;

use super::Unmatched;

/// The keys of an ingress.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IngressKeys {
    /// Which messages are taken. Absent: what the connector's own default is.
    #[serde(skip_serializing)]
    pub accept: Option<Accept>,
    /// How plain messages become events: attribute names to templates. Only attributes; the body becomes the data.
    #[serde(skip_serializing)]
    pub event: Option<BTreeMap<String, String>>,
    /// The destination for messages that cannot become an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// What an in-order ingress (Kafka, MQTT) does once an event is refused and there is no dead letter.
    pub on_rejected: OnRejected,
    /// What becomes of messages that cannot become an event. Absent: `dead_letter` if there is one, else `reject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_malformed: Option<OnMalformed>,
    /// How much one lane may have unsettled. Absent: what the connector's own default is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowKeys>,
    /// What becomes of events that no route matches; absent: what the file says at its top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmatched: Option<Unmatched>,
    /// How long what came in and was owed to somebody is kept in the store, to be sent again; absent: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<HumanDuration>,
}

/// What an in-order ingress does once an event is refused for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnRejected {
    /// Hold the lane, try again with backoff, and alarm.
    #[default]
    Pause,
    /// Move on, and count it.
    Drop,
}

/// What becomes of a message that cannot become an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMalformed {
    /// Its bytes are kept in an event of type `weft.malformed`, which goes to `dead_letter`.
    DeadLetter,
    /// It is refused, in the words of its protocol.
    Reject,
    /// It is accepted, forgotten and counted.
    Drop,
}

/// How much one lane may have unsettled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowKeys {
    /// In events; at least 1.
    pub events: NonZeroU32,
    /// In bytes.
    #[serde(default = "window_bytes")]
    pub bytes: ByteSize,
}

fn window_bytes() -> ByteSize {
    ByteSize(16 << 20)
}
