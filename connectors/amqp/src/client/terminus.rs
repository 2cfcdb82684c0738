//! What a link asks the broker for: sources and targets with their capabilities.

use weft_amqp_wire::machine::{ReceiverSpec, SenderSpec};
use weft_amqp_wire::performative::{
    DeliveryState, ExpiryPolicy, Modified, SenderSettleMode, Source, Target, TerminusDurability,
    distribution, filter,
};
use weft_amqp_wire::value::{Fields, Symbol, Text, Value};

use crate::config::{AddressKind, IngressSection};

/// A consumer of an address.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) address: String,
    pub(crate) spec: ReceiverSpec,
}

impl Receiver {
    /// Whether only some of the messages are asked for.
    pub(crate) fn selects(&self) -> bool {
        !self.spec.source.filter.is_empty()
    }

    /// Whether the broker keeps the link's subscription while it is detached.
    pub(crate) fn durable(&self) -> bool {
        self.spec.source.durable != TerminusDurability::None
    }
}

/// Consumer `number` of an address.
pub(crate) fn receiver(section: &IngressSection, ingress: &str, address: &str, number: u16) -> Receiver {
    // Brokers take a shared subscription's name up to the bar, so that its consumers can have different names.
    let name = match (&section.subscription, number) {
        (Some(subscription), 0) => subscription.clone(),
        (Some(subscription), _) => format!("{subscription}|{number}"),
        (None, _) => format!("weft-{ingress}-{address}-{number}"),
    };
    let mut capabilities: Vec<Symbol> = capability(section.kind).into_iter().collect();
    if section.shared {
        capabilities.push(Symbol::from_static("shared"));
        // One that belongs to no container, so that other replicas find it.
        if section.container_id.is_none() {
            capabilities.push(Symbol::from_static("global"));
        }
    }
    let mut source = Source {
        address: Some(Text::from(address)),
        capabilities,
        outcomes: [
            DeliveryState::ACCEPTED,
            DeliveryState::REJECTED,
            DeliveryState::RELEASED,
            DeliveryState::MODIFIED,
        ]
        .map(Symbol::from_static)
        .to_vec(),
        // What the broker makes of a delivery that has no outcome when the link ends.
        default_outcome: Some(DeliveryState::Modified(Modified {
            delivery_failed: true,
            ..Modified::default()
        })),
        ..Source::default()
    };
    if section.subscription.is_some() {
        source.durable = TerminusDurability::UnsettledState;
        source.expiry_policy = ExpiryPolicy::Never;
    }
    if let Some(selector) = &section.selector {
        let described = Value::described(
            Value::Ulong(filter::SELECTOR_CODE),
            Value::from(selector.as_str()),
        );
        source.filter = Fields::default().with(filter::SELECTOR, described);
    }
    Receiver {
        address: address.to_owned(),
        spec: ReceiverSpec {
            name: Text::from(name),
            source,
            // Settled ones would be lost in a crash; a broker that sends them all the same is believed.
            snd_settle_mode: SenderSettleMode::Unsettled,
            desired_capabilities: Vec::new(),
        },
    }
}

/// A consumer that looks at what a queue holds (`copy`), or takes it out; `serial` tells it from others of this connection.
/// The capability `queue` is always asked for: what a topic publishes is held nowhere, and some brokers take messages out of
/// a subscription's queue also where a copy was asked for.
pub(crate) fn browser(destination: &str, address: &str, copy: bool, serial: usize) -> Receiver {
    let mode = if copy {
        distribution::COPY
    } else {
        distribution::MOVE
    };
    Receiver {
        address: address.to_owned(),
        spec: ReceiverSpec {
            name: Text::from(format!("weft-{destination}-{address}-{mode}-{serial}")),
            source: Source {
                address: Some(Text::from(address)),
                distribution_mode: Some(Symbol::from_static(mode)),
                capabilities: capability(AddressKind::Queue).into_iter().collect(),
                outcomes: [
                    DeliveryState::ACCEPTED,
                    DeliveryState::RELEASED,
                    DeliveryState::MODIFIED,
                ]
                .map(Symbol::from_static)
                .to_vec(),
                // Nobody failed with what is left.
                default_outcome: Some(DeliveryState::Released),
                ..Source::default()
            },
            snd_settle_mode: SenderSettleMode::Unsettled,
            desired_capabilities: Vec::new(),
        },
    }
}

/// A producer for an address; `serial` tells it from others of this connection.
pub(crate) fn sender(kind: AddressKind, destination: &str, address: &str, serial: u64) -> SenderSpec {
    SenderSpec {
        name: Text::from(format!("weft-{destination}-{address}-{serial}")),
        target: Target {
            address: Some(Text::from(address)),
            capabilities: capability(kind).into_iter().collect(),
            ..Target::default()
        },
        snd_settle_mode: SenderSettleMode::Unsettled,
        desired_capabilities: Vec::new(),
    }
}

fn capability(kind: AddressKind) -> Option<Symbol> {
    kind.capability().map(Symbol::from_static)
}
