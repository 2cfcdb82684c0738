//! Records to events and back: the CloudEvents Kafka binding, and plain records.
//!
//! Owns: what each header, key and value means (`docs/connectors/kafka.md` has the tables).
//! Invariants: pure, no client; no record can panic here (a null or non-UTF-8 header is malformed input); a record that
//! cannot become the event that it should have been becomes one of type `weft.malformed` with its bytes as they were.
//! Does not know: partitions as lanes, offsets as watermarks, deliveries.

pub(crate) mod binary;
pub(crate) mod chunk;
pub(crate) mod egress;
pub(crate) mod ingress;
pub(crate) mod plain;
pub(crate) mod record;
pub(crate) mod structured;
#[cfg(test)]
mod tests;

/// What attributes are prefixed with in headers (binding, 3.2.3.1).
pub(crate) const PREFIX: &str = "ce_";
/// The header of `datacontenttype` in binary mode, and of the format in structured mode.
pub(crate) const CONTENT_TYPE: &str = "content-type";

/// A record's timestamp (milliseconds since 1970) as an event's `time`.
pub(crate) fn moment(ms: i64) -> String {
    let since = std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    weft_api::event::time::format(
        std::time::UNIX_EPOCH
            .checked_add(since)
            .unwrap_or(std::time::UNIX_EPOCH),
    )
}
