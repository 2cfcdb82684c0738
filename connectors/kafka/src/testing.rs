//! Sections for unit tests.

use serde_json::Value as Json;
use weft_api::config::Node;
use weft_conformance::section;

/// A section as the router would hand it over; every value knows its path.
pub(crate) fn node(json: &Json) -> Node {
    section("kafka", json)
}
