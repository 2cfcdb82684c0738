//! Structured and batched mode: whole events in the body, in the JSON event format (HTTP binding, sections 3.2, 3.3).

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use weft_api::event::{CLOUDEVENTS_BATCH_JSON, CLOUDEVENTS_JSON, Event, json};

/// Makes the event that the body carries; headers do not matter (section 3.2.3).
///
/// # Errors
/// The sender's fault, in one line.
pub fn decode(body: &Bytes) -> Result<Event, String> {
    json::decode(body).map_err(|error| error.to_string())
}

/// Why a body is no batch that can be taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BatchError {
    /// More events than are taken at once.
    TooMany,
    /// The sender's fault, in one line.
    Malformed(String),
}

/// Makes the events that the body carries, at most `max_events`.
///
/// # Errors
/// One bad event refuses the batch, and is named by its index.
pub fn decode_batch(body: &Bytes, max_events: usize) -> Result<Vec<Event>, BatchError> {
    json::decode_batch(body, max_events).map_err(|error| match error {
        json::DecodeError::TooMany { .. } => BatchError::TooMany,
        error => BatchError::Malformed(error.to_string()),
    })
}

/// Adds the headers of structured mode and returns the body.
pub fn encode(event: &Event, headers: &mut HeaderMap) -> Bytes {
    let mut out = Vec::with_capacity(256 + event.data().map_or(0, Bytes::len));
    json::encode(event, &mut out);
    finish(out, HeaderValue::from_static(CLOUDEVENTS_JSON), headers)
}

/// Adds the headers of batched mode and returns the body.
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>, headers: &mut HeaderMap) -> Bytes {
    let mut out = Vec::with_capacity(4096);
    json::encode_batch(events, &mut out);
    finish(out, HeaderValue::from_static(CLOUDEVENTS_BATCH_JSON), headers)
}

fn finish(body: Vec<u8>, media: HeaderValue, headers: &mut HeaderMap) -> Bytes {
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Bytes::from(body)
}
