//! Looking through a topic of dead letters, and taking out of it.
//!
//! Owns: the connector's way to look at what its destination holds (`docs/adr/0016-dead-letters-elsewhere.md`).
//! Invariants
//! - Looking joins no group, commits nothing and holds nobody up. What left is passed over.
//! - A topic has no deletion: what left is remembered in the committed offset and metadata of a group of its own, and a
//!   letter leaves only by [`weft_api::browse::Browser::remove`], once that is committed.
//! - Where it is not known for sure that a letter has left, it is shown: it comes again, and is not lost.
//! - Every call to the client blocks, and is made in a thread of the browser's own.
//!
//! Does not know: what a dead letter is, filters, routes.

mod browser;
mod client;
mod errors;
mod keeper;
mod marks;
mod place;
mod reader;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::Arc;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use weft_api::browse::{Browsable, Browse, BrowseError, Browser};
use weft_api::config::Node;
use weft_api::connector::EgressSettings;
use weft_api::status::Silent;

use self::browser::{Purpose, TopicBrowser};
use self::client::{Client, Heard};
use crate::client::voice::Voice;
use crate::config::{EgressSection, Tombstones};
use crate::mapping::ingress::Mapping;

/// What the group's name begins with; the topic's follows.
const GROUP: &str = "weft-dlq-";

/// Where a destination's topic is, and how it is read.
struct Plan {
    brokers: String,
    topic: String,
    /// Where what left is remembered.
    group: String,
    /// The only partition that the destination writes to, if the file says so.
    partition: Option<i32>,
    client: ClientConfig,
    mapping: Arc<Mapping>,
}

impl Plan {
    /// Where the section's topic is, if it names one; `largest` is the most bytes that a record of ours has.
    fn new(
        section: &EgressSection,
        topic: Option<&str>,
        node: &Node,
        settings: &EgressSettings,
        largest: u64,
    ) -> Result<Plan, BrowseError> {
        let Some(topic) = topic else {
            return Err(BrowseError(format!(
                "`topic: {}` is a template and names no one topic to look through; give the dead letters a destination with a topic of their own",
                section.topic
            )));
        };
        let group = format!("{GROUP}{topic}");
        let mapping = Mapping::new(Tombstones::Malformed, node, &settings.reading_back(largest))
            .map_err(|_| BrowseError(format!("records of kafka topic `{topic}` cannot be mapped")))?;
        Ok(Plan {
            brokers: section.brokers.join(","),
            client: client::settings(section, settings, &group, largest),
            topic: topic.to_owned(),
            group,
            partition: section.partition,
            mapping: Arc::new(mapping),
        })
    }

    /// Makes the client; connects in the background.
    fn connect(&self) -> Result<Client, BrowseError> {
        let voice = Voice::new(self.brokers.clone(), Arc::new(Silent));
        self.client
            .create_with_context(Heard::new(voice))
            .map_err(|error| BrowseError(format!("kafka settings: {error}")))
    }
}

/// A way to look through the destination's topic; `largest` is the most bytes that a record of ours has.
///
/// # Errors
/// The topic comes out of a template.
pub(crate) fn browsable(
    section: &EgressSection,
    topic: Option<&str>,
    node: &Node,
    settings: &EgressSettings,
    largest: u64,
) -> Browsable {
    let plan = Plan::new(section, topic, node, settings, largest)?;
    Ok(Arc::new(TopicBrowse(Arc::new(plan))))
}

struct TopicBrowse(Arc<Plan>);

#[async_trait]
impl Browse for TopicBrowse {
    async fn look(&self, from: u64) -> Result<Box<dyn Browser>, BrowseError> {
        let browser = TopicBrowser::open(self.0.clone(), Purpose::Look(from)).await?;
        Ok(Box::new(browser))
    }

    async fn take(&self) -> Result<Box<dyn Browser>, BrowseError> {
        let browser = TopicBrowser::open(self.0.clone(), Purpose::Take).await?;
        Ok(Box::new(browser))
    }

    fn write_place(&self, place: u64) -> Option<String> {
        Some(place::write(place))
    }

    fn read_place(&self, text: &str) -> Result<u64, String> {
        place::read(text)
    }

    fn address(&self) -> String {
        format!("topic {}", self.0.topic)
    }

    fn left(&self) -> Option<String> {
        Some(format!(
            "what left shows no more (group `{}` remembers it); the records stay in topic `{}` until its retention has passed",
            self.0.group, self.0.topic
        ))
    }
}
