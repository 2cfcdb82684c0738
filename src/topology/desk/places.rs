//! The destinations of the file, as places where letters may lie.
//!
//! Does not know which of them are dead letters of routes: what lies at any destination can be looked at, and what is no
//! dead letter says so itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_api::browse::Browse;
use weft_api::connector::EgressBuilder;

use super::Refused;
use crate::topology::spec::{DestinationSpec, Spec};

/// What the file says, until the next reload.
#[derive(Default)]
pub(super) struct Places(BTreeMap<Arc<str>, Place>);

enum Place {
    Endpoint(Arc<dyn EgressBuilder>),
    Group,
    /// The log of this place, which routers share: what is in it is on its way.
    SharedLog(Arc<str>),
}

impl Places {
    pub(super) fn of(spec: &Spec) -> Places {
        let place = |destination: &DestinationSpec| match destination {
            DestinationSpec::Group { name, .. } => (Arc::clone(name), Place::Group),
            DestinationSpec::Endpoint(endpoint) => {
                let place = match &endpoint.settings.shared_log {
                    Some(of) => Place::SharedLog(Arc::clone(of)),
                    None => Place::Endpoint(Arc::clone(&endpoint.builder)),
                };
                (Arc::clone(&endpoint.name), place)
            }
        };
        Places(spec.destinations.iter().map(place).collect())
    }

    /// A way to look through what the destination of this name holds.
    pub(super) fn browse(&self, name: &str) -> Result<Arc<dyn Browse>, Refused> {
        match self.0.get(name) {
            Some(Place::Endpoint(builder)) => builder
                .browse()
                .map_err(|error| Refused::Wrong(format!("destination {name}: {error}"))),
            Some(Place::Group) => Err(Refused::Wrong(format!(
                "{name} is a group: name the member in whose topic or queue the letters are"
            ))),
            Some(Place::SharedLog(of)) => Err(Refused::Wrong(format!(
                "{name} is the log of {of}: what is in it is on its way there, and no dead letter"
            ))),
            None => {
                let endpoints = self
                    .0
                    .iter()
                    .filter(|(_, place)| matches!(place, Place::Endpoint(_)));
                let names: Vec<&str> = endpoints.map(|(name, _)| &**name).collect();
                Err(Refused::Wrong(format!(
                    "no destination is named {name:?}; here are: {}",
                    names.join(" ")
                )))
            }
        }
    }
}
