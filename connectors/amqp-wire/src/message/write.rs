//! Writes messages section by section, straight into the output. The order of the calls is the order of the sections:
//! header, delivery-annotations, message-annotations, properties, application-properties, body, footer.

use super::{Header, Properties};
use crate::descriptor;
use crate::value::write::{Put, descriptor as put_descriptor, symbol};
use crate::value::{Open, ValueRef};

/// A message that is being written. Sections that would say nothing are left out.
pub struct MessageWriter<'o> {
    out: &'o mut Vec<u8>,
    /// The last section, to notice a wrong order in tests.
    before: u64,
}

impl<'o> MessageWriter<'o> {
    /// Appends to `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, before: 0 }
    }

    /// The header, unless it is the default.
    pub fn header(&mut self, header: &Header) {
        self.section(descriptor::HEADER);
        if *header != Header::default() {
            header.encode(self.out);
        }
    }

    /// The delivery-annotations that `fill` puts in.
    pub fn delivery_annotations<R>(&mut self, fill: impl FnOnce(&mut MapWriter<'_>) -> R) -> R {
        self.map(descriptor::DELIVERY_ANNOTATIONS, symbol, fill)
    }

    /// The message-annotations that `fill` puts in.
    pub fn message_annotations<R>(&mut self, fill: impl FnOnce(&mut MapWriter<'_>) -> R) -> R {
        self.map(descriptor::MESSAGE_ANNOTATIONS, symbol, fill)
    }

    /// The properties, unless there are none.
    pub fn properties(&mut self, properties: &Properties<'_>) {
        self.section(descriptor::PROPERTIES);
        if *properties != Properties::default() {
            properties.encode(self.out);
        }
    }

    /// The application-properties that `fill` puts in.
    pub fn application_properties<R>(&mut self, fill: impl FnOnce(&mut MapWriter<'_>) -> R) -> R {
        self.map(descriptor::APPLICATION_PROPERTIES, |out, key| key.put(out), fill)
    }

    /// A data section. It may be called again: the pieces are one piece of data.
    pub fn data(&mut self, data: &[u8]) {
        self.section(descriptor::DATA);
        put_descriptor(self.out, descriptor::DATA);
        data.put(self.out);
    }

    /// An amqp-value: text, binary, null, or anything else.
    pub fn value(&mut self, value: impl Put) {
        self.section(descriptor::AMQP_VALUE);
        put_descriptor(self.out, descriptor::AMQP_VALUE);
        value.put(self.out);
    }

    /// An amqp-sequence section out of an encoded list.
    pub fn sequence(&mut self, list: impl Put) {
        self.section(descriptor::AMQP_SEQUENCE);
        put_descriptor(self.out, descriptor::AMQP_SEQUENCE);
        list.put(self.out);
    }

    /// The footer that `fill` puts in.
    pub fn footer<R>(&mut self, fill: impl FnOnce(&mut MapWriter<'_>) -> R) -> R {
        self.map(descriptor::FOOTER, symbol, fill)
    }

    fn section(&mut self, section: u64) {
        debug_assert!(self.before <= section, "section 0x{section:x} is out of order");
        self.before = section;
    }

    #[inline]
    fn map<R>(
        &mut self,
        section: u64,
        key: fn(&mut Vec<u8>, &str),
        fill: impl FnOnce(&mut MapWriter<'_>) -> R,
    ) -> R {
        self.section(section);
        let start = self.out.len();
        put_descriptor(self.out, section);
        let open = Open::map(self.out);
        let mut map = MapWriter {
            out: self.out,
            key,
            entries: 0,
        };
        let result = fill(&mut map);
        match map.entries {
            0 => self.out.truncate(start),
            entries => open.close(self.out, entries * 2),
        }
        result
    }
}

/// The entries of a map that is being written. Keys are not compared: each may come once.
pub struct MapWriter<'o> {
    out: &'o mut Vec<u8>,
    key: fn(&mut Vec<u8>, &str),
    entries: usize,
}

impl MapWriter<'_> {
    /// An entry. A key of annotations is ASCII; application-properties take simple values only.
    pub fn put(&mut self, key: &str, value: ValueRef<'_>) {
        (self.key)(self.out, key);
        value.put(self.out);
        self.entries += 1;
    }

    /// Entries so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether there are none so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }
}
