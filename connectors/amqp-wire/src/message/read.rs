//! Reads the sections of a message in their order.

use bytes::Bytes;

use super::body::{Data, Sequences};
use super::{Annotations, ApplicationProperties, Body, Entries, Header, Properties};
use crate::descriptor;
use crate::error::{DecodeError, Fault};
use crate::value::Reader;

/// A message that borrows from its payload. Header and properties have been read; the maps are read by iterating; the
/// body has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The header; its defaults where it is absent.
    pub header: Header,
    /// For the next hop only.
    pub delivery_annotations: Option<Annotations<'a>>,
    /// Of the infrastructure, carried to the end.
    pub message_annotations: Option<Annotations<'a>>,
    /// The properties; all absent where the section is.
    pub properties: Properties<'a>,
    /// The application's own.
    pub application_properties: Option<ApplicationProperties<'a>>,
    /// What it carries.
    pub body: Body<'a>,
    /// Hashes, signatures.
    pub footer: Option<Annotations<'a>>,
}

impl<'a> Message<'a> {
    /// Reads the payload of one delivery, all of its transfers together.
    ///
    /// # Errors
    /// A malformed section, an unknown one, or one out of order.
    pub fn decode(payload: &'a Bytes) -> Result<Self, DecodeError> {
        let mut message = Self {
            header: Header::default(),
            delivery_annotations: None,
            message_annotations: None,
            properties: Properties::default(),
            application_properties: None,
            body: Body::Empty,
            footer: None,
        };
        let mut reader = Reader::new(payload);
        let mut before = 0;
        while !reader.is_empty() {
            let at = reader;
            let section = reader.descriptor().map_err(|e| e.within("message"))?;
            let place = match section {
                descriptor::AMQP_SEQUENCE | descriptor::AMQP_VALUE => descriptor::DATA,
                other => other,
            };
            if place <= before {
                return Err(at.fault(Fault::SectionOrder(section)).within("message"));
            }
            before = place;
            let reader = &mut reader;
            match section {
                descriptor::HEADER => message.header = Header::decode(reader)?,
                descriptor::DELIVERY_ANNOTATIONS => {
                    message.delivery_annotations = Some(annotations(reader, "delivery-annotations")?);
                }
                descriptor::MESSAGE_ANNOTATIONS => {
                    message.message_annotations = Some(annotations(reader, "message-annotations")?);
                }
                descriptor::PROPERTIES => message.properties = Properties::decode(reader)?,
                descriptor::APPLICATION_PROPERTIES => {
                    let entries = Entries::open(reader, "application-properties")?;
                    message.application_properties = Some(ApplicationProperties(entries));
                }
                descriptor::DATA => message.body = Body::Data(Data::read(reader)?),
                descriptor::AMQP_SEQUENCE => message.body = Body::Sequences(Sequences::read(reader)?),
                descriptor::AMQP_VALUE => message.body = value(reader).map_err(|e| e.within("amqp-value"))?,
                descriptor::FOOTER => message.footer = Some(annotations(reader, "footer")?),
                unknown => return Err(at.fault(Fault::Descriptor(unknown)).within("message")),
            }
        }
        Ok(message)
    }
}

fn annotations<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<Annotations<'a>, DecodeError> {
    Entries::open(reader, what).map(Annotations)
}

fn value<'a>(reader: &mut Reader<'a>) -> Result<Body<'a>, DecodeError> {
    let raw = reader.raw()?;
    raw.check()?;
    Ok(Body::Value(raw))
}
