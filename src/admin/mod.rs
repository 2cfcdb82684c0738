//! The HTTP endpoints for people, probes and Prometheus: one file an endpoint.
//!
//! Two surfaces. [`Surface::Observe`] (`/metrics`, `/healthz`, `/readyz`) may be seen by the whole cluster and changes
//! nothing; [`Surface::Admin`] (`/status`, `/routes`, `/config`, and the dead letters: [`dlq`]) tells names, addresses and
//! events, and stays on loopback by default.
//!
//! Invariants
//! - Only a POST to one of the endpoints in [`dlq`] changes anything. It must say that its body is JSON and come from no
//!   web page, so that no browser can be made to send it.
//! - Connections, heads, bodies and times are bounded ([`server`]); no endpoint costs more than a look at counters or at a
//!   bounded part of a log, and the probing of destinations is done at most once in five seconds, whoever asks.
//!
//! Does not know the topology: whoever runs one gives a [`Source`].

mod answer;
mod config;
pub mod dlq;
mod health;
mod metrics;
mod ready;
mod routes;
pub mod server;
pub mod snapshot;
mod status;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use answer::Answer;
use dlq::letters::Letters;
pub use ready::{Probe, Readiness};
pub use server::{Surface, serve};
use snapshot::{RouteStatus, Snapshot};

/// Where the endpoints get what they show; the router's side. No method may wait or take long.
pub trait Source: Send + Sync + 'static {
    /// `/metrics`: the exposition text.
    fn metrics(&self) -> String;
    /// `/readyz`: recovered and listening, or what is missing.
    fn readiness(&self) -> Readiness;
    /// `/readyz?destinations=all`: asks each destination's egress whether its remote would take events.
    fn probe_destinations(&self) -> Pin<Box<dyn Future<Output = Vec<Probe>> + Send>>;
    /// `/status`: every ingress and destination as it stands.
    fn snapshot(&self) -> Snapshot;
    /// `/routes`: the table in the order of the file.
    fn routes(&self) -> Vec<RouteStatus>;
    /// `/config`: the effective configuration as YAML, secrets masked.
    fn config(&self) -> String;
    /// `/dlq`: dead letters, and what else may be sent again.
    fn letters(&self) -> Arc<dyn Letters>;
}

/// What is asked for, as far as these endpoints care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    /// GET or HEAD.
    Get,
    /// POST.
    Post,
}

/// The endpoints over one source.
pub struct Admin {
    source: Arc<dyn Source>,
    probes: ready::ProbeCache,
}

impl Admin {
    /// Endpoints that show what `source` says.
    #[must_use]
    pub fn new(source: Arc<dyn Source>) -> Arc<Admin> {
        Arc::new(Admin {
            source,
            probes: ready::ProbeCache::default(),
        })
    }

    /// THE list of endpoints.
    async fn answer(&self, surface: Surface, method: Method, path: &str, query: &str, body: &[u8]) -> Answer {
        if surface == Surface::Admin
            && let Some(answer) = dlq::answer(&*self.source, method, path, query, body).await
        {
            return answer;
        }
        if method == Method::Post {
            return Answer::method("GET, HEAD");
        }
        match (surface, path) {
            (Surface::Observe, "/metrics") => metrics::answer(&*self.source),
            (Surface::Observe, "/healthz") => health::answer(),
            (Surface::Observe, "/readyz") => ready::answer(&*self.source, &self.probes, query).await,
            (Surface::Admin, "/status") => status::answer(&*self.source),
            (Surface::Admin, "/routes") => routes::answer(&*self.source),
            (Surface::Admin, "/config") => config::answer(&*self.source),
            _ => Answer::not_found(&surface.paths()),
        }
    }
}

#[cfg(test)]
mod tests;
