//! Binary mode: attributes as `ce-` headers, the data as the body (HTTP binding, section 3.1).
//!
//! Decoding is strict where two readings would differ: a header that comes twice, a `ce-datacontenttype`, a missing
//! `ce-specversion` are errors. Encoding makes printable ASCII of every value, so that nothing can end a header.

use std::borrow::Cow;
use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use weft_api::event::header::{decode_value, encode_value};
use weft_api::event::{AttrKind, Event, EventBuilder, SPECVERSION};

use super::{content_type, excerpt};

thread_local! {
    /// One builder a thread: decoding costs the event's own block and nothing else.
    static SCRATCH: RefCell<EventBuilder> = RefCell::new(EventBuilder::new());
}

const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const VERSION_1_0: HeaderValue = HeaderValue::from_static(SPECVERSION);

/// Makes the event that the headers and the body carry. An empty body is an event without data.
///
/// # Errors
/// The sender's fault, in one line: what breaks which rule.
pub fn decode(headers: &HeaderMap, body: Bytes) -> Result<Event, String> {
    SCRATCH.with_borrow_mut(|builder| {
        builder.clear();
        let event = fill(builder, headers, body).and_then(|()| builder.build().map_err(|e| e.to_string()));
        builder.clear();
        event
    })
}

fn fill(builder: &mut EventBuilder, headers: &HeaderMap, body: Bytes) -> Result<(), String> {
    let mut versioned = false;
    let mut previous: Option<&HeaderName> = None;
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix("ce-") else {
            continue;
        };
        // The values of one name follow each other.
        if previous == Some(header) {
            return Err(format!(
                "header {:?} comes more than once; send each attribute once",
                excerpt(header.as_str())
            ));
        }
        previous = Some(header);
        if name == "datacontenttype" {
            return Err(
                "header \"ce-datacontenttype\" is not allowed (HTTP binding of CloudEvents 1.0.2, section \
                        3.1.1); send content-type"
                    .into(),
            );
        }
        versioned |= name == "specversion";
        let text = decode_value(value.as_bytes())
            .map_err(|error| format!("header {:?}: {error}", excerpt(header.as_str())))?;
        builder.set(name, AttrKind::String, &text);
    }
    if !versioned {
        return Err("header \"ce-specversion\" is missing; send ce-specversion: 1.0".into());
    }
    match content_type(headers) {
        Ok(Some(media)) => _ = builder.datacontenttype(media),
        Ok(None) => {}
        Err(_) => return Err("header \"content-type\" comes more than once or is no text; send one".into()),
    }
    if !body.is_empty() {
        builder.data(body);
    }
    Ok(())
}

/// Adds the event's headers to `headers`, `content-length` included, and returns the body.
///
/// The values share one allocation.
pub fn encode(event: &Event, headers: &mut HeaderMap) -> Bytes {
    headers.insert(CE_SPECVERSION, VERSION_1_0);
    let mut text = BytesMut::with_capacity(256);
    for (name, value) in event.attributes() {
        // A content type is a header of HTTP's own and stands as it is.
        let encoded = if name == "datacontenttype" {
            Cow::Borrowed(value.text)
        } else {
            encode_value(value.text)
        };
        text.extend_from_slice(encoded.as_bytes());
        let value = HeaderValue::from_maybe_shared(text.split().freeze())
            .expect("printable ASCII: encode_value and the rule of media types make it so");
        headers.insert(header_name(name), value);
    }
    let body = event.data().cloned().unwrap_or_default();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    body
}

macro_rules! well_known {
    ($($attribute:literal => $header:literal,)*) => {
        /// The header of an attribute; those that are usual cost nothing to name.
        fn header_name(attribute: &str) -> HeaderName {
            match attribute {
                "datacontenttype" => CONTENT_TYPE,
                $($attribute => const { HeaderName::from_static($header) },)*
                other => named(other),
            }
        }
    };
}

well_known! {
    "id" => "ce-id",
    "source" => "ce-source",
    "type" => "ce-type",
    "subject" => "ce-subject",
    "time" => "ce-time",
    "dataschema" => "ce-dataschema",
    "partitionkey" => "ce-partitionkey",
    "traceparent" => "ce-traceparent",
    "tracestate" => "ce-tracestate",
    "sequence" => "ce-sequence",
    "expirytime" => "ce-expirytime",
    "weftreason" => "ce-weftreason",
}

fn named(attribute: &str) -> HeaderName {
    let mut name = String::with_capacity(3 + attribute.len());
    name.push_str("ce-");
    name.push_str(attribute);
    HeaderName::from_bytes(name.as_bytes()).expect("an attribute's name is a-z and 0-9, at most 255 of them")
}
