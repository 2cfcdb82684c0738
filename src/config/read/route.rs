//! `routes:`.

use std::sync::Arc;

use weft_api::config::{Finding, Key, Node, Value, decode};
use weft_api::event::{AttrKind, EventBuilder};
use weft_api::template::{Scope, Template};

use super::super::keys::{self, RouteKeys, fields_of};
use super::super::model::{Addition, Plan, Route};
use super::entry::{Allowed, defaults, map, without};
use super::router::place;
use super::{Named, Reader, at_key, is_private};
use crate::routing::filter::{FilterError, FilterExpr, Predicate};

impl Reader<'_> {
    pub(super) fn routes(&mut self, root: &Node) -> Vec<Named<Route>> {
        let given = root.get("defaults").and_then(|node| node.get("route"));
        let mut all = Vec::new();
        for (key, node) in self.entries(root.get("routes"), "routes") {
            if is_private(key) {
                continue;
            }
            let name = self.name(key, &node.path);
            if !matches!(node.value, Value::Map(_)) {
                let what = format!("the route `{name}` must be a mapping");
                self.findings.push(at_key(
                    key,
                    &node.path,
                    what,
                    format!("for example `{name}: {{ to: NAME }}`"),
                ));
                continue;
            }
            let own = self.known(
                node,
                &Allowed {
                    fields: fields_of::<RouteKeys>(),
                    others: &["to"],
                },
            );
            let entry = defaults(&own, given);
            let (plan, item) = self.route(key, &name, &entry);
            all.push(Named {
                name,
                place: place(key, node),
                node: entry,
                item,
                plan,
            });
        }
        all
    }

    /// Each part is read on its own, so that a mistake in one hides none in another.
    fn route(&mut self, key: &Key, name: &Arc<str>, entry: &Node) -> (Option<Plan>, Option<Route>) {
        let before = self.errors();
        let keys = self.decode::<RouteKeys>(&without(entry, &["to"]));
        let to = match entry.get("to") {
            Some(node) => self.plan(node),
            None => {
                let what = format!("the route `{name}` leads nowhere");
                self.findings.push(at_key(
                    key,
                    &entry.path,
                    what,
                    "add `to: NAME`, or a list of names",
                ));
                None
            }
        };
        let predicate = self.filters(entry);
        let add = self.additions(entry);
        let (Some(keys), Some(predicate)) = (keys, predicate) else {
            return (to, None);
        };
        if let (Some([]), Some(at)) = (keys.from.as_deref(), entry.get("from")) {
            let what = "a route from no ingress sees no event";
            self.findings.push(Finding::error(
                at,
                what,
                "name ingresses, or leave `from` out for all of them",
            ));
        }
        if let (Some(age), Some(at)) = (keys.max_age, entry.get("max_age"))
            && age.get().is_zero()
        {
            let what = "with a `max_age` of nothing every event expires before it is sent";
            self.findings
                .push(Finding::error(at, what, "for example `max_age: 24h`"));
        }
        if self.errors() > before {
            return (to, None);
        }
        let route = to.clone().map(|to| Route {
            name: name.clone(),
            from: keys.from.map(|names| names.into_iter().map(Arc::from).collect()),
            predicate,
            to,
            add,
            dead_letter: keys.dead_letter.map(Arc::from),
            max_age: keys.max_age.map(weft_api::config::HumanDuration::get),
            labels: keys.labels.into_iter().collect(),
            effective: entry.clone(),
        });
        (to, route)
    }

    fn filters(&mut self, entry: &Node) -> Option<Predicate> {
        let nodes = match entry.get("filters").map(|node| &node.value) {
            Some(Value::List(nodes)) => nodes.as_slice(),
            _ => &[],
        };
        let before = self.findings.len();
        // What cannot be read as a filter was reported with the route's keys.
        let read: Vec<(FilterExpr, &Node)> = nodes
            .iter()
            .filter_map(|node| Some((decode(node).ok()?, node)))
            .collect();
        for (filter, node) in &read {
            match Predicate::compile(filter) {
                Ok(predicate) => {
                    for note in predicate.notes() {
                        self.findings.push(Finding::warning(node, note, ""));
                    }
                }
                Err(error) => self.findings.push(of_filter(node, &error)),
            }
        }
        if self.findings[before..]
            .iter()
            .any(|finding| finding.severity == weft_api::config::Severity::Error)
        {
            return None;
        }
        if read.len() < nodes.len() {
            return None;
        }
        let filters: Vec<FilterExpr> = read.into_iter().map(|(filter, _)| filter).collect();
        let predicate = Predicate::compile_all(&filters).ok()?;
        if let (Some(reason), Some(at)) = (predicate.never_matches(), entry.get("filters")) {
            let what = format!("no event can ever pass these filters: {reason}");
            self.findings.push(Finding::error(
                at,
                what,
                "put the filters right, or write `enabled: false`",
            ));
        }
        Some(predicate)
    }

    fn additions(&mut self, entry: &Node) -> Vec<Addition> {
        let mut additions = Vec::new();
        for (name, at) in entry.get("add").map(map).unwrap_or_default() {
            let Ok(value) = decode::<keys::Addition>(&at) else {
                continue;
            };
            match addition(&name.name, &value) {
                Ok(addition) => additions.push(addition),
                Err((what, remedy)) => self.findings.push(Finding::error(&at, what, remedy)),
            }
        }
        additions
    }
}

