//! Logs that routers share, as an endpoint that writes into each and an ingress that reads it.
//!
//! Both stand in the specification beside those of the file, under names that no file can give (`NAME.log`), and live as
//! those do.

use std::sync::Arc;

use weft_api::config::{HumanDuration, Node, Value};

use super::spec::fingerprint;
use crate::config::{Destination, Model, SharedLog};
use crate::routing::plan::KeyRule;
use crate::topology::settings::Settings;
use crate::topology::spec::{
    DestinationSpec, EndpointSpec, IngressSpec, MalformedSpec, SharedSpec, UnmatchedSpec,
};

#[cfg(all(test, feature = "kafka"))]
mod tests;

/// The endpoint that writes into the log of a destination.
pub(super) fn name(destination: &Destination) -> Option<Arc<str>> {
    destination.shared().map(|shared| Arc::clone(&shared.name))
}

/// What writes into the logs. An event waits for Kafka as long as it takes: there is nowhere safer to go.
pub(super) fn writers<'a>(model: &'a Model, common: &'a str) -> impl Iterator<Item = DestinationSpec> + 'a {
    logs(model).map(move |(destination, shared)| {
        DestinationSpec::Endpoint(EndpointSpec {
            name: Arc::clone(&shared.name),
            builder: Arc::clone(&shared.egress),
            fingerprint: fingerprint(common, &shared.effective, &[]),
            settings: Settings {
                order_by: order_of(model, destination).unwrap_or_default(),
                shared_log: Some(Arc::clone(destination.name())),
                ..Settings::default()
            },
            store: None,
            shared: None,
        })
    })
}

/// What reads them.
pub(super) fn readers<'a>(model: &'a Model, common: &'a str) -> impl Iterator<Item = IngressSpec> + 'a {
    logs(model).map(move |(destination, shared)| IngressSpec {
        name: Arc::clone(&shared.name),
        builder: Arc::clone(&shared.ingress),
        fingerprint: fingerprint(common, &shared.effective, &[]),
        drop_rejected: false,
        unmatched: UnmatchedSpec::Reject,
        malformed: MalformedSpec::Reject,
        retain: None,
        log: Some(SharedSpec {
            of: Arc::clone(destination.name()),
            max_age: shared.max_age.map(HumanDuration::get),
            place: place(&shared.effective),
        }),
    })
}

/// Which log a section means, for people.
fn place(section: &Node) -> String {
    let text = |key: &str| match section.get(key).map(|node| &node.value) {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::List(nodes)) => {
            let texts = nodes.iter().filter_map(|node| match &node.value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            });
            texts.collect::<Vec<_>>().join(",")
        }
        _ => String::new(),
    };
    format!(
        "topic {} of {} as group {}",
        text("topic"),
        text("brokers"),
        text("group")
    )
}

fn logs(model: &Model) -> impl Iterator<Item = (&Destination, &SharedLog)> {
    let destinations = model.destinations.iter();
    destinations.filter_map(|destination| Some((destination, destination.shared()?)))
}

/// What orders the events of a destination, or of all members of a group; `None` where they do not agree.
fn order_of(model: &Model, destination: &Destination) -> Option<KeyRule> {
    let plan = match destination {
        Destination::Endpoint(endpoint) => return Some(endpoint.order_by.clone()),
        Destination::Group(group) => &group.plan,
    };
    let members = plan
        .targets()
        .into_iter()
        .filter_map(|target| model.destination(&target.name));
    let mut rules = members.map(|member| order_of(model, member));
    let first = rules.next()??;
    rules.all(|rule| rule.as_ref() == Some(&first)).then_some(first)
}

/// The log that shows under this name.
pub(super) fn named<'m>(model: &'m Model, name: &str) -> Option<&'m SharedLog> {
    model.shared_logs().find(|shared| *shared.name == *name)
}
