//! What stands in the file and does nothing. Looked for only in a file without errors.

use std::collections::HashSet;

use weft_api::config::{Finding, Node, Severity, Value};

use super::super::model::Plan;
use super::super::read::{Draft, at};
use super::names::texts;

pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    let warn = |finding: Finding| Finding {
        severity: Severity::Warning,
        ..finding
    };
    let used = destinations(draft);
    for named in draft
        .destinations
        .iter()
        .filter(|named| !used.contains(&*named.name))
    {
        let what = format!("nothing leads to the destination `{}`", named.name);
        findings.push(warn(at(&named.place, what, "name it in a route, or remove it")));
    }
    let connected = connections(&draft.root);
    for connection in draft
        .connections
        .iter()
        .filter(|connection| !connected.contains(&connection.name))
    {
        let what = format!("nothing uses the connection `{}`", connection.name);
        findings.push(warn(at(
            &connection.place,
            what,
            "name it with `connection:` in a section, or remove it",
        )));
    }
}

fn destinations(draft: &Draft) -> HashSet<String> {
    let mut used = HashSet::new();
    let plans = draft.destinations.iter().filter_map(|named| named.plan.as_ref());
    let plans = plans.chain(draft.routes.iter().filter_map(|named| named.plan.as_ref()));
    used.extend(
        plans
            .flat_map(Plan::targets)
            .map(|target| target.name.to_string()),
    );
    let nodes = draft
        .routes
        .iter()
        .map(|named| &named.node)
        .chain(draft.ingress.iter().map(|named| &named.node));
    used.extend(
        nodes
            .clone()
            .flat_map(|node| texts(node, "dead_letter"))
            .map(|(name, _)| name),
    );
    used.extend(
        nodes
            .chain([&draft.root])
            .flat_map(|node| texts(node, "unmatched"))
            .map(|(name, _)| name),
    );
    used
}

/// Names under `connection:` in any section of any entry, as they were written.
fn connections(root: &Node) -> HashSet<String> {
    let entries = ["ingress", "destinations"]
        .into_iter()
        .filter_map(|section| root.get(section));
    let sections = entries.flat_map(below).flat_map(below);
    let defaults = root.get("defaults").into_iter().flat_map(below).flat_map(below);
    // What is in `store:` of a destination is a section, too.
    let sections = sections
        .chain(defaults)
        .flat_map(|node| below(node).chain([node]));
    sections
        .flat_map(|section| texts(section, "connection"))
        .map(|(name, _)| name)
        .collect()
}

fn below(node: &Node) -> impl Iterator<Item = &Node> {
    let entries = match &node.value {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|(_, node)| node)
}
