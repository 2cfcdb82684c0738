//! What a connector's configuration is read from: a YAML tree in which every node knows where it stands.
//!
//! Owns: [`Node`], [`Span`], [`Finding`], and decoding into serde types that reports every mistake at once.
//! Does not know: YAML's syntax (the router parses it), the meaning of any key.

mod finding;
mod node;

pub use finding::{Finding, Severity};
pub use node::{Node, Span, Value};
