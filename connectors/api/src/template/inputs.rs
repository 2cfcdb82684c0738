//! What a message gives to templates.

use std::borrow::Cow;

use bytes::Bytes;

use super::Step;
use crate::event::{AttrValue, Attributes, Event};

/// A message (or event) as templates see it. A connector implements it over its own message, borrowing
/// everything.
///
/// Each method is asked only for what the place's [`super::Scope`] has; `None` means that this message lacks
/// it.
pub trait Inputs {
    /// An attribute of the event, `specversion` included.
    fn attribute(&self, name: &str) -> Option<AttrValue<'_>> {
        let _ = name;
        None
    }

    /// An input of the transport, such as `topic`, with the name or number behind it if there is one:
    /// `topic[1]` asks for `("topic", Some(Step::Element(1)))`, `headers.X` for `("headers",
    /// Some(Step::Member("X")))`. A value that is no UTF-8 is missing.
    fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
        let _ = (name, step);
        None
    }

    /// The message's body.
    fn data(&self) -> Option<&Bytes> {
        None
    }
}

/// At egress: the attributes, and `key`.
impl Inputs for Event {
    fn attribute(&self, name: &str) -> Option<AttrValue<'_>> {
        self.get(name)
    }

    fn root(&self, name: &str, _step: Option<&Step>) -> Option<Cow<'_, str>> {
        let key = self.key().filter(|_| name == "key")?;
        std::str::from_utf8(key).ok().map(Cow::Borrowed)
    }
}
