//! `source` and `target` (messaging 3.5): where the messages of a link come from and go to.

use super::{DeliveryState, described, symbols};
use crate::descriptor;
use crate::error::DecodeError;
use crate::value::write::Put;
use crate::value::{FieldReader, FieldWriter, Fields, Reader, Symbol, Text};

/// Values of [`Source::distribution_mode`].
pub mod distribution {
    /// Messages are taken out of the node: a queue.
    pub const MOVE: &str = "move";
    /// Messages are copied: a browser, a topic.
    pub const COPY: &str = "copy";
}

/// Filters that most brokers know (the registry of filters of Apache).
pub mod filter {
    /// The key and descriptor name of a JMS selector.
    pub const SELECTOR: &str = "apache.org:selector-filter:string";
    /// The descriptor number of a JMS selector.
    pub const SELECTOR_CODE: u64 = 0x0000_468C_0000_0004;
    /// The key and descriptor name of the JMS no-local filter.
    pub const NO_LOCAL: &str = "apache.org:no-local-filter:list";
    /// The descriptor number of the JMS no-local filter.
    pub const NO_LOCAL_CODE: u64 = 0x0000_468C_0000_0003;
}

/// What of a terminus survives (messaging 3.5.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum TerminusDurability {
    /// Nothing.
    #[default]
    None,
    /// That it exists, and how it was configured.
    Configuration,
    /// Unsettled deliveries as well.
    UnsettledState,
}

impl TerminusDurability {
    fn get(f: &mut FieldReader<'_>) -> Result<Self, DecodeError> {
        match f.opt::<u32>()? {
            Some(0) | None => Ok(Self::None),
            Some(1) => Ok(Self::Configuration),
            Some(2) => Ok(Self::UnsettledState),
            Some(_) => Err(f.invalid("durable")),
        }
    }
}

impl Put for TerminusDurability {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => 0u32,
            Self::Configuration => 1,
            Self::UnsettledState => 2,
        }
        .put(out);
    }
}

/// From when the time-out of a terminus counts (messaging 3.5.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum ExpiryPolicy {
    /// From the detach on.
    LinkDetach,
    /// From the end of the session on.
    #[default]
    SessionEnd,
    /// From the end of the connection on.
    ConnectionClose,
    /// Never.
    Never,
}

impl ExpiryPolicy {
    /// The symbol that travels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LinkDetach => "link-detach",
            Self::SessionEnd => "session-end",
            Self::ConnectionClose => "connection-close",
            Self::Never => "never",
        }
    }

    fn get(f: &mut FieldReader<'_>) -> Result<Self, DecodeError> {
        let Some(symbol) = f.opt::<Symbol>()? else {
            return Ok(Self::SessionEnd);
        };
        [
            Self::LinkDetach,
            Self::SessionEnd,
            Self::ConnectionClose,
            Self::Never,
        ]
        .into_iter()
        .find(|policy| symbol == policy.as_str())
        .ok_or_else(|| f.invalid("expiry-policy"))
    }
}

impl Put for ExpiryPolicy {
    fn put(&self, out: &mut Vec<u8>) {
        crate::value::write::symbol(out, self.as_str());
    }
}

/// Where messages come from.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Source {
    /// The node; absent with [`Self::dynamic`] in a request, or where a node no longer exists.
    pub address: Option<Text>,
    /// What survives.
    pub durable: TerminusDurability,
    /// From when on it expires.
    pub expiry_policy: ExpiryPolicy,
    /// Seconds after which it does.
    pub timeout: u32,
    /// The peer is to make a node up.
    pub dynamic: bool,
    /// The properties of a dynamic node.
    pub dynamic_node_properties: Fields,
    /// One of [`distribution`], or of the peer's own.
    pub distribution_mode: Option<Symbol>,
    /// Which messages; an answer holds those that are in force. See [`filter`].
    pub filter: Fields,
    /// The outcome of deliveries whose receiver said nothing.
    pub default_outcome: Option<DeliveryState>,
    /// Outcomes that may be used, as symbols.
    pub outcomes: Vec<Symbol>,
    /// Extensions (`queue`, `topic`, `shared`, `global`).
    pub capabilities: Vec<Symbol>,
}

impl Source {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = described(reader, descriptor::SOURCE, "source")?;
        Ok(Self {
            address: f.opt()?,
            durable: TerminusDurability::get(&mut f)?,
            expiry_policy: ExpiryPolicy::get(&mut f)?,
            timeout: f.or(0)?,
            dynamic: f.or(false)?,
            dynamic_node_properties: f.or(Fields::default())?,
            distribution_mode: f.opt()?,
            filter: f.or(Fields::default())?,
            default_outcome: f.with(DeliveryState::decode)?,
            outcomes: f.or(Vec::new())?,
            capabilities: f.or(Vec::new())?,
        })
    }
}

impl Put for Source {
    fn put(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::SOURCE);
        f.opt(self.address.as_ref())
            .unless(self.durable, TerminusDurability::None)
            .unless(self.expiry_policy, ExpiryPolicy::SessionEnd)
            .unless(self.timeout, 0)
            .unless(self.dynamic, false)
            .opt(self.dynamic_node_properties.some())
            .opt(self.distribution_mode.as_ref())
            .opt(self.filter.some())
            .opt(self.default_outcome.as_ref())
            .opt(symbols(&self.outcomes))
            .opt(symbols(&self.capabilities));
        f.end();
    }
}

/// Where messages go to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Target {
    /// The node; absent: the anonymous terminus, or [`Self::dynamic`] in a request.
    pub address: Option<Text>,
    /// What survives.
    pub durable: TerminusDurability,
    /// From when on it expires.
    pub expiry_policy: ExpiryPolicy,
    /// Seconds after which it does.
    pub timeout: u32,
    /// The peer is to make a node up.
    pub dynamic: bool,
    /// The properties of a dynamic node.
    pub dynamic_node_properties: Fields,
    /// Extensions (`queue`, `topic`).
    pub capabilities: Vec<Symbol>,
}

impl Target {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = described(reader, descriptor::TARGET, "target")?;
        Ok(Self {
            address: f.opt()?,
            durable: TerminusDurability::get(&mut f)?,
            expiry_policy: ExpiryPolicy::get(&mut f)?,
            timeout: f.or(0)?,
            dynamic: f.or(false)?,
            dynamic_node_properties: f.or(Fields::default())?,
            capabilities: f.or(Vec::new())?,
        })
    }
}

impl Put for Target {
    fn put(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::TARGET);
        f.opt(self.address.as_ref())
            .unless(self.durable, TerminusDurability::None)
            .unless(self.expiry_policy, ExpiryPolicy::SessionEnd)
            .unless(self.timeout, 0)
            .unless(self.dynamic, false)
            .opt(self.dynamic_node_properties.some())
            .opt(symbols(&self.capabilities));
        f.end();
    }
}
