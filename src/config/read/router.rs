//! The top level, and what concerns the router as a whole.

use std::sync::Arc;

use weft_api::config::{Finding, Key, Node, Value};

use super::super::keys::{
    Admin, DestinationKeys, IngressKeys, Limits, Listen, NodeKeys, Observe, RouteKeys, fields_of,
};
use super::super::model::{Place, Removed};
use super::entry::Allowed;
use super::ingress::replaced;
use super::{Reader, is_private, too_small};

/// The keys of the top level.
const TOP: [&str; 11] = [
    "node",
    "observe",
    "admin",
    "limits",
    "store",
    "connections",
    "defaults",
    "ingress",
    "destinations",
    "routes",
    "unmatched",
];

impl Reader<'_> {
    /// The root without what may not stand there; `defaults` checked.
    pub(super) fn root(&mut self, root: Node) -> Node {
        let root = self.known(
            &root,
            &Allowed {
                fields: &TOP,
                others: &["removed"],
            },
        );
        if let Some(defaults) = root.get("defaults") {
            let checked = self.known(
                defaults,
                &Allowed {
                    fields: &["ingress", "destination", "route"],
                    others: &[],
                },
            );
            if !matches!(checked.value, Value::Map(_) | Value::Null) {
                self.entries(Some(&checked), "defaults");
            }
            let mut checked = checked;
            if let Value::Map(entries) = &mut checked.value {
                for (key, node) in entries {
                    *node = match key.name.as_str() {
                        "ingress" => self.default::<IngressKeys>(node),
                        "destination" => self.default::<DestinationKeys>(node),
                        _ => self.default::<RouteKeys>(node),
                    };
                }
            }
            return replaced(root.clone(), "defaults", &checked);
        }
        root
    }

    /// The defaults of one section, checked, without what may not stand there.
    fn default<T: serde::de::DeserializeOwned>(&mut self, node: &Node) -> Node {
        let kinds = self.kinds();
        if let Value::Map(entries) = &node.value
            && let Some((key, section)) = entries.iter().find(|(key, _)| kinds.contains(&key.name.as_str()))
        {
            let what = format!("`{}` is a connector's section, and has no defaults", key.name);
            self.findings.push(Finding::error(
                section,
                what,
                "share addresses and credentials through `connections:`",
            ));
        }
        let known = self.known(
            node,
            &Allowed {
                fields: fields_of::<T>(),
                others: &kinds,
            },
        );
        let known = super::entry::without(&known, &kinds);
        let readable = if matches!(node.value, Value::Map(_)) {
            known
        } else {
            node.clone()
        };
        self.decode::<T>(&readable);
        readable
    }

    /// `node`, `observe`, `admin` and `limits`.
    pub(super) fn router(&mut self, root: &Node) -> (NodeKeys, Observe, Admin, Limits) {
        let node: NodeKeys = self.settings(root, "node");
        for (key, value) in [("name", &node.name), ("cluster", &node.cluster)] {
            let at = root.get("node").and_then(|section| section.get(key));
            if let Some(at) = at
                && (value.is_empty()
                    || value.len() > 253
                    || value.contains(|c: char| c.is_whitespace() || c.is_control()))
            {
                let what = format!("`{key}` must have 1 to 253 characters and no blanks");
                self.findings
                    .push(Finding::error(at, what, "for example `paris-1`"));
            }
        }
        if let Some(at) = root.get("node").and_then(|section| section.get("cluster"))
            && node
                .cluster
                .contains(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')))
        {
            let what = "the cluster is part of each event's `source`, so it has letters, digits, `-`, `.` and `_` only";
            self.findings
                .push(Finding::error(at, what, "for example `paris`"));
        }
        let limits: Limits = self.settings(root, "limits");
        self.limits(root, &limits);
        let admin: Admin = self.settings(root, "admin");
        if let (Listen::At(address), Some(at)) =
            (admin.listen, root.get("admin").and_then(|s| s.get("listen")))
            && !address.ip().is_loopback()
        {
            let what =
                "whoever reaches the admin address controls this router, and it is not a loopback address";
            self.findings.push(Finding::warning(
                at,
                what,
                "listen on 127.0.0.1, and forward the port where you need it",
            ));
        }
        (node, self.settings(root, "observe"), admin, limits)
    }

    fn settings<T: serde::de::DeserializeOwned + Default>(&mut self, root: &Node, key: &str) -> T {
        root.get(key)
            .and_then(|node| self.decode(node))
            .unwrap_or_default()
    }

    fn limits(&mut self, root: &Node, limits: &Limits) {
        let Some(section) = root.get("limits") else { return };
        let at = |key: &str| section.get(key).unwrap_or(section);
        if too_small(limits.memory, Limits::MEMORY_MIN) {
            let remedy = format!("give it at least {}", Limits::MEMORY_MIN);
            let what = format!("{} of memory is too little to run", limits.memory);
            self.findings.push(Finding::error(at("memory"), what, remedy));
        }
        if too_small(limits.event, Limits::EVENT_MIN) {
            let what = "events of 64KiB must pass: CloudEvents demands it of every intermediary";
            self.findings.push(Finding::error(
                at("event"),
                what,
                format!("give it at least {}", Limits::EVENT_MIN),
            ));
        } else if limits.event.get() > limits.memory.get() / 16 {
            let what = "the largest event may take at most a sixteenth of `limits.memory`";
            let remedy = "make `event` smaller or `memory` larger";
            self.findings.push(Finding::error(at("event"), what, remedy));
        }
    }

    /// `removed`.
    pub(super) fn removed(&mut self, root: &Node) -> Vec<(Arc<str>, Removed, Place)> {
        let mut removed = Vec::new();
        for (key, node) in self.entries(root.get("removed"), "`drain`, `dead_letter` or `purge`") {
            if is_private(key) {
                continue;
            }
            if let Some(what) = self.decode::<Removed>(node) {
                removed.push((key.name.as_str().into(), what, place(key, node)));
            }
        }
        removed
    }
}

/// The place of a key, with the path of what stands under it.
pub(super) fn place(key: &Key, node: &Node) -> Place {
    Place {
        span: key.span.clone(),
        path: node.path.clone(),
    }
}
