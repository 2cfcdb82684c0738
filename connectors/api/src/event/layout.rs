//! The event's layout: one block of attribute text with a small inline index, and data as `Bytes`.
//!
//! Block: the values of the seven core attributes one after another in [`Core`] order (absent ones take no
//! room), then the extensions in the order in which they came, each as a head of [`EXT_HEAD`] bytes, its
//! name, its value. A head is kind, name length (2 bytes), value length (4 bytes), seven bits a byte, most
//! significant first. Seven bits keep the whole block UTF-8, so that text is a slice and never validated
//! again; the alternative, a byte block, would pay a UTF-8 check for each look-up.
//!
//! All text is canonical and was validated when the block was built, so that an encoder writes it without
//! parsing. A clone is at most three reference counts.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::attr::{AttrKind, AttrValue, Attributes};
use super::builder::EventBuilder;

/// The one value of `specversion` that Weft speaks.
pub const SPECVERSION: &str = "1.0";

/// The core attributes, in block order. `specversion` is always `1.0` and takes no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Core {
    Id,
    Source,
    Type,
    Subject,
    Time,
    DataContentType,
    DataSchema,
}

/// How many core attributes the index holds.
pub(super) const CORE_COUNT: usize = 7;

impl Core {
    pub(super) const ALL: [Core; CORE_COUNT] = [
        Core::Id,
        Core::Source,
        Core::Type,
        Core::Subject,
        Core::Time,
        Core::DataContentType,
        Core::DataSchema,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Core::Id => "id",
            Core::Source => "source",
            Core::Type => "type",
            Core::Subject => "subject",
            Core::Time => "time",
            Core::DataContentType => "datacontenttype",
            Core::DataSchema => "dataschema",
        }
    }

    pub(super) fn kind(self) -> AttrKind {
        match self {
            Core::Source => AttrKind::UriReference,
            Core::Time => AttrKind::Timestamp,
            Core::DataSchema => AttrKind::Uri,
            _ => AttrKind::String,
        }
    }

    pub(super) fn by_name(name: &str) -> Option<Core> {
        // A match compares lengths first, which a loop over the names would not: this runs for each name of
        // each event.
        Some(match name {
            "id" => Core::Id,
            "source" => Core::Source,
            "type" => Core::Type,
            "subject" => Core::Subject,
            "time" => Core::Time,
            "datacontenttype" => Core::DataContentType,
            "dataschema" => Core::DataSchema,
            _ => return None,
        })
    }
}

/// Bytes before an extension's name.
pub(super) const EXT_HEAD: usize = 7;
/// The longest attribute name that is taken; the specification advises 20.
pub(super) const NAME_MAX: usize = 255;
/// The largest block, and so the longest value: what four groups of seven bits can say.
pub(super) const BLOCK_MAX: usize = (1 << 28) - 1;

/// Writes one extension as the block holds it. The lengths are within [`NAME_MAX`] and [`BLOCK_MAX`].
pub(super) fn push_extension(block: &mut String, kind: AttrKind, name: &str, value: &str) {
    let seven = |length: usize, shift: u32| char::from((length >> shift) as u8 & 0x7f);
    block.push(char::from(kind as u8));
    block.push(seven(name.len(), 7));
    block.push(seven(name.len(), 0));
    for shift in [21, 14, 7, 0] {
        block.push(seven(value.len(), shift));
    }
    block.push_str(name);
    block.push_str(value);
}

/// Charged for each event on top of its bytes: the handle, the block's counts, its place in a queue and a
/// ledger.
const OVERHEAD: u64 = 192;

/// A CloudEvent 1.0. Cheap to clone; immutable; valid by construction.
#[derive(Clone)]
pub struct Event {
    pub(super) block: Arc<str>,
    /// Where each core attribute ends in the block; it starts where the one before ends.
    pub(super) ends: [u32; CORE_COUNT],
    /// Bit `n` is set where core attribute `n` is present.
    pub(super) present: u8,
    /// The data was cut out of a JSON document, so that it is one JSON value without space around it.
    pub(super) json_data: bool,
    pub(super) data: Option<Bytes>,
    pub(super) key: Option<Bytes>,
}

impl Event {
    /// `id`, never empty.
    pub fn id(&self) -> &str {
        self.text(Core::Id)
    }

    /// `source`, a URI-reference, never empty.
    pub fn source(&self) -> &str {
        self.text(Core::Source)
    }

    /// `type`, never empty.
    pub fn ty(&self) -> &str {
        self.text(Core::Type)
    }

    /// `subject`, never empty.
    pub fn subject(&self) -> Option<&str> {
        self.core(Core::Subject)
    }

