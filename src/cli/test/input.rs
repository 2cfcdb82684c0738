//! From a case to what the router would be handed: the event as it is given, or what the ingress' own connector makes of
//! a raw message. Nothing is mapped here.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};
use weft_api::connector::RawMessage;
use weft_api::event::{Event, json, time};
use weft_api::ingress::Incoming;

use super::super::event::content_type;
use super::file::{Amqp, AmqpProperties, Case, Http, Kafka, Mqtt};
use super::words::Text;
use crate::config::Ingress;

/// What comes in.
pub(super) enum Input {
    /// An event.
    Event(Box<Event>),
    /// A message of this connector's protocol.
    Raw(&'static str, Box<RawMessage>),
}

/// A key of the case, and what is wrong below it.
pub(super) type Fault = (&'static str, String);

/// Reads what comes in; nothing where the case does not say.
///
/// # Errors
/// What is no event, or no message.
pub(super) fn read(case: &Case) -> Result<Option<Input>, Fault> {
    let raw = |kind: &'static str, made: Result<RawMessage, String>| {
        made.map(|raw| Some(Input::Raw(kind, Box::new(raw))))
            .map_err(|why| (kind, why))
    };
    if let Some(event) = &case.event {
        let event = of_event(event).map_err(|why| ("event", why))?;
        return Ok(Some(Input::Event(Box::new(event))));
    }
    if let Some(http) = &case.http {
        return raw("http", of_http(http));
    }
    if let Some(kafka) = &case.kafka {
        return raw("kafka", of_kafka(kafka));
    }
    if let Some(mqtt) = &case.mqtt {
        return raw("mqtt", of_mqtt(mqtt));
    }
    if let Some(amqp) = &case.amqp {
        return raw("amqp", of_amqp(amqp));
    }
    Ok(None)
}

impl Input {
    /// What the router is handed.
    ///
    /// # Errors
    /// Why the ingress turns it away by itself.
    pub(super) fn incoming(&self, ingress: &Ingress) -> Result<Vec<Incoming>, String> {
        match self {
            Input::Event(event) => Ok(vec![(**event).clone().into()]),
            Input::Raw(_, raw) => ingress.builder.map(raw),
        }
    }
}

fn of_event(given: &Map<String, Value>) -> Result<Event, String> {
    let mut event = given.clone();
    for (name, value) in [("specversion", "1.0"), ("id", "1"), ("source", "weft://test")] {
        event.entry(name).or_insert_with(|| value.into());
    }
    let text = Value::Object(event).to_string();
    json::decode(&Bytes::from(text)).map_err(|error| error.to_string())
}

/// Text as it is, base64 decoded, anything else as JSON; `None` where there is nothing.
fn body(value: Option<&Value>, base64: Option<&str>, key: &str) -> Result<Option<Bytes>, String> {
    match (value, base64) {
        (Some(_), Some(_)) => Err(format!("`{key}` and `{key}_base64` say the same thing; keep one")),
        (Some(Value::String(text)), None) => Ok(Some(Bytes::copy_from_slice(text.as_bytes()))),
        (Some(other), None) => Ok(Some(Bytes::from(other.to_string()))),
        (None, Some(text)) => match STANDARD.decode(text.trim()) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) => Err(format!("`{key}_base64` is no base64: {error}")),
        },
        (None, None) => Ok(None),
    }
}

fn pairs(of: &BTreeMap<String, Text>) -> Vec<(String, String)> {
    of.iter()
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect()
}

fn of_http(http: &Http) -> Result<RawMessage, String> {
    let body = body(http.body.as_ref(), http.body_base64.as_deref(), "body")?.unwrap_or_default();
    let mut headers = pairs(&http.headers);
    let typed = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    // As for `weft explain`: every HTTP client says what it sends.
    if !typed && !body.is_empty() {
        headers.push(("content-type".to_owned(), content_type(None, &body).to_owned()));
    }
    Ok(RawMessage {
        body,
        headers,
        address: http.path.clone().unwrap_or_default(),
        method: http.method.clone().unwrap_or_default(),
        ..RawMessage::default()
    })
}

fn of_kafka(kafka: &Kafka) -> Result<RawMessage, String> {
    let body = body(kafka.value.as_ref(), kafka.value_base64.as_deref(), "value")?;
    Ok(RawMessage {
        tombstone: body.is_none(),
        body: body.unwrap_or_default(),
        headers: pairs(&kafka.headers),
        address: kafka.topic.clone().unwrap_or_default(),
        key: kafka.key.as_ref().map(|key| Bytes::from(key.0.clone())),
        partition: kafka.partition,
        offset: kafka.offset,
        timestamp: kafka.timestamp.as_ref().map(millis).transpose()?,
        ..RawMessage::default()
    })
}

fn millis(text: &Text) -> Result<i64, String> {
    let moment = |at: std::time::SystemTime| {
        let since = at.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
    };
    text.0
        .parse()
        .ok()
        .or_else(|| time::parse(&text.0).and_then(moment))
        .ok_or_else(|| {
            format!(
                "`timestamp` {:?} is neither milliseconds since 1970 nor a time such as 2026-01-31T12:00:00Z",
                text.0
            )
        })
}

fn of_mqtt(mqtt: &Mqtt) -> Result<RawMessage, String> {
    let mut headers = pairs(&mqtt.user);
    headers.extend(
        mqtt.content_type
            .clone()
            .map(|media| ("content-type".to_owned(), media)),
    );
    let body = body(mqtt.payload.as_ref(), mqtt.payload_base64.as_deref(), "payload")?;
    Ok(RawMessage {
        body: body.unwrap_or_default(),
        headers,
        address: mqtt.topic.clone().unwrap_or_default(),
        retain: mqtt.retain,
        expiry: mqtt.expiry,
        response_topic: mqtt.response_topic.clone(),
        correlation: mqtt
            .correlation_data
            .as_ref()
            .map(|data| Bytes::from(data.0.clone())),
        ..RawMessage::default()
    })
}

fn of_amqp(amqp: &Amqp) -> Result<RawMessage, String> {
    let body = body(amqp.body.as_ref(), amqp.body_base64.as_deref(), "body")?;
    let AmqpProperties {
        message_id,
        correlation_id,
        subject,
        reply_to,
        content_type,
        content_encoding,
        group_id,
    } = &amqp.properties;
    let own = [
        ("message-id", message_id),
        ("correlation-id", correlation_id),
        ("subject", subject),
        ("reply-to", reply_to),
        ("content-type", content_type),
        ("content-encoding", content_encoding),
        ("group-id", group_id),
    ];
    let own = own
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.as_ref()?.0.clone())));
    Ok(RawMessage {
        body: body.unwrap_or_default(),
        headers: pairs(&amqp.application_properties),
        properties: Some(own.collect()),
        address: amqp.address.clone().unwrap_or_default(),
        ..RawMessage::default()
    })
}
