//! From a draft without errors to the model.

use std::collections::HashSet;
use std::sync::Arc;

use weft_api::config::{Finding, Key, Node, Value};

use super::check;
use super::model::Model;
use super::read::{Draft, Named, unmatched, without};

/// Sections of the effective file, in the order in which it is printed.
const AS_WRITTEN: [&str; 5] = ["node", "observe", "admin", "limits", "store"];

pub(super) fn build(draft: Draft, warnings: Vec<Finding>) -> Model {
    let groups = check::groups(&draft);
    let leading_back: HashSet<Arc<str>> = draft
        .routes
        .iter()
        .filter(|named| {
            named
                .item
                .as_ref()
                .is_some_and(|route| check::leads_back(&groups, route))
        })
        .map(|named| named.name.clone())
        .collect();
    let mut draft = draft;
    for named in draft
        .routes
        .iter_mut()
        .filter(|named| leading_back.contains(&named.name))
    {
        // Only a default dead letter gets this far, and a route to the dead letter itself does without.
        named.node = without(&named.node, &["dead_letter"]);
        if let Some(route) = &mut named.item {
            route.dead_letter = None;
            route.effective = named.node.clone();
        }
    }
    let effective = effective(&draft);
    let enabled: Vec<bool> = draft.routes.iter().map(check::enabled).collect();
    let routes = kept(draft.routes)
        .into_iter()
        .zip(enabled)
        .filter(|(_, enabled)| *enabled)
        .map(|(route, _)| route);
    Model {
        node: draft.node,
        observe: draft.observe,
        admin: draft.admin,
        limits: draft.limits,
        store: draft.store,
        ingress: kept(draft.ingress),
        destinations: kept(draft.destinations),
        routes: routes.collect(),
        unmatched: unmatched(Some(&draft.unmatched)),
        removed: draft
            .removed
            .into_iter()
            .map(|(name, what, _)| (name, what))
            .collect(),
        warnings,
        effective,
    }
}

fn kept<T>(entries: Vec<Named<T>>) -> Vec<T> {
    let items = entries.into_iter().map(|named| named.item);
    items
        .map(|item| item.expect("an entry is left out only with an error, and there was none"))
        .collect()
}

/// The tree of the file with defaults put in and connections merged; neither stands in it any more.
fn effective(draft: &Draft) -> Node {
    let root = &draft.root;
    let key = |name: &str| Key {
        name: name.to_owned(),
        span: root.span.clone(),
    };
    let section = |name: &str, value: Value| {
        let node = Node {
            value,
            path: name.into(),
            span: root.span.clone(),
            secret: false,
        };
        (
            key(name),
            root.get(name).map_or(node.clone(), |at| Node {
                span: at.span.clone(),
                ..node
            }),
        )
    };
    let mut entries: Vec<(Key, Node)> = AS_WRITTEN
        .iter()
        .filter_map(|name| Some((key(name), root.get(name)?.clone())))
        .collect();
    entries.push(section("ingress", map(&draft.ingress)));
    entries.push(section("destinations", map(&draft.destinations)));
    entries.push(section("routes", map(&draft.routes)));
    entries.extend(
        ["unmatched", "removed"]
            .iter()
            .filter_map(|name| Some((key(name), root.get(name)?.clone()))),
    );
    Node {
        value: Value::Map(entries),
        ..root.clone()
    }
}

fn map<T>(entries: &[Named<T>]) -> Value {
    let key = |named: &Named<T>| Key {
        name: named.name.to_string(),
        span: named.place.span.clone(),
    };
    Value::Map(
        entries
            .iter()
            .map(|named| (key(named), named.node.clone()))
            .collect(),
    )
}
