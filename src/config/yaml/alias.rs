//! Trees that stand in several places.

use weft_api::config::{Node, Value};

/// How many nodes a tree has, and how many bytes their paths would have with its root at `path`.
pub(super) fn size(node: &Node, path: &str) -> (usize, usize) {
    let (nodes, paths) = match &node.value {
        Value::List(nodes) => nodes.iter().map(|node| size(node, path)).fold((0, 0), add),
        Value::Map(entries) => entries.iter().map(|(_, node)| size(node, path)).fold((0, 0), add),
        _ => (0, 0),
    };
    add((nodes, paths), (1, node.path.len() + path.len()))
}

fn add(a: (usize, usize), b: (usize, usize)) -> (usize, usize) {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}

/// Gives the tree another path; it keeps the place where it was written.
pub(super) fn rename(node: &mut Node, path: &str) {
    node.path = path.into();
    match &mut node.value {
        Value::List(nodes) => {
            nodes
                .iter_mut()
                .enumerate()
                .for_each(|(at, item)| rename(item, &format!("{path}[{at}]")));
        }
        Value::Map(entries) => {
            for (key, item) in entries {
                let below = if path.is_empty() {
                    key.name.clone()
                } else {
                    format!("{path}.{}", key.name)
                };
                rename(item, &below);
            }
        }
        _ => {}
    }
}
