//! Binary mode (binding, 3.1): prefixed application properties, content-type, data in the body.
//!
//! Properties without the prefix are the application's and no attributes: they are left behind.

use weft_amqp_wire::message::Message;
use weft_api::event::EventBuilder;

use super::body::BYTES;
use super::{JMS_TYPE, attribute, value};

/// What was found among the application properties.
pub(crate) struct Found {
    /// The message says of itself that it is an event: `specversion`, or all that is required beside it.
    pub(crate) is_event: bool,
    /// What is wrong with it, if it is one.
    pub(crate) fault: Option<String>,
}

/// Sets the attributes that the application properties hold. Not yet: data, and the metadata of the transport.
pub(crate) fn attributes(message: &Message<'_>, builder: &mut EventBuilder, scratch: &mut String) -> Found {
    let (mut required, mut versioned) = (0, false);
    let (mut prefix, mut fault) = (None, None);
    for entry in message.application_properties.into_iter().flatten() {
        let (name, value) = match entry {
            Ok(entry) => entry,
            Err(error) => {
                fault.get_or_insert_with(|| error.to_string());
                break;
            }
        };
        let Some((theirs, name)) = attribute(name) else {
            continue;
        };
        if *prefix.get_or_insert(theirs) != theirs {
            fault.get_or_insert_with(|| {
                "it has both prefixes, `cloudEvents:` and `cloudEvents_`, and they are never mixed".to_owned()
            });
            continue;
        }
        match name {
            "id" | "source" | "type" => required += 1,
            "specversion" => versioned = true,
            _ => {}
        }
        if name != "specversion" && builder.has(name) {
            fault.get_or_insert_with(|| format!("property `{theirs}{}` comes twice", name.escape_default()));
            continue;
        }
        if let Err(what) = value::set(builder, name, value, scratch) {
            fault.get_or_insert_with(|| format!("property `{theirs}{}` {what}", name.escape_default()));
        }
    }
    // The property of the same name is for media types that no symbol can hold, and for JMS, whose clients label the bytes
    // themselves and let nobody set the content type.
    if let Some(content_type) = message.properties.content_type {
        match builder.get("datacontenttype") {
            Some(theirs) if theirs.text != content_type && is_a_label_of_jms(message, content_type) => {}
            Some(theirs) if theirs.text != content_type => {
                fault.get_or_insert_with(|| {
                    "content-type and the property of datacontenttype say different things".to_owned()
                });
            }
            _ => {
                builder.datacontenttype(content_type);
            }
        }
    }
    Found {
        is_event: versioned || required == 3,
        fault,
    }
}

fn is_a_label_of_jms(message: &Message<'_>, content_type: &str) -> bool {
    let annotations = message.message_annotations;
    content_type == BYTES && annotations.is_some_and(|all| matches!(all.find(JMS_TYPE), Ok(Some(_))))
}
