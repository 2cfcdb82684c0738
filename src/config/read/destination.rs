//! `destinations:`: those with a connector, and groups.

use std::sync::Arc;

use weft_api::config::{Finding, Key, Node, Value};
use weft_api::connector::EgressSettings;

use super::super::keys::{DestinationKeys, Keep, fields_of};
use super::super::model::{Destination, Endpoint, Group};
use super::connection::Connection;
use super::entry::{Allowed, map, without};
use super::ingress::{replaced, without_kinds_from};
use super::plan::{GROUPS, OF_NAMED, keys_of_groups};
use super::router::place;
use super::store::{Kept, STORE};
use super::{Named, Reader, is_private};

impl Reader<'_> {
    pub(super) fn destinations(
        &mut self,
        root: &Node,
        connections: &[Connection],
    ) -> Vec<Named<Destination>> {
        let given = root.get("defaults").and_then(|node| node.get("destination"));
        let mut all = Vec::new();
        for (key, node) in self.entries(root.get("destinations"), "destinations") {
            if is_private(key) {
                continue;
            }
            let name = self.name(key, &node.path);
            let group = map(node)
                .iter()
                .any(|(key, _)| GROUPS.contains(&key.name.as_str()));
            let (entry, item) = if group {
                self.group(&name, node, connections)
            } else {
                self.endpoint(key, &name, node, given, connections)
            };
            let plan = match &item {
                Some(Destination::Group(group)) => Some(group.plan.clone()),
                _ => None,
            };
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

    fn group(
        &mut self,
        name: &Arc<str>,
        node: &Node,
        connections: &[Connection],
    ) -> (Node, Option<Destination>) {
        let of_endpoints = fields_of::<DestinationKeys>();
        let of_groups = keys_of_groups();
        for (key, value) in map(node) {
            let said = key.name.as_str();
            if of_endpoints.contains(&said) && !of_groups.contains(&said) {
                let what = format!("a group has no `{said}` of its own");
                self.findings
                    .push(Finding::error(&value, what, "set it at the group's members"));
            } else if self.connector(said).is_some() {
                let what = "a destination is a group or has a connector, and this is both";
                self.findings
                    .push(Finding::error(&value, what, "make two destinations of it"));
            }
        }
        let mut skipped: Vec<&str> = of_endpoints
            .iter()
            .copied()
            .filter(|key| !of_groups.contains(key))
            .collect();
        skipped.extend(self.kinds());
        let node = without(node, &skipped);
        let (node, kept) = self.group_store(name, node, connections);
        let (store, shared) = kept.into_parts();
        let plan = self.group_plan(&node, &OF_NAMED);
        let item = plan.map(|plan| {
            Destination::Group(Box::new(Group {
                name: name.clone(),
                plan,
                store,
                shared,
                effective: node.clone(),
            }))
        });
        (node, item)
    }

    fn group_store(&mut self, name: &Arc<str>, node: Node, connections: &[Connection]) -> (Node, Kept) {
        let Some(keep) = node.get(STORE).and_then(|at| self.decode::<Keep>(at)) else {
            return (node, Kept::Nowhere);
        };
        let (node, store) = self.own_store(name, node, &keep, connections);
        if let (false, Some(_), Some(at)) = (keep.is_off(), node.get("multicast"), node.get(STORE)) {
            let what = "a record of a multicast would go to every member again when one fails";
            self.findings
                .push(Finding::error(at, what, "put the store on its members"));
        }
        (node, store)
    }

    fn endpoint(
        &mut self,
        key: &Key,
        name: &Arc<str>,
        node: &Node,
        given: Option<&Node>,
        connections: &[Connection],
    ) -> (Node, Option<Destination>) {
        let before = self.errors();
        let kinds = self.kinds();
        let mut others = kinds.clone();
        others.extend(GROUPS);
        let own = self.known(
            node,
            &Allowed {
                fields: fields_of::<DestinationKeys>(),
                others: &others,
            },
        );
        let entry = without_kinds_from(&own, given, &kinds);
        let found = self.section(key, &own, "a destination", before);
        let keys = self.decode::<DestinationKeys>(&without(&entry, &kinds));
        let (entry, kept) = match &keys {
            Some(keys) => self.own_store(name, entry, &keys.store, connections),
            None => (entry, Kept::Nowhere),
        };
        let (entry, kept) = match &keys {
            Some(keys) if keys.lossy => self.lossy_store(entry, kept),
            _ => (entry, kept),
        };
        let (store, shared) = kept.into_parts();
        let Some((kind, section)) = found else {
            return (entry, None);
        };
        let (section, connected) = self.connect(kind, &section, connections);
        let entry = replaced(entry, kind, &section);
        let read = keys.clone().unwrap_or_default();
        self.endpoint_keys(&entry, &read);
        self.pace_keys(&entry, &read);
        let settings = EgressSettings {
            name: name.clone(),
            node: self.node.clone(),
            cluster: self.cluster.clone(),
            event_max: self.event_max,
            client_memory: self.client_memory,
            lossy: read.lossy,
            log: false,
        };
        let connector = self.connector(kind).expect("the kind was found in the registry");
        let builder = match connector.egress(&section, &settings) {
            Some(Ok(builder)) => Some(builder),
            Some(Err(findings)) => {
                self.refused(connector, &section, connected, findings);
                None
            }
            None => {
                let what = format!("`{kind}` is no destination: it only takes events in");
                self.findings
                    .push(Finding::error(&section, what, "use it under `ingress:`"));
                None
            }
        };
        let (Some(keys), Some(builder)) = (keys, builder) else {
            return (entry, None);
        };
        if self.errors() > before {
            return (entry, None);
        }
        let endpoint = Endpoint {
            name: name.clone(),
            kind,
            builder: builder.into(),
            retry: keys.retry,
            queue: keys.queue,
            order_by: keys.order_by.0,
            batch: keys.batch,
            breaker: keys.breaker,
            rate: keys.rate,
            dedupe: keys.dedupe,
            lossy: keys.lossy,
            store,
            shared,
            effective: entry.clone(),
        };
        (entry, Some(Destination::Endpoint(Box::new(endpoint))))
    }

    /// What the types cannot say.
    fn endpoint_keys(&mut self, entry: &Node, keys: &DestinationKeys) {
        let at = |section: &str, key: &str| {
            entry
                .get(section)
                .map_or(entry, |node| node.get(key).unwrap_or(node))
                .clone()
        };
        for (section, initial, max) in [
            ("retry", keys.retry.initial, keys.retry.max),
            ("breaker", keys.breaker.initial, keys.breaker.max),
        ] {
            if initial.get().is_zero() {
                let what = "a first wait of nothing would send again without a pause";
                self.findings.push(Finding::error(
                    &at(section, "initial"),
                    what,
                    "for example `initial: 100ms`",
                ));
            } else if initial > max {
                let what = format!("the first wait ({initial}) is longer than the longest ({max})");
                let remedy = "make `initial` shorter or `max` longer";
                self.findings
                    .push(Finding::error(&at(section, "max"), what, remedy));
            }
        }
        if keys.queue.bytes.get() < self.event_max {
            let what = format!(
                "the queue ({}) could not hold the largest event",
                keys.queue.bytes
            );
            let remedy = "give it at least as much as `limits.event`";
            self.findings
                .push(Finding::error(&at("queue", "bytes"), what, remedy));
        }
        if matches!(keys.batch.bytes, Some(bytes) if bytes.get() == 0) {
            let what = "a batch of 0 bytes holds nothing";
            self.findings.push(Finding::error(
                &at("batch", "bytes"),
                what,
                "leave the key out, or give it a size",
            ));
        }
    }
}

/// Whether a node holds anything.
pub(super) fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null => true,
        Value::List(nodes) => nodes.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}
