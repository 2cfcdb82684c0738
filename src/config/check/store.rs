//! The store and those who use it: who needs one that the file does not have, and what is not as its writer may think.

use std::collections::HashSet;
use std::path::Path;

use weft_api::config::{ByteSize, Finding, Node};

use super::super::keys::{LogKeys, SharedKeys, StoreKeys};
use super::super::model::{Destination, Plan};
use super::super::read::{Draft, LOCAL, at};
use super::names::{dead_letters, default_dead_letters};

/// Who says that events are kept needs a place where.
pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    if draft.root.get("store").is_some() {
        return;
    }
    let add = "add `store: { path: /var/lib/weft }` at the top level";
    let stores = draft
        .destinations
        .iter()
        .filter_map(|named| named.node.get("store"))
        .filter(|store| store.get(SharedKeys::KIND).is_none());
    let kept = draft.ingress.iter().filter_map(|named| named.node.get("retain"));
    for node in stores.chain(kept) {
        let what = "nothing can be kept here: the file has no `store:` of its own";
        findings.push(Finding::error(node, what, format!("{add}, or remove this")));
    }
    let letters = dead_letters(&draft.routes).chain(dead_letters(&draft.ingress));
    for (name, place) in letters.chain(default_dead_letters(&draft.root)) {
        if name == LOCAL {
            let what = "the local dead letters need a store, and the file has no `store:` of its own";
            findings.push(at(&place, what, format!("{add}, or name a destination")));
        }
    }
}

/// Looked for only in a file without errors: every plan ends.
pub(super) fn warn(draft: &Draft, findings: &mut Vec<Finding>) {
    if let (Some(store), Some(node)) = (&draft.store, draft.root.get("store")) {
        warn_of_store(draft, store, node, findings);
    }
    let stored = Stored {
        draft,
        names: kept(draft),
    };
    let plans = draft.destinations.iter().filter_map(|named| named.plan.as_ref());
    for plan in plans.chain(draft.routes.iter().filter_map(|named| named.plan.as_ref())) {
        stored.passed_by(plan, findings);
    }
}

fn warn_of_store(draft: &Draft, store: &StoreKeys, node: &Node, findings: &mut Vec<Finding>) {
    let mut letters = dead_letters(&draft.routes).chain(dead_letters(&draft.ingress));
    let kept = draft
        .ingress
        .iter()
        .any(|named| named.node.get("retain").is_some());
    if logs(draft).next().is_none() && !kept && !letters.any(|(name, _)| name == LOCAL) {
        let what = "nothing uses the store: no destination or group has one, no ingress has `retain`, and no dead letter is `local`";
        findings.push(Finding::warning(
            node,
            what,
            "add `store: true` to a destination, or remove it",
        ));
    }
    if Path::new(&store.path).is_relative() {
        let what = format!(
            "`{}` is below the directory in which weft is started: started from another one, it has another store",
            store.path
        );
        let remedy = "write the whole path, for example `/var/lib/weft`";
        findings.push(Finding::warning(node.get("path").unwrap_or(node), what, remedy));
    }
    promised(draft, node, store.max_bytes, findings);
}

/// Destinations and groups whose events are kept, here or in a log that routers share.
fn kept(draft: &Draft) -> HashSet<&str> {
    let items = draft.destinations.iter().filter(|named| match &named.item {
        Some(Destination::Endpoint(endpoint)) => endpoint.store.is_some() || endpoint.shared.is_some(),
        Some(Destination::Group(group)) => group.store.is_some() || group.shared.is_some(),
        None => false,
    });
    items.map(|named| &*named.name).collect()
}

/// Destinations and groups with a log of this router's.
fn logs(draft: &Draft) -> impl Iterator<Item = (&str, &LogKeys)> {
    draft.destinations.iter().filter_map(|named| {
        let log = match named.item.as_ref()? {
            Destination::Endpoint(endpoint) => endpoint.store.as_ref()?,
            Destination::Group(group) => group.store.as_ref()?,
        };
        Some((&*named.name, log))
    })
}

/// Bounds that were written must fit into the store together, or none of them can be counted on.
fn promised(draft: &Draft, node: &Node, max: ByteSize, findings: &mut Vec<Finding>) {
    let own = logs(draft).filter_map(|(_, log)| log.max_bytes);
    let sum = ByteSize(own.fold(0, |sum, bytes| bytes.get().saturating_add(sum)));
    if sum > max {
        let what = format!(
            "the logs were given {sum} together, and the store has {max}: a log may be full before it has its own"
        );
        let remedy = "give the store more, or the logs less";
        findings.push(Finding::warning(
            node.get("max_bytes").unwrap_or(node),
            what,
            remedy,
        ));
    }
}

struct Stored<'d> {
    draft: &'d Draft,
    names: HashSet<&'d str>,
}

impl Stored<'_> {
    /// Members of fallbacks whose store is used last.
    fn passed_by(&self, plan: &Plan, findings: &mut Vec<Finding>) {
        for child in plan.children() {
            self.passed_by(child, findings);
        }
        let Plan::Fallback(fallback) = plan else { return };
        if !fallback.on.unavailable {
            return;
        }
        for (number, member) in fallback.members.iter().enumerate() {
            let Plan::To(target) = member else { continue };
            let mut later = fallback.members.iter().skip(number + 1);
            if !self.names.contains(&*target.name) || later.all(|plan| self.keeps(plan)) {
                continue;
            }
            let what = format!(
                "events go to the next member while `{}` is down; its store is used only when no member is available",
                target.name
            );
            let remedy = "give the later members a store, too, or the group one in place of this";
            findings.push(Finding {
                severity: weft_api::config::Severity::Warning,
                ..at(&target.place, what, remedy)
            });
        }
    }

    /// Whether everything that may take an event here has a log.
    fn keeps(&self, plan: &Plan) -> bool {
        match plan {
            Plan::To(target) => {
                let group = self
                    .draft
                    .destinations
                    .iter()
                    .find(|named| named.name == target.name);
                self.names.contains(&*target.name)
                    || group
                        .and_then(|named| named.plan.as_ref())
                        .is_some_and(|plan| self.keeps(plan))
            }
            group => group.children().into_iter().all(|child| self.keeps(child)),
        }
    }
}
