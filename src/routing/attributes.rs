//! temporary copy of weft_api::event's interface
#![allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttrKind { String, Boolean, Integer, Binary, Uri, UriReference, Timestamp }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttrValue<'a> { pub kind: AttrKind, pub text: &'a str }
pub trait Attributes { fn get(&self, name: &str) -> Option<AttrValue<'_>>; }
