//! Why bytes are no CloudEvent in JSON. All of it is the sender's fault: the same bytes will fail again.

use std::fmt;

use super::scan::Fault;
use crate::event::InvalidEvent;

/// The sender's fault: what is wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not UTF-8, which RFC 8259 section 8.1 requires.
    #[error("the JSON text is not UTF-8 at byte {at}")]
    Utf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Not JSON, or nested too deeply.
    #[error("malformed JSON at byte {at}: {what}")]
    Syntax {
        /// Byte offset.
        at: usize,
        /// What is missing or too much.
        what: &'static str,
    },
    /// An event is a JSON object, a batch is an array of them.
    #[error("{expected} was expected at byte {at} (JSON event format 1.0.2, sections 3 and 4.1)")]
    Shape {
        /// Byte offset.
        at: usize,
        /// `a JSON object` or `a JSON array`.
        expected: &'static str,
    },
    /// A member's value does not fit its name.
    #[error("member {name:?} {rule}")]
    Member {
        /// The member's name, cut and escaped.
        name: Box<str>,
        /// What it broke.
        rule: Member,
    },
    /// The attributes break a rule of CloudEvents.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// More events in a batch than are taken at once.
    #[error("the batch has more than {max} events, the limit: send smaller batches")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// One event of a batch is at fault.
    #[error("event {index} of the batch: {source}")]
    InBatch {
        /// Its place, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<DecodeError>,
    },
}

/// How a member can be wrong (JSON event format 1.0.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Member {
    /// Named twice.
    Duplicate,
    /// A core attribute that is not a string.
    NotString,
    /// A number that is no integer of 32 bits.
    NotInteger,
    /// An array or object as an attribute.
    Structured,
    /// `data` beside `data_base64`.
    BothData,
    /// `data_base64` is not base64.
    NotBase64,
    /// `data` is not a string although the content type is not JSON.
    DataNotString,
    /// `data` is text, but the content type names another character set than UTF-8.
    ForeignCharset,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Member::Duplicate => "occurs twice: each attribute may appear once (CloudEvents 1.0.2, Context Attributes)",
            Member::NotString => "must be a JSON string (JSON event format 1.0.2, section 2.2)",
            Member::NotInteger => {
                "must be a whole number from -2147483648 to 2147483647 without fraction or exponent; send other numbers \
                 as a string (JSON event format 1.0.2, section 2.2)"
            }
            Member::Structured => {
                "is an array or object: an attribute must be a string, boolean or integer (JSON event format 1.0.2, \
                 section 2.2); structure belongs into data"
            }
            Member::BothData => "stands beside its twin: data and data_base64 exclude each other (JSON event format 1.0.2, section 3.1.1)",
            Member::NotBase64 => "must be base64, RFC 4648 section 4 (JSON event format 1.0.2, section 3.1.1)",
            Member::DataNotString => {
                "must be a string, since datacontenttype does not declare JSON (JSON event format 1.0.2, section 3.1.2)"
            }
            Member::ForeignCharset => {
                "is text, but datacontenttype names a character set that is not UTF-8: send the bytes as data_base64"
            }
        })
    }
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> DecodeError {
        DecodeError::Syntax {
            at: fault.at,
            what: fault.what,
        }
    }
}
