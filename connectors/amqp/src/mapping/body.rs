//! Bodies to data.
//!
//! | body | data | media type, where the message names none |
//! |---|---|---|
//! | data sections | their bytes, in one piece | by the JMS annotation, else none |
//! | amqp-value: binary | its bytes | as above |
//! | amqp-value: string or symbol | its UTF-8 text | `text/plain; charset=utf-8` (plain messages only) |
//! | amqp-value: null; no body | no data | none |
//! | any other amqp-value; amqp-sequences | JSON ([`super::json`]) | `application/json`, whatever the message names |
//!
//! Nothing is left out: what is no bytes becomes JSON by fixed rules. Turned down: the encoded AMQP value as data, which
//! would be exact, and useless to whoever does not speak AMQP.

use bytes::Bytes;
use weft_amqp_wire::message::{Body, Message};
use weft_amqp_wire::value::{Value, ValueRef};

use super::{JMS_TYPE, json};

/// Text in a plain message that names no media type.
const TEXT: &str = "text/plain; charset=utf-8";
/// What became JSON.
const JSON: &str = "application/json";
/// A JMS BytesMessage.
pub(super) const BYTES: &str = "application/octet-stream";
/// A JMS ObjectMessage.
const OBJECT: &str = "application/x-java-serialized-object";

/// A body as data.
pub(crate) struct Data {
    /// `None`: there is none.
    pub(crate) bytes: Option<Bytes>,
    /// The media type that the body itself suggests.
    pub(crate) hint: Hint,
}

/// What the body says about its media type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hint {
    /// Nothing.
    None,
    /// It is this, if the message does not say otherwise; for plain messages only.
    Plain(&'static str),
    /// It was made this, whatever the message says.
    Made(&'static str),
}

/// The body's data; shared with `payload` where it lies there in one piece.
///
/// # Errors
/// A value that the codec refuses.
pub(crate) fn data(message: &Message<'_>, payload: &Bytes) -> Result<Data, String> {
    let raw = match message.body {
        Body::Empty => return Ok(none()),
        Body::Data(data) => return Ok(bytes(data.to_bytes(), jms(message))),
        Body::Sequences(sequences) => {
            let mut items = Vec::new();
            for raw in sequences {
                match raw.value().map_err(|error| error.to_string())? {
                    Value::List(more) => items.extend(more),
                    other => items.push(other),
                }
            }
            return Ok(made(|out| json::sequence(&items, out)));
        }
        Body::Value(raw) => raw,
    };
    match raw.view().map_err(|error| error.to_string())? {
        ValueRef::Null => Ok(none()),
        ValueRef::Binary(slice) => Ok(bytes(payload.slice_ref(slice), jms(message))),
        ValueRef::String(text) | ValueRef::Symbol(text) => {
            Ok(bytes(payload.slice_ref(text.as_bytes()), Hint::Plain(TEXT)))
        }
        _ => {
            let value = raw.value().map_err(|error| error.to_string())?;
            Ok(made(|out| json::encode(&value, out)))
        }
    }
}

fn none() -> Data {
    Data {
        bytes: None,
        hint: Hint::None,
    }
}

fn bytes(bytes: Bytes, hint: Hint) -> Data {
    Data {
        bytes: Some(bytes),
        hint,
    }
}

fn made(encode: impl FnOnce(&mut String)) -> Data {
    let mut out = String::new();
    encode(&mut out);
    bytes(out.into(), Hint::Made(JSON))
}

/// What a JMS client says that it sent.
fn jms(message: &Message<'_>) -> Hint {
    let kind = message
        .message_annotations
        .and_then(|annotations| annotations.find(JMS_TYPE).ok().flatten());
    match kind {
        Some(ValueRef::Byte(1)) => Hint::Plain(OBJECT),
        Some(ValueRef::Byte(3)) => Hint::Plain(BYTES),
        _ => Hint::None,
    }
}
