//! The registry: resolves every handle once, when the topology is built, and writes the exposition text.
//!
//! Owns every family and its series. Invariants
//! - Nothing per event looks a label up: whoever counts holds a handle ([`IngressMetrics`], [`DestinationMetrics`]).
//! - The same name gives the same handle, so that a reload goes on counting where the old topology stopped.
//! - A series goes away only with [`Metrics::forget_ingress`] and its siblings; a handle that outlives that counts
//!   into nowhere, harmlessly.
//!
//! Does not know: what the numbers mean for delivery, nor HTTP.

mod books;
mod destination;
pub mod families;
mod ingress;
mod process;
mod store;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

pub use books::Books;
pub use destination::DestinationMetrics;
pub use families::{Family, Kind};
pub use ingress::{IngressMetrics, Lag};
pub use process::{ProcessMetrics, ReloadResult};
pub use store::{LogMetrics, StoreMetrics};

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Brings computed gauges up to date before a scrape.
pub type Refresh = Box<dyn Fn() + Send + Sync>;

/// Every metric of the process.
pub struct Metrics {
    registry: Registry,
    ingress_families: ingress::Families,
    destination_families: destination::Families,
    store_families: store::Families,
    route_matched: IntCounterVec,
    process: ProcessMetrics,
    ingresses: Mutex<BTreeMap<String, Arc<IngressMetrics>>>,
    destinations: Mutex<BTreeMap<String, Arc<DestinationMetrics>>>,
    logs: Mutex<BTreeMap<String, Arc<LogMetrics>>>,
    refreshes: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
}

/// What is counted for one route.
#[derive(Clone)]
pub struct RouteMetrics {
    /// `weft_route_matched_total{route}`
    pub matched: IntCounter,
}

impl Metrics {
    /// An empty registry with the process' own series.
    #[must_use]
    pub fn new() -> Arc<Metrics> {
        let registry = Registry::new();
        let make = Make { registry: &registry };
        Arc::new(Metrics {
            ingress_families: ingress::Families::new(&make),
            destination_families: destination::Families::new(&make),
            store_families: store::Families::new(&make),
            route_matched: make.counters(&families::ROUTE_MATCHED),
            process: ProcessMetrics::new(&make),
            ingresses: Mutex::default(),
            destinations: Mutex::default(),
            logs: Mutex::default(),
            refreshes: Mutex::default(),
            registry,
        })
    }

    /// The handles of one ingress; all its series exist from now on, at 0.
    #[must_use]
    pub fn ingress(&self, name: &str) -> Arc<IngressMetrics> {
        let mut known = lock(&self.ingresses);
        let handle = known.entry(name.to_owned());
        handle
            .or_insert_with(|| Arc::new(self.ingress_families.resolve(name)))
            .clone()
    }

    /// The handles of one destination; its series exist from now on, at 0, but for failures that never occur.
    #[must_use]
    pub fn destination(&self, name: &str) -> Arc<DestinationMetrics> {
        let mut known = lock(&self.destinations);
        let handle = known.entry(name.to_owned());
        handle
            .or_insert_with(|| Arc::new(self.destination_families.resolve(name)))
            .clone()
    }

    /// The handles of one log of the store; its series exist from now on, at 0.
    #[must_use]
    pub fn log(&self, name: &str) -> Arc<LogMetrics> {
        let mut known = lock(&self.logs);
        let handle = known.entry(name.to_owned());
        handle
            .or_insert_with(|| Arc::new(self.store_families.resolve(name)))
            .clone()
    }

    /// The handles of the store as a whole; its series exist from now on, at 0.
    #[must_use]
    pub fn store(&self) -> StoreMetrics {
        self.store_families.left()
    }

    /// The handle of one route.
    #[must_use]
    pub fn route(&self, name: &str) -> RouteMetrics {
        RouteMetrics {
            matched: self.route_matched.with_label_values(&[name]),
        }
    }

    /// The handles of the process itself.
    #[must_use]
    pub fn process(&self) -> &ProcessMetrics {
        &self.process
    }

    /// Registers what brings computed gauges (ages, pending) up to date before each scrape. It stays for the life of
    /// the process: reach what a reload replaces through a shared or weak handle.
    pub fn on_scrape(&self, refresh: Refresh) {
        lock(&self.refreshes).push(Arc::from(refresh));
    }

    /// Takes the series of an ingress that a reload removed out of the scrape.
    pub fn forget_ingress(&self, name: &str) {
        if let Some(gone) = lock(&self.ingresses).remove(name) {
            self.ingress_families.forget(name, &gone);
        }
    }

    /// Takes the series of a destination that a reload removed out of the scrape.
    pub fn forget_destination(&self, name: &str) {
        if lock(&self.destinations).remove(name).is_some() {
            self.destination_families.forget(name);
        }
    }

    /// Takes the series of a log that is gone out of the scrape.
    pub fn forget_log(&self, name: &str) {
        if lock(&self.logs).remove(name).is_some() {
            self.store_families.forget(name);
        }
    }

    /// Takes the series of a route that a reload removed out of the scrape.
    pub fn forget_route(&self, name: &str) {
        // An unknown name is no error: it was never resolved, so there is nothing to take out.
        let _ = self.route_matched.remove_label_values(&[name]);
    }

    /// The exposition text, families in the order of their names.
    #[must_use]
    pub fn render(&self) -> String {
        // Copied out, so that a refresh may register another one without a deadlock.
        let refreshes = lock(&self.refreshes).clone();
        for refresh in refreshes {
            refresh();
        }
        self.process.refresh();
        let mut text = String::new();
        TextEncoder::new()
            .encode_utf8(&self.registry.gather(), &mut text)
            .expect("gather leaves out empty families, and a String takes every write");
        text
    }
}

/// Registers vectors under the names of [`families`].
struct Make<'a> {
    registry: &'a Registry,
}

impl Make<'_> {
    fn counters(&self, family: &Family) -> IntCounterVec {
        self.register(IntCounterVec::new(
            Opts::new(family.name, family.help),
            family.labels,
        ))
    }

    fn gauges(&self, family: &Family) -> IntGaugeVec {
        self.register(IntGaugeVec::new(
            Opts::new(family.name, family.help),
            family.labels,
        ))
    }

    fn seconds(&self, family: &Family) -> GaugeVec {
        self.register(GaugeVec::new(Opts::new(family.name, family.help), family.labels))
    }

    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let vector = made.expect("the names and labels of families.rs are valid");
        self.registry
            .register(Box::new(vector.clone()))
            .expect("each family is registered once");
        vector
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the map was held leaves it whole: entries are inserted in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
