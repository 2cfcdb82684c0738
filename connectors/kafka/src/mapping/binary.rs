//! Binary mode (binding, 3.2): `ce_` headers, `content-type`, data as the value.
//!
//! Headers without the prefix are the transport's and no attributes: they are left behind.

use weft_api::event::{AttrKind, Event, EventBuilder};

use super::chunk::Chunk;
use super::record::Record;
use super::{CONTENT_TYPE, PREFIX};

/// Whether the record says of itself that it is an event: `ce_specversion`, or all that is required beside it.
pub(crate) fn is_event(record: &Record<'_>) -> bool {
    let has = |name: &str| record.header(name).is_some();
    has("ce_specversion") || (has("ce_id") && has("ce_source") && has("ce_type"))
}

/// The event.
///
/// # Errors
/// Which header is no attribute, or which attribute breaks which rule.
pub(crate) fn decode(
    record: &Record<'_>,
    builder: &mut EventBuilder,
    chunk: &mut Chunk,
) -> Result<Event, String> {
    builder.clear();
    for (name, value) in &record.headers {
        let attribute = match name.strip_prefix(PREFIX) {
            Some(attribute) => attribute,
            None if name.eq_ignore_ascii_case(CONTENT_TYPE) => "datacontenttype",
            None => continue,
        };
        let value = value.ok_or_else(|| format!("header `{}` has no value", name.escape_default()))?;
        let text = std::str::from_utf8(value)
            .map_err(|_| format!("header `{}` is not UTF-8", name.escape_default()))?;
        if attribute != "specversion" && builder.has(attribute) {
            return Err(format!("header `{}` comes twice", name.escape_default()));
        }
        builder.set(attribute, AttrKind::String, text);
    }
    if let Some(value) = record.value {
        builder.data(chunk.copy(value));
    }
    if let Some(key) = record.key {
        builder.key(chunk.copy(key));
    }
    builder.build().map_err(|invalid| invalid.to_string())
}
