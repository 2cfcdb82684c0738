//! What `benches/mapping.rs` measures; no part of the connector's interface.
#![doc(hidden)]
#![allow(clippy::missing_panics_doc)]

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use weft_api::config::Node;
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_api::event::Event;

use crate::client::wire::publish::Manner;
use crate::client::wire::{ack, frame, kind, publish};
use crate::config::Version;
use crate::mapping::{Layout, Mapper, Properties, Publish};

/// Reads and writes messages as an ingress and a destination with these sections do.
pub struct Bench {
    mapper: Mapper,
    layout: Layout,
}

impl Bench {
    /// # Panics
    /// If a section has a mistake.
    #[must_use]
    pub fn new(ingress: (&Node, &IngressSettings), destination: (&Node, &EgressSettings)) -> Bench {
        let (_, mapping) = crate::config::ingress(ingress.0, ingress.1).expect("a section without a mistake");
        let (_, layout) =
            crate::config::egress(destination.0, destination.1).expect("a section without a mistake");
        Bench {
            mapper: Mapper::new(Arc::new(mapping)),
            layout,
        }
    }

    /// The event of a message.
    pub fn read(
        &mut self,
        topic: &str,
        content_type: Option<&str>,
        user: &[(&str, &str)],
        payload: &Bytes,
    ) -> Event {
        let incoming = self.mapper.map(&Publish {
            topic: topic.into(),
            payload: payload.clone(),
            retain: false,
            properties: Properties {
                content_type,
                user: user.iter().copied().collect(),
                ..Properties::default()
            },
        });
        assert!(!incoming.malformed, "the bench gives good messages only");
        incoming.event
    }

    /// Bytes of the message of an event.
    #[must_use]
    pub fn write(&self, event: &Event) -> u64 {
        self.layout
            .publish(event)
            .expect("the bench gives good events only")
            .size()
    }

    /// Takes packets off a buffer: the last event, and an acknowledgement for each.
    pub fn receive(&mut self, buffer: &mut BytesMut, acknowledgements: &mut Vec<u8>) -> Option<Event> {
        let mut last = None;
        while let Ok(Some(frame)) = frame::split(buffer, u32::MAX) {
            let received = publish::decode(Version::V5, frame.first, &frame.body).ok()?;
            last = Some(self.mapper.map(&received.publish).event);
            ack::encode(acknowledgements, Version::V5, kind::PUBACK, received.id, 0);
        }
        last
    }

    /// Writes the packet of an event.
    pub fn send(&self, event: &Event, id: u16, out: &mut Vec<u8>) {
        let manner = Manner {
            version: Version::V5,
            qos: 1,
            dup: false,
            id,
        };
        if let Ok(publish) = self.layout.publish(event)
            && publish::size(&publish, manner).is_some()
        {
            publish::encode(out, &publish, manner);
        }
    }
}
