//! Structured mode (binding, 3.3): the whole event in the value, in the format that `content-type` names.

use weft_api::event::{Event, json};

use super::chunk::Chunk;
use super::record::Record;

/// What a media type says about the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// Not a CloudEvents media type.
    None,
    /// One event as JSON.
    Json,
    /// Several events: the binding has no batched mode.
    Batch,
    /// A format that we do not read.
    Unknown,
}

/// The format of a media type; parameters and case do not matter (binding, 3).
pub(crate) fn format(content_type: &str) -> Format {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let is = |other: &str| media.eq_ignore_ascii_case(other);
    let prefix = "application/cloudevents";
    let cloudevents = media
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    match () {
        () if !cloudevents => Format::None,
        () if is("application/cloudevents+json") || is(prefix) => Format::Json,
        () if media
            .get(prefix.len()..)
            .is_some_and(|rest| rest.to_ascii_lowercase().starts_with("-batch")) =>
        {
            Format::Batch
        }
        () => Format::Unknown,
    }
}

/// The event of a JSON record.
///
/// # Errors
/// What is wrong with the JSON, or with the event in it.
pub(crate) fn decode(record: &Record<'_>, chunk: &mut Chunk) -> Result<Event, String> {
    let value = record
        .value
        .ok_or("the record has no value, so it holds no event")?;
    let event = json::decode(&chunk.copy(value)).map_err(|error| error.to_string())?;
    Ok(match record.key {
        Some(key) => event.with_key(Some(chunk.copy(key))),
        None => event,
    })
}

#[cfg(test)]
mod tests {
    use super::{Format, format};

    #[test]
    fn the_media_type_tells_the_mode() {
        for (text, expected) in [
            ("application/cloudevents+json", Format::Json),
            ("Application/CloudEvents+JSON; charset=UTF-8", Format::Json),
            ("application/cloudevents", Format::Json),
            ("application/cloudevents+avro", Format::Unknown),
            ("application/cloudevents-batch+json", Format::Batch),
            ("application/json", Format::None),
            ("", Format::None),
            ("application/cloudevent\u{e9}", Format::None),
        ] {
            assert_eq!(format(text), expected, "{text}");
        }
    }
}
