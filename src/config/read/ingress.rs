//! `ingress:`.

use std::sync::Arc;

use weft_api::config::{Finding, Key, Node, Value};
use weft_api::connector::IngressSettings;
use weft_api::ingress::Window;

use super::super::keys::{self, IngressKeys, OnMalformed, fields_of};
use super::super::model::{Ingress, Unmatched};
use super::connection::Connection;
use super::entry::{Allowed, defaults, without};
use super::router::place;
use super::{Named, Reader, at_key, is_private};

impl Reader<'_> {
    pub(super) fn ingresses(&mut self, root: &Node, connections: &[Connection]) -> Vec<Named<Ingress>> {
        let given = root.get("defaults").and_then(|node| node.get("ingress"));
        let mut all = Vec::new();
        for (key, node) in self.entries(root.get("ingress"), "ingresses") {
            if is_private(key) {
                continue;
            }
            let name = self.name(key, &node.path);
            let kinds = self.kinds();
            let before = self.errors();
            let own = self.known(
                node,
                &Allowed {
                    fields: fields_of::<IngressKeys>(),
                    others: &kinds,
                },
            );
            let entry = without_kinds_from(&own, given, &kinds);
            let (entry, item) = match self.section(key, &own, "an ingress", before) {
                Some((kind, section)) => self.ingress(&name, kind, &section, entry, root, connections),
                None => {
                    self.decode::<IngressKeys>(&without(&entry, &kinds));
                    (entry, None)
                }
            };
            all.push(Named {
                name,
                place: place(key, node),
                node: entry,
                item,
                plan: None,
            });
        }
        all
    }

    fn ingress(
        &mut self,
        name: &Arc<str>,
        kind: &'static str,
        section: &Node,
        entry: Node,
        root: &Node,
        connections: &[Connection],
    ) -> (Node, Option<Ingress>) {
        let before = self.errors();
        let (section, connected) = self.connect(kind, section, connections);
        let entry = replaced(entry, kind, &section);
        let keys = self.decode::<IngressKeys>(&without(&entry, &self.kinds()));
        let read = keys.clone().unwrap_or_default();
        let window = read.window.map(|window| Window {
            events: window.events.get(),
            bytes: window.bytes.get(),
        });
        let settings = IngressSettings {
            name: name.clone(),
            node: self.node.clone(),
            cluster: self.cluster.clone(),
            accept: read.accept,
            event: entry
                .get("event")
                .filter(|node| !matches!(node.value, Value::Null))
                .cloned(),
            window,
            event_max: self.event_max,
            client_memory: self.client_memory,
            log: false,
        };
        let connector = self.connector(kind).expect("the kind was found in the registry");
        let builder = match connector.ingress(&section, &settings) {
            Some(Ok(builder)) => Some(builder),
            Some(Err(findings)) => {
                self.refused(connector, &section, connected, findings);
                None
            }
            None => {
                let what = format!("`{kind}` is no ingress: it only takes events out");
                self.findings
                    .push(Finding::error(&section, what, "use it under `destinations:`"));
                None
            }
        };
        let (Some(keys), Some(builder)) = (keys, builder) else {
            return (entry, None);
        };
        let dead_letter: Option<Arc<str>> = keys.dead_letter.as_deref().map(Arc::from);
        let on_malformed = match (keys.on_malformed, &dead_letter) {
            (Some(OnMalformed::DeadLetter), None) => {
                let at = entry.get("on_malformed").unwrap_or(&entry);
                let what = "`on_malformed: dead_letter` needs a destination";
                self.findings
                    .push(Finding::error(at, what, "add `dead_letter: NAME` to the ingress"));
                OnMalformed::Reject
            }
            (Some(said), _) => said,
            (None, Some(_)) => OnMalformed::DeadLetter,
            (None, None) => OnMalformed::Reject,
        };
        let global = root
            .get("unmatched")
            .and_then(|node| weft_api::config::decode::<keys::Unmatched>(node).ok());
        if keys.retain.is_some_and(|retain| retain.get().is_zero()) {
            let at = entry.get("retain").unwrap_or(&entry);
            let what = "what is kept for no time is not kept";
            self.findings.push(Finding::error(
                at,
                what,
                "for example `retain: 24h`, or leave it out",
            ));
        }
        let unmatched = unmatched(keys.unmatched.as_ref().or(global.as_ref()));
        if self.errors() > before {
            return (entry, None);
        }
        let ingress = Ingress {
            name: name.clone(),
            kind,
            builder: builder.into(),
            accept: keys.accept,
            dead_letter,
            on_rejected: keys.on_rejected,
            on_malformed,
            window,
            unmatched,
            retain: keys.retain.map(weft_api::config::HumanDuration::get),
            effective: entry.clone(),
        };
        (entry, Some(ingress))
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == weft_api::config::Severity::Error)
            .count()
    }

    /// The one connector's section of an entry. Where there were fewer errors `before`, a key that is not known has
    /// been reported, and no connector is missed.
    pub(super) fn section(
        &mut self,
        name: &Key,
        entry: &Node,
        what: &str,
        before: usize,
    ) -> Option<(&'static str, Node)> {
        if !matches!(entry.value, Value::Map(_)) {
            let said = format!("`{}` must be a mapping with a connector's section", name.name);
            let remedy = format!("for example `{}: {{ {}: {{ ... }} }}`", name.name, self.example());
            self.findings.push(at_key(name, &entry.path, said, remedy));
            return None;
        }
        let mut found: Option<(&'static str, Node)> = None;
        for (key, section) in super::entry::map(entry) {
            let Some(connector) = self.connector(&key.name) else {
                continue;
            };
            match &found {
                None => found = Some((connector.kind(), section)),
                Some((first, _)) => {
                    let said = format!(
                        "{what} has one connector, and this has `{first}` and `{}`",
                        key.name
                    );
                    self.findings
                        .push(at_key(&key, &section.path, said, "make two entries of it"));
                }
            }
        }
        if found.is_none() && self.errors() == before {
            let said = format!("`{}` has no connector", entry.path);
            let remedy = format!("add a section: one of `{}`", self.kinds().join("`, `"));
            self.findings.push(at_key(name, &entry.path, said, remedy));
        }
        found
    }

    fn example(&self) -> &'static str {
        self.registry.first().map_or("http", |connector| connector.kind())
    }
}

/// The model's word for it.
pub(in crate::config) fn unmatched(said: Option<&keys::Unmatched>) -> Unmatched {
    match said {
        None | Some(keys::Unmatched::Discard) => Unmatched::Discard,
        Some(keys::Unmatched::Reject) => Unmatched::Reject,
        Some(keys::Unmatched::To(name)) => Unmatched::To(name.as_str().into()),
    }
}

/// Defaults put in; connectors have none, and what stands there by mistake was reported.
pub(super) fn without_kinds_from(entry: &Node, given: Option<&Node>, kinds: &[&str]) -> Node {
    let given = given.map(|node| without(node, kinds));
    defaults(entry, given.as_ref())
}

/// The entry with another section.
pub(super) fn replaced(mut entry: Node, kind: &str, section: &Node) -> Node {
    if let Value::Map(entries) = &mut entry.value
        && let Some((_, node)) = entries.iter_mut().find(|(key, _)| key.name == kind)
    {
        *node = section.clone();
    }
    entry
}
