//! Binary mode (binding, 3.1; MQTT 5 only): attributes as user properties of the same name, Content Type, data as the
//! payload.
//!
//! Names have no prefix. So `specversion` alone says that a message is an event: `id`, `source` and `type` are words
//! that any device uses. User properties whose names no attribute can have are the transport's and are left behind.

use std::time::SystemTime;

use weft_api::event::{AttrKind, Event, EventBuilder, check};

use super::metadata;
use super::publish::Publish;

const SPECVERSION: &str = "specversion";
const DATACONTENTTYPE: &str = "datacontenttype";

/// Whether the message says of itself that it is an event.
pub(crate) fn is_event(publish: &Publish<'_>) -> bool {
    publish.properties.user.get(SPECVERSION).is_some()
}

/// The event. A zero-length payload is no data: MQTT cannot tell the two apart.
///
/// # Errors
/// Which property comes twice, or which attribute breaks which rule.
pub(crate) fn decode(
    publish: &Publish<'_>,
    builder: &mut EventBuilder,
    now: fn() -> SystemTime,
) -> Result<Event, String> {
    builder.clear();
    let properties = &publish.properties;
    if let Some(media) = properties.content_type.filter(|media| !media.is_empty()) {
        builder.datacontenttype(media);
    }
    let mut versioned = false;
    for (name, value) in properties.user.iter() {
        let repeated = match name {
            SPECVERSION => std::mem::replace(&mut versioned, true),
            // Some senders repeat Content Type as an attribute, as the binding's own example does.
            DATACONTENTTYPE => match builder.get(DATACONTENTTYPE) {
                Some(media) if media.text == value => continue,
                Some(_) => return Err("Content Type and user property `datacontenttype` differ".into()),
                None => false,
            },
            _ if !check::name(name) => continue,
            _ => builder.has(name),
        };
        if repeated {
            return Err(format!("user property `{name}` comes twice"));
        }
        builder.set(name, AttrKind::String, value);
    }
    metadata::add(builder, publish, now);
    if !publish.payload.is_empty() {
        builder.data(publish.payload.clone());
    }
    builder.build().map_err(|invalid| invalid.to_string())
}
