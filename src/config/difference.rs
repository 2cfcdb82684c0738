//! Which keys of two trees differ.
//!
//! Invariant: what came out of `${...}`, and what stands under a key that is named like a secret, is never shown; that it
//! is another is.

use weft_api::config::{Node, Value};

/// What stands in for a secret.
const MASK: &str = "***";

/// Most characters of a value that are shown.
const SHOWN_MAX: usize = 160;

/// Parts of keys at and below which no value is shown.
const SECRET: [&str; 4] = ["password", "secret", "token", "credential"];

/// One key that is not the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChange {
    /// The path below the compared trees; empty for the trees themselves.
    pub path: String,
    /// What stood there; `None`: nothing.
    pub from: Option<String>,
    /// What stands there now; `None`: nothing.
    pub to: Option<String>,
}

/// The keys that differ, in the order of the new tree, those that are gone last. Lists are compared as a whole.
#[must_use]
pub fn differences(old: &Node, new: &Node) -> Vec<KeyChange> {
    let mut changes = Vec::new();
    compare(old, new, "", &mut changes);
    changes
}

fn compare(old: &Node, new: &Node, path: &str, changes: &mut Vec<KeyChange>) {
    if old.same(new) {
        return;
    }
    let (Value::Map(before), Value::Map(after)) = (&old.value, &new.value) else {
        changes.push(KeyChange {
            path: path.to_owned(),
            from: Some(shown(old, path)),
            to: Some(shown(new, path)),
        });
        return;
    };
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    for (key, node) in after {
        let path = below(&key.name);
        match old.get(&key.name) {
            Some(known) => compare(known, node, &path, changes),
            None => changes.push(KeyChange {
                from: None,
                to: Some(shown(node, &path)),
                path,
            }),
        }
    }
    for (key, node) in before.iter().filter(|(key, _)| new.get(&key.name).is_none()) {
        let path = below(&key.name);
        changes.push(KeyChange {
            from: Some(shown(node, &path)),
            to: None,
            path,
        });
    }
}

/// A value in YAML's flow style, on one line and bounded.
fn shown(node: &Node, path: &str) -> String {
    let mut text = flow(node, path);
    if text.chars().nth(SHOWN_MAX).is_some() {
        text = text.chars().take(SHOWN_MAX).collect();
        text.push_str("...");
    }
    text
}

fn flow(node: &Node, path: &str) -> String {
    let lower = path.to_ascii_lowercase();
    if node.secret || SECRET.iter().any(|part| lower.contains(part)) {
        return MASK.to_owned();
    }
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => masked_url(text).escape_debug().to_string().replace("\\\"", "\""),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| flow(item, path)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, node)| format!("{}: {}", key.name, flow(node, &format!("{path}.{}", key.name))))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// Without the credentials that a URL may carry.
fn masked_url(text: &str) -> String {
    let parts = text.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split('/').next().unwrap_or(rest);
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://{MASK}@{host}{}", &rest[authority.len()..]))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Source, tree};
    use super::*;

    fn node(text: &str) -> Node {
        let source = Source {
            name: "a.yaml".into(),
            text: text.to_owned(),
        };
        tree(&source).unwrap()
    }

    fn told(old: &str, new: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let changes = differences(&node(old), &node(new));
        changes
            .into_iter()
            .map(|change| (change.path, change.from, change.to))
            .collect()
    }

    #[test]
    fn keys_are_told_by_their_paths_and_an_order_of_keys_is_no_difference() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told("{ a: 1, b: { c: x, d: [1] } }", "{ b: { d: [1], c: x }, a: 1 }"),
            []
        );
        assert_eq!(
            told(
                "{ a: 1, b: { c: x, d: [1] }, z: 0 }",
                "{ a: 1, b: { c: y, d: [1, 2] }, e: { f: true } }"
            ),
            [
                ("b.c".to_owned(), some("x"), some("y")),
                ("b.d".to_owned(), some("[1]"), some("[1, 2]")),
                ("e".to_owned(), None, some("{ f: true }")),
                ("z".to_owned(), some("0"), None),
            ]
        );
    }

    #[test]
    fn secrets_are_never_shown_and_still_told_to_be_others() {
        let old = "{ auth: { user: u, password: hunter1 }, url: \"amqp://u:hunter1@h:1/x\", token: { a: hunter1 } }";
        let new = old.replace("hunter1", "hunter2");
        let told = told(old, &new);
        assert_eq!(told.len(), 3);
        assert!(!format!("{told:?}").contains("hunter"), "{told:?}");
        assert_eq!(told[1].1.as_deref(), Some("amqp://***@h:1/x"));
        let mut secret = node("{ a: hunter1 }");
        if let Value::Map(entries) = &mut secret.value {
            entries[0].1.secret = true;
        }
        let changes = differences(&secret, &node("{ a: b }"));
        assert_eq!(changes[0].from.as_deref(), Some(MASK));
    }
}
