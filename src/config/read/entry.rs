//! What entries of all sections have in common: unknown keys, keys of later versions, defaults.

use weft_api::config::{Finding, Key, Node, Value, nearest};

use super::{Reader, at_key, is_private};

/// Keys that belong to later versions, and what to do until then.
const LATER: [(&str, &str); 3] = [
    ("export", "remove the key"),
    ("mesh", "reach the other cluster over http or kafka"),
    ("peer", "reach the other cluster over http or kafka"),
];

/// Keys that stand elsewhere, and where.
const ELSEWHERE: [(&str, &str); 4] = [
    (
        "store",
        "a store stands at the top level, and at destinations and named groups",
    ),
    (
        "retain",
        "it belongs into `store:`, for example `store: { retain: 24h }`",
    ),
    (
        "when_full",
        "it belongs into `store:`, for example `store: { when_full: move }`",
    ),
    (
        "dead_letters",
        "it belongs into the `store:` of the top level; a route or ingress has `dead_letter`",
    ),
];

/// What people write who come from elsewhere.
const MEANT: [(&str, &str); 17] = [
    ("egress", "destinations"),
    ("egresses", "destinations"),
    ("sinks", "destinations"),
    ("outputs", "destinations"),
    ("targets", "destinations"),
    ("source", "ingress"),
    ("sources", "ingress"),
    ("inputs", "ingress"),
    ("listeners", "ingress"),
    ("rules", "routes"),
    ("triggers", "routes"),
    ("bindings", "routes"),
    ("metrics", "observe"),
    ("target", "to"),
    ("when", "filters"),
    ("where", "filters"),
    ("dlq", "dead_letter"),
];

/// What may stand in a mapping.
pub(super) struct Allowed<'a> {
    /// The keys of its type.
    pub(super) fields: &'a [&'a str],
    /// Keys that name something else: connectors, plans.
    pub(super) others: &'a [&'a str],
}

impl Reader<'_> {
    /// The mapping without keys that may not stand there, each of which is reported, and without `x-` keys.
    pub(super) fn known(&mut self, node: &Node, allowed: &Allowed<'_>) -> Node {
        let Value::Map(entries) = &node.value else {
            return node.clone();
        };
        let mut kept = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let name = key.name.as_str();
            if allowed.fields.contains(&name) || allowed.others.contains(&name) {
                kept.push((key.clone(), value.clone()));
            } else if !is_private(key) {
                self.findings.push(unknown(key, node, allowed));
            }
        }
        Node {
            value: Value::Map(kept),
            ..node.clone()
        }
    }
}

fn unknown(key: &Key, parent: &Node, allowed: &Allowed<'_>) -> Finding {
    let path = if parent.path.is_empty() {
        key.name.clone()
    } else {
        format!("{}.{}", parent.path, key.name)
    };
    let name = key.name.as_str();
    let all = || allowed.fields.iter().chain(allowed.others).copied();
    if let Some((_, remedy)) = LATER.iter().find(|(later, _)| *later == name) {
        return at_key(key, &path, format!("`{name}` is not in this version"), *remedy);
    }
    let meant = MEANT
        .iter()
        .find(|(said, meant)| *said == name && all().any(|known| known == *meant));
    let elsewhere = ELSEWHERE.iter().find(|(said, _)| *said == name);
    let remedy = match meant.map(|(_, meant)| *meant).or_else(|| nearest(name, all())) {
        _ if elsewhere.is_some() => elsewhere.map_or("", |(_, remedy)| *remedy).to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let keys: Vec<String> = all().map(|key| format!("`{key}`")).collect();
            format!("keys that may stand here: {}", keys.join(", "))
        }
    };
    at_key(
        key,
        &path,
        format!("unknown key `{}`", super::bounded(name)),
        remedy,
    )
}

/// The entry with the keys of `defaults` that it lacks: whole keys, never merged deeply.
pub(super) fn defaults(entry: &Node, defaults: Option<&Node>) -> Node {
    let (entries, Some(Value::Map(given))) = (map(entry), defaults.map(|node| &node.value)) else {
        return entry.clone();
    };
    let mut entries = entries;
    for (key, node) in given.iter().filter(|(key, _)| !is_private(key)) {
        if !entries.iter().any(|(k, _)| k.name == key.name) {
            entries.push((key.clone(), node.clone()));
        }
    }
    Node {
        value: Value::Map(entries),
        ..entry.clone()
    }
}

/// The entries of a mapping; none of anything else.
pub(super) fn map(node: &Node) -> Vec<(Key, Node)> {
    match &node.value {
        Value::Map(entries) => entries.clone(),
        _ => Vec::new(),
    }
}

/// The mapping without these keys.
pub(in crate::config) fn without(node: &Node, keys: &[&str]) -> Node {
    let entries = map(node)
        .into_iter()
        .filter(|(key, _)| !keys.contains(&key.name.as_str()))
        .collect();
    Node {
        value: Value::Map(entries),
        ..node.clone()
    }
}
