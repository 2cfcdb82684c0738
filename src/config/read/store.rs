//! `store`: the router's own, and those of destinations and groups: what the types cannot say of them.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use weft_api::config::{ByteSize, Finding, HumanDuration, Node, Value};

use super::super::keys::{Keep, LogKeys, StoreKeys, SyncKeys};
use super::super::model::SharedLog;
use super::Reader;
use super::connection::Connection;
use super::entry::without;
use super::ingress::replaced;

/// The key.
pub(super) const STORE: &str = "store";

/// Where the events of an entry are kept.
pub(super) enum Kept {
    Nowhere,
    Here(LogKeys),
    Shared(Box<SharedLog>),
}

impl Kept {
    /// One of them at most.
    pub(super) fn into_parts(self) -> (Option<LogKeys>, Option<SharedLog>) {
        match self {
            Kept::Nowhere => (None, None),
            Kept::Here(log) => (Some(log), None),
            Kept::Shared(shared) => (None, Some(*shared)),
        }
    }
}

/// What is at a key, if it can be read.
fn part<T: DeserializeOwned>(node: Option<&Node>) -> Option<T> {
    weft_api::config::decode(node?).ok()
}

impl Reader<'_> {
    /// The router's own.
    pub(super) fn store(&mut self, root: &Node) -> Option<StoreKeys> {
        let node = root.get(STORE)?;
        let store = self.decode::<StoreKeys>(node);
        let at = |key: &str| node.get(key).unwrap_or(node);
        // Where one key cannot be read, the others are looked at all the same.
        let (known, letters) = (store.as_ref(), node.get("dead_letters"));
        if part::<String>(node.get("path")).is_some_and(|path| path.trim().is_empty()) {
            let what = "a store without a path is nowhere";
            let remedy = "name a directory on a local disk, for example `path: /var/lib/weft`";
            self.findings.push(Finding::error(at("path"), what, remedy));
        }
        if let Some(bytes) = known
            .map(|known| known.max_bytes)
            .or_else(|| part(node.get("max_bytes")))
        {
            self.log_bytes(at("max_bytes"), "the store", bytes, StoreKeys::BYTES_MIN);
        }
        if matches!(part(node.get("sync")), Some(SyncKeys::Interval(every)) if every.get().is_zero()) {
            let what = "an interval of nothing would never let the disk rest";
            let remedy = "write `sync: always`, or for example `sync: { interval: 200ms }`";
            self.findings.push(Finding::error(at("sync"), what, remedy));
        }
        let given = letters.and_then(|letters| letters.get("max_bytes"));
        if let Some(bytes) = known
            .map(|known| known.dead_letters.max_bytes)
            .or_else(|| part(given))
        {
            let at = given.or(letters).unwrap_or(node);
            self.log_bytes(at, "the log of the dead letters", bytes, LogKeys::BYTES_MIN);
        }
        if let Some(letters) = letters {
            self.log_age(letters, part(letters.get("max_age")));
        }
        store
    }

    /// The log of the entry `name`. In the entry as it is in effect, `true` is an empty mapping, and `false` nothing at all.
    pub(super) fn own_store(
        &mut self,
        name: &Arc<str>,
        entry: Node,
        keep: &Keep,
        connections: &[Connection],
    ) -> (Node, Kept) {
        let Some(node) = entry.get(STORE) else {
            return (entry, Kept::Nowhere);
        };
        let Keep::On(log) = keep else {
            return (without(&entry, &[STORE]), Kept::Nowhere);
        };
        if log.kafka.is_some() {
            self.log_age(node, log.max_age);
            let (node, shared) = self.shared_log(name, node, log, connections);
            let kept = shared.map_or(Kept::Nowhere, |shared| Kept::Shared(Box::new(shared)));
            return (replaced(entry, STORE, &node), kept);
        }
        if let Some(bytes) = log.max_bytes {
            let at = node.get("max_bytes").unwrap_or(node);
            self.log_bytes(at, "a log", bytes, LogKeys::BYTES_MIN);
        }
        self.log_age(node, log.max_age);
        let node = match node.value {
            Value::Map(_) => node.clone(),
            _ => Node {
                value: Value::Map(Vec::new()),
                secret: false,
                ..node.clone()
            },
        };
        (replaced(entry, STORE, &node), Kept::Here(log.clone()))
    }

    /// A destination that loses what it cannot send needs no log. One from `defaults` is not meant for it.
    pub(super) fn lossy_store(&mut self, entry: Node, log: Kept) -> (Node, Kept) {
        let (Kept::Here(_) | Kept::Shared(_), Some(store)) = (&log, entry.get(STORE)) else {
            return (entry, log);
        };
        let inherited = |key: &str| {
            entry
                .get(key)
                .is_some_and(|node| node.path.starts_with("defaults."))
        };
        if inherited(STORE) && !inherited("lossy") {
            return (without(&entry, &[STORE]), Kept::Nowhere);
        }
        let what = "`lossy` gives up what cannot be sent at once, and a store keeps it until it was";
        self.findings.push(Finding::error(
            store,
            what,
            "write `lossy: false`, or `store: false`",
        ));
        (entry, log)
    }

    fn log_bytes(&mut self, at: &Node, whose: &str, bytes: ByteSize, least: ByteSize) {
        // A record holds more than its event, and one that can never be appended would block its lane for ever.
        let largest = ByteSize(self.event_max.saturating_mul(2));
        if bytes < least {
            let what = format!("{bytes} of disk is too little for {whose}");
            let remedy = format!("give it at least {}", least.max(largest));
            self.findings.push(Finding::error(at, what, remedy));
        } else if bytes < largest {
            let what = format!("{whose} of {bytes} may be too small for the largest event");
            let remedy = format!("give it at least {largest}, twice `limits.event`");
            self.findings.push(Finding::error(at, what, remedy));
        }
    }

    fn log_age(&mut self, section: &Node, age: Option<HumanDuration>) {
        if let (Some(age), Some(at)) = (age, section.get("max_age"))
            && age.get().is_zero()
        {
            let what = "with a `max_age` of nothing a log keeps nothing";
            self.findings.push(Finding::error(
                at,
                what,
                "for example `max_age: 72h`, or leave it out",
            ));
        }
    }
}
