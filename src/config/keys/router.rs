//! What concerns the router as a whole: `node`, `observe`, `admin`, `limits`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_api::config::ByteSize;

use super::Listen;

/// Who this router is. Neither name is ever part of an event's id.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodeKeys {
    /// This process among its replicas; goes into client ids and logs.
    pub name: String,
    /// The cluster: part of the `source` of plain messages (`weft://CLUSTER/INGRESS`), so the same in every replica.
    pub cluster: String,
}

/// Metrics and health: read only.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Observe {
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub listen: Listen,
}

/// Status and control.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Where the admin endpoints are served; whoever reaches them controls the router.
    pub listen: Listen,
}

/// Bounds on the process.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes for events and client buffers together; at least 16MiB. A quarter of it is for client buffers.
    pub memory: ByteSize,
    /// The largest event; at least 64KiB.
    pub event: ByteSize,
}

impl Limits {
    /// Smallest `memory`.
    pub const MEMORY_MIN: ByteSize = ByteSize(16 << 20);
    /// Smallest `event`: what every CloudEvents intermediary must take (C35).
    pub const EVENT_MIN: ByteSize = ByteSize(64 << 10);

    /// Bytes that events may take.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.memory.get() - self.clients()
    }

    /// Bytes that the buffers of all connectors' clients may take.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.memory.get() / 4
    }
}

impl Default for NodeKeys {
    fn default() -> NodeKeys {
        NodeKeys {
            name: "weft".to_owned(),
            cluster: "default".to_owned(),
        }
    }
}

impl Default for Observe {
    fn default() -> Observe {
        Observe {
            listen: loopback(9464),
        }
    }
}

impl Default for Admin {
    fn default() -> Admin {
        Admin {
            listen: loopback(9465),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: ByteSize(256 << 20),
            event: ByteSize(1 << 20),
        }
    }
}

fn loopback(port: u16) -> Listen {
    Listen::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}
