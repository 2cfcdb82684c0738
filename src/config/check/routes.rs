//! Routes as a whole: every ingress is looked after, and dead letters lead away.

use std::collections::{BTreeSet, HashMap};

use weft_api::config::{Finding, Severity, Value};

use super::super::model::{Destination, Plan, Route, Unmatched};
use super::super::read::{Draft, Named, at};
use super::groups::groups;
use super::names::texts;

pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    let none = match draft.root.get("ingress").map(|node| &node.value) {
        None | Some(Value::Null) => true,
        Some(Value::Map(entries)) => entries.is_empty(),
        Some(_) => false,
    };
    if none {
        findings.push(Finding::error(
            &draft.root,
            "the file has no ingress: no event can come in",
            "add `ingress: { NAME: ... }`",
        ));
    }
    let groups = groups(draft);
    for named in &draft.routes {
        if let Some(route) = &named.item {
            own_dead_letter(&groups, named, route, findings);
        }
    }
    lossy_dead_letters(draft, findings);
    catch_alls(draft, findings);
}

/// A dead letter at the very destination that refused the event would be refused, too. Where it comes from
/// `defaults`, the route goes without; see `dead_letter_of`.
fn own_dead_letter(
    groups: &HashMap<&str, &Plan>,
    named: &Named<Route>,
    route: &Route,
    findings: &mut Vec<Finding>,
) {
    let Some(dead_letter) = &route.dead_letter else {
        return;
    };
    if !leads_back(groups, route) {
        return;
    }
    let Some((_, place)) = texts(&named.node, "dead_letter").pop() else {
        return;
    };
    if place.path.starts_with("defaults.") {
        return;
    }
    let what = format!(
        "the dead letter `{dead_letter}` is where this route leads: what is refused there is refused again"
    );
    findings.push(at(&place, what, "name another destination"));
}

/// Whether a route's dead letter is among its own destinations.
pub(in crate::config) fn leads_back(groups: &HashMap<&str, &Plan>, route: &Route) -> bool {
    let Some(dead_letter) = &route.dead_letter else {
        return false;
    };
    let targets = endpoints(
        groups,
        route
            .to
            .targets()
            .into_iter()
            .map(|target| target.name.to_string()),
    );
    let letters = endpoints(groups, std::iter::once(dead_letter.to_string()));
    !targets.is_disjoint(&letters)
}

/// The endpoints behind these names, through groups; a circle ends where it begins.
fn endpoints(groups: &HashMap<&str, &Plan>, names: impl Iterator<Item = String>) -> BTreeSet<String> {
    let mut open: Vec<String> = names.collect();
    let mut seen = BTreeSet::new();
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        match groups.get(name.as_str()) {
            Some(plan) => open.extend(plan.targets().into_iter().map(|target| target.name.to_string())),
            None => {
                found.insert(name);
            }
        }
    }
    found
}

fn lossy_dead_letters(draft: &Draft, findings: &mut Vec<Finding>) {
    let lossy = |name: &str| {
        draft.destinations.iter().any(|named| {
            &*named.name == name
                && matches!(&named.item, Some(Destination::Endpoint(endpoint)) if endpoint.lossy)
        })
    };
    let letters = draft
        .routes
        .iter()
        .map(|named| &named.node)
        .chain(draft.ingress.iter().map(|named| &named.node));
    for (name, place) in letters.flat_map(|node| texts(node, "dead_letter")) {
        if lossy(&name) {
            let what = format!("the dead letter `{name}` is lossy: what goes there may be lost");
            let remedy = "take `lossy` away from it, or name another destination";
            findings.push(Finding {
                severity: Severity::Warning,
                ..at(&place, what, remedy)
            });
        }
    }
}

fn catch_alls(draft: &Draft, findings: &mut Vec<Finding>) {
    let all = |route: &Named<Route>| {
        let open = match route.node.get("filters").map(|node| &node.value) {
            None | Some(Value::Null) => true,
            Some(Value::List(filters)) => filters.is_empty(),
            Some(_) => false,
        };
        // A route that could not be read may have been meant as one: no second finding for the same mistake.
        route.item.as_ref().is_none_or(|_| open && enabled(route))
    };
    for named in &draft.ingress {
        let Some(ingress) = &named.item else { continue };
        let caught = draft.routes.iter().filter(|route| all(route)).any(|route| {
            let from = texts(&route.node, "from");
            from.is_empty() || from.iter().any(|(name, _)| **name == *named.name)
        });
        if !caught && ingress.unmatched == Unmatched::Discard {
            let what = format!(
                "events of `{}` that match no route are accepted and discarded",
                named.name
            );
            let remedy =
                "add a route without filters, or say `unmatched: discard`, `reject` or a destination here";
            // Whoever writes the word at the ingress itself has thought about it.
            if named.node.get("unmatched").is_none() {
                findings.push(Finding {
                    severity: Severity::Warning,
                    ..at(&named.place, what, remedy)
                });
            }
        }
    }
}

/// Whether a route takes part.
pub(in crate::config) fn enabled(route: &Named<Route>) -> bool {
    !matches!(
        route.node.get("enabled").map(|node| &node.value),
        Some(Value::Bool(false))
    )
}
