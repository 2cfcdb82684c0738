//! The two ways in which templates fail: the file's author is at fault when one is parsed, the message when
//! one is rendered.

use std::fmt;

/// The fault of the file's author: where, what, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("column {column}: {what}; {remedy}")]
pub struct TemplateError {
    /// Counted in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

/// The message's fault: it lacks an input, or the input does not fit. To send the same again will fail the
/// same way.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{{{field}}} {why}")]
pub struct MissingField {
    /// The input as the template names it, such as `data.msgid`.
    pub field: Box<str>,
    /// What is wrong with it.
    pub why: Why,
}

/// Why an input cannot be put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The message does not have it, or it is JSON's `null`, or no text.
    Missing,
    /// `int`: not a whole number of 32 bits; `round`: not a number, or rounded not one of 32 bits.
    NotInteger,
    /// `epoch_s`, `epoch_ms`: not a number of seconds or milliseconds in the years 0000 to 9999.
    NotEpoch,
    /// The result would be longer than [`super::RENDER_MAX`].
    TooLong,
    /// The place it goes to does not allow it; the reason is a predicate, such as `has a control character`.
    Refused(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Missing => "is missing: the message must have it, or the template needs `| else ...`",
            Why::NotInteger => {
                "is no whole number from -2147483648 to 2147483647, which int and round must give"
            }
            Why::NotEpoch => {
                "is no time since 1970 in the years 0000 to 9999, which epoch_s and epoch_ms take"
            }
            Why::TooLong => {
                return write!(
                    f,
                    "makes the text longer than {} bytes, the limit",
                    super::RENDER_MAX
                );
            }
            Why::Refused(why) => return write!(f, "cannot be put there: it {why}"),
        })
    }
}
