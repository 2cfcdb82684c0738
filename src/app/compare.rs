//! What a reload from one configuration to another would do, with nothing living: for `weft check --diff`.
//!
//! What is touched is what [`crate::topology::reload`] says, from the same fingerprints; what is refused for certain is
//! what the router itself asks ([`fixed`]). Beside that stands what differs, key by key, secrets masked.
//!
//! Does not know: how many events are pending where.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use weft_api::config::{Node, Value};

use super::spec;
use crate::config::{Destination, KeyChange, Model, Removed, Route, Unmatched, differences};
use crate::topology::reload::{self, Report};

/// Two configurations side by side.
#[derive(Debug)]
pub struct Comparison {
    /// What a reload touches, as it would report it.
    pub touched: Report,
    /// Why the reload would be refused, whatever is pending.
    pub refused: Vec<&'static str>,
    /// Keys of the router as a whole.
    pub router: Vec<KeyChange>,
    /// In the order of the new file, those that are gone last.
    pub ingresses: Vec<Entry>,
    /// Destinations with a connector.
    pub destinations: Vec<Entry>,
    /// Groups.
    pub groups: Vec<Entry>,
    /// Routes; their order alone is no change.
    pub routes: Vec<Entry>,
    /// The directory of the old store, where the new file has none, or another one: a restart looks at nothing in it.
    pub left_behind: Option<String>,
    /// Names under `removed:` that were no destinations before.
    pub needless: Vec<Arc<str>>,
}

/// One entry that is not the same.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: Arc<str>,
    /// Its connector, if it has one.
    pub kind: &'static str,
    /// New, other or gone.
    pub change: Change,
    /// Which keys, where it is another.
    pub keys: Vec<KeyChange>,
    /// Its connector is made anew: an ingress is reopened, a destination gets another client.
    pub anew: bool,
    /// For a destination that is gone: what the new file says of its pending events.
    pub removed: Option<Removed>,
    /// For a destination that is gone: routes of the old file that lead to it, with their dead letters.
    pub letters: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// What happened to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is new.
    Added,
    /// It says something else.
    Changed,
    /// It is gone.
    Removed,
}

/// Settings that differ and that no reload can change.
#[must_use]
pub fn fixed(old: &Model, new: &Model) -> Vec<&'static str> {
    let mut why = Vec::new();
    if old.observe != new.observe || old.admin != new.admin {
        why.push("observe.listen and admin.listen take effect at a restart only");
    }
    if old.limits.memory != new.limits.memory {
        why.push("limits.memory takes effect at a restart only");
    }
    match (&old.store, &new.store) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            if old.path != new.path {
                why.push("store.path takes effect at a restart only");
            }
            if (old.max_bytes, old.keep_free, old.sync) != (new.max_bytes, new.keep_free, new.sync) {
                why.push("store.max_bytes, keep_free and sync take effect at a restart only");
            }
        }
        (None, Some(_)) => why.push("a store is opened at a start only"),
        (Some(_), None) => why.push("a store is closed at a stop only"),
    }
    why
}

fn left_behind(old: &Model, new: &Model) -> Option<String> {
    let old = &old.store.as_ref()?.path;
    let stays = new.store.as_ref().is_some_and(|new| new.path == *old);
    (!stays).then(|| old.clone())
}

/// Compares.
#[must_use]
pub fn compare(old: &Model, new: &Model) -> Comparison {
    let touched = reload::compare(&spec::of(old), &spec::of(new));
    let mut of_ingress = entries(&ingresses(old), &ingresses(new));
    inherited(old, new, &mut of_ingress);
    made_anew(&touched.ingresses, &ingresses(new), &mut of_ingress);
    let (old_endpoints, old_groups) = destinations(old);
    let (new_endpoints, new_groups) = destinations(new);
    let mut of_endpoint = entries(&old_endpoints, &new_endpoints);
    made_anew(&touched.destinations, &new_endpoints, &mut of_endpoint);
    for entry in &mut of_endpoint {
        if entry.change == Change::Removed {
            entry.removed = new.removed(&entry.name);
            entry.letters = letters(old, &entry.name);
        }
    }
    let mut needless = Vec::new();
    for (name, _) in &new.removed {
        let is_log = old.shared_logs().any(|log| log.name == *name);
        if !is_log && old_endpoints.iter().all(|known| known.name != name) {
            needless.push(Arc::clone(name));
        }
    }
    Comparison {
        refused: fixed(old, new),
        router: router(old, new),
        ingresses: of_ingress,
        destinations: of_endpoint,
        groups: entries(&old_groups, &new_groups),
        routes: entries(&routes(old), &routes(new)),
        left_behind: left_behind(old, new),
        needless,
        touched,
    }
}

impl Comparison {
    /// Whether both say the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.router.is_empty()
            && [&self.ingresses, &self.destinations, &self.groups, &self.routes]
                .iter()
                .all(|entries| entries.is_empty())
    }
}

impl Entry {
    fn new(name: Arc<str>, kind: &'static str, change: Change) -> Entry {
        Entry {
            name,
            kind,
            change,
            keys: Vec::new(),
            anew: false,
            removed: None,
            letters: Vec::new(),
        }
    }
}

