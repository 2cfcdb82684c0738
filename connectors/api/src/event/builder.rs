//! Builds events: collects attributes in a scratch buffer, then validates and lays them out in one pass.
//!
//! Invariant: [`EventBuilder::build`] is the only place where an [`Event`] comes into being.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::attr::{AttrKind, AttrValue};
use super::invalid::{InvalidEvent, Rule};
use super::layout::{BLOCK_MAX, CORE_COUNT, Core, EXT_HEAD, Event, SPECVERSION, push_extension};
use super::rules;

/// How many extensions are searched one by one; a hostile event with more of them gets an index instead.
const LINEAR_MAX: usize = 24;
/// How much scratch is kept between events.
const SCRATCH_MAX: usize = 64 * 1024;

/// Collects attributes and data and makes them an [`Event`]. Reusable: `build` leaves it empty and keeps its
/// scratch.
///
/// Nothing is checked before `build`, which names the first attribute that breaks a rule.
#[derive(Clone, Default, Debug)]
pub struct EventBuilder {
    /// Names and values, one after another; a value that was replaced stays until the next `clear`.
    text: String,
    core: [Option<Range<usize>>; CORE_COUNT],
    extensions: SmallVec<[Extension; 8]>,
    /// Where each name is in `extensions`; filled once there are more than [`LINEAR_MAX`].
    index: HashMap<Box<str>, usize>,
    specversion: Option<Box<str>>,
    data: Option<Bytes>,
    json_data: bool,
    key: Option<Bytes>,
    block: String,
}

#[derive(Clone, Debug)]
struct Extension {
    kind: AttrKind,
    name: Range<usize>,
    value: Range<usize>,
}

impl EventBuilder {
    /// An empty builder.
    pub fn new() -> EventBuilder {
        EventBuilder::default()
    }

    /// Forgets everything but the scratch room.
    pub fn clear(&mut self) {
        for text in [&mut self.text, &mut self.block] {
            text.clear();
            text.shrink_to(SCRATCH_MAX);
        }
        self.core = Default::default();
        self.extensions.clear();
        if !self.index.is_empty() {
            self.index = HashMap::new();
        }
        self.specversion = None;
        self.data = None;
        self.json_data = false;
        self.key = None;
    }

    /// Forgets what it holds and takes over the event's attributes, data and key: [`Event::edit`] without new
    /// scratch.
    pub fn load(&mut self, event: &Event) -> &mut Self {
        self.clear();
        self.text.reserve(event.block.len());
        for (name, value) in event.attributes() {
            match Core::by_name(name) {
                Some(core) => _ = self.set_core(core, value.text),
                // An event has each name once, so that there is nothing to look for.
                None => self.add_extension(name, value.kind, value.text),
            }
        }
        self.data.clone_from(&event.data);
        self.json_data = event.json_data;
        self.key.clone_from(&event.key);
        self
    }

    /// Sets any attribute, core or extension, from its canonical text; replaces one of the same name in its
    /// place.
    ///
    /// A core attribute has the type that the specification gives it, whatever `kind` says: formats may
    /// present a value as a native type or as its canonical text.
    pub fn set(&mut self, name: &str, kind: AttrKind, text: &str) -> &mut Self {
        if let Some(core) = Core::by_name(name) {
            return self.set_core(core, text);
        }
        if name == "specversion" {
            self.specversion = (text != SPECVERSION).then(|| text.into());
            return self;
        }
        match self.find(name) {
            Some(at) => {
                let value = self.push(text);
                let extension = &mut self.extensions[at];
                (extension.kind, extension.value) = (kind, value);
            }
            None => self.add_extension(name, kind, text),
        }
        self
    }

