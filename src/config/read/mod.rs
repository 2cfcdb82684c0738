//! From the united tree to a draft of the model: types are checked and sections accepted, names are not looked up.
//!
//! Invariant: a mistake in one entry hides none in another. What a draft leaves out was reported.

mod connection;
mod destination;
mod entry;
mod ingress;
mod pace;
mod plan;
mod route;
mod router;
mod shared;
mod store;

use std::sync::Arc;

use weft_api::config::{ByteSize, Finding, Key, Node, Value};
use weft_api::connector::Connector;

use super::keys;
use super::keys::{Admin, Limits, NodeKeys, Observe, StoreKeys};
use super::model::{Destination, Ingress, Place, Plan, Removed, Route};

pub(super) use connection::Connection;
pub(super) use entry::without;
pub(super) use ingress::unmatched;

/// The built-in connectors.
pub type Registry<'a> = &'a [&'a dyn Connector];

/// The file, read; names not looked up.
pub(super) struct Draft {
    pub(super) node: NodeKeys,
    pub(super) observe: Observe,
    pub(super) admin: Admin,
    pub(super) limits: Limits,
    /// `None` where the file has none, or none that is good enough.
    pub(super) store: Option<StoreKeys>,
    pub(super) connections: Vec<Connection>,
    pub(super) ingress: Vec<Named<Ingress>>,
    pub(super) destinations: Vec<Named<Destination>>,
    pub(super) routes: Vec<Named<Route>>,
    pub(super) unmatched: keys::Unmatched,
    pub(super) removed: Vec<(Arc<str>, Removed, Place)>,
    /// The united tree, for places.
    pub(super) root: Node,
}

/// An entry of a section and its name; `None` where it was not good enough to keep. Its name still counts as known.
pub(super) struct Named<T> {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
    /// The entry as it is in effect.
    pub(super) node: Node,
    pub(super) item: Option<T>,
    /// Where it leads, if it is a route or a group, whatever else is wrong with it.
    pub(super) plan: Option<Plan>,
}

/// What reading needs at hand.
pub(super) struct Reader<'a> {
    pub(super) registry: Registry<'a>,
    pub(super) findings: Vec<Finding>,
    node: Arc<str>,
    cluster: Arc<str>,
    event_max: u64,
    /// Bytes of client buffers for each connector's entry.
    client_memory: u64,
}

impl<'a> Reader<'a> {
    fn connector(&self, kind: &str) -> Option<&'a dyn Connector> {
        self.registry
            .iter()
            .copied()
            .find(|connector| connector.kind() == kind)
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.registry.iter().map(|connector| connector.kind()).collect()
    }

    /// Reads a serde type, keeping its findings.
    fn decode<T: serde::de::DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        match weft_api::config::decode(node) {
            Ok(value) => Some(value),
            Err(findings) => {
                self.findings.extend(findings);
                None
            }
        }
    }

    /// The entries of a mapping of names, `x-` keys left out. Anything else is reported.
    fn entries<'n>(&mut self, node: Option<&'n Node>, what: &str) -> &'n [(Key, Node)] {
        match node.map(|node| (&node.value, node)) {
            None | Some((Value::Null, _)) => &[],
            Some((Value::Map(entries), node)) => {
                if entries.len() > ENTRIES_MAX {
                    let said = format!("`{}` has more than {ENTRIES_MAX} entries", node.path);
                    self.findings
                        .push(Finding::error(node, said, "run several routers"));
                    return &[];
                }
                entries
            }
            Some((_, node)) => {
                let said = format!("`{}` must be a mapping of names to {what}", node.path);
                self.findings.push(Finding::error(
                    node,
                    said,
                    format!("for example `{}: {{ name: ... }}`", node.path),
                ));
                &[]
            }
        }
    }

    /// Checks a name of the writer's own.
    fn name(&mut self, key: &Key, path: &str) -> Arc<str> {
        let good = key.name.len() <= NAME_MAX
            && key
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && key
                .name
                .starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !good {
            self.findings.push(at_key(
                key,
                path,
                format!("`{}` cannot be a name", bounded(&key.name)),
                "a name has 1 to 63 characters out of a-z, 0-9 and `-`, and does not begin with `-`",
            ));
        } else if RESERVED.contains(&key.name.as_str()) {
            let remedy = format!("choose another name; `{}` are reserved", RESERVED.join("`, `"));
            self.findings.push(at_key(
                key,
                path,
                format!("`{}` is a reserved name", key.name),
                remedy,
            ));
        }
        key.name.as_str().into()
    }
}

/// Most entries of one section.
const ENTRIES_MAX: usize = 10_000;

/// Longest name.
const NAME_MAX: usize = 63;

/// Names that mean something of their own.
pub(super) const RESERVED: [&str; 4] = ["mesh", LOCAL, "discard", "reject"];

/// As a dead letter: those of the store.
pub(super) const LOCAL: &str = "local";

/// Whether the writer keeps this key for himself.
pub(super) fn is_private(key: &Key) -> bool {
    key.name.starts_with("x-")
}

/// A finding at a key.
pub(super) fn at_key(key: &Key, path: &str, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        severity: weft_api::config::Severity::Error,
        span: key.span.clone(),
        path: path.to_owned(),
        what: what.into(),
        remedy: remedy.into(),
    }
}

/// A finding at a place.
pub(super) fn at(place: &Place, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        severity: weft_api::config::Severity::Error,
        span: place.span.clone(),
        path: place.path.to_string(),
        what: what.into(),
        remedy: remedy.into(),
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// Reads the whole tree.
pub(super) fn read(root: Node, registry: Registry<'_>) -> (Draft, Vec<Finding>) {
    let mut reader = Reader {
        registry,
        findings: Vec::new(),
        node: "".into(),
        cluster: "".into(),
        event_max: 0,
        client_memory: 0,
    };
    let root = reader.root(root);
    let (node, observe, admin, limits) = reader.router(&root);
    reader.node = node.name.as_str().into();
    reader.cluster = node.cluster.as_str().into();
    reader.event_max = limits.event.get();
    let count = |key: &str| match root.get(key).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.len() as u64,
        _ => 0,
    };
    let clients = count("ingress") + count("destinations") + shared::clients(&root);
    reader.client_memory = limits.clients() / clients.max(1);
    let store = reader.store(&root);
    let connections = reader.connections(&root);
    let ingress = reader.ingresses(&root, &connections);
    let destinations = reader.destinations(&root, &connections);
    let routes = reader.routes(&root);
    let unmatched = root
        .get("unmatched")
        .and_then(|node| reader.decode(node))
        .unwrap_or_default();
    let removed = reader.removed(&root);
    let draft = Draft {
        node,
        observe,
        admin,
        limits,
        store,
        connections,
        ingress,
        destinations,
        routes,
        unmatched,
        removed,
        root,
    };
    (draft, reader.findings)
}

/// Only a test of bounds needs it elsewhere.
pub(super) fn too_small(value: ByteSize, least: ByteSize) -> bool {
    value < least
}
