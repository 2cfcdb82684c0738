//! No two servers of one process on one address.

use std::net::SocketAddr;

use weft_api::config::{Finding, Node, Value};

use super::super::model::Place;
use super::super::read::{Draft, at};

pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    let mut taken: Vec<(SocketAddr, Place)> = Vec::new();
    for (address, place) in addresses(draft) {
        match taken.iter().find(|(other, _)| collide(*other, address)) {
            Some((_, first)) => {
                let what = format!(
                    "{address} is taken already, by `{}` at {}",
                    first.path, first.span
                );
                findings.push(at(&place, what, "give one of them another port"));
            }
            None => taken.push((address, place)),
        }
    }
}

fn addresses(draft: &Draft) -> Vec<(SocketAddr, Place)> {
    let mut found = Vec::new();
    for (key, listen) in [("observe", draft.observe.listen), ("admin", draft.admin.listen)] {
        let node = draft
            .root
            .get(key)
            .map(|section| section.get("listen").unwrap_or(section));
        if let Some(address) = listen.address() {
            found.push((
                address,
                Place::of(node.unwrap_or(&draft.root)).named(&format!("{key}.listen")),
            ));
        }
    }
    for named in &draft.ingress {
        let Value::Map(entries) = &named.node.value else {
            continue;
        };
        found.extend(
            entries
                .iter()
                .filter_map(|(_, section)| section.get("listen"))
                .flat_map(listens),
        );
    }
    found
}

/// An address, or several.
fn listens(node: &Node) -> Vec<(SocketAddr, Place)> {
    match &node.value {
        Value::Text(text) => text
            .parse()
            .ok()
            .map(|address| (address, Place::of(node)))
            .into_iter()
            .collect(),
        Value::List(nodes) => nodes.iter().flat_map(listens).collect(),
        _ => Vec::new(),
    }
}

/// The same port on the same address, or on one that stands for all. Port 0 is whichever is free.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let all = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || all)
}

impl Place {
    /// The same place under another path: for defaults, which stand nowhere.
    fn named(mut self, path: &str) -> Place {
        self.path = path.into();
        self
    }
}
