//! The HTTP connector's sections of the configuration file: the serde types, and what they cannot say by themselves.
//!
//! Owns: keys, defaults, bounds. Every mistake of a section is found at once, with its place. Pure.

mod egress;
mod ingress;

use weft_api::config::{Finding, Node};

pub(crate) use egress::{EgressSection, SendMode, target_and_headers};
pub(crate) use ingress::IngressSection;
pub(crate) use weft_api::config::OneOrMany;

/// The place of `key` in `section`, or of the section where the key is left to its default.
fn place<'a>(section: &'a Node, key: &str) -> &'a Node {
    section.get(key).unwrap_or(section)
}

/// Collects findings.
struct Findings<'a> {
    section: &'a Node,
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    fn new(section: &'a Node) -> Findings<'a> {
        Findings {
            section,
            found: Vec::new(),
        }
    }

    /// An error at `key` unless `holds`.
    fn require(&mut self, holds: bool, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        if !holds {
            self.found
                .push(Finding::error(place(self.section, key), what, remedy));
        }
    }

    fn finish(self) -> Result<(), Vec<Finding>> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(self.found)
        }
    }
}
