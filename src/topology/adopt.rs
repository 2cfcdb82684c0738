//! What a file asks for becomes what lives: what is new is spawned, what changed gets another client, the rest is left alone.
//!
//! Does not know: what goes, and what becomes of it ([`super::reload`], [`super::leaving`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;

use super::report::Post;
use super::spec::{IngressSpec, Spec};
use super::supervise::{Hands, RunningEgress, RunningIngress};
use super::{Egress, Ingress, Topology};
use crate::delivery::origin::Port;
use crate::delivery::wiring::Wiring;
use crate::lane::admit::{CurrentGate, Gate};
use crate::lane::books::Pulse;
use crate::routing::anycast::hash;

impl Topology {
    pub(super) fn adopt_destinations(&mut self, spec: &Spec, wiring: &Wiring) {
        for (endpoint, destination) in spec.endpoints().zip(&wiring.destinations) {
            match self.destinations.get_mut(&endpoint.name) {
                Some(egress) if egress.fingerprint == endpoint.fingerprint => {
                    if **destination.settings() != endpoint.settings {
                        destination.configure(endpoint.settings.clone());
                    }
                }
                Some(egress) => {
                    destination.configure(endpoint.settings.clone());
                    egress.running.replace(Arc::clone(&endpoint.builder));
                    egress.fingerprint.clone_from(&endpoint.fingerprint);
                }
                None => {
                    let post = Post::destination(&endpoint.name, endpoint.builder.address());
                    self.board
                        .add_destination(Arc::clone(&post), Arc::clone(destination));
                    let builder = Arc::clone(&endpoint.builder);
                    let seed = self.seed ^ hash(endpoint.name.as_bytes());
                    let running = RunningEgress::start(Arc::clone(destination), builder, post, seed);
                    let egress = Egress {
                        destination: Arc::clone(destination),
                        fingerprint: endpoint.fingerprint.clone(),
                        running,
                    };
                    self.destinations.insert(Arc::clone(&endpoint.name), egress);
                }
            }
        }
    }

    pub(super) fn adopt_ingress(&mut self, spec: IngressSpec, gate: Gate) {
        let number = gate.policy.number;
        match self.ingresses.get_mut(&spec.name) {
            Some(ingress) if ingress.fingerprint == spec.fingerprint => {
                ingress
                    .port
                    .drop_rejected
                    .store(spec.drop_rejected, Ordering::Relaxed);
                ingress.gate.store(Arc::new(gate));
            }
            Some(ingress) => {
                ingress
                    .port
                    .drop_rejected
                    .store(spec.drop_rejected, Ordering::Relaxed);
                ingress.gate.store(Arc::new(gate));
                ingress.running.replace(spec.builder);
                ingress.fingerprint = spec.fingerprint;
                if let Some(left) = ingress.left_behind(spec.log.as_ref()) {
                    tracing::warn!(ingress = %spec.name, "{left}");
                }
                ingress.log = spec.log;
            }
            None => {
                let metrics = self.metrics.ingress(&spec.name);
                let name = Arc::clone(&spec.name);
                let port = Arc::new(match &spec.log {
                    Some(_) => Port::of_log(name, metrics),
                    None => Port::new(name, metrics, spec.drop_rejected),
                });
                let gate: CurrentGate = Arc::new(ArcSwap::from_pointee(gate));
                let pulse = Arc::new(Pulse::default());
                let post = Post::ingress(
                    &spec.name,
                    spec.builder.address(),
                    spec.builder.listens(),
                    &port.metrics,
                );
                self.board
                    .add_ingress(Arc::clone(&post), Arc::clone(&pulse), Arc::clone(&port.metrics));
                let hands = Hands {
                    port: Arc::clone(&port),
                    gate: Arc::clone(&gate),
                    pulse: Arc::clone(&pulse),
                    budget: Arc::clone(&self.budget),
                    seed: self.seed ^ u64::from(number),
                };
                let running = RunningIngress::start(spec.builder, hands, Arc::clone(&post));
                let ingress = Ingress {
                    number,
                    port,
                    gate,
                    pulse,
                    post,
                    fingerprint: spec.fingerprint,
                    log: spec.log,
                    running,
                };
                self.ingresses.insert(spec.name, ingress);
            }
        }
    }
}
