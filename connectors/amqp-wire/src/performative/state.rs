//! Delivery states and outcomes (messaging 3.4).

use super::Error;
use crate::descriptor;
use crate::error::DecodeError;
use crate::value::write::{Put, descriptor as put_descriptor};
use crate::value::{FieldReader, FieldWriter, Fields, Reader, Value};

/// What has become of a delivery. All but [`DeliveryState::Received`] are outcomes.
#[derive(Clone, PartialEq, Debug)]
pub enum DeliveryState {
    /// So much of it has come: not an outcome.
    Received {
        /// The section.
        section_number: u32,
        /// The bytes of that section.
        section_offset: u64,
    },
    /// It was taken.
    Accepted,
    /// It is invalid, and will never be taken.
    Rejected(Option<Box<Error>>),
    /// It was not looked at, and may be sent again, here or elsewhere.
    Released,
    /// It was not taken, and has changed.
    Modified(Modified),
    /// A state that the core of the specification does not have (of a transaction, for one), as it came.
    Other(Box<Value>),
}

/// The outcome `modified` (messaging 3.4.5).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Modified {
    /// The attempt counts as a failed delivery.
    pub delivery_failed: bool,
    /// It shall not come to this link again.
    pub undeliverable_here: bool,
    /// Annotations to be merged into the message's.
    pub message_annotations: Fields,
}

impl DeliveryState {
    /// The symbol of an outcome, as a source lists those that it supports.
    pub const ACCEPTED: &'static str = "amqp:accepted:list";
    /// See [`Self::ACCEPTED`].
    pub const REJECTED: &'static str = "amqp:rejected:list";
    /// See [`Self::ACCEPTED`].
    pub const RELEASED: &'static str = "amqp:released:list";
    /// See [`Self::ACCEPTED`].
    pub const MODIFIED: &'static str = "amqp:modified:list";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = *reader;
        let state = match reader.descriptor() {
            Ok(descriptor::ACCEPTED) => {
                FieldReader::open(reader, "accepted")?;
                Self::Accepted
            }
            Ok(descriptor::RELEASED) => {
                FieldReader::open(reader, "released")?;
                Self::Released
            }
            Ok(descriptor::REJECTED) => {
                let mut f = FieldReader::open(reader, "rejected")?;
                Self::Rejected(f.with(Error::decode)?)
            }
            Ok(descriptor::MODIFIED) => {
                let mut f = FieldReader::open(reader, "modified")?;
                Self::Modified(Modified {
                    delivery_failed: f.or(false)?,
                    undeliverable_here: f.or(false)?,
                    message_annotations: f.or(Fields::default())?,
                })
            }
            Ok(descriptor::RECEIVED) => {
                let mut f = FieldReader::open(reader, "received")?;
                Self::Received {
                    section_number: f.must("section-number")?,
                    section_offset: f.must("section-offset")?,
                }
            }
            _ => {
                *reader = start;
                Self::Other(Box::new(reader.value()?))
            }
        };
        Ok(state)
    }
}

impl Put for DeliveryState {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Accepted => empty(out, descriptor::ACCEPTED),
            Self::Released => empty(out, descriptor::RELEASED),
            Self::Rejected(error) => {
                let mut f = FieldWriter::begin(out, descriptor::REJECTED);
                f.opt(error.as_deref());
                f.end();
            }
            Self::Modified(modified) => {
                let mut f = FieldWriter::begin(out, descriptor::MODIFIED);
                f.unless(modified.delivery_failed, false)
                    .unless(modified.undeliverable_here, false)
                    .opt(modified.message_annotations.some());
                f.end();
            }
            Self::Received {
                section_number,
                section_offset,
            } => {
                let mut f = FieldWriter::begin(out, descriptor::RECEIVED);
                f.put(section_number).put(section_offset);
                f.end();
            }
            Self::Other(value) => value.put(out),
        }
    }
}

fn empty(out: &mut Vec<u8>, descriptor: u64) {
    put_descriptor(out, descriptor);
    out.push(crate::value::code::LIST0);
}
