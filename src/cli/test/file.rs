//! What a test file may say: the serde types, which are its schema, too. `docs/testing-routes.md` is written after them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::words::{Names, Said, Text};
use crate::app::Behaviour;

/// A file with tests of routes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Weft tests")]
pub(super) struct TestFile {
    /// The configuration under test: a file or a directory, or several, from where this file stands. `--config` on the
    /// command line takes its place.
    #[serde(default)]
    pub(super) config: Option<Names>,
    /// What `${NAME}` stands for in the configuration, before the variables of the process.
    #[serde(default)]
    pub(super) env: BTreeMap<String, Text>,
    /// What `${file:PATH}` stands for in the configuration, so that tests run without the secrets.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// The cases.
    pub(super) tests: Vec<Case>,
}

/// One case: what comes in, how destinations behave, what shall become of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What it shows, in a sentence.
    pub(super) name: String,
    /// The ingress by which it comes in; may be left out where only one fits.
    #[serde(default)]
    pub(super) ingress: Option<String>,
    /// An event: its attributes, and `data` or `data_base64`, as in CloudEvents JSON. Absent: `specversion` is 1.0, `id`
    /// is 1, `source` is `weft://test`.
    #[serde(default)]
    pub(super) event: Option<Map<String, Value>>,
    /// A request to an HTTP ingress.
    #[serde(default)]
    pub(super) http: Option<Http>,
    /// A record for a Kafka ingress.
    #[serde(default)]
    pub(super) kafka: Option<Kafka>,
    /// A message for an MQTT ingress.
    #[serde(default)]
    pub(super) mqtt: Option<Mqtt>,
    /// A message for an AMQP ingress.
    #[serde(default)]
    pub(super) amqp: Option<Amqp>,
    /// How destinations, or all members of groups, behave; the others accept.
    #[serde(default)]
    pub(super) given: BTreeMap<String, Behave>,
    /// What shall become of it; at least one key.
    pub(super) expect: Expect,
}

/// How a destination behaves, each time that it is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Behave {
    /// It takes the event.
    Accepts,
    /// It will never take this event (HTTP 422).
    Refused,
    /// Each attempt fails, until none is left (HTTP 500).
    Failing,
    /// It does not answer in time.
    Timeout,
    /// It is down (connection refused, HTTP 503).
    Unavailable,
}

impl From<Behave> for Behaviour {
    fn from(behave: Behave) -> Behaviour {
        match behave {
            Behave::Accepts => Behaviour::Accepts,
            Behave::Refused => Behaviour::Refuses,
            Behave::Failing => Behaviour::Fails,
            Behave::Timeout => Behaviour::TimesOut,
            Behave::Unavailable => Behaviour::Unavailable,
        }
    }
}

/// An HTTP request. A body that is a mapping, a list or a number is sent as JSON.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    /// The method; POST.
    pub(super) method: Option<String>,
    /// Path and query; the ingress' first path.
    pub(super) path: Option<String>,
    /// Headers. Without `content-type` one that fits the body is sent.
    pub(super) headers: BTreeMap<String, Text>,
    /// The body: text as it is, anything else as JSON.
    pub(super) body: Option<Value>,
    /// The body, if it is no text.
    pub(super) body_base64: Option<String>,
}

/// A Kafka record.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kafka {
    /// The topic; the ingress' first.
    pub(super) topic: Option<String>,
    /// The partition.
    pub(super) partition: i32,
    /// The offset.
    pub(super) offset: i64,
    /// The timestamp: milliseconds since 1970, or RFC 3339.
    pub(super) timestamp: Option<Text>,
    /// The key.
    pub(super) key: Option<Text>,
    /// Headers.
    pub(super) headers: BTreeMap<String, Text>,
    /// The value: text as it is, anything else as JSON. Without it the record is a tombstone.
    pub(super) value: Option<Value>,
    /// The value, if it is no text.
    pub(super) value_base64: Option<String>,
}

/// An MQTT message.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Mqtt {
    /// The topic; the ingress' first filter.
    pub(super) topic: Option<String>,
    /// User properties.
    pub(super) user: BTreeMap<String, Text>,
    /// Content Type.
    pub(super) content_type: Option<String>,
    /// Response Topic.
    pub(super) response_topic: Option<String>,
    /// Correlation Data.
    pub(super) correlation_data: Option<Text>,
    /// Message Expiry Interval, in seconds.
    pub(super) expiry: Option<u32>,
    /// The RETAIN flag.
    pub(super) retain: bool,
    /// The payload: text as it is, anything else as JSON.
    pub(super) payload: Option<Value>,
    /// The payload, if it is no text.
    pub(super) payload_base64: Option<String>,
}

/// An AMQP message with a data section.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Amqp {
    /// The address; the ingress' first.
    pub(super) address: Option<String>,
    /// The properties section.
    pub(super) properties: AmqpProperties,
    /// Application properties, as strings.
    pub(super) application_properties: BTreeMap<String, Text>,
    /// The body: text as it is, anything else as JSON.
    pub(super) body: Option<Value>,
    /// The body, if it is no text.
    pub(super) body_base64: Option<String>,
}

/// The properties of an AMQP message.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AmqpProperties {
    /// `message-id`
    pub(super) message_id: Option<Text>,
    /// `correlation-id`
    pub(super) correlation_id: Option<Text>,
    /// `subject`
    pub(super) subject: Option<Text>,
    /// `reply-to`
    pub(super) reply_to: Option<Text>,
    /// `content-type`
    pub(super) content_type: Option<Text>,
    /// `content-encoding`
    pub(super) content_encoding: Option<Text>,
    /// `group-id`
    pub(super) group_id: Option<Text>,
}

/// What shall become of it. Each key is looked at on its own; what is not named is not looked at.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    /// The routes that match: these, and no others.
    pub(super) routes: Option<Names>,
    /// The destinations that take it: these, and no others. A group stands for any of its members.
    pub(super) delivered: Option<Names>,
    /// The destinations that are tried, in this order, for one of its obligations.
    pub(super) order: Option<Names>,
    /// The destinations that take it as a dead letter.
    pub(super) dead_letter: Option<Names>,
    /// The destinations at which it waits until they take it.
    pub(super) waits: Option<Names>,
    /// Whether nobody takes it and there is no dead letter; or a part of the reason why it was refused as it came in.
    pub(super) refused: Option<Said>,
    /// Whether its sender gets it back: it waited as long as `unavailable:` lets it.
    pub(super) given_back: Option<bool>,
    /// Whether no route matches and that is discarded.
    pub(super) discarded: Option<bool>,
    /// Whether it is dropped: by `on_rejected: drop`, `on_malformed: drop` or `tombstones: drop`.
    pub(super) dropped: Option<bool>,
    /// Whether it is delivered no more, since its `expirytime` has passed.
    pub(super) expired: Option<bool>,
    /// Whether the raw message cannot become an event; or a part of the reason.
    pub(super) malformed: Option<Said>,
    /// Attributes of the event as it is sent, with what routes add.
    pub(super) attributes: BTreeMap<String, Text>,
    /// Attributes that it does not have.
    pub(super) absent: Names,
    /// Its data: text as it is, anything else as JSON.
    pub(super) data: Option<Value>,
    /// What single destinations get, which must be among those that take it.
    pub(super) to: BTreeMap<String, At>,
}

/// What one destination gets.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct At {
    /// Attributes of the event there.
    pub(super) attributes: BTreeMap<String, Text>,
    /// Attributes that it does not have there.
    pub(super) absent: Names,
}
