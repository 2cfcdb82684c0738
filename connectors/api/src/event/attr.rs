//! Attribute values as CloudEvents section "Type System" defines them, in their canonical text.

/// The types of the CloudEvents type system.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum AttrKind {
    /// Unicode text without control characters.
    String,
    /// `true` or `false`.
    Boolean,
    /// A signed 32-bit integer.
    Integer,
    /// Bytes; the text is base64 (RFC 4648 section 4).
    Binary,
    /// An absolute URI (RFC 3986 section 4.3).
    Uri,
    /// A URI-reference (RFC 3986 section 4.1).
    UriReference,
    /// An RFC 3339 timestamp, its offset and fraction as they came.
    Timestamp,
}

impl AttrKind {
    /// The kind that `kind as u8` stood for; codes come from our own blocks only.
    pub(super) fn from_code(code: u8) -> AttrKind {
        match code {
            1 => AttrKind::Boolean,
            2 => AttrKind::Integer,
            3 => AttrKind::Binary,
            4 => AttrKind::Uri,
            5 => AttrKind::UriReference,
            6 => AttrKind::Timestamp,
            _ => AttrKind::String,
        }
    }
}

/// One attribute's value: its type and its canonical text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttrValue<'a> {
    /// The type.
    pub kind: AttrKind,
    /// The canonical text.
    pub text: &'a str,
}

/// Anything whose attributes can be looked up by name; `specversion` is one of them.
pub trait Attributes {
    /// The attribute's value, or `None` where the event does not have it.
    fn get(&self, name: &str) -> Option<AttrValue<'_>>;
}
