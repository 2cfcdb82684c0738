//! What a PUBLISH says about itself beside the event: expiry, response topic, correlation data, the RETAIN flag.
//!
//! In: extensions, where the message has the field and the event does not say it already. Out: the fields, from those
//! extensions, which stay attributes as well; one that does not fit its field is only that. `docs/extensions.md`.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weft_api::event::{AttrKind, AttrValue, Event, EventBuilder, check, time};

use super::publish::Publish;
use super::{FIELD_MAX, topic};

const EXPIRY: &str = "expirytime";
const REPLY_TO: &str = "weftreplyto";
const CORRELATION: &str = "weftcorrelationid";
const RETAINED: &str = "weftretained";

/// Whether there is anything to add.
pub(crate) fn any(publish: &Publish<'_>) -> bool {
    let properties = &publish.properties;
    publish.retain
        || properties.expiry.is_some()
        || properties.response_topic.is_some()
        || properties.correlation.is_some()
}

/// Adds what the message says and the builder does not have yet; never anything that would spoil the event.
pub(crate) fn add(builder: &mut EventBuilder, publish: &Publish<'_>, now: fn() -> SystemTime) {
    let properties = &publish.properties;
    if let Some(seconds) = properties.expiry
        && !builder.has(EXPIRY)
        && let Some(at) = now().checked_add(Duration::from_secs(seconds.into()))
    {
        builder.set(EXPIRY, AttrKind::Timestamp, &time::format(at));
    }
    if let Some(topic) = &properties.response_topic
        && !topic.is_empty()
        && check::value(AttrKind::String, topic)
        && !builder.has(REPLY_TO)
    {
        builder.set(REPLY_TO, AttrKind::String, topic);
    }
    if let Some(data) = &properties.correlation
        && !data.is_empty()
        && !builder.has(CORRELATION)
    {
        match std::str::from_utf8(data) {
            Ok(text) if check::value(AttrKind::String, text) => {
                builder.set(CORRELATION, AttrKind::String, text);
            }
            _ => _ = builder.set(CORRELATION, AttrKind::Binary, &STANDARD.encode(data)),
        }
    }
    if publish.retain && !builder.has(RETAINED) {
        builder.set(RETAINED, AttrKind::Boolean, "true");
    }
}

/// The extensions that have a field in a PUBLISH.
#[derive(Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    expiry: Option<&'a str>,
    reply_to: Option<&'a str>,
    correlation: Option<AttrValue<'a>>,
}

impl<'a> Fields<'a> {
    /// All of the event's.
    pub(crate) fn of(event: &'a Event) -> Fields<'a> {
        let mut fields = Fields::default();
        for (name, value) in event.extensions() {
            fields.note(name, value);
        }
        fields
    }

    /// Looks at one attribute.
    pub(crate) fn note(&mut self, name: &str, value: AttrValue<'a>) {
        match name {
            EXPIRY => self.expiry = Some(value.text),
            REPLY_TO => self.reply_to = Some(value.text),
            CORRELATION => self.correlation = Some(value),
            _ => {}
        }
    }

    /// Message Expiry Interval: whole seconds that are left, rounded up, at least 1 (what has expired is not handed to
    /// an egress; the moment in between is the broker's), at most `most`.
    pub(crate) fn expiry(&self, most: Option<u32>, now: fn() -> SystemTime) -> Option<u32> {
        let left = self.expiry.and_then(time::parse).map(|at| {
            let left = at.duration_since(now()).unwrap_or_default();
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
        });
        match (left, most) {
            (Some(left), Some(most)) => Some(left.min(most)),
            (left, most) => left.or(most),
        }
    }

    /// Response Topic, where the attribute can be one.
    pub(crate) fn response_topic(&self) -> Option<&'a str> {
        self.reply_to.filter(|text| topic::check_name(text).is_ok())
    }

    /// Correlation Data, where the attribute can be it.
    pub(crate) fn correlation(&self) -> Option<Cow<'a, [u8]>> {
        let AttrValue { kind, text } = self.correlation?;
        let data = match kind {
            AttrKind::Binary => Cow::Owned(STANDARD.decode(text).ok()?),
            _ => Cow::Borrowed(text.as_bytes()),
        };
        (!data.is_empty() && data.len() <= FIELD_MAX).then_some(data)
    }
}
