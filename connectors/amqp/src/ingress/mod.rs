//! Messages in: one task, one connection, one lane a link.
//!
//! Owns: one section's plan, and the ingress that the router runs.
//! Does not know: the loop (`consumer`), a link's books (`lane`), what an outcome is on the wire (`outcome`).

mod answers;
mod attach;
mod consumer;
mod lane;
pub(crate) mod ledger;
mod outcome;

use std::sync::Arc;

use async_trait::async_trait;
use weft_api::config::{Finding, Node};
use weft_api::connector::{IngressBuilder, IngressSettings, RawMessage};
use weft_api::event::Event;
use weft_api::ingress::{Incoming, Ingress, IngressContext, IngressError, Window};

use crate::client::terminus::{self, Receiver};
use crate::client::wire::Happened;
use crate::client::{self, Endpoint};
use crate::config::IngressSection;
use crate::mapping::ingress::{Mapper, Mapping};

/// The window of a link where the file is silent.
const WINDOW: Window = Window {
    events: 1024,
    bytes: 8 << 20,
};

/// A validated section with everything that a consumer needs.
pub(crate) struct Plan {
    pub(crate) endpoint: Endpoint,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) window: Window,
    pub(crate) mapping: Arc<Mapping>,
    /// The largest message that is put together; larger ones are refused unseen.
    pub(crate) message_max: u64,
    pub(crate) event_max: u64,
    /// Bytes that may have come and wait for a lane, over all links.
    pub(crate) client_memory: u64,
    addresses: Vec<String>,
}

impl Plan {
    /// Reads the section and the ingress' other keys.
    ///
    /// # Errors
    /// Every mistake.
    pub(crate) fn new(node: &Node, settings: &IngressSettings) -> Result<Plan, Vec<Finding>> {
        let section: IngressSection = weft_api::config::decode(node)?;
        let mut findings = section.check(node);
        let mapping = Mapping::new(node, settings).map_err(|more| findings.extend(more));
        let endpoint = Endpoint::new(&section.remote(), &settings.node, &settings.name);
        let (Ok(mapping), Ok(endpoint), true) = (mapping, endpoint, findings.is_empty()) else {
            return Err(findings);
        };
        let addresses = section.address.as_slice();
        let receivers = addresses
            .iter()
            .flat_map(|address| {
                let number = 0..section.links;
                number.map(|number| terminus::receiver(&section, &settings.name, address, number))
            })
            .collect();
        Ok(Plan {
            endpoint,
            receivers,
            window: settings.window.unwrap_or(WINDOW),
            mapping: Arc::new(mapping),
            message_max: settings.event_max,
            event_max: settings.event_max,
            client_memory: settings.client_memory,
            addresses: addresses.to_vec(),
        })
    }
}

/// Builds consumers of one section.
pub(crate) struct Builder {
    pub(crate) plan: Arc<Plan>,
}

impl IngressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        Ok(Box::new(AmqpIngress {
            plan: self.plan.clone(),
        }))
    }

    fn address(&self) -> String {
        format!(
            "{} {}",
            self.plan.endpoint.dialer.address(),
            self.plan.addresses.join(",")
        )
    }

    fn explain(&self, raw: &RawMessage) -> Result<Event, String> {
        Mapper::new(self.plan.mapping.clone()).explain(self.address_of(raw), raw)
    }

    fn map(&self, raw: &RawMessage) -> Result<Vec<Incoming>, String> {
        let address = self.address_of(raw);
        Ok(vec![Mapper::new(self.plan.mapping.clone()).map_raw(address, raw)])
    }
}

impl Builder {
    /// The address that the message names, else the first of the section.
    fn address_of<'a>(&'a self, raw: &'a RawMessage) -> &'a str {
        match raw.address.as_str() {
            "" => self.plan.addresses.first().map_or("", String::as_str),
            named => named,
        }
    }
}

struct AmqpIngress {
    plan: Arc<Plan>,
}

#[async_trait]
impl Ingress for AmqpIngress {
    async fn run(self: Box<Self>, cx: IngressContext) -> Result<(), IngressError> {
        consumer::run(self.plan, cx).await;
        Ok(())
    }

    async fn probe(&self) -> Result<(), IngressError> {
        let plan = &*self.plan;
        let tried = tokio::time::timeout(client::CONNECT, probe(plan)).await;
        tried
            .unwrap_or_else(|_| Err(format!("{} does not answer", plan.endpoint.dialer.address())))
            .map_err(IngressError)
    }
}

/// Attaches every link without credit, so that nothing is taken. Durable subscriptions are left alone: attaching would
/// take them from whoever has them.
async fn probe(plan: &Plan) -> Result<(), String> {
    let mut wire = plan.connect().await.map_err(|trouble| trouble.to_string())?;
    let at = plan.endpoint.dialer.address().to_string();
    let mut open = 0;
    for (token, receiver) in plan.receivers.iter().enumerate().filter(|(_, r)| !r.durable()) {
        wire.receiver(token, receiver);
        open += 1;
    }
    let outcome = loop {
        if open == 0 {
            break Ok(());
        }
        match wire.next() {
            Some(Happened::Attached { .. }) => open -= 1,
            Some(Happened::Detached { token, error }) => {
                let address = plan.receivers.get(token).map_or("", |receiver| &receiver.address);
                break Err(client::trouble::link(&at, address, error.as_deref()).to_string());
            }
            Some(_) => {}
            None => wire.io().await.map_err(|trouble| trouble.to_string())?,
        }
    };
    wire.close().await;
    outcome
}
