//! `store: { kafka: ... }`: a log that routers share, as the two sections of the connector that write and read it.

use std::sync::Arc;

use weft_api::config::{Finding, Key, Node, Value};
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_api::ingress::Window;
use weft_api::mapping::Accept;

use super::super::keys::{LogKeys, SharedKeys};
use super::super::model::SharedLog;
use super::Reader;
use super::connection::Connection;
use super::entry::{Allowed, map, without};
use super::plan::GROUPS;

/// How a log is called in metrics and status: no name of the file has a dot.
const SUFFIX: &str = ".log";
/// The group by which it is read, where the file names none.
const GROUP: &str = "weft-store-";
/// What a record has beside its event (`delivery::shared`).
const ROOM: u64 = 64 * 1024;
/// What one partition may have under way, as the lane of a local log: what a crash repeats at most.
const WINDOW: Window = Window {
    events: 2048,
    bytes: 8 << 20,
};
/// Keys of a local log that say nothing here, and what does.
const LOCAL_ONLY: [(&str, &str); 3] = [
    (
        "max_bytes",
        "the topic's own retention bounds what it keeps: set `retention.bytes` there",
    ),
    ("when_full", "a topic is never full: leave it out"),
    (
        "retain",
        "the topic keeps what was delivered for as long as its `retention.ms` says",
    ),
];

impl Reader<'_> {
    /// The log of the entry `name`, whose `store` stands at `store`; returns that, as it is in effect, too.
    pub(super) fn shared_log(
        &mut self,
        name: &Arc<str>,
        store: &Node,
        log: &LogKeys,
        connections: &[Connection],
    ) -> (Node, Option<SharedLog>) {
        let Some(given) = store.get(SharedKeys::KIND) else {
            return (store.clone(), None);
        };
        let before = self.errors();
        for (key, instead) in LOCAL_ONLY {
            if let Some(at) = store.get(key) {
                let what = format!("`{key}` is of a log on this router's disk, and this one is in Kafka");
                self.findings.push(Finding::error(at, what, instead));
            }
        }
        let Some(connector) = self.connector(SharedKeys::KIND) else {
            let what = "this build of Weft has no Kafka";
            self.findings
                .push(Finding::error(given, what, "keep it on the disk: `store: true`"));
            return (store.clone(), None);
        };
        if !matches!(given.value, Value::Map(_)) {
            let what = "a store in Kafka needs to know where";
            let remedy = format!("for example `kafka: {{ connection: main, topic: weft.store.{name} }}`");
            self.findings.push(Finding::error(given, what, remedy));
            return (store.clone(), None);
        }
        let allowed = Allowed {
            fields: SharedKeys::KEYS,
            others: &["connection"],
        };
        let section = self.known(given, &allowed);
        let (section, connected) = self.connect(SharedKeys::KIND, &section, connections);
        let section = with(section, "group", |at| {
            text(at, "group", &format!("{GROUP}{name}"))
        });
        let log_name: Arc<str> = format!("{name}{SUFFIX}").into();
        let out = EgressSettings {
            name: log_name.clone(),
            node: self.node.clone(),
            cluster: self.cluster.clone(),
            event_max: self.event_max.saturating_add(ROOM),
            client_memory: self.client_memory,
            lossy: false,
            log: true,
        };
        let inward = IngressSettings {
            name: log_name.clone(),
            node: self.node.clone(),
            cluster: self.cluster.clone(),
            accept: Some(Accept::CloudEvents),
            event: None,
            window: Some(WINDOW),
            // Who wrote it had a bound, which may be another router's: refused here, what is owed would hold its partition up.
            event_max: u64::MAX,
            client_memory: self.client_memory,
            log: true,
        };
        let writes = without(&section, SharedKeys::OF_READER);
        let egress = match connector.egress(&writes, &out) {
            Some(Ok(builder)) => Some(builder),
            Some(Err(findings)) => {
                self.refused(connector, &writes, connected, findings);
                None
            }
            None => None,
        };
        // What is wrong with both is told once.
        let reads = reader_of(&section);
        let ingress = match egress.as_ref().and_then(|_| connector.ingress(&reads, &inward)) {
            Some(Ok(builder)) => Some(builder),
            Some(Err(findings)) => {
                self.refused(connector, &reads, connected, findings);
                None
            }
            None => None,
        };
        let store = with(without(store, &[SharedKeys::KIND]), SharedKeys::KIND, |_| {
            section.clone()
        });
        let (Some(egress), Some(ingress), true) = (egress, ingress, self.errors() == before) else {
            return (store, None);
        };
        let shared = SharedLog {
            name: log_name,
            kind: connector.kind(),
            egress: egress.into(),
            ingress: ingress.into(),
            max_age: log.max_age,
            effective: section,
        };
        (store, Some(shared))
    }
}

/// How many clients the logs of these destinations are, beside those of the entries themselves.
pub(super) fn clients(root: &Node) -> u64 {
    let default = root
        .get("defaults")
        .and_then(|node| node.get("destination"))
        .and_then(|node| node.get(super::store::STORE));
    let shared = |node: &Node| {
        let group = GROUPS.iter().any(|key| node.get(key).is_some());
        let own = node.get(super::store::STORE).or(default.filter(|_| !group));
        own.is_some_and(|store| store.get(SharedKeys::KIND).is_some())
    };
    let entries = root.get("destinations").map(map).unwrap_or_default();
    2 * entries.iter().filter(|(_, node)| shared(node)).count() as u64
}

/// The section by which the log is read; a group that is new begins at the oldest record, which is the connector's default.
fn reader_of(section: &Node) -> Node {
    let topic = section.get("topic").cloned();
    let section = without(section, SharedKeys::OF_WRITER);
    match topic {
        Some(topic) => with(section, "topics", |_| Node {
            value: Value::List(vec![topic.clone()]),
            secret: false,
            ..topic.clone()
        }),
        None => section,
    }
}

/// The mapping with this key, unless it has it.
fn with(mut section: Node, key: &str, value: impl Fn(&Node) -> Node) -> Node {
    if section.get(key).is_some() {
        return section;
    }
    let node = value(&section);
    let key = Key {
        name: key.to_owned(),
        span: node.span.clone(),
    };
    if let Value::Map(entries) = &mut section.value {
        entries.push((key, node));
    }
    section
}

/// A text at the place of the mapping that it goes into.
fn text(at: &Node, key: &str, text: &str) -> Node {
    Node {
        value: Value::Text(text.to_owned()),
        path: format!("{}.{key}", at.path).into(),
        span: at.span.clone(),
        secret: false,
    }
}
