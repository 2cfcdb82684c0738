//! Trees that stand in several places.

use weft_api::config::{Node, Value};

/// How many nodes it has.
pub(super) fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(nodes) => nodes.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| size(node)).sum(),
        _ => 0,
    }
}

/// The same tree under another path; it keeps the place where it was written.
pub(super) fn moved(mut node: Node, path: &str) -> Node {
    node.path = path.into();
    match &mut node.value {
        Value::List(nodes) => {
            for (at, item) in nodes.iter_mut().enumerate() {
                *item = moved(item.clone(), &format!("{path}[{at}]"));
            }
        }
        Value::Map(entries) => {
            for (key, item) in entries {
                let below = if path.is_empty() {
                    key.name.clone()
                } else {
                    format!("{path}.{}", key.name)
                };
                *item = moved(item.clone(), &below);
            }
        }
        _ => {}
    }
    node
}
