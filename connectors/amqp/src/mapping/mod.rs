//! Messages to events and back: the CloudEvents AMQP binding, and plain messages.
//!
//! Owns: what each section, property and body means (`docs/connectors/amqp.md` has the tables).
//! Invariants: pure, no connection; no message can panic here or recurse past the codec's bound; a message that cannot
//! become the event that it should have been becomes one of type `weft.malformed` with its bytes as they were.
//! Does not know: links as lanes, deliveries, outcomes.

pub(crate) mod address;
mod binary;
mod body;
pub(crate) mod egress;
mod ids;
pub(crate) mod ingress;
mod json;
mod meta;
mod millis;
mod plain;
mod same;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use same::same;

/// What attributes are prefixed with, as the binding spells it (3.1.3.1).
const COLON: &str = "cloudEvents:";
/// The same, so that JMS selectors can name it.
const UNDERSCORE: &str = "cloudEvents_";

/// Transport metadata that travels as extensions (`docs/extensions.md`).
mod extension {
    /// `properties.message-id`, where it is not the event's id.
    pub(super) const MESSAGE_ID: &str = "weftmessageid";
    /// `properties.correlation-id`.
    pub(super) const CORRELATION_ID: &str = "weftcorrelationid";
    /// `properties.reply-to`.
    pub(super) const REPLY_TO: &str = "weftreplyto";
    /// `properties.subject`, where it is not the event's subject.
    pub(super) const SUBJECT: &str = "weftsubject";
    /// `header.priority`, where it is not 4.
    pub(super) const PRIORITY: &str = "weftpriority";
    /// `header.durable`, where the message says false.
    pub(super) const DURABLE: &str = "weftdurable";
    /// `properties.content-encoding`.
    pub(super) const CONTENT_ENCODING: &str = "weftcontentencoding";
    /// `properties.absolute-expiry-time`, or now and `header.ttl`.
    pub(super) const EXPIRY: &str = "expirytime";
    /// The message annotation `x-opt-partition-key`.
    pub(super) const PARTITION_KEY: &str = "partitionkey";
}

/// The annotation of a message's partition, as Azure has it.
const PARTITION_KEY: &str = "x-opt-partition-key";
/// The annotation of the kind of message that a JMS client made.
const JMS_TYPE: &str = "x-opt-jms-msg-type";

/// Whether a property's name begins with one of the two prefixes: which, and the attribute's name.
fn attribute(name: &str) -> Option<(&'static str, &str)> {
    // Most properties are told apart by their first bytes.
    let rest = name.strip_prefix("cloudEvents")?;
    match rest.as_bytes().first()? {
        b':' => Some((COLON, &rest[1..])),
        b'_' => Some((UNDERSCORE, &rest[1..])),
        _ => None,
    }
}
