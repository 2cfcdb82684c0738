//! Several files are one: maps unite, and nothing is said twice.

use weft_api::config::{Finding, Key, Node, Value};

/// Unites the roots of several files. A key of the top level may stand in several of them where it holds a mapping;
/// what stands inside it stands once.
pub(super) fn unite(roots: Vec<Node>, findings: &mut Vec<Finding>) -> Option<Node> {
    let mut roots = roots.into_iter().filter(|root| match root.value {
        Value::Map(_) => true,
        _ => {
            findings.push(Finding::error(
                root,
                "the file must be a mapping of keys such as `ingress:`, `destinations:` and `routes:`",
                "see docs/configuration.md for the shape",
            ));
            false
        }
    });
    let mut united = roots.next()?;
    let rest: Vec<Node> = roots.collect();
    for root in rest {
        let (Value::Map(into), Value::Map(entries)) = (&mut united.value, root.value) else {
            continue;
        };
        for (key, node) in entries {
            add(into, key, node, findings);
        }
    }
    Some(united)
}

fn add(into: &mut Vec<(Key, Node)>, key: Key, node: Node, findings: &mut Vec<Finding>) {
    let Some((first, present)) = into.iter_mut().find(|(k, _)| k.name == key.name) else {
        into.push((key, node));
        return;
    };
    match (&mut present.value, node.value) {
        (Value::Map(into), Value::Map(entries)) => {
            for (key, node) in entries {
                match into.iter().find(|(k, _)| k.name == key.name) {
                    Some((first, _)) => findings.push(twice(&key, first, &node)),
                    None => into.push((key, node)),
                }
            }
        }
        (_, Value::Null) => {}
        (Value::Null, value) => present.value = value,
        (_, value) => findings.push(twice(&key, first, &Node { value, ..node })),
    }
}

fn twice(key: &Key, first: &Key, node: &Node) -> Finding {
    let what = format!("`{}` is given twice; it stands first at {}", key.name, first.span);
    Finding {
        span: key.span.clone(),
        ..Finding::error(node, what, "keep one of them, or give one another name")
    }
}