    /// Takes an extension out; a core attribute stays.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        if Core::by_name(name).is_none()
            && let Some(at) = self.find(name)
        {
            self.extensions.remove(at);
            self.index = HashMap::new();
            if self.extensions.len() > LINEAR_MAX {
                for (at, extension) in self.extensions.iter().enumerate() {
                    self.index.insert(self.text[extension.name.clone()].into(), at);
                }
            }
        }
        self
    }

    /// Sets `id`.
    pub fn id(&mut self, text: &str) -> &mut Self {
        self.set_core(Core::Id, text)
    }

    /// Sets `source`, a URI-reference.
    pub fn source(&mut self, text: &str) -> &mut Self {
        self.set_core(Core::Source, text)
    }

    /// Sets `type`.
    pub fn ty(&mut self, text: &str) -> &mut Self {
        self.set_core(Core::Type, text)
    }

    /// Sets `subject`.
    pub fn subject(&mut self, text: &str) -> &mut Self {
        self.set_core(Core::Subject, text)
    }

    /// Sets `time`, an RFC 3339 timestamp.
    pub fn time(&mut self, text: &str) -> &mut Self {
        self.set_core(Core::Time, text)
    }

    /// Sets `datacontenttype`, a media type.
    pub fn datacontenttype(&mut self, text: &str) -> &mut Self {
        self.set_core(Core::DataContentType, text)
    }

    /// Sets `dataschema`, a URI with a scheme.
    pub fn dataschema(&mut self, text: &str) -> &mut Self {
        self.set_core(Core::DataSchema, text)
    }

    /// Sets an extension of type String.
    pub fn extension(&mut self, name: &str, text: &str) -> &mut Self {
        self.set(name, AttrKind::String, text)
    }

    /// Sets the data: bytes in the format that `datacontenttype` names.
    pub fn data(&mut self, data: Bytes) -> &mut Self {
        self.data = Some(data);
        self.json_data = false;
        self
    }

    /// Sets the data to what a JSON scanner found to be exactly one value.
    pub(super) fn scanned_json(&mut self, data: Bytes) -> &mut Self {
        self.data = Some(data);
        self.json_data = true;
        self
    }

    /// Sets the transport's key.
    pub fn key(&mut self, key: Bytes) -> &mut Self {
        self.key = Some(key);
        self
    }

    /// Whether the attribute was set.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The attribute as it was set; `specversion` is always there.
    pub fn get(&self, name: &str) -> Option<AttrValue<'_>> {
        if let Some(core) = Core::by_name(name) {
            let range = self.core[core as usize].clone()?;
            return Some(AttrValue {
                kind: core.kind(),
                text: &self.text[range],
            });
        }
        if name == "specversion" {
            let text = self.specversion.as_deref().unwrap_or(SPECVERSION);
            return Some(AttrValue {
                kind: AttrKind::String,
                text,
            });
        }
        let extension = &self.extensions[self.find(name)?];
        Some(AttrValue {
            kind: extension.kind,
            text: &self.text[extension.value.clone()],
        })
    }

    /// Validates (CloudEvents 1.0.2, all of its attribute rules), lays out, and leaves the builder empty,
    /// also on an error.
    ///
    /// # Errors
    /// The first attribute that breaks a rule: core ones in the order of the specification, then extensions.
    pub fn build(&mut self) -> Result<Event, InvalidEvent> {
        let event = self.lay_out();
        self.clear();
        event
    }

    fn lay_out(&mut self) -> Result<Event, InvalidEvent> {
        if let Some(version) = &self.specversion {
            return Err(InvalidEvent::new("specversion", Rule::SpecVersion, version));
        }
        let printable = rules::printable(&self.text);
        let head = self.extensions.len().saturating_mul(EXT_HEAD);
        if self.text.len().saturating_add(head) > BLOCK_MAX {
            return Err(InvalidEvent::new("", Rule::TooLarge, ""));
        }
        let (mut ends, mut present) = ([0; CORE_COUNT], 0);
        for core in Core::ALL {
            match self.core[core as usize].clone() {
                Some(range) => {
                    let value = &self.text[range];
                    rules::core(core, value, printable)
                        .map_err(|rule| InvalidEvent::new(core.name(), rule, value))?;
                    self.block.push_str(value);
                    present |= 1 << core as u8;
                }
                None if matches!(core, Core::Id | Core::Source | Core::Type) => {
                    return Err(InvalidEvent::new(core.name(), Rule::Required, ""));
                }
                None => {}
            }
            // Within u32: the sum was checked against BLOCK_MAX.
            ends[core as usize] = self.block.len() as u32;
        }
        for extension in &self.extensions {
            let (name, value) = (
                &self.text[extension.name.clone()],
                &self.text[extension.value.clone()],
            );
            rules::name(name).map_err(|rule| InvalidEvent::new(name, rule, ""))?;
            rules::value(extension.kind, value, printable)
                .map_err(|rule| InvalidEvent::new(name, rule, value))?;
            push_extension(&mut self.block, extension.kind, name, value);
        }
        Ok(Event {
            block: Arc::from(self.block.as_str()),
            ends,
            present,
            json_data: self.json_data,
            data: self.data.take(),
            key: self.key.take(),
        })
    }

    fn set_core(&mut self, core: Core, text: &str) -> &mut Self {
        let range = self.push(text);
        self.core[core as usize] = Some(range);
        self
    }

    fn add_extension(&mut self, name: &str, kind: AttrKind, text: &str) {
        let name = self.push(name);
        let value = self.push(text);
        self.extensions.push(Extension { kind, name, value });
        let unindexed = match self.extensions.len() {
            0..=LINEAR_MAX => return,
            _ if self.index.is_empty() => 0,
            count => count - 1,
        };
        for (at, extension) in self.extensions.iter().enumerate().skip(unindexed) {
            self.index.insert(self.text[extension.name.clone()].into(), at);
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        if !self.index.is_empty() {
            return self.index.get(name).copied();
        }
        self.extensions
            .iter()
            .position(|extension| &self.text[extension.name.clone()] == name)
    }

    fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }
}
