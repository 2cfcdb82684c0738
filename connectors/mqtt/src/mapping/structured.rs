//! Structured mode (binding, 3.2): the whole event as JSON in the payload.
//!
//! MQTT 5 says so with Content Type. MQTT 3.1.1 cannot, and what one of its clients published comes without Content
//! Type to a subscriber of MQTT 5, too: there the payload itself is looked at.

use std::time::SystemTime;

use weft_api::event::{CLOUDEVENTS_JSON, ContentMode, Event, EventBuilder, json};
use weft_api::template::Step;

use super::metadata;
use super::publish::Publish;

/// The media type of all formats without the format: taken for JSON, the one that every receiver must know.
const CLOUDEVENTS: &str = "application/cloudevents";

/// What the content type says.
pub(crate) fn mode(content_type: Option<&str>) -> ContentMode {
    match ContentMode::of(content_type) {
        ContentMode::Unsupported if essence(content_type).eq_ignore_ascii_case(CLOUDEVENTS) => {
            ContentMode::Structured
        }
        mode => mode,
    }
}

fn essence(content_type: Option<&str>) -> &str {
    let text = content_type.unwrap_or(CLOUDEVENTS_JSON);
    text.split(';').next().unwrap_or_default().trim()
}

/// Whether a payload without a content type may be an event: a JSON object that has a `specversion`.
pub(crate) struct Sniffer {
    path: [Step; 1],
}

impl Sniffer {
    pub(crate) fn new() -> Sniffer {
        Sniffer {
            path: [Step::Member("specversion".into())],
        }
    }

    /// Reads no further than to that member. It costs a plain message that is no object a look at its first byte.
    pub(crate) fn may_be_event(&self, payload: &[u8]) -> bool {
        payload.trim_ascii_start().first() == Some(&b'{') && json::lookup(payload, &self.path).is_some()
    }
}

/// The event in the payload, with what the packet says beside it.
///
/// # Errors
/// What is wrong with the JSON, or with the event in it.
pub(crate) fn decode(
    publish: &Publish<'_>,
    builder: &mut EventBuilder,
    now: fn() -> SystemTime,
) -> Result<Event, String> {
    if publish.payload.is_empty() {
        return Err("the payload is empty, so it holds no event".into());
    }
    let event = json::decode_with(builder, &publish.payload).map_err(|error| error.to_string())?;
    if !metadata::any(publish) {
        return Ok(event);
    }
    builder.load(&event);
    metadata::add(builder, publish, now);
    builder.build().map_err(|invalid| invalid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_mode() {
        for (text, expected) in [
            (
                Some("application/cloudevents+json; charset=utf-8"),
                ContentMode::Structured,
            ),
            (Some("Application/CloudEvents"), ContentMode::Structured),
            (Some("application/cloudevents-batch+json"), ContentMode::Batch),
            (Some("application/cloudevents+avro"), ContentMode::Unsupported),
            (Some("application/json"), ContentMode::Binary),
            (None, ContentMode::Binary),
        ] {
            assert_eq!(mode(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_an_object_with_a_specversion_may_be_an_event() {
        let sniffer = Sniffer::new();
        for (payload, expected) in [
            (&br#" {"id":"1","specversion":"1.0"}"#[..], true),
            (br#"{"specversion":3}"#, true),
            (br#"{"data":{"specversion":"1.0"}}"#, false),
            (br#"{"specversion":null}"#, false),
            (br#"["specversion"]"#, false),
            (b"21.5", false),
            (b"", false),
            (b"{\xff", false),
        ] {
            assert_eq!(sniffer.may_be_event(payload), expected, "{payload:?}");
        }
        let deep = "{\"a\":".repeat(100_000);
        assert!(!sniffer.may_be_event(deep.as_bytes()));
    }
}