/// An entry of a section.
struct Item<'a> {
    name: &'a Arc<str>,
    kind: &'static str,
    effective: &'a Node,
}

fn entries(old: &[Item<'_>], new: &[Item<'_>]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for item in new {
        match old.iter().find(|known| known.name == item.name) {
            None => entries.push(Entry::new(Arc::clone(item.name), item.kind, Change::Added)),
            Some(known) if known.effective.same(item.effective) => {}
            Some(known) => {
                let mut entry = Entry::new(Arc::clone(item.name), item.kind, Change::Changed);
                entry.keys = differences(known.effective, item.effective);
                entries.push(entry);
            }
        }
    }
    for item in old {
        if !new.iter().any(|known| known.name == item.name) {
            entries.push(Entry::new(Arc::clone(item.name), item.kind, Change::Removed));
        }
    }
    entries
}

fn ingresses(model: &Model) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for ingress in &model.ingress {
        items.push(Item {
            name: &ingress.name,
            kind: ingress.kind,
            effective: &ingress.effective,
        });
    }
    items
}

/// Destinations with a connector, and groups.
fn destinations(model: &Model) -> (Vec<Item<'_>>, Vec<Item<'_>>) {
    let (mut endpoints, mut groups) = (Vec::new(), Vec::new());
    for destination in &model.destinations {
        let (into, kind) = match destination {
            Destination::Endpoint(endpoint) => (&mut endpoints, endpoint.kind),
            Destination::Group(_) => (&mut groups, ""),
        };
        into.push(Item {
            name: destination.name(),
            kind,
            effective: destination.effective(),
        });
    }
    (endpoints, groups)
}

fn routes(model: &Model) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for route in &model.routes {
        items.push(Item {
            name: &route.name,
            kind: "",
            effective: &route.effective,
        });
    }
    items
}

/// Marks what the reload makes anew; what concerns every connector stands in no entry of its own.
fn made_anew(changes: &reload::Changes, new: &[Item<'_>], entries: &mut Vec<Entry>) {
    for name in &changes.changed {
        if let Some(entry) = entries.iter_mut().find(|entry| *entry.name == **name) {
            entry.anew = true;
        } else if let Some(item) = new.iter().find(|item| **item.name == **name) {
            let mut entry = Entry::new(Arc::clone(item.name), item.kind, Change::Changed);
            entry.anew = true;
            entries.push(entry);
        }
    }
}

/// `unmatched:` of the whole file is not in the entry of an ingress that inherits it.
fn inherited(old: &Model, new: &Model, entries: &mut Vec<Entry>) {
    for after in &new.ingress {
        let Some(before) = old.ingress(&after.name) else {
            continue;
        };
        let known = entries.iter().position(|entry| entry.name == after.name);
        let told = known.is_some_and(|at| entries[at].keys.iter().any(|key| key.path == "unmatched"));
        if before.unmatched == after.unmatched || told {
            continue;
        }
        let change = KeyChange {
            path: "unmatched".to_owned(),
            from: Some(word(&before.unmatched).to_owned()),
            to: Some(word(&after.unmatched).to_owned()),
        };
        match known {
            Some(at) => entries[at].keys.push(change),
            None => {
                let mut entry = Entry::new(Arc::clone(&after.name), after.kind, Change::Changed);
                entry.keys.push(change);
                entries.push(entry);
            }
        }
    }
}

fn word(unmatched: &Unmatched) -> &str {
    match unmatched {
        Unmatched::Discard => "discard",
        Unmatched::Reject => "reject",
        Unmatched::To(name) => name,
    }
}

/// Keys of the router as a whole, as both files have them.
fn router(old: &Model, new: &Model) -> Vec<KeyChange> {
    let mut changes = Vec::new();
    for section in ["node", "observe", "admin", "limits", "store", "unmatched"] {
        let empty = |model: &Model| Node {
            value: Value::Map(Vec::new()),
            ..model.effective.clone()
        };
        let of = |model: &Model| {
            model
                .effective
                .get(section)
                .cloned()
                .unwrap_or_else(|| empty(model))
        };
        for change in differences(&of(old), &of(new)) {
            let path = match change.path.as_str() {
                "" => section.to_owned(),
                below => format!("{section}.{below}"),
            };
            changes.push(KeyChange { path, ..change });
        }
    }
    changes
}

/// Routes of `model` that lead to a destination, through groups, too, with their dead letters.
fn letters(model: &Model, name: &str) -> Vec<(Arc<str>, Option<Arc<str>>)> {
    let leads = |route: &&Route| {
        let mut open: Vec<&str> = route.to.targets().iter().map(|target| &*target.name).collect();
        let mut seen: Vec<&str> = Vec::new();
        while let Some(next) = open.pop() {
            if next == name {
                return true;
            }
            if seen.contains(&next) {
                continue;
            }
            seen.push(next);
            if let Some(Destination::Group(group)) = model.destination(next) {
                open.extend(group.plan.targets().iter().map(|target| &*target.name));
            }
        }
        false
    };
    let of = |route: &Route| (Arc::clone(&route.name), route.dead_letter.clone());
    model.routes.iter().filter(leads).map(of).collect()
}