    /// `time`: an RFC 3339 timestamp with the offset and the fraction that it came with.
    pub fn time(&self) -> Option<&str> {
        self.core(Core::Time)
    }

    /// `datacontenttype`: an RFC 2046 media type.
    pub fn datacontenttype(&self) -> Option<&str> {
        self.core(Core::DataContentType)
    }

    /// `dataschema`: a URI with a scheme.
    pub fn dataschema(&self) -> Option<&str> {
        self.core(Core::DataSchema)
    }

    /// The core attributes that are present, without `specversion`, then the extensions in the order in which
    /// they came.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, AttrValue<'_>)> {
        let core = Core::ALL.into_iter().filter_map(|core| {
            let text = self.core(core)?;
            Some((
                core.name(),
                AttrValue {
                    kind: core.kind(),
                    text,
                },
            ))
        });
        core.chain(self.extensions())
    }

    /// The extensions in the order in which they came.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, AttrValue<'_>)> {
        Extensions {
            rest: &self.block[self.ends[CORE_COUNT - 1] as usize..],
        }
    }

    /// The data's bytes, as they came. JSON data is the JSON text, untouched.
    pub fn data(&self) -> Option<&Bytes> {
        self.data.as_ref()
    }

    /// What the event is ordered by: the transport's key if it had one, else the extension `partitionkey`.
    pub fn key(&self) -> Option<&[u8]> {
        match &self.key {
            Some(key) => Some(key),
            None => self.extension("partitionkey").map(|value| value.text.as_bytes()),
        }
    }

    /// The transport's own key (a Kafka record key, an AMQP group-id), if it had one.
    pub fn transport_key(&self) -> Option<&Bytes> {
        self.key.as_ref()
    }

    /// The same event with another transport key.
    #[must_use]
    pub fn with_key(mut self, key: Option<Bytes>) -> Event {
        self.key = key;
        self
    }

    /// What the event is charged for, in bytes: attributes, data, key and a fixed overhead.
    pub fn size(&self) -> u64 {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len) as u64;
        OVERHEAD + self.block.len() as u64 + length(&self.data) + length(&self.key)
    }

    /// A builder that holds this event's attributes, data and key.
    pub fn edit(&self) -> EventBuilder {
        let mut builder = EventBuilder::new();
        builder.load(self);
        builder
    }

    fn core(&self, core: Core) -> Option<&str> {
        (self.present & (1 << core as u8) != 0).then(|| self.text(core))
    }

    /// The core attribute's text, empty where it is absent.
    fn text(&self, core: Core) -> &str {
        let index = core as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.block[start as usize..self.ends[index] as usize]
    }

    fn extension(&self, name: &str) -> Option<AttrValue<'_>> {
        self.extensions()
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value)
    }
}

impl Attributes for Event {
    fn get(&self, name: &str) -> Option<AttrValue<'_>> {
        if let Some(core) = Core::by_name(name) {
            return self.core(core).map(|text| AttrValue {
                kind: core.kind(),
                text,
            });
        }
        if name == "specversion" {
            return Some(AttrValue {
                kind: AttrKind::String,
                text: SPECVERSION,
            });
        }
        self.extension(name)
    }
}

/// Same attributes (type and text; extensions in any order) and same data. The transport's key does not
/// count.
impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        if self.present != other.present || self.data != other.data {
            return false;
        }
        if self.ends == other.ends && self.block == other.block {
            return true;
        }
        Core::ALL
            .into_iter()
            .all(|core| self.text(core) == other.text(core))
            && sorted(self) == sorted(other)
    }
}

impl Eq for Event {}

fn sorted(event: &Event) -> Vec<(&str, AttrKind, &str)> {
    let mut all: Vec<_> = event
        .extensions()
        .map(|(name, value)| (name, value.kind, value.text))
        .collect();
    all.sort_unstable_by_key(|(name, _, _)| *name);
    all
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.attributes() {
            map.entry(&name, &value.text);
        }
        map.entry(&"data bytes", &self.data.as_ref().map(Bytes::len))
            .finish()
    }
}

struct Extensions<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (&'a str, AttrValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_at_checked(EXT_HEAD)?;
        let head = head.as_bytes();
        let seven = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 7 | usize::from(*byte));
        let (name, rest) = rest.split_at(seven(&head[1..3]));
        let (text, rest) = rest.split_at(seven(&head[3..]));
        self.rest = rest;
        Some((
            name,
            AttrValue {
                kind: AttrKind::from_code(head[0]),
                text,
            },
        ))
    }
}
