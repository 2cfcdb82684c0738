//! Every name refers to something.

use std::collections::HashSet;
use std::sync::Arc;

use weft_api::config::{Finding, Node, Value, nearest};

use super::super::model::{Place, Plan};
use super::super::read::{Draft, LOCAL, Named, RESERVED, at};

/// Most names that a remedy lists.
const LISTED_MAX: usize = 12;

pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    let ingresses: Vec<&str> = draft.ingress.iter().map(|named| &*named.name).collect();
    let destinations: Vec<&str> = draft.destinations.iter().map(|named| &*named.name).collect();
    let ingress_names: HashSet<&str> = ingresses.iter().copied().collect();
    let destination_names: HashSet<&str> = destinations.iter().copied().collect();
    let destination = |name: &str, place: &Place, findings: &mut Vec<Finding>| {
        if !destination_names.contains(name) {
            findings.push(unknown(name, place, "destination", &destinations, &ingresses));
        }
    };
    for named in &draft.destinations {
        for target in named.plan.iter().flat_map(Plan::targets) {
            destination(&target.name, &target.place, findings);
        }
    }
    for named in &draft.routes {
        for target in named.plan.iter().flat_map(Plan::targets) {
            destination(&target.name, &target.place, findings);
        }
        for (name, place) in texts(&named.node, "from") {
            if !ingress_names.contains(name.as_str()) {
                findings.push(unknown(&name, &place, "ingress", &ingresses, &destinations));
            }
        }
    }
    let dead_letters = dead_letters(&draft.routes).chain(dead_letters(&draft.ingress));
    for (name, place) in dead_letters.chain(default_dead_letters(&draft.root)) {
        if name != LOCAL {
            destination(&name, &place, findings);
        }
    }
    let unmatched = draft.ingress.iter().map(|named| &named.node).chain([&draft.root]);
    for (name, place) in unmatched.flat_map(|node| texts(node, "unmatched")) {
        if !matches!(name.as_str(), "discard" | "reject") {
            destination(&name, &place, findings);
        }
    }
    for (name, _, place) in &draft.removed {
        if destination_names.contains(&**name) {
            let what = format!("`{name}` is not removed: it stands under `destinations:`");
            findings.push(at(place, what, "remove it there, or here"));
        }
    }
}

pub(super) fn dead_letters<T>(entries: &[Named<T>]) -> impl Iterator<Item = (String, Place)> {
    entries.iter().flat_map(|named| texts(&named.node, "dead_letter"))
}

/// Checked on their own, too: there may be no entry that they went into.
pub(super) fn default_dead_letters(root: &Node) -> impl Iterator<Item = (String, Place)> {
    let sections = root
        .get("defaults")
        .into_iter()
        .flat_map(|node| [node.get("ingress"), node.get("route")]);
    sections.flatten().flat_map(|node| texts(node, "dead_letter"))
}

/// The text under a key, or the texts of the list there.
pub(super) fn texts(node: &Node, key: &str) -> Vec<(String, Place)> {
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Some((text.clone(), Place::of(node))),
        _ => None,
    };
    match node.get(key) {
        Some(Node {
            value: Value::List(nodes),
            ..
        }) => nodes.iter().filter_map(text).collect(),
        Some(node) => text(node).into_iter().collect(),
        None => Vec::new(),
    }
}

fn unknown(name: &str, place: &Place, kind: &str, known: &[&str], others: &[&str]) -> Finding {
    let section = if kind == "ingress" {
        "ingress"
    } else {
        "destinations"
    };
    if name == LOCAL {
        let what = "`local` is the store's dead letters, and stands only under `dead_letter`";
        return at(place, what, format!("name an entry of `{section}:`"));
    }
    if name == "mesh" {
        let what = "`mesh` needs the mesh, which is not in this version";
        return at(place, what, format!("name an entry of `{section}:`"));
    }
    let remedy = if RESERVED.contains(&name) {
        "it is a word of `unmatched:`; name an entry of `destinations:`".to_owned()
    } else if others.contains(&name) {
        let other = if kind == "ingress" {
            "a destination"
        } else {
            "an ingress"
        };
        format!("`{name}` is {other}; name an entry of `{section}:`")
    } else if let Some(near) = nearest(name, known.iter().copied()) {
        format!("did you mean `{near}`?")
    } else if known.is_empty() {
        format!("define it under `{section}:`")
    } else {
        let more = if known.len() > LISTED_MAX { ", ..." } else { "" };
        let listed: Vec<&str> = known.iter().take(LISTED_MAX).copied().collect();
        format!(
            "define it under `{section}:`, where there are {}{more}",
            listed.join(", ")
        )
    };
    let shown: Arc<str> = name
        .chars()
        .take(80)
        .flat_map(char::escape_debug)
        .collect::<String>()
        .into();
    at(place, format!("there is no {kind} `{shown}`"), remedy)
}
