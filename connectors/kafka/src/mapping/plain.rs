//! Plain records (no CloudEvents) to events, by the ingress' `event:`.
use weft_api::config::Finding;
use weft_api::connector::IngressSettings;
use weft_api::event::{Event, EventBuilder};

use super::chunk::Chunk;
use super::record::Record;

/// The `type` where `event.type` is not given.
pub(crate) const TYPE: &str = "weft.kafka.record";

/// What does not change from record to record.
pub(crate) struct Plain {
    source: String,
}

impl Plain {
    pub(crate) fn new(settings: &IngressSettings) -> Result<Plain, Vec<Finding>> {
        Ok(Plain { source: settings.default_source() })
    }

    pub(crate) fn decode(
        &self,
        record: &Record<'_>,
        builder: &mut EventBuilder,
        chunk: &mut Chunk,
    ) -> Result<Event, String> {
        builder.clear();
        builder.id(&record.coordinates()).source(&self.source).ty(TYPE);
        if let Some(ms) = record.timestamp {
            builder.time(&super::moment(ms));
        }
        if let Some(content_type) = record.content_type() {
            builder.datacontenttype(content_type);
        }
        if let Some(value) = record.value {
            builder.data(chunk.copy(value));
        }
        if let Some(key) = record.key {
            builder.key(chunk.copy(key));
        }
        builder.build().map_err(|invalid| invalid.to_string())
    }
}
