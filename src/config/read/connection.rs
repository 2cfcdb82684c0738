//! `connections:`: address, TLS and credentials once; merged into the sections that name them.

use weft_api::config::{Finding, Key, Node, Value, nearest};
use weft_api::connector::Connector;

use super::super::model::Place;
use super::entry::{Allowed, map, without};
use super::router::place;
use super::{Reader, at_key, is_private};

/// The keys of a section that name or may come from a connection.
const NAME_KEY: &str = "connection";
/// What every connection may have beside its connector's keys.
const SHARED: [&str; 2] = ["tls", "auth"];

/// One connection.
pub(in crate::config) struct Connection {
    pub(in crate::config) name: String,
    pub(in crate::config) place: Place,
    /// Its connector, and what goes into the sections that name it; `None` where it was not good enough.
    parts: Option<(String, Vec<(Key, Node)>)>,
}

impl Reader<'_> {
    pub(super) fn connections(&mut self, root: &Node) -> Vec<Connection> {
        let mut connections = Vec::new();
        for (key, node) in self.entries(root.get("connections"), "connections") {
            if is_private(key) {
                continue;
            }
            self.name(key, &node.path);
            let parts = self.connection(key, node);
            connections.push(Connection {
                name: key.name.clone(),
                place: place(key, node),
                parts,
            });
        }
        connections
    }

    fn connection(&mut self, name: &Key, node: &Node) -> Option<(String, Vec<(Key, Node)>)> {
        let kinds: Vec<&str> = self
            .registry
            .iter()
            .filter(|c| !c.connection_keys().is_empty())
            .map(|c| c.kind())
            .collect();
        let node = self.known(
            node,
            &Allowed {
                fields: &SHARED,
                others: &kinds,
            },
        );
        let entries = map(&node);
        let mut sections = entries
            .iter()
            .filter(|(key, _)| kinds.contains(&key.name.as_str()));
        let Some((kind, section)) = sections.next() else {
            let what = format!("the connection `{}` has no connector's section", name.name);
            self.findings.push(at_key(
                name,
                &node.path,
                what,
                format!("add one of `{}`", kinds.join("`, `")),
            ));
            return None;
        };
        if let Some((second, _)) = sections.next() {
            let what = format!(
                "a connection is for one connector, and this is for `{}`, too",
                kind.name
            );
            self.findings
                .push(at_key(second, &node.path, what, "make two connections of it"));
        }
        let keys = self
            .connector(&kind.name)
            .map_or(&[] as &[&str], |connector| connector.connection_keys());
        if !matches!(section.value, Value::Map(_) | Value::Null) {
            self.entries(Some(section), "settings");
        }
        let section = self.known(
            section,
            &Allowed {
                fields: keys,
                others: &[],
            },
        );
        let mut parts = map(&section);
        parts.extend(
            entries
                .iter()
                .filter(|(key, _)| SHARED.contains(&key.name.as_str()))
                .cloned(),
        );
        Some((kind.name.clone(), parts))
    }

    /// The section with its connection's keys; the section's own win, whole. False where the connection was not good
    /// enough, so that keys may be missing that it would give.
    pub(super) fn connect(&mut self, kind: &str, section: &Node, connections: &[Connection]) -> (Node, bool) {
        let Some(reference) = section.get(NAME_KEY) else {
            return (section.clone(), true);
        };
        let keys = self
            .connector(kind)
            .map_or(&[] as &[&str], |connector| connector.connection_keys());
        if keys.is_empty() {
            // The connector itself says that it does not know the key.
            return (section.clone(), true);
        }
        let rest = without(section, &[NAME_KEY]);
        let Some(name) = self.decode::<String>(reference) else {
            return (rest, false);
        };
        let Some(connection) = connections.iter().find(|connection| connection.name == name) else {
            let names = connections.iter().map(|connection| connection.name.as_str());
            let remedy = match nearest(&name, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if connections.is_empty() => "define it under `connections:`".to_owned(),
                None => format!("connections are: {}", names.collect::<Vec<_>>().join(", ")),
            };
            self.findings.push(Finding::error(
                reference,
                format!("there is no connection `{name}`"),
                remedy,
            ));
            return (rest, false);
        };
        let Some((other, parts)) = &connection.parts else {
            return (rest, false);
        };
        if other != kind {
            let what = format!("the connection `{name}` is for `{other}`, not for `{kind}`");
            self.findings.push(Finding::error(
                reference,
                what,
                format!("name a connection with a `{kind}:` section"),
            ));
            return (rest, false);
        }
        let mut entries = map(&rest);
        for (key, node) in parts {
            if !entries.iter().any(|(k, _)| k.name == key.name) {
                entries.push((key.clone(), node.clone()));
            }
        }
        (
            Node {
                value: Value::Map(entries),
                ..rest
            },
            true,
        )
    }

    /// Keeps what a connector says about its section, but for keys that only the missing connection would have given.
    pub(super) fn refused(
        &mut self,
        connector: &dyn Connector,
        section: &Node,
        connected: bool,
        findings: Vec<Finding>,
    ) {
        let lacks = |finding: &Finding, key: &str| {
            *finding.path == *section.path && finding.what.ends_with(&format!("needs the key `{key}`"))
        };
        let consequence = |finding: &Finding| {
            !connected && connector.connection_keys().iter().any(|key| lacks(finding, key))
        };
        self.findings
            .extend(findings.into_iter().filter(|finding| !consequence(finding)));
    }
}
