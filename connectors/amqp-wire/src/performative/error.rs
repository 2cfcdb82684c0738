//! `error` (transport 2.8.14): why a peer ended or rejected something.

use std::fmt;

use super::described;
use crate::descriptor;
use crate::error::DecodeError;
use crate::value::write::Put;
use crate::value::{FieldWriter, Fields, Reader, Symbol, Text};

/// The peer's (or our) reason.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Error {
    /// A symbol of [`crate::condition`], or of the peer's own.
    pub condition: Symbol,
    /// Text for people.
    pub description: Option<Text>,
    /// Anything else: where a redirect leads to, for one.
    pub info: Fields,
}

impl Error {
    /// An error with a condition of [`crate::condition`].
    #[must_use]
    pub fn new(condition: &'static str, description: impl Into<Text>) -> Self {
        Self {
            condition: Symbol::from_static(condition),
            description: Some(description.into()),
            info: Fields::default(),
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Box<Self>, DecodeError> {
        let mut f = described(reader, descriptor::ERROR, "error")?;
        Ok(Box::new(Self {
            condition: f.must("condition")?,
            description: f.opt()?,
            info: f.or(Fields::default())?,
        }))
    }
}

impl From<&DecodeError> for Error {
    fn from(error: &DecodeError) -> Self {
        Self::new(error.condition(), error.to_string())
    }
}

impl Put for Error {
    fn put(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::ERROR);
        f.put(&self.condition)
            .opt(self.description.as_ref())
            .opt(self.info.some());
        f.end();
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.description {
            Some(description) if !description.is_empty() => write!(f, "{}: {description}", self.condition),
            _ => self.condition.fmt(f),
        }
    }
}