fn of_filter(node: &Node, error: &FilterError) -> Finding {
    let at = within(node, &error.at);
    let what = match error.column {
        Some(column) => format!("column {column} of the expression: {}", error.message),
        None => error.message.clone(),
    };
    let advice = error
        .advice
        .clone()
        .unwrap_or_else(|| "docs/configuration.md shows what an expression may be".to_owned());
    Finding::error(at, what, advice)
}

/// The node that `any[1].exact` stands for, or the nearest above it.
fn within<'n>(node: &'n Node, at: &str) -> &'n Node {
    at.split('.')
        .try_fold(node, |node, step| {
            let (key, indices) = step.split_once('[').unwrap_or((step, ""));
            let node = node.get(key).ok_or(node)?;
            indices
                .split(']')
                .filter_map(|digits| digits.trim_start_matches('[').parse::<usize>().ok())
                .try_fold(node, |node, index| match &node.value {
                    Value::List(nodes) => nodes.get(index).ok_or(node),
                    _ => Err(node),
                })
        })
        .unwrap_or_else(|nearest| nearest)
}

/// `what` and `remedy`.
type Fault = (String, String);

fn addition(name: &str, value: &keys::Addition) -> Result<Addition, Fault> {
    if matches!(name, "id" | "source" | "type" | "specversion") {
        let what = format!("every event has `{name}`, and `add` never overwrites");
        return Err((what, "add an extension of another name".to_owned()));
    }
    let (kind, template) = match value {
        keys::Addition::Boolean(value) => (AttrKind::Boolean, literal(&value.to_string())?),
        keys::Addition::Integer(value) => (AttrKind::Integer, literal(&value.to_string())?),
        keys::Addition::Template(text) => {
            let template = Template::parse(text, &Scope::EGRESS).map_err(|error| {
                (
                    format!("column {} of the template: {}", error.column, error.what),
                    error.remedy,
                )
            })?;
            (template.kind(), template)
        }
    };
    // The event's own validator judges the name, and the value where it is known already.
    let mut event = EventBuilder::new();
    event.id("x").source("x").ty("x");
    match (template.as_constant(), name) {
        (Some(text), _) => event.set(name, kind, text),
        (None, "time") => event.set(name, kind, "2000-01-01T00:00:00Z"),
        (None, "dataschema") => event.set(name, kind, "https://example.com"),
        (None, "datacontenttype") => event.set(name, kind, "text/plain"),
        (None, _) => event.set(name, kind, "1"),
    };
    match event.build() {
        Ok(_) => Ok(Addition {
            name: name.into(),
            kind,
            value: template,
        }),
        Err(invalid) => Err((
            format!("no event could have this attribute: {invalid}"),
            "see docs/templates.md".to_owned(),
        )),
    }
}

fn literal(text: &str) -> Result<Template, Fault> {
    Template::parse(text, &Scope::EGRESS).map_err(|error| (error.what, error.remedy))
}
