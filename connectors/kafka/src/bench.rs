//! What `benches/headers.rs` measures; no part of the connector's interface.
#![doc(hidden)]

use rdkafka::message::OwnedHeaders;
use weft_api::event::{Event, EventBuilder};

use crate::mapping::chunk::Chunk;
use crate::mapping::record::{Record, list};
use crate::mapping::{binary, egress};

/// The event's headers in binary mode.
#[must_use]
pub fn write(event: &Event) -> OwnedHeaders {
    egress::binary_headers(event, 0, &mut String::new())
}

/// Reads events with scratch room that it keeps.
#[derive(Default)]
pub struct Reader {
    builder: EventBuilder,
    chunk: Chunk,
}

impl Reader {
    /// The event of a record in binary mode.
    ///
    /// # Panics
    /// If it is none.
    pub fn read(&mut self, headers: &OwnedHeaders, value: &[u8]) -> Event {
        let (headers, unreadable) = list(headers);
        let record = Record {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            value: Some(value),
            headers,
            unreadable,
        };
        binary::decode(&record, &mut self.builder, &mut self.chunk).expect("the bench gives events only")
    }
}
