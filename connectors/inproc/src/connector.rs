//! How `inproc` stands in a file: its two sections and what they build.
//!
//! Owns: the section types. Must not know: how feeds and sinks behave.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use weft_api::config::{self, Finding, HumanDuration, Node};
use weft_api::connector::{
    Connector, EgressBuilder, EgressSettings, IngressBuilder, IngressSettings, RawMessage,
};
use weft_api::egress::{Egress, EgressProfile};
use weft_api::event::{Event, json};
use weft_api::ingress::Ingress;

use crate::answer::{Act, Policy};
use crate::hub::Hub;
use crate::options::{IngressOptions, Settling};

/// The connector `inproc` over one hub.
#[derive(Clone, Debug, Default)]
pub struct Inproc {
    hub: Hub,
}

/// `ingress.NAME.inproc`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IngressSection {
    /// The feed's name in the hub; the ingress' own where it is absent.
    feed: Option<String>,
    /// How many lanes there are.
    #[serde(default = "one")]
    lanes: u32,
    /// How a lane settles.
    #[serde(default)]
    settle: Settling,
    /// When a message that was released comes again (`individual` and `request`).
    #[serde(default = "redeliver_after")]
    redeliver_after: HumanDuration,
    /// How long a client waits for its answer (`request`).
    #[serde(default = "deadline")]
    deadline: HumanDuration,
}

/// `destinations.NAME.inproc`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EgressSection {
    /// The sink's name in the hub; the destination's own where it is absent.
    sink: Option<String>,
    /// Most events in one batch.
    #[serde(default = "batch")]
    batch: u32,
    /// Most unsettled events.
    #[serde(default = "in_flight")]
    in_flight: u32,
    /// The sink keeps the order of what is in flight, or fails all that is behind a failure.
    #[serde(default)]
    ordered: bool,
    /// Single events may be sent from the task of the request that they came in.
    #[serde(default)]
    direct: bool,
    /// How the sink answers until a test says otherwise; left out, it answers as it did.
    answer: Option<FixedAnswer>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FixedAnswer {
    /// Takes everything.
    Accept,
    /// Refuses every event for good.
    Reject,
    /// Fails on every event.
    Fail,
    /// Is not there.
    Unavailable,
    /// Never answers.
    Hang,
}

fn one() -> u32 {
    1
}

fn batch() -> u32 {
    64
}

fn in_flight() -> u32 {
    256
}

fn redeliver_after() -> HumanDuration {
    HumanDuration(Duration::from_millis(100))
}

fn deadline() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}

impl Inproc {
    /// The connector over `hub`.
    #[must_use]
    pub fn new(hub: Hub) -> Inproc {
        Inproc { hub }
    }
}

impl Connector for Inproc {
    fn kind(&self) -> &'static str {
        "inproc"
    }

    fn ingress(
        &self,
        section: &Node,
        settings: &IngressSettings,
    ) -> Option<Result<Box<dyn IngressBuilder>, Vec<Finding>>> {
        let read = config::decode::<IngressSection>(section).and_then(|read| {
            let zero = "there must be at least one lane";
            if read.lanes == 0 {
                Err(vec![Finding::error(section, zero, "write lanes: 1")])
            } else {
                Ok(read)
            }
        });
        Some(read.map(|section| {
            let feed = section.feed.clone().unwrap_or_else(|| settings.name.to_string());
            let options = IngressOptions {
                lanes: section.lanes,
                settle: section.settle,
                window: settings.window.unwrap_or(IngressOptions::default().window),
                redeliver_after: section.redeliver_after.0,
                deadline: section.deadline.0,
            };
            Box::new(InprocIngressBuilder {
                hub: self.hub.clone(),
                feed,
                options,
            }) as Box<dyn IngressBuilder>
        }))
    }

    fn egress(
        &self,
        section: &Node,
        settings: &EgressSettings,
    ) -> Option<Result<Box<dyn EgressBuilder>, Vec<Finding>>> {
        let read = config::decode::<EgressSection>(section).and_then(|read| {
            let zero = "batch and in_flight are at least 1";
            let none = read.batch == 0 || read.in_flight == 0;
            if none {
                Err(vec![Finding::error(
                    section,
                    zero,
                    "leave them out for the default",
                )])
            } else {
                Ok(read)
            }
        });
        Some(read.map(|section| {
            let sink = section.sink.clone().unwrap_or_else(|| settings.name.to_string());
            let batch_bytes = settings.event_max.saturating_mul(2);
            Box::new(InprocEgressBuilder {
                hub: self.hub.clone(),
                sink,
                section,
                batch_bytes,
            }) as Box<dyn EgressBuilder>
        }))
    }

    fn ingress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<IngressSection>())
    }

    fn egress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<EgressSection>())
    }

    fn connection_keys(&self) -> &'static [&'static str] {
        &[]
    }
}

struct InprocIngressBuilder {
    hub: Hub,
    feed: String,
    options: IngressOptions,
}

impl IngressBuilder for InprocIngressBuilder {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        Ok(self.hub.feed(&self.feed).ingress(self.options))
    }

    fn address(&self) -> String {
        format!("inproc:{}", self.feed)
    }

    /// The body is an event in the JSON format: feeds take events, there is nothing to map.
    fn explain(&self, raw: &RawMessage) -> Result<Event, String> {
        json::decode(&raw.body).map_err(|error| error.to_string())
    }
}

struct InprocEgressBuilder {
    hub: Hub,
    sink: String,
    section: EgressSection,
    batch_bytes: u64,
}

impl EgressBuilder for InprocEgressBuilder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        let sink = self.hub.sink(&self.sink);
        if let Some(answer) = self.section.answer {
            sink.answer_with(Policy::always(answer.act()));
        }
        let profile = EgressProfile {
            batch_events: self.section.batch,
            batch_bytes: self.batch_bytes,
            in_flight: self.section.in_flight,
            keeps_order_or_fails: self.section.ordered,
        };
        Ok(sink.egress(profile, self.section.direct))
    }

    fn address(&self) -> String {
        format!("inproc:{}", self.sink)
    }
}

impl FixedAnswer {
    fn act(self) -> Act {
        match self {
            FixedAnswer::Accept => Act::Accept,
            FixedAnswer::Reject => Act::Reject,
            FixedAnswer::Fail => Act::Fail,
            FixedAnswer::Unavailable => Act::Down {
                reason: weft_api::outcome::Reason::Unavailable,
                retry_after: None,
            },
            FixedAnswer::Hang => Act::Hang,
        }
    }
}
