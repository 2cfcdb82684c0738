//! What a connector's configuration is read from: a YAML tree in which every node knows where it stands.
//!
//! Owns: [`Node`], [`Span`], [`Finding`], and decoding into serde types that reports every mistake at once.
//! Does not know: YAML's syntax (the router parses it), the meaning of any key.

mod decode;
mod fault;
mod finding;
mod node;
mod one_or_many;
mod read;
mod suggest;
mod units;
mod words;

#[cfg(test)]
mod tests;

pub use decode::decode;
pub use finding::{Finding, Severity};
pub use node::{Key, Node, Span, Value};
pub use one_or_many::OneOrMany;
pub use suggest::nearest;
pub use units::{ByteSize, DURATION_MAX, HumanDuration, UnitError};
