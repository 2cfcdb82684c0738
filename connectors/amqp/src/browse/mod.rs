//! Looking through a queue that events were delivered to, and taking them out of it (ADR 0016).
//!
//! Owns: what can be browsed, and what the router holds of a browser.
//! Invariants
//! - Looking never accepts a message, and begins only at a broker that was seen to copy (`proof`).
//! - A message that was taken and not removed is given back at the end, or by the lost connection.
//! - A take is bounded by what was there when it was opened: what comes in meanwhile is not part of it.
//!
//! Does not know: what a message means (`mapping`), who looks, and why.

mod arrival;
mod browser;
mod drain;
mod opening;
mod pile;
mod proof;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weft_api::browse::{Browsable, Browse, BrowseError, Browser};

use self::opening::Opening;
use crate::client::trouble::Trouble;
use crate::config::AddressKind;
use crate::egress::Plan;

/// How long a broker may be without any progress in what it was asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the broker may take to agree to the end.
const CLOSE: Duration = Duration::from_secs(5);

/// What a destination's queue holds, if its section names one queue.
pub(crate) fn of(plan: &Arc<Plan>) -> Browsable {
    let refused = |why: &str| Err(BrowseError(format!("amqp `{}` {why}", plan.address)));
    match (plan.layout.address.fixed(), plan.kind) {
        (None, _) => {
            refused("is a template: its events lie in many queues; name each as a destination of its own")
        }
        (_, AddressKind::Topic) => {
            refused("is a topic, which holds nothing; let its events go to a queue (`kind: queue`)")
        }
        (Some(address), AddressKind::Queue | AddressKind::Any) => Ok(Arc::new(Queue {
            address: address.to_owned(),
            plan: plan.clone(),
        })),
    }
}

struct Queue {
    plan: Arc<Plan>,
    address: String,
}

#[async_trait]
impl Browse for Queue {
    async fn look(&self, from: u64) -> Result<Box<dyn Browser>, BrowseError> {
        let opening = Opening::connect(self.plan.clone(), &self.address).await?;
        Ok(Box::new(opening.look(from).await?))
    }

    async fn take(&self) -> Result<Box<dyn Browser>, BrowseError> {
        let opening = Opening::connect(self.plan.clone(), &self.address).await?;
        Ok(Box::new(opening.take().await?))
    }

    fn write_place(&self, _: u64) -> Option<String> {
        None
    }

    fn read_place(&self, _: &str) -> Result<u64, String> {
        Err("messages of a queue have no numbers that stay: choose by --event or another filter".to_owned())
    }

    fn address(&self) -> String {
        format!(
            "queue {} at {}",
            self.address,
            self.plan.endpoint.dialer.address()
        )
    }
}

impl From<Trouble> for BrowseError {
    fn from(trouble: Trouble) -> BrowseError {
        BrowseError(trouble.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::testing::{egress_settings, node};

    fn browse(section: &Json) -> Browsable {
        let plan = Plan::new(&node(section), &egress_settings());
        of(&Arc::new(plan.map_err(|f| format!("{f:?}")).unwrap()))
    }

    fn refusal(section: &Json) -> String {
        browse(section).err().unwrap().0
    }

    #[test]
    fn a_template_and_a_topic_are_refused_in_their_own_words() {
        let why = refusal(&json!({ "url": "amqp://b", "address": "dead.{type}" }));
        assert!(why.contains("`dead.{type}` is a template"), "{why}");
        let why = refusal(&json!({ "url": "amqp://b", "address": "dead", "kind": "topic" }));
        assert!(why.contains("topic") && why.contains("kind: queue"), "{why}");
    }

    #[test]
    fn a_queue_has_no_places_that_stay() {
        for kind in ["queue", "any"] {
            let queue = browse(&json!({ "url": "amqp://b", "address": "dead", "kind": kind })).unwrap();
            assert_eq!(queue.write_place(7), None);
            assert!(queue.read_place("7").unwrap_err().contains("--event"));
            assert_eq!(queue.address(), "queue dead at amqp://b:5672");
        }
    }
}
