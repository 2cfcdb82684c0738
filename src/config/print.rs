//! `weft check --print`: the file as it is in effect.
//!
//! Invariant: what came out of `${...}` is printed as `***`; everything else reads back as the same configuration.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use weft_api::config::{Node, Value};

use super::keys::DestinationKeys;
use super::model::{Destination, Ingress, Model, Unmatched};

/// What stands in for a secret.
const MASK: &str = "***";

/// The file with defaults put in, connections merged and secrets masked.
#[must_use]
pub fn print(model: &Model) -> String {
    let mut file = match json(&model.effective) {
        Json::Object(file) => file,
        _ => Map::new(),
    };
    for (key, all) in [
        ("node", value(&model.node)),
        ("observe", value(&model.observe)),
        ("admin", value(&model.admin)),
        ("limits", value(&model.limits)),
    ] {
        fill(file.entry(key).or_insert(Json::Null), &all);
    }
    if let Some(store) = &model.store {
        fill(file.entry("store").or_insert(Json::Null), &value(store));
    }
    let mut sections = |key: &str, name: &str, all: Json| {
        if let Some(entry) = file.get_mut(key).and_then(|section| section.get_mut(name)) {
            fill(entry, &all);
        }
    };
    for ingress in &model.ingress {
        sections("ingress", &ingress.name, of_ingress(ingress));
    }
    let endpoints = value(&DestinationKeys::default());
    for destination in &model.destinations {
        let (mut all, log) = match destination {
            Destination::Endpoint(endpoint) => {
                let mut all = endpoints.clone();
                if let Some(dedupe) = &endpoint.dedupe {
                    all["dedupe"] = value(dedupe);
                }
                (all, &endpoint.store)
            }
            Destination::Group(group) => (json!({}), &group.store),
        };
        if let (Some(log), Some(store)) = (log, &model.store) {
            all["store"] = value(&log.within(store));
        }
        sections("destinations", destination.name(), all);
    }
    file.entry("unmatched")
        .or_insert_with(|| Json::String(word(&model.unmatched).to_owned()));
    serde_yaml::to_string(&in_order(file)).expect("a tree of maps with text keys can be written as YAML")
}

/// What the router fills in at an ingress; the connector's own defaults are the connector's.
fn of_ingress(ingress: &Ingress) -> Json {
    json!({
        "on_rejected": value(&ingress.on_rejected),
        "on_malformed": value(&ingress.on_malformed),
        "unmatched": word(&ingress.unmatched),
    })
}

fn word(unmatched: &Unmatched) -> &str {
    match unmatched {
        Unmatched::Discard => "discard",
        Unmatched::Reject => "reject",
        Unmatched::To(name) => name,
    }
}

fn value(of: &impl Serialize) -> Json {
    serde_json::to_value(of).expect("the keys' types are plain structs and words")
}

fn json(node: &Node) -> Json {
    if node.secret {
        return Json::String(MASK.to_owned());
    }
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        // A literal `${` was written `$${`, and has to be again.
        Value::Text(text) => Json::String(text.replace("${", "$${")),
        Value::List(nodes) => nodes.iter().map(json).collect(),
        Value::Map(entries) => entries
            .iter()
            .filter(|(key, _)| !key.name.starts_with("x-") || key.name.len() > 2 && !is_checked(node))
            .map(|(key, node)| (key.name.clone(), json(node)))
            .collect(),
    }
}

/// Whether the keys of this mapping are those of the file, where `x-` keys are the writer's own. Deeper than the
/// entries' own keys they may be data (`headers: { x-tenant: a }`).
fn is_checked(node: &Node) -> bool {
    node.path.matches('.').count() <= 1
}

/// Puts in what is not there, deeply.
fn fill(target: &mut Json, all: &Json) {
    match (target, all) {
        (target @ Json::Null, all) => *target = all.clone(),
        (Json::Object(target), Json::Object(all)) => {
            for (key, value) in all {
                match target.get_mut(key) {
                    Some(present) => fill(present, value),
                    None => {
                        target.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        _ => {}
    }
}

/// The sections in the order in which people read them.
fn in_order(mut file: Map<String, Json>) -> Map<String, Json> {
    const ORDER: [&str; 10] = [
        "node",
        "observe",
        "admin",
        "limits",
        "store",
        "ingress",
        "destinations",
        "routes",
        "unmatched",
        "removed",
    ];
    ORDER
        .into_iter()
        .filter_map(|key| file.remove(key).map(|value| (key.to_owned(), value)))
        .collect()
}
