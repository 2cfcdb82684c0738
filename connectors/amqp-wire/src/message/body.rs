//! The body of a message (messaging 3.2.6 to 3.2.8): data, sequences, or one value.

use bytes::{BufMut, Bytes, BytesMut};

use crate::descriptor;
use crate::error::{DecodeError, Fault};
use crate::value::{Get, Raw, Reader};

/// What the message carries.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// No body at all, which some peers send for one that is empty.
    Empty,
    /// One or more data sections.
    Data(Data<'a>),
    /// One or more amqp-sequence sections.
    Sequences(Sequences<'a>),
    /// One amqp-value: text and binary can be read at once ([`Raw::view`]), for all else there are its encoded bytes,
    /// which have been checked.
    Value(Raw<'a>),
}

/// Data sections. Several are one piece of data that was cut.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    first: &'a [u8],
    /// Behind the first section: the others, each with its descriptor.
    more: Reader<'a>,
    count: usize,
    len: usize,
}

impl<'a> Data<'a> {
    /// Behind the descriptor of the first data section, up to the section that is none.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let first = binary(reader)?;
        let mut data = Self {
            more: *reader,
            count: 1,
            first,
            len: first.len(),
        };
        while let Some(next) = follows(reader, descriptor::DATA) {
            *reader = next;
            data.len += binary(reader)?.len();
            data.count += 1;
        }
        Ok(data)
    }

    /// Bytes of all sections together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The data, if it lies in one piece.
    #[must_use]
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        (self.count == 1).then_some(self.first)
    }

    /// The data: shared with the payload, or a copy where it comes in several sections.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if self.count == 1 {
            return self.more.share(self.first);
        }
        let mut whole = BytesMut::with_capacity(self.len);
        whole.put_slice(self.first);
        let mut sections = self.more;
        for _ in 1..self.count {
            // They have been read before: no error is left.
            let Some(mut next) = follows(&sections, descriptor::DATA) else {
                break;
            };
            let Ok(part) = binary(&mut next) else { break };
            whole.put_slice(part);
            sections = next;
        }
        whole.freeze()
    }
}

/// Behind the next descriptor, if it is this one.
pub(super) fn follows<'a>(reader: &Reader<'a>, code: u64) -> Option<Reader<'a>> {
    let mut next = *reader;
    (next.descriptor() == Ok(code)).then_some(next)
}

fn binary<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let at = *reader;
    let read = reader.byte().and_then(|found| {
        <&[u8]>::get(found, reader)?.ok_or_else(|| {
            at.fault(Fault::WrongType {
                expected: "binary",
                found,
            })
        })
    });
    read.map_err(|e| e.within("data"))
}

/// amqp-sequence sections, each a list.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    /// The list of the first section, and all that follow with their descriptors.
    sections: Reader<'a>,
    left: usize,
}

impl<'a> Sequences<'a> {
    /// Behind the descriptor of the first section, up to the section that is none.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let sections = *reader;
        let mut left = 0;
        loop {
            list(reader)?.check().map_err(|e| e.within("amqp-sequence"))?;
            left += 1;
            match follows(reader, descriptor::AMQP_SEQUENCE) {
                Some(next) => *reader = next,
                None => return Ok(Self { sections, left }),
            }
        }
    }
}

fn list<'a>(reader: &mut Reader<'a>) -> Result<Raw<'a>, DecodeError> {
    let mut whole = *reader;
    reader.list("list").map_err(|e| e.within("amqp-sequence"))?;
    whole.raw()
}

/// The lists, encoded. They have been checked.
impl<'a> Iterator for Sequences<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.left = self.left.checked_sub(1)?;
        let raw = self.sections.raw().ok()?;
        if let Some(next) = follows(&self.sections, descriptor::AMQP_SEQUENCE) {
            self.sections = next;
        }
        Some(raw)
    }
}
