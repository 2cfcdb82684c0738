//! Binary mode (binding, 3.1; MQTT 5 only): attributes as user properties of the same name, Content Type, data as the
//! payload.
//!
//! Names have no prefix. So `specversion` alone says that a message is an event: `id`, `source` and `type` are words
//! that any device uses. User properties whose names no attribute can have are the transport's and are left behind.
//! The Go SDK writes `ce-` before each name, against the binding; that is read, too, and never written.

use std::time::SystemTime;

use weft_api::event::{AttrKind, Event, EventBuilder, check};

use super::metadata;
use super::publish::Publish;

const SPECVERSION: &str = "specversion";
const DATACONTENTTYPE: &str = "datacontenttype";
/// What the Go SDK puts before each name.
const GO_PREFIX: &str = "ce-";
const GO_SPECVERSION: &str = "ce-specversion";

/// What the names of attributes begin with in a message that says of itself that it is an event; `None` for any other.
pub(crate) fn prefix(publish: &Publish<'_>) -> Option<&'static str> {
    let user = &publish.properties.user;
    if user.get(SPECVERSION).is_some() {
        Some("")
    } else {
        user.get(GO_SPECVERSION).map(|_| GO_PREFIX)
    }
}

/// The event. A zero-length payload is no data: MQTT cannot tell the two apart.
///
/// # Errors
/// Which property comes twice, or which attribute breaks which rule.
pub(crate) fn decode(
    publish: &Publish<'_>,
    prefix: &str,
    builder: &mut EventBuilder,
    now: fn() -> SystemTime,
) -> Result<Event, String> {
    builder.clear();
    let properties = &publish.properties;
    if let Some(media) = properties.content_type.filter(|media| !media.is_empty()) {
        builder.datacontenttype(media);
    }
    let mut versioned = false;
    for (property, value) in properties.user.iter() {
        let Some(name) = property.strip_prefix(prefix) else {
            continue;
        };
        let repeated = match name {
            SPECVERSION => std::mem::replace(&mut versioned, true),
            // Some senders repeat Content Type as an attribute, as the binding's own example does.
            DATACONTENTTYPE => match builder.get(DATACONTENTTYPE) {
                Some(media) if media.text == value => continue,
                Some(_) => return Err("Content Type and user property `datacontenttype` differ".into()),
                None => false,
            },
            // A prefix says that an attribute was meant, whatever the name.
            _ if prefix.is_empty() && !check::name(name) => continue,
            _ => builder.has(name),
        };
        if repeated {
            return Err(format!("user property `{property}` comes twice"));
        }
        builder.set(name, AttrKind::String, value);
    }
    metadata::add(builder, publish, now);
    if !publish.payload.is_empty() {
        builder.data(publish.payload.clone());
    }
    builder.build().map_err(|invalid| invalid.to_string())
}
