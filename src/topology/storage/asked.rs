//! Which logs a spec asks for, and what it says of each. Pure.

use std::sync::Arc;

use weft_store::LogSettings;

use super::WINDOW;
use crate::delivery::stored::{Kind, LogRules};
use crate::topology::build::kept;
use crate::topology::spec::{DestinationSpec, LOCAL, LogSpec, Spec, WhenFull};

/// The names of destinations and groups.
pub(super) fn places(spec: &Spec) -> impl Iterator<Item = &Arc<str>> {
    spec.destinations.iter().map(|destination| match destination {
        DestinationSpec::Endpoint(endpoint) => &endpoint.name,
        DestinationSpec::Group { name, .. } => name,
    })
}

/// Every log that the file asks for.
pub(super) fn asked(spec: &Spec) -> Vec<(Arc<str>, Kind, LogSpec)> {
    let Some(store) = &spec.store else {
        return Vec::new();
    };
    let mut logs = vec![(Arc::from(LOCAL), Kind::DeadLetters, store.dead_letters.clone())];
    for destination in &spec.destinations {
        let (name, log) = match destination {
            DestinationSpec::Endpoint(endpoint) => (&endpoint.name, &endpoint.store),
            DestinationSpec::Group { name, store, .. } => (name, store),
        };
        logs.extend(log.clone().map(|log| (Arc::clone(name), Kind::Backlog, log)));
    }
    for ingress in &spec.ingresses {
        logs.extend(ingress.retain.map(|retain| {
            let log = LogSpec {
                max_bytes: store.max_bytes,
                ..LogSpec::kept(retain)
            };
            (kept(&ingress.name), Kind::Kept, log)
        }));
    }
    logs
}

pub(super) fn rules(spec: &LogSpec) -> LogRules {
    LogRules {
        max_age: spec.max_age,
        full_moves: spec.when_full == WhenFull::Move,
    }
}

pub(super) fn settings(kind: Kind, spec: &LogSpec) -> LogSettings {
    LogSettings {
        max_bytes: spec.max_bytes,
        // However full the rest is, what nobody takes has a place.
        own_space: kind == Kind::DeadLetters,
        max_age: spec.max_age,
        retain: spec.retain,
        window: WINDOW,
        parts: match kind {
            // A backlog leaves from its head. Letters leave in any order, and some stay for weeks.
            Kind::DeadLetters => 256,
            Kind::Backlog | Kind::Kept => 16,
        },
    }
}
